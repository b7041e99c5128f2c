#include "host/theory/laws.hpp"
#include "host/theory/sgd_quadratic.hpp"

namespace widelab::theory {

std::vector<ParamDoc> noisy_rule_docs() {
  return {{"rule", "gd", "gd, heavy-ball or nesterov (PyTorch's forms)"},
          {"learning_rate", "0.1", "step size eta, for a loss whose second derivative is h"},
          {"momentum", "0.9", "mu of heavy-ball and nesterov"},
          {"h", "1", "curvature, weight decay included"}};
}

LinearTraining read_noisy_rule(const Params& params) {
  LinearTraining training;
  training.rule = static_cast<LinearRule>(params.choice("rule", {"gd", "heavy-ball", "nesterov"}));
  training.learning_rate = params.number("learning_rate");
  training.momentum = params.number("momentum");
  return training;
}

TheoryEntry sgd_stationary_entry() {
  TheoryEntry entry;
  entry.name = "sgd-stationary";
  entry.description =
      "Stationary law of a parameter under SGD with additive noise on a quadratic loss: variance, velocity, "
      "autocorrelation, excess loss, beside the Gibbs law of the temperature eta c / (2 (1 - mu)).";
  entry.source = "autoregressive processes of order 2, derived in host/theory/sgd_quadratic.hpp";
  entry.domain = "quadratic loss; noise independent from step to step and of the position; 0 < eta h < stability_edge";
  entry.params = noisy_rule_docs() +
                 std::vector<ParamDoc>{{"c", "1", "variance of the gradient of a step, batch size divided out"},
                                       {"lags", "5", "largest lag of the autocorrelation"}};
  entry.evaluate = [](const Params& params) -> std::vector<NamedValue> {
    const QuadraticMode mode{read_noisy_rule(params), params.number("h"), params.number_at_least("c", 0.0)};
    const ModeMoments moments = stationary_mode(mode);
    const double temperature =
        0.5 * mode.training.learning_rate * mode.gradient_noise / (1.0 - step_form(mode.training).momentum);
    return {{"variance", moments.parameter},
            {"velocity_variance", moments.velocity},
            {"covariance", moments.cross},
            {"temperature", temperature},
            {"gibbs_variance", temperature / mode.curvature},
            {"ratio", moments.parameter * mode.curvature / temperature},
            {"excess_loss", mode_excess_loss(mode)},
            {"autocorrelation", autocorrelation(mode, params.count("lags", 0))},
            {"stability_edge", mode.training.stability_limit()}};
  };
  return entry;
}

}  // namespace widelab::theory
