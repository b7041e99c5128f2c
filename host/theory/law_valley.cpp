#include <cmath>

#include "host/theory/laws.hpp"
#include "host/theory/valley.hpp"

namespace widelab::theory {

TheoryEntry valley_entry() {
  TheoryEntry entry;
  entry.name = "valley";
  entry.description =
      "Stationary law of SGD along a valley of minima with curvature lambda(x) = mean + amplitude sin x across it: the "
      "mean curvature that is found, and the effective potential at the flattest and the sharpest place.";
  entry.source = "derived in host/theory/valley.hpp; continuous time: Yang, Tang and Tu 2023";
  entry.domain = "two parameters, x on a circle of 2 pi; y in equilibrium at every x; 0 < eta lambda < 2";
  entry.params = {{"noise", "proportional", "proportional (variance D lambda across the valley) or white (variance D)"},
                  {"learning_rate", "0.05", "step size eta"},
                  {"across", "1", "D"},
                  {"along", "0.02", "variance c_x of the noise along the valley"},
                  {"mean", "2", "mean of lambda over the circle"},
                  {"amplitude", "1.5", "its variation; below the mean"},
                  {"points", "512", "positions on the circle"}};
  entry.evaluate = [](const Params& params) -> std::vector<NamedValue> {
    const double mean = params.number("mean"), amplitude = params.number("amplitude");
    ValleyModel model;
    model.noise = static_cast<ValleyNoise>(params.choice("noise", {"proportional", "white"}));
    model.learning_rate = params.number("learning_rate");
    model.across = params.number_at_least("across", 0.0);
    model.along = params.number("along");
    model.curvature = [mean, amplitude](double x) { return mean + amplitude * std::sin(x); };
    const Index points = params.count("points", 8);
    const double flat = mean - std::abs(amplitude), sharp = mean + std::abs(amplitude);
    std::vector<NamedValue> values{{"mean_curvature", valley_density(model, points).mean_curvature},
                                   {"uniform_mean", mean},
                                   {"potential_flat", valley_potential(model, flat)},
                                   {"potential_sharp", valley_potential(model, sharp)}};
    if (model.noise == ValleyNoise::white)
      values.push_back({"mean_curvature_continuous_time", flatness_power_density(model, points).mean_curvature});
    return values;
  };
  return entry;
}

}  // namespace widelab::theory
