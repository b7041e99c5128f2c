#include "host/experiments/regression_population.hpp"

#include <cmath>
#include <numeric>
#include <optional>

#include "host/experiments/normal_rows.hpp"
#include "host/theory/sphere_spectrum.hpp"
#include "widelab/math/gaussian_moments.hpp"

namespace widelab::experiments {
namespace {

using estimators::FeatureOverlap;
using estimators::ProductBlock;
using estimators::ZonalSeries;

// Smooth activations on the sphere are polynomials of that degree up to rounding; Hermite series of tanh, the slowest,
// have lost fourteen digits of their power by then.
constexpr int kSphereDegrees = 60, kGaussianDegrees = 120;

/// B(d, l) xi_l^2 on the sphere, c_l^2 for Gaussian inputs.
ZonalSeries overlap_series(const RegressionRecipe& recipe) {
  ZonalSeries series;
  if (!recipe.sphere_inputs) {
    series.coefficients = hermite_coefficients(recipe.activation, 1.0, kGaussianDegrees);
    for (double& c : series.coefficients) c *= c;
    return series;
  }
  series.dimension = recipe.dimension;
  series.coefficients = theory::funk_hecke(recipe.activation, recipe.dimension, kSphereDegrees);
  for (std::size_t l = 0; l < series.coefficients.size(); ++l)
    series.coefficients[l] *=
        series.coefficients[l] * theory::sphere_multiplicity(recipe.dimension, static_cast<int>(l));
  return series;
}

}  // namespace

RegressionPopulation::RegressionPopulation(const RegressionRecipe& recipe) : recipe_(recipe) {
  for (const double power : recipe.target_power) amplitudes_.push_back(std::sqrt(power));
  if (recipe.on_coordinates()) {
    for (std::size_t g = 0; g < recipe.counts.size(); ++g) {
      const auto count = static_cast<std::size_t>(recipe.counts[g]);
      variance_.insert(variance_.end(), count, recipe.eigenvalues[g]);
      slope_.insert(slope_.end(), count, std::sqrt(recipe.target_power[g] / static_cast<double>(count)));
    }
    return;
  }
  const int degrees = static_cast<int>(amplitudes_.size()) - 1;
  if (recipe.sphere_inputs) {
    target_.dimension = profile_.dimension = recipe.dimension;
    const std::vector<double> xi = theory::funk_hecke(recipe.activation, recipe.dimension, degrees);
    for (int l = 0; l <= degrees; ++l) {
      const auto k = static_cast<std::size_t>(l);
      target_.coefficients.push_back(amplitudes_[k] * std::sqrt(theory::sphere_multiplicity(recipe.dimension, l)));
      profile_.coefficients.push_back(target_.coefficients[k] * xi[k]);
    }
  } else {
    profile_.coefficients = hermite_coefficients(recipe.activation, 1.0, degrees);
    for (std::size_t l = 0; l < amplitudes_.size(); ++l) profile_.coefficients[l] *= amplitudes_[l];
  }
  if (const std::optional<FeatureOverlap> closed = FeatureOverlap::homogeneous(recipe.activation))
    overlap_ = *closed;
  else
    overlap_ = recipe.sphere_weights ? FeatureOverlap::zonal(overlap_series(recipe))
                                     : FeatureOverlap::gaussian(recipe.activation);
}

estimators::Units RegressionPopulation::units(const Features& features) const {
  return {features.weights.data(), recipe_.sizes.back(), recipe_.dimension};
}

RegressionPopulation::Features RegressionPopulation::draw(const DrawId& init) const {
  Features out;
  const Index d = recipe_.dimension;
  std::vector<double> on_coordinates;  // products of the target with sqrt(s_k) x_k
  for (std::size_t k = 0; k < slope_.size(); ++k) on_coordinates.push_back(std::sqrt(variance_[k]) * slope_[k]);
  if (recipe_.linear()) {
    out.target = on_coordinates;
    return out;
  }
  out.weights = normal_rows(init.stream(Stream::weights, 0), recipe_.sizes.back(), d);
  if (recipe_.kind == RegressionKind::projections) {
    for (auto row = out.weights.begin(); row != out.weights.end(); row += d)
      out.target.push_back(std::inner_product(row, row + d, on_coordinates.begin(), 0.0));
    return out;
  }
  if (recipe_.sphere_weights) bring_to_length(out.weights, d, std::sqrt(static_cast<double>(d)));
  out.target.resize(static_cast<std::size_t>(recipe_.columns(recipe_.sizes.size() - 1)));
  if (recipe_.kind == RegressionKind::tangent) {
    estimators::tangent_feature_target(units(out), profile_, out.target.data());
    for (double& v : out.target) v /= std::sqrt(static_cast<double>(d));
  } else if (recipe_.sphere_inputs || recipe_.sphere_weights) {
    estimators::random_feature_target(units(out), profile_, out.target.data());
  } else {
    estimators::gaussian_feature_target(units(out), recipe_.activation, amplitudes_, out.target.data());
  }
  return out;
}

void RegressionPopulation::linear_products(std::span<const ProductBlock> blocks) const {
  for (const ProductBlock& block : blocks)
    for (Index g = 0; g < block.groups; ++g)
      for (Index l = 0; l < block.left; ++l)
        for (Index r = 0; r < block.right; ++r) {
          const double* a = block.a + (g * block.left + l) * block.units;
          const double* b = block.b + (g * block.right + r) * block.units;
          double sum = 0;
          for (Index k = 0; k < block.units; ++k) sum += variance_[static_cast<std::size_t>(k)] * a[k] * b[k];
          block.out[(g * block.left + l) * block.right + r] = sum;
        }
}

void RegressionPopulation::projection_products(const Features& a, const Features& b,
                                               std::span<const ProductBlock> blocks) const {
  const Index d = recipe_.dimension;
  // W^T a, vector by vector: the coefficients on coordinates.
  const auto on_coordinates = [d](const Features& features, const double* vectors, Index count, Index units) {
    std::vector<double> out(static_cast<std::size_t>(count * d), 0.0);
    for (Index v = 0; v < count; ++v)
      for (Index j = 0; j < units; ++j)
        for (Index k = 0; k < d; ++k)
          out[static_cast<std::size_t>(v * d + k)] +=
              vectors[v * units + j] * features.weights[static_cast<std::size_t>(j * d + k)];
    return out;
  };
  for (const ProductBlock& block : blocks) {
    const std::vector<double> left = on_coordinates(a, block.a, block.groups * block.left, block.units),
                              right = on_coordinates(b, block.b, block.groups * block.right, block.units);
    const ProductBlock inner{d, block.groups, block.left, block.right, left.data(), right.data(), block.out};
    linear_products({&inner, 1});
  }
}

void RegressionPopulation::products(const Features& a, const Features& b, std::span<const ProductBlock> blocks) const {
  if (recipe_.linear()) return linear_products(blocks);
  if (recipe_.kind == RegressionKind::projections) return projection_products(a, b, blocks);
  if (recipe_.kind == RegressionKind::random_features)
    return estimators::random_feature_products(overlap_, units(a), units(b), blocks);
  estimators::tangent_feature_products(units(a), units(b), blocks);
  for (const ProductBlock& block : blocks)
    for (Index k = 0; k < block.groups * block.left * block.right; ++k)
      block.out[k] /= static_cast<double>(recipe_.dimension);
}

double RegressionPopulation::target(const double* x) const {
  if (recipe_.on_coordinates()) {
    double sum = 0;
    for (std::size_t k = 0; k < slope_.size(); ++k) sum += slope_[k] * x[k];
    return sum;
  }
  if (recipe_.sphere_inputs) return target_.at(x[0] / std::sqrt(static_cast<double>(recipe_.dimension))).value;
  // Hermite polynomials with E h_l^2 = 1: sqrt(l + 1) h_{l+1} = x h_l - sqrt(l) h_{l-1}.
  double sum = 0, last = 0, here = 1;
  for (std::size_t l = 0; l < amplitudes_.size(); ++l) {
    sum += amplitudes_[l] * here;
    const double degree = static_cast<double>(l),
                 next = (x[0] * here - std::sqrt(degree) * last) / std::sqrt(degree + 1);
    last = here;
    here = next;
  }
  return sum;
}

}  // namespace widelab::experiments
