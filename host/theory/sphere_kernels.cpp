// The kernels of sphere_spectrum.hpp by name, and the limits of regression with them.
#include <charconv>
#include <cmath>
#include <numbers>

#include "host/theory/infinite_width.hpp"
#include "host/theory/sphere_spectrum.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/base/nearest.hpp"

namespace widelab::theory {
namespace {

using std::numbers::pi;

/// The number in "inverse(number)".
double read_pole(const std::string& text, std::size_t open) {
  double pole = 0;
  const char *const begin = text.data() + open + 1, *const end = text.data() + text.size() - 1;
  const auto [last, error] = std::from_chars(begin, end, pole);
  if (text.back() != ')' || error != std::errc() || last != end)
    throw RecipeError("kernel = \"" + text + "\": write \"inverse(c)\" with a number c, for instance \"inverse(20)\"");
  return pole;
}

}  // namespace

SphereKernel exponential_kernel() {
  SphereKernel kernel;
  kernel.name = "exp";
  kernel.value = [](double angle) { return std::exp(std::cos(angle)); };
  kernel.log_taylor = [](int degree, double t) { return t - std::lgamma(degree + 1.0); };
  return kernel;
}

SphereKernel inverse_kernel(double pole) {
  if (!(pole >= 1.01 && std::isfinite(pole)))
    throw RecipeError("inverse(c): c = " + std::to_string(pole) +
                      ": must be a finite number of at least 1.01, since 1 / (1 - t/c) has its pole at t = c");
  SphereKernel kernel;
  kernel.name = "inverse";
  kernel.value = [pole](double angle) { return 1 / (1 - std::cos(angle) / pole); };
  kernel.log_taylor = [pole](int degree, double t) {
    return -degree * std::log(pole) - (degree + 1) * std::log1p(-t / pole);
  };
  return kernel;
}

SphereKernel first_layer_tangent_kernel() {
  SphereKernel kernel;
  kernel.name = "nt-first-layer";
  kernel.value = [](double angle) { return std::cos(angle) * (pi - angle) / (2 * pi); };
  return kernel;
}

SphereKernel network_kernel(const Network& network, NetworkKernel kind) {
  SphereKernel kernel;
  kernel.name = kind == NetworkKernel::ntk ? "ntk" : "nngp";
  kernel.value = [network, kind](double angle) {
    const auto d = static_cast<double>(network.shape.input_dim);
    const LayerKernels last = kernels_by_layer(network, {d, d * std::cos(angle), d}).back();
    return kind == NetworkKernel::ntk ? last.ntk.k12 : last.nngp.k12;
  };
  return kernel;
}

SphereKernel parse_sphere_kernel(const std::string& text) {
  const std::vector<std::string> names{"exp", "inverse", "nt-first-layer"};
  const std::size_t open = text.find('(');
  const std::string name = text.substr(0, open);
  if (text == "exp") return exponential_kernel();
  if (text == "nt-first-layer") return first_layer_tangent_kernel();
  if (name == "inverse" && open != std::string::npos) return inverse_kernel(read_pole(text, open));
  throw RecipeError("kernel = \"" + text + "\": did you mean \"" + nearest_name(name, names) +
                    "\"? One of exp, inverse(c), nt-first-layer");
}

PolynomialRisk polynomial_risk(const PolynomialRegime& regime) {
  const auto require = [](bool valid, const char* name, double value, const char* range) {
    if (!valid || !std::isfinite(value))
      throw RecipeError(std::string(name) + " = " + std::to_string(value) + ": must be " + range);
  };
  const double psi = regime.ratio, mu = regime.level_trace, noise = regime.tail_trace + regime.ridge;
  require(psi > 0, "ratio n / B(d, l)", psi, "positive and finite");
  require(mu > 0, "level_trace", mu, "positive and finite");
  for (const auto& [name, value] :
       {std::pair{"tail_trace", regime.tail_trace}, std::pair{"ridge", regime.ridge},
        std::pair{"level_power", regime.level_power}, std::pair{"tail_power", regime.tail_power},
        std::pair{"noise", regime.noise_variance}})
    require(value >= 0, name, value, "a finite number of at least 0");
  if (noise == 0 && psi == 1)
    throw RecipeError(
        "tail_trace = ridge = 0 at ratio n / B(d, l) = 1: the risk is infinite; give one of them a "
        "positive value or change the ratio");
  // psi = noise / u + mu / (mu + u): the positive root of psi u^2 + b u = noise mu
  const double b = psi * mu - noise - mu, root = std::sqrt(b * b + 4 * psi * noise * mu);
  const double u = b > 0 ? 2 * noise * mu / (b + root) : (root - b) / (2 * psi);
  PolynomialRisk risk;
  risk.effective_ridge = u;
  risk.learned = mu / (mu + u);
  risk.upsilon = risk.learned * risk.learned / psi;
  const double missed = u / (mu + u);
  risk.excess = (regime.level_power * missed * missed + regime.tail_power + regime.noise_variance * risk.upsilon) /
                (1 - risk.upsilon);
  return risk;
}

FeatureRegression neural_tangent_regression(const NeuralTangentRegression& problem) {
  FeatureRegression regression;
  const SphereSpectrum spectrum = sphere_spectrum(first_layer_tangent_kernel(), problem.dimension, problem.degrees);
  regression.spectrum = with_target(spectrum, problem.target_power);
  regression.examples = problem.examples;
  regression.features = problem.neurons * static_cast<double>(problem.dimension);
  regression.ridge = problem.ridge;
  regression.noise_variance = problem.noise_variance;
  return regression;
}

}  // namespace widelab::theory
