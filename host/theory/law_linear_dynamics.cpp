#include <cmath>

#include "host/theory/infinite_width.hpp"
#include "host/theory/laws.hpp"
#include "host/theory/linear_dynamics.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::theory {
namespace {

constexpr const char* kSource =
    "Lee et al. 2019; discrete steps and momentum derived in host/theory/linear_dynamics.hpp";

std::vector<ParamDoc> rule_docs() {
  return {{"rule", "gd", "gd, heavy-ball, nesterov (PyTorch's forms) or flow (gradient flow)"},
          {"learning_rate", "0.1",
           "eta, for the objective (1/2) sum (f - y)^2; use 2 eta / (N k) for a mean over "
           "entries of (f - y)^2"},
          {"momentum", "0.9", "mu of heavy-ball and nesterov"},
          {"steps", "10", "number of steps t, or inf; flow: time eta t, t a real number"}};
}

LinearTraining read_training(const Params& params) {
  LinearTraining training;
  training.rule = static_cast<LinearRule>(params.choice("rule", {"gd", "heavy-ball", "nesterov", "flow"}));
  training.learning_rate = params.number_at_least("learning_rate", 0.0);
  training.momentum = params.number("momentum");
  return training;
}

/// Inputs on the circle |x|^2 = 2 q at `angles`.
std::vector<double> circle(const std::vector<double>& angles, double q) {
  std::vector<double> x;
  for (const double angle : angles) {
    x.push_back(std::sqrt(2.0 * q) * std::cos(angle));
    x.push_back(std::sqrt(2.0 * q) * std::sin(angle));
  }
  return x;
}

std::vector<NamedValue> evaluate_ensemble(const Params& params, const std::vector<ParamDoc>& network) {
  MlpShape shape;
  shape.input_dim = 2;
  InitChoice choice;
  if (params.choice("train", {"all", "readout"}) == 1) {
    choice.train_weights.assign(static_cast<std::size_t>(params.count("depth", 1)), false);
    choice.train_weights.push_back(true);
  }
  const Network net = network_of(params, network, shape, choice);
  const std::vector<double> angles = params.numbers("angles"), targets = params.numbers("targets");
  if (angles.size() != targets.size())
    throw RecipeError("angles and targets: " + std::to_string(angles.size()) + " training inputs, but " +
                      std::to_string(targets.size()) + " targets; give one target for each angle");
  const double q = params.number_at_least("q", 0.0);
  const std::vector<double> x = circle(angles, q), test = circle({params.number("test_angle")}, q);
  const auto n = static_cast<Index>(angles.size());
  const auto train_view = matrix_view(x.data(), n, Index{2}), test_view = matrix_view(test.data(), Index{1}, Index{2});
  const KernelPair train = infinite_width_kernels(net, train_view);
  const KernelPair cross = infinite_width_kernels(net, test_view, train_view);
  const KernelPair at_test = infinite_width_kernels(net, test_view);

  const double steps = params.time("steps");
  const LinearDynamics dynamics(matrix_view(train.ntk.data(), n, n), read_training(params));
  const std::vector<double> response = dynamics.response(matrix_view(cross.ntk.data(), Index{1}, n), steps);
  const auto nngp = matrix_view(train.nngp.data(), n, n), y = matrix_view(targets.data(), n, Index{1});
  const EnsembleMoments moments = ensemble_moments(
      matrix_view(response.data(), Index{1}, n),
      {matrix_view(at_test.nngp.data(), Index{1}, Index{1}), matrix_view(cross.nngp.data(), Index{1}, n), nngp}, y);
  std::vector<NamedValue> values{{"mean", moments.mean.front()},
                                 {"variance", moments.covariance.front()},
                                 {"initial_variance", at_test.nngp.front()},
                                 {"train_loss", dynamics.expected_train_loss(nngp, y, steps)},
                                 {"residual_norm", dynamics.residual_norm(steps)},
                                 {"eigenvalues", dynamics.eigenvalues()},
                                 {"largest_stable_rate", dynamics.largest_stable_rate()},
                                 {"stable", std::string(dynamics.stable() ? "true" : "false")}};
  const std::string caveat = infinite_width_caveat(net);
  if (!caveat.empty()) values.push_back({"caveat", caveat});
  return values;
}

}  // namespace

TheoryEntry linear_dynamics_entry() {
  const std::vector<ParamDoc> network =
      network_docs({"depth", "activation", "sigma_w2", "sigma_b2", "bias_init_std", "train_bias", "parametrization",
                    "width", "weight_law", "residual", "layer_norm"},
                   {"depth"});
  TheoryEntry entry;
  entry.name = "linear-dynamics";
  entry.description =
      "Mean and variance of the output of infinitely wide networks after t steps of full-batch training "
      "on points of a circle (d = 2), and the expected training loss.";
  entry.source = kSource;
  entry.domain = "n -> infinity at fixed t; squared loss, constant learning rate; one output";
  entry.params = std::vector<ParamDoc>{{"angles", "0:1.5707963267948966", "angles of the training inputs"},
                                       {"targets", "1:-1", "their targets y"},
                                       {"test_angle", "0.5", "angle of the test input"},
                                       {"q", "1", "|x|^2/d of all inputs"},
                                       {"train", "all", "all, or readout (weights and bias of the last layer)"}} +
                 rule_docs() + network;
  entry.evaluate = [network](const Params& params) { return evaluate_ensemble(params, network); };
  return entry;
}

TheoryEntry linear_mode_entry() {
  TheoryEntry entry;
  entry.name = "linear-mode";
  entry.description =
      "One eigenmode of the tangent kernel under training: what is left of the initial error, and the "
      "weight (1 - residual) / lambda.";
  entry.source = kSource;
  entry.domain = "linearised network, squared loss, full batches, constant learning rate";
  entry.params = std::vector<ParamDoc>{{"lambda", "1", "eigenvalue of the kernel"}} + rule_docs();
  entry.evaluate = [](const Params& params) -> std::vector<NamedValue> {
    const LinearTraining training = read_training(params);
    const double lambda = params.number_at_least("lambda", 0.0);
    const ModeResponse mode = mode_response(training, lambda, params.time("steps"));
    const bool stable = training.effective_rate() * lambda < training.stability_limit();
    return {{"residual", mode.residual},
            {"weight", mode.weight},
            {"largest_stable_rate", training.stability_limit() / lambda},
            {"stable", std::string(stable ? "true" : "false")}};
  };
  return entry;
}

}  // namespace widelab::theory
