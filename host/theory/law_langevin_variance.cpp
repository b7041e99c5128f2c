#include <cmath>

#include "host/theory/langevin.hpp"
#include "host/theory/laws.hpp"

namespace widelab::theory {

TheoryEntry langevin_variance_entry() {
  TheoryEntry entry;
  entry.name = "langevin-variance";
  entry.description =
      "Variance of a parameter under discrete Langevin dynamics on a quadratic potential, stationary and "
      "after t steps, with the Gibbs value T / h beside it.";
  entry.source =
      "fixed point of the variance recursion, derived in host/theory/langevin.hpp; SGLD: Welling and Teh 2011";
  entry.domain = "quadratic potential, state-independent noise, learning rate below 2 / h (sgld: 4 / h)";
  entry.params = {{"rule", "langevin", "langevin (ULA) or sgld"},
                  {"h", "1", "curvature of the potential, weight decay included; positive"},
                  {"learning_rate", "0.1", "step size eta"},
                  {"temperature", "1", "T"},
                  {"gradient_noise", "0", "variance V of the gradient's own noise; 0 for full batches"},
                  {"initial_variance", "0", "variance at t = 0"},
                  {"steps", "inf", "number of steps t, or inf"}};
  entry.evaluate = [](const Params& params) -> std::vector<NamedValue> {
    LangevinQuadratic problem;
    problem.sgld = params.choice("rule", {"langevin", "sgld"}) == 1;
    problem.curvature = params.number("h");
    problem.learning_rate = params.number("learning_rate");
    problem.temperature = params.number_at_least("temperature", 0.0);
    problem.gradient_noise = params.number_at_least("gradient_noise", 0.0);
    const double stationary = langevin_variance(problem), gibbs = problem.temperature / problem.curvature;
    const double start = params.number_at_least("initial_variance", 0.0);
    return {{"variance", langevin_variance_at(problem, start, params.time("steps"))},
            {"stationary_variance", stationary},
            {"gibbs_variance", gibbs},
            {"ratio", stationary / gibbs},
            {"autocorrelation", problem.decay()}};
  };
  return entry;
}

}  // namespace widelab::theory
