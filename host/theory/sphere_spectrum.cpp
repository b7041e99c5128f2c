#include "host/theory/sphere_spectrum.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "widelab/base/errors.hpp"
#include "widelab/math/activation_names.hpp"
#include "widelab/math/gegenbauer.hpp"

namespace widelab::theory {
namespace {

using std::numbers::pi;

/// Points of the sphere by latitude: t = sin(latitude), log density (d - 2) log cos(latitude), not normalised.
struct Latitude {
  double latitude, weight, log_cosine;
};

/// Gauss-Legendre on [0, end] and its mirror image, `half` nodes each. Two panels, because activations may have a kink
/// at t = 0. Newton's iteration on P_half from the classical first guess.
std::vector<Latitude> latitudes(int half, double end) {
  std::vector<Latitude> nodes;
  for (int i = 0; i < half; ++i) {
    double x = std::cos(pi * (i + 0.75) / (half + 0.5)), slope = 0;
    for (int step = 0; step < 100; ++step) {
      double p = 1, before = 0;
      for (int k = 0; k < half; ++k) {
        const double next = ((2 * k + 1) * x * p - k * before) / (k + 1);
        before = p;
        p = next;
      }
      slope = half * (x * p - before) / (x * x - 1);
      const double shift = p / slope;
      x -= shift;
      if (std::abs(shift) < 1e-15) break;
    }
    const double u = 0.5 * end * (1 + x), weight = end / ((1 - x * x) * slope * slope), sine = std::sin(u);
    const double log_cosine = 0.5 * std::log1p(-sine * sine);
    nodes.push_back({u, weight, log_cosine});
    nodes.push_back({-u, weight, log_cosine});
  }
  return nodes;
}

/// Latitudes beyond hold less than e^-80 of the sphere's measure.
double last_latitude(Index dimension) { return std::acos(std::exp(-80 / static_cast<double>(dimension - 2))); }

void require_range(Index dimension, int degrees) {
  if (dimension < kLeastSphereDimension || dimension > kMostSphereDimension)
    throw RecipeError("dimension d = " + std::to_string(dimension) + ": spectra on the sphere need d from " +
                      std::to_string(kLeastSphereDimension) + " to " + std::to_string(kMostSphereDimension));
  if (degrees < 0 || degrees > kMostDegrees)
    throw RecipeError("degrees = " + std::to_string(degrees) + ": must be an integer from 0 to " +
                      std::to_string(kMostDegrees) + "; higher degrees are part of the tail");
}

/// E[f Q_l], l <= L, and E f^2.
struct Projection {
  std::vector<double> coefficient;
  double square = 0;
};

Projection project_on(const std::vector<Latitude>& nodes, const std::function<double(double)>& at_latitude,
                      Index dimension, int degrees) {
  const auto d = static_cast<double>(dimension);
  Projection sums{std::vector<double>(static_cast<std::size_t>(degrees) + 1), 0};
  double total = 0;
  for (const Latitude& node : nodes) {
    const double weight = node.weight * std::exp((d - 2) * node.log_cosine), t = std::sin(node.latitude);
    const double f = at_latitude(node.latitude);
    total += weight;
    sums.square += weight * f * f;
    double q = 1, before = 0;
    for (int l = 0; l <= degrees; ++l) {
      sums.coefficient[static_cast<std::size_t>(l)] += weight * f * q;
      const GegenbauerStep step = gegenbauer_step(d, l);
      const double next = step.up * t * q - step.down * before;
      before = q;
      q = next;
    }
  }
  for (double& sum : sums.coefficient) sum /= total;
  sums.square /= total;
  return sums;
}

/// The finer of two grids that agree to 1e-9 of the largest possible coefficient, sqrt(E f^2 / B): doubling squares the
/// error of an analytic integrand. Coefficients below 1e-13 of that scale are rounding, and become 0.
Projection project(const std::string& name, const std::function<double(double)>& at_latitude, Index dimension,
                   int degrees) {
  constexpr int kFirst = 64, kMost = 4096;
  constexpr double kAgreement = 1e-9, kRounding = 1e-13;
  const double end = last_latitude(dimension);
  Projection coarse = project_on(latitudes(kFirst, end), at_latitude, dimension, degrees);
  for (int half = 2 * kFirst; half <= kMost; half *= 2) {
    Projection fine = project_on(latitudes(half, end), at_latitude, dimension, degrees);
    bool agreed = std::isfinite(fine.square);
    for (std::size_t l = 0; l < fine.coefficient.size(); ++l) {
      const double scale = std::sqrt(fine.square / sphere_multiplicity(dimension, static_cast<int>(l)));
      agreed = agreed && std::abs(fine.coefficient[l] - coarse.coefficient[l]) <= kAgreement * scale;
      if (std::abs(fine.coefficient[l]) <= kRounding * scale) fine.coefficient[l] = 0;
    }
    if (agreed) return fine;
    coarse = std::move(fine);
  }
  throw RecipeError(name + ": varies too steeply over the sphere of dimension d = " + std::to_string(dimension) +
                    " for its spectrum to be computed; use a smoother kernel or activation, or smaller weights");
}

/// xi_l of sigma(sqrt(d) t), and E sigma^2.
Projection project_activation(const Activation& activation, Index dimension, int degrees) {
  require_range(dimension, degrees);
  const double radius = std::sqrt(static_cast<double>(dimension));
  return visit(activation, [&](const auto& sigma) {
    const auto at_latitude = [&](double latitude) { return sigma.value(radius * std::sin(latitude)); };
    return project("activation = \"" + to_string(activation) + "\"", at_latitude, dimension, degrees);
  });
}

/// lambda_l = E_(d+2l)[h^(l)] / (d (d+2) .. (d+2l-2)), by Rodrigues' formula; every term is positive.
double taylor_eigenvalue(const SphereKernel& kernel, const std::vector<Latitude>& nodes, Index dimension, int degree) {
  const double exponent = static_cast<double>(dimension) + 2 * degree - 2;
  double most = -INFINITY, sum = 0, total = 0;
  for (const Latitude& node : nodes)
    most = std::max(most, exponent * node.log_cosine + kernel.log_taylor(degree, std::sin(node.latitude)));
  for (const Latitude& node : nodes) {
    const double log_density = exponent * node.log_cosine;
    sum += node.weight * std::exp(log_density + kernel.log_taylor(degree, std::sin(node.latitude)) - most);
    total += node.weight * std::exp(log_density);
  }
  double scale = std::exp(most) * sum / total;
  for (int k = 0; k < degree; ++k) scale *= (k + 1) / (static_cast<double>(dimension) + 2 * k);
  return scale;
}

/// h(1) minus what the degrees hold; 0 where rounding is all that is left.
double remaining_trace(double trace, const SphereSpectrum& spectrum) {
  const double held =
      std::inner_product(spectrum.eigenvalue.begin(), spectrum.eigenvalue.end(), spectrum.multiplicity.begin(), 0.0);
  const double left = trace - held;
  return left > 1e-13 * trace ? left : 0;
}

/// The tail of a kernel with positive derivatives, summed where the difference would cancel.
double taylor_tail(const SphereKernel& kernel, const std::vector<Latitude>& nodes, Index dimension,
                   const SphereSpectrum& spectrum) {
  constexpr int kMoreDegrees = 300;
  const double trace = kernel.value(0), left = remaining_trace(trace, spectrum);
  if (left > 1e-3 * trace) return left;
  double sum = 0;
  const int first = static_cast<int>(spectrum.eigenvalue.size());
  for (int l = first; l < first + kMoreDegrees; ++l) {
    const double term = sphere_multiplicity(dimension, l) * taylor_eigenvalue(kernel, nodes, dimension, l);
    sum += term;
    if (term <= 1e-16 * sum) break;
  }
  return sum;
}

SphereSpectrum taylor_spectrum(const SphereKernel& kernel, Index dimension, int degrees) {
  const double width = std::sqrt(static_cast<double>(dimension));  // the density falls within 1 / width of the equator
  const std::vector<Latitude> nodes = latitudes(256 + 8 * static_cast<int>(width), 0.5 * pi);
  SphereSpectrum spectrum;
  for (int l = 0; l <= degrees; ++l) {
    spectrum.eigenvalue.push_back(taylor_eigenvalue(kernel, nodes, dimension, l));
    spectrum.multiplicity.push_back(sphere_multiplicity(dimension, l));
  }
  spectrum.tail = taylor_tail(kernel, nodes, dimension, spectrum);
  return spectrum;
}

}  // namespace

double sphere_multiplicity(Index dimension, int degree) {
  if (degree == 0) return 1;
  const auto d = static_cast<double>(dimension);
  double binomial = 1;  // C(l + d - 3, l - 1), an integer after every step
  for (int i = 1; i < degree; ++i) binomial = binomial * (d - 2 + i) / i;
  return binomial * (2 * degree + d - 2) / degree;
}

SphereSpectrum sphere_spectrum(const SphereKernel& kernel, Index dimension, int degrees) {
  require_range(dimension, degrees);
  if (kernel.log_taylor) return taylor_spectrum(kernel, dimension, degrees);
  const auto at_latitude = [&](double latitude) { return kernel.value(0.5 * pi - latitude); };
  SphereSpectrum spectrum;
  spectrum.eigenvalue = project("kernel \"" + kernel.name + "\"", at_latitude, dimension, degrees).coefficient;
  for (int l = 0; l <= degrees; ++l) {
    const double eigenvalue = spectrum.eigenvalue[static_cast<std::size_t>(l)];
    if (eigenvalue < 0)
      throw RecipeError("kernel \"" + kernel.name + "\" has the eigenvalue " + std::to_string(eigenvalue) +
                        " at degree " + std::to_string(l) + ": it is not positive definite, so that no regression " +
                        "has it");
    spectrum.multiplicity.push_back(sphere_multiplicity(dimension, l));
  }
  spectrum.tail = remaining_trace(kernel.value(0), spectrum);
  return spectrum;
}

std::vector<double> funk_hecke(const Activation& activation, Index dimension, int degrees) {
  return project_activation(activation, dimension, degrees).coefficient;
}

SphereSpectrum activation_spectrum(const Activation& activation, Index dimension, int degrees) {
  const Projection projection = project_activation(activation, dimension, degrees);
  SphereSpectrum spectrum;
  for (int l = 0; l <= degrees; ++l) {
    const double xi = projection.coefficient[static_cast<std::size_t>(l)];
    spectrum.eigenvalue.push_back(xi * xi);
    spectrum.multiplicity.push_back(sphere_multiplicity(dimension, l));
  }
  spectrum.tail = remaining_trace(projection.square, spectrum);
  return spectrum;
}

FeatureSpectrum with_target(const SphereSpectrum& spectrum, const std::vector<double>& target_power) {
  FeatureSpectrum features;
  features.tail_trace = spectrum.tail;
  for (std::size_t l = 0; l < std::max(spectrum.eigenvalue.size(), target_power.size()); ++l) {
    const double power = l < target_power.size() ? target_power[l] : 0;
    if (l < spectrum.eigenvalue.size()) {
      features.groups.push_back({spectrum.eigenvalue[l], spectrum.multiplicity[l], power});
    } else {
      features.tail_power += power;
    }
  }
  return features;
}

std::vector<double> learned_fractions(const SphereSpectrum& spectrum, double nu2) {
  std::vector<double> fractions;
  for (const double eigenvalue : spectrum.eigenvalue)
    fractions.push_back(eigenvalue > 0 ? eigenvalue / (eigenvalue + nu2) : 0);
  return fractions;
}

}  // namespace widelab::theory
