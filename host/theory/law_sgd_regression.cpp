#include "host/theory/laws.hpp"
#include "host/theory/sgd_online.hpp"

namespace widelab::theory {

TheoryEntry sgd_regression_entry() {
  TheoryEntry entry;
  entry.name = "sgd-regression";
  entry.description =
      "Stationary variances and excess loss of SGD on linear regression with a stream of fresh Gaussian inputs, and "
      "the "
      "learning rate at which they diverge.";
  entry.source = "second moments by Wick's theorem, derived in host/theory/sgd_online.hpp; form of Ziyin et al. 2022";
  entry.domain = "inputs N(0, diag h), loss (y - x.w)^2 / 2, no momentum, each example used once";
  entry.params = {{"h", "1", "variances of the inputs, separated by ':'"},
                  {"learning_rate", "0.1", "step size eta"},
                  {"batch", "1", "examples a step, B"},
                  {"label_noise", "1", "variance of the labels' noise"}};
  entry.evaluate = [](const Params& params) -> std::vector<NamedValue> {
    const OnlineRegression problem{params.numbers("h"), params.number("learning_rate"),
                                   params.number_at_least("label_noise", 0.0), params.count("batch", 1)};
    const OnlineLaw law = online_stationary(problem);
    return {{"variances", law.variances},
            {"excess_loss", law.excess_loss},
            {"critical_learning_rate", online_critical_rate(problem.input_variances, problem.batch)}};
  };
  return entry;
}

TheoryEntry kesten_exponent_entry() {
  TheoryEntry entry;
  entry.name = "kesten-exponent";
  entry.description =
      "Exponent alpha of the power-law tail P(|w - w*| > t) ~ t^-alpha that SGD on linear regression with fresh "
      "isotropic Gaussian inputs has in its stationary law.";
  entry.source = "Kesten 1973; E of the factor of one step, derived in host/theory/sgd_online.hpp";
  entry.domain =
      "inputs N(0, h) in `dimension` dimensions, no momentum; moments of order alpha and beyond are infinite";
  entry.params = {{"learning_rate", "0.5", "step size eta"},
                  {"h", "1", "variance of each input"},
                  {"batch", "1", "examples a step"},
                  {"dimension", "1", "number of inputs"}};
  entry.evaluate = [](const Params& params) -> std::vector<NamedValue> {
    const KestenProblem problem{params.number("learning_rate"), params.number("h"), params.count("batch", 1),
                                params.count("dimension", 1)};
    const std::vector<double> h(static_cast<std::size_t>(problem.dimension), problem.input_variance);
    return {{"alpha", kesten_exponent(problem)}, {"critical_learning_rate", online_critical_rate(h, problem.batch)}};
  };
  return entry;
}

}  // namespace widelab::theory
