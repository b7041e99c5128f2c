#include "host/theory/valley.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "widelab/base/contract.hpp"

namespace widelab::theory {
namespace {

constexpr double kTwoPi = 6.283185307179586;

/// Density from `potential(lambda)`, P ~ exp(-potential).
template <class Potential>
CircleDensity density_of(const ValleyModel& model, Index points, Potential&& potential) {
  WIDELAB_REQUIRE(points >= 1 && model.curvature, "a valley needs points and a curvature");
  if (!(model.along > 0.0))
    throw RecipeError("along = " + std::to_string(model.along) +
                      ": the noise along the valley must be positive; without it there is no stationary law");
  CircleDensity out;
  std::vector<double> curvatures, heights;
  for (Index k = 0; k < points; ++k) {
    out.positions.push_back(kTwoPi * static_cast<double>(k) / static_cast<double>(points));
    curvatures.push_back(model.curvature(out.positions.back()));
    heights.push_back(potential(curvatures.back()));
  }
  const double lowest = *std::min_element(heights.begin(), heights.end());
  double total = 0.0;
  for (std::size_t k = 0; k < heights.size(); ++k) {
    out.density.push_back(std::exp(lowest - heights[k]));
    total += out.density.back();
    out.mean_curvature += out.density.back() * curvatures[k];
  }
  out.mean_curvature /= total;
  for (double& p : out.density) p *= static_cast<double>(points) / (kTwoPi * total);
  return out;
}

}  // namespace

double valley_potential(const ValleyModel& model, double curvature) {
  const double step = model.learning_rate * curvature;
  if (!(step > 0.0 && step < 2.0))
    throw RecipeError("learning_rate x curvature = " + std::to_string(step) +
                      ": must lie between 0 and 2 all along the valley; beyond, steps across it diverge");
  if (model.noise == ValleyNoise::proportional) return -0.5 * model.across * std::log1p(-0.5 * step);
  return 0.25 * model.learning_rate * model.across * std::log(curvature / (2.0 - step));
}

CircleDensity valley_density(const ValleyModel& model, Index points) {
  const double scale = 2.0 / (model.learning_rate * model.along);
  return density_of(model, points, [&](double lambda) { return scale * valley_potential(model, lambda); });
}

CircleDensity flatness_power_density(const ValleyModel& model, Index points) {
  const double kappa = model.across / model.along;
  return density_of(model, points, [&](double lambda) {
    valley_potential(model, lambda);  // the same domain
    return 0.5 * kappa * std::log(lambda);
  });
}

}  // namespace widelab::theory
