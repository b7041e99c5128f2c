#include "host/theory/finite_window.hpp"
#include "host/theory/laws.hpp"
#include "host/theory/shuffled_modes.hpp"

namespace widelab::theory {

TheoryEntry shuffled_epochs_entry() {
  TheoryEntry entry;
  entry.name = "shuffled-epochs";
  entry.description =
      "Variance of a parameter under SGD that uses each example once an epoch, at every phase of the epoch, beside the "
      "Brownian bridge of flat directions and the value with replacement.";
  entry.source = "derived in host/theory/shuffled_modes.hpp; anticorrelated noise: Kuehn and Rosenow 2023";
  entry.domain =
      "quadratic loss, equal curvature of all examples; stationary over epochs; what curvatures that differ add is not "
      "in it";
  entry.params =
      noisy_rule_docs() + std::vector<ParamDoc>{{"examples", "10", "N"},
                                                {"batch", "1", "B; the N mod B last examples of an order are not used"},
                                                {"sample_noise", "1", "variance C of the gradient over the examples"}};
  entry.evaluate = [](const Params& params) -> std::vector<NamedValue> {
    const ShuffledMode mode{read_noisy_rule(params), params.number("h"), params.number_at_least("sample_noise", 0.0),
                            params.count("examples", 2), params.count("batch", 1)};
    const ModeMoments boundary = shuffled_boundary(mode);
    std::vector<double> variances, bridge;
    const Index steps = mode.steps_per_epoch();
    const double rate = mode.training.learning_rate, c = mode.batch_noise();
    for (const ModeMoments& phase : shuffled_phases(mode, boundary)) {
      bridge.push_back(bridge_variance(rate, c, steps, static_cast<Index>(variances.size())));
      variances.push_back(phase.parameter);
    }
    return {{"average", shuffled_average(mode)},
            {"boundary", boundary.parameter},
            {"phases", variances},
            {"bridge_average", bridge_average(rate, c, steps)},
            {"bridge_phases", bridge},
            {"with_replacement", stationary_mode(mode.with_replacement()).parameter}};
  };
  return entry;
}

TheoryEntry finite_window_entry() {
  TheoryEntry entry;
  entry.name = "finite-window";
  entry.description =
      "Expected variance inside a window of steps, after its mean or its least-squares line is taken away: of a "
      "parameter under SGD on a quadratic loss (in units of its stationary variance), of a random walk and of the "
      "bridge of one epoch (in units of the variance of a step).";
  entry.source = "sums over autocovariances, derived in host/theory/finite_window.hpp";
  entry.domain =
      "stationary process with additive noise; walk without curvature; bridge of an epoch as long as the window";
  entry.params = noisy_rule_docs() + std::vector<ParamDoc>{{"window", "200", "number of steps W"}};
  entry.evaluate = [](const Params& params) -> std::vector<NamedValue> {
    const Index window = params.count("window", 2);
    const QuadraticMode mode{read_noisy_rule(params), params.number("h"), 1.0};
    const WindowVariance sgd = window_variance(autocorrelation(mode, window), window);
    const WindowVariance walk = walk_window_variance(window), bridge = bridge_window_variance(window);
    return {{"ratio", sgd.centred},     {"ratio_detrended", sgd.detrended},
            {"walk", walk.centred},     {"walk_detrended", walk.detrended},
            {"bridge", bridge.centred}, {"bridge_detrended", bridge.detrended}};
  };
  return entry;
}

}  // namespace widelab::theory
