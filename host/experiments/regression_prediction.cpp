#include "host/experiments/regression_prediction.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/theory/isotropic_regression.hpp"
#include "host/theory/mei_montanari.hpp"
#include "host/theory/sphere_spectrum.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
// Degrees beyond are the tail: of ReLU features at d = 20 they have 1e-4 of the trace.
constexpr int kDegrees = 24;

PredictedRisk unknown() {
  PredictedRisk out;
  out.fill(kNaN);
  return out;
}

void put(PredictedRisk& out, RiskNumber which, double value) { out[static_cast<std::size_t>(which)] = value; }

theory::FeatureSpectrum coordinate_spectrum(const RegressionRecipe& recipe) {
  theory::FeatureSpectrum spectrum;
  for (std::size_t g = 0; g < recipe.counts.size(); ++g)
    spectrum.groups.push_back({recipe.eigenvalues[g], static_cast<double>(recipe.counts[g]), recipe.target_power[g]});
  return spectrum;
}

}  // namespace

RegressionPrediction::RegressionPrediction(const RegressionRecipe& recipe) : recipe_(recipe) {
  problem_.examples = static_cast<double>(recipe.examples);
  problem_.noise_variance = recipe.noise_variance;
  if (recipe.on_coordinates()) {
    problem_.spectrum = coordinate_spectrum(recipe);
    source_ = "deterministic equivalent of the covariance's spectrum; isotropic at ridge 0: exact means";
  } else if (recipe.kind == RegressionKind::tangent && recipe.sphere_inputs) {
    source_ = "conjecture: deterministic equivalent with p = N d and the spectrum of the infinitely wide kernel";
  } else if (recipe.kind == RegressionKind::random_features && recipe.sphere_inputs && recipe.sphere_weights) {
    try {
      problem_.spectrum = theory::features_spectrum(recipe.activation, recipe.dimension, recipe.target_power, kDegrees);
    } catch (const RecipeError&) {
      return;  // an activation too steep for the spectrum's grid: measured without a prediction
    }
    source_ = "deterministic equivalent at finite d (Defilippis, Loureiro and Misiakiewicz 2024)";
  }
  known_ = source_ != "none";
}

bool RegressionPrediction::infinite_mean(std::size_t size, std::size_t filter) const {
  return !recipe_.is_flow(filter) && recipe_.ridges[filter] == 0 &&
         std::abs(recipe_.columns(size) - recipe_.examples) <= 1;
}

PredictedRisk RegressionPrediction::exact_linear(std::size_t size) const {
  PredictedRisk out = unknown();
  const double n = static_cast<double>(recipe_.examples), p = static_cast<double>(recipe_.sizes[size]);
  const theory::IsotropicRisk risk = theory::isotropic_finite_risk(recipe_.examples, recipe_.sizes[size],
                                                                   recipe_.signal_power(), recipe_.noise_variance);
  // The fit's mean over data is the projection's, n / p of the target where p > n.
  const double missed = std::max(0.0, 1 - n / p);
  put(out, RiskNumber::signal, risk.bias);
  put(out, RiskNumber::noise, risk.variance);
  put(out, RiskNumber::same_data, risk.bias);
  put(out, RiskNumber::same_data_noise, risk.variance);
  put(out, RiskNumber::same_features, recipe_.signal_power() * missed * missed);
  put(out, RiskNumber::independent, recipe_.signal_power() * missed * missed);
  put(out, RiskNumber::train, recipe_.noise_variance * std::max(0.0, 1 - p / n));
  return out;
}

PredictedRisk RegressionPrediction::at(std::size_t size, std::size_t filter) const {
  PredictedRisk out = unknown();
  if (!known_ || infinite_mean(size, filter)) return out;
  const bool flow = recipe_.is_flow(filter), ridgeless = !flow && recipe_.ridges[filter] == 0;
  if (recipe_.linear() && ridgeless && recipe_.eigenvalues.size() == 1 && !recipe_.sphere_inputs)
    return exact_linear(size);
  try {
    return equivalent(size, filter);
  } catch (const RecipeError&) {
    return out;  // the rank of the features is n, or the flow's equation cannot be followed: there is no number
  }
}

PredictedRisk RegressionPrediction::equivalent(std::size_t size, std::size_t filter) const {
  PredictedRisk out = unknown();
  const bool flow = recipe_.is_flow(filter);
  theory::FeatureRegression problem = problem_;
  const double ridge = flow ? 0.0 : recipe_.sum_ridge(size, filter) / recipe_.normalisation(size);
  if (recipe_.kind == RegressionKind::tangent)
    problem = theory::neural_tangent_regression({recipe_.dimension, static_cast<double>(recipe_.sizes[size]),
                                                 problem_.examples, 0.0, recipe_.noise_variance, recipe_.target_power,
                                                 kDegrees});
  else if (!recipe_.linear())
    problem.features = static_cast<double>(recipe_.sizes[size]);
  problem.ridge = ridge;
  if (flow) {
    const theory::FlowRisk risk = theory::gradient_flow_risk(problem, recipe_.times[filter - recipe_.ridges.size()]);
    put(out, RiskNumber::signal, risk.signal);
    put(out, RiskNumber::noise, risk.noise);
    put(out, RiskNumber::same_data, risk.ensemble_signal);
    put(out, RiskNumber::same_data_noise, risk.ensemble_noise);
    return out;
  }
  const theory::RegressionRisk risk = theory::regression_risk(problem);
  put(out, RiskNumber::signal, risk.bias);
  put(out, RiskNumber::noise, risk.variance);
  put(out, RiskNumber::same_data, risk.terms.bias2 + risk.terms.data);
  put(out, RiskNumber::same_data_noise, risk.terms.data_noise);
  put(out, RiskNumber::same_features, risk.terms.bias2 + risk.terms.features);
  put(out, RiskNumber::independent, risk.terms.bias2);
  put(out, RiskNumber::train, risk.train);
  if (problem.ridge > 0 && problem.noise_variance > 0)
    put(out, RiskNumber::resolvent, problem.ridge / (problem.examples * risk.nu1));
  if (std::isfinite(risk.norm2)) put(out, RiskNumber::norm, risk.norm2);
  return out;
}

double RegressionPrediction::limit_excess(std::size_t size, std::size_t filter) const {
  if (recipe_.kind != RegressionKind::random_features || recipe_.is_flow(filter) || infinite_mean(size, filter) ||
      recipe_.target_power[0] > 0)
    return kNaN;
  theory::MeiMontanariProblem problem;
  const theory::RegressionSize extents = recipe_.extents(size);
  problem.features_ratio = extents.features / extents.dimension;
  problem.examples_ratio = extents.examples / extents.dimension;
  problem.ridge = theory::ridge_in(theory::RidgeConvention::mei_montanari, recipe_.sum_ridge(size, filter), extents);
  const double linear = recipe_.target_power.size() > 1 ? recipe_.target_power[1] : 0.0;
  try {
    problem.parts = theory::activation_parts(recipe_.activation);
    return theory::mei_montanari_risk(problem).excess(linear, recipe_.signal_power() - linear, recipe_.noise_variance);
  } catch (const RecipeError&) {
    return kNaN;  // affine features are linear regression
  }
}

}  // namespace widelab::experiments
