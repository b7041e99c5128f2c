#include "host/theory/laws.hpp"
#include "host/theory/mei_montanari.hpp"
#include "host/theory/regression_values.hpp"
#include "widelab/math/activation_names.hpp"

namespace widelab::theory {
namespace {

/// Powers of a target as the limit sees them: the constant is learned if the features have one.
struct LimitTarget {
  double linear = 0, nonlinear = 0;
};

LimitTarget limit_target(const std::vector<double>& power, const ActivationParts& parts) {
  LimitTarget target;
  for (std::size_t l = 0; l < power.size(); ++l) {
    if (l == 1) target.linear = power[l];
    if (l >= 2 || (l == 0 && parts.mu0 == 0)) target.nonlinear += power[l];
  }
  return target;
}

/// The limit by its polynomials and as an equivalent, and its wide end.
std::vector<NamedValue> limit_values(MeiMontanariProblem problem, const LimitTarget& target, double noise) {
  const MeiMontanariRisk limit = mei_montanari_risk(problem);
  std::vector<NamedValue> values{{"chi", limit.chi}, {"B", limit.bias}, {"V", limit.variance}};
  append(values, risk_values(regression_risk(mei_montanari_equivalent(problem, target.linear, target.nonlinear, noise)),
                             noise, "limit_"));
  problem.features_ratio = kInfinitelyManyFeatures;
  const MeiMontanariRisk wide = mei_montanari_risk(problem);
  append(values, {{"wide_B", wide.bias},
                  {"wide_V", wide.variance},
                  {"wide_excess", wide.excess(target.linear, target.nonlinear, noise)},
                  {"critical_signal_to_noise", critical_signal_to_noise(problem.parts)}});
  const double disturbance = noise + target.nonlinear;
  if (target.linear > 0 && disturbance > 0)
    values.push_back({"best_wide_ridge_mei_montanari",
                      best_wide_ridge(problem.parts, problem.examples_ratio, target.linear / disturbance)});
  return values;
}

std::vector<NamedValue> evaluate(const Params& params) {
  const Activation activation = parse_activation(params.text("activation"));
  const Index d = params.count("d", kLeastSphereDimension);
  const RegressionSize size{static_cast<double>(params.count("N", 1)), static_cast<double>(params.count("n", 1)),
                            static_cast<double>(d)};
  const std::vector<double> power = read_target(params);
  const double noise = params.number_at_least("noise", 0.0), lambda_u = read_sum_ridge(params, size);
  FeatureRegression finite;
  const SphereSpectrum spectrum = activation_spectrum(activation, d, read_degrees(params));
  finite.spectrum = with_target(spectrum, power);
  finite.examples = size.examples;
  finite.features = size.features;
  finite.ridge = ridge_in(RidgeConvention::per_feature, lambda_u, size);
  finite.noise_variance = noise;
  const RegressionRisk risk = regression_risk(finite);
  std::vector<NamedValue> values = risk_values(risk, noise);
  const double networks = params.number_at_least("networks", 1.0);
  values.push_back({"mean_of_networks_excess", risk.excess_of_mean(networks)});
  append(values, degree_values(spectrum, risk.nu2));
  append(values, ridge_values(lambda_u, size));
  const ActivationParts parts = activation_parts(activation);
  const MeiMontanariProblem problem{parts, size.features / size.dimension, size.examples / size.dimension,
                                    ridge_in(RidgeConvention::mei_montanari, lambda_u, size)};
  append(values, limit_values(problem, limit_target(power, parts), noise));
  return values;
}

}  // namespace

TheoryEntry random_features_entry() {
  TheoryEntry entry;
  entry.name = "random-features";
  entry.description =
      "Regression on N random features sigma(<theta, x> / sqrt(d)) of inputs on the sphere: errors, norm, ensembles, "
      "analysis of variance and what is learned of each degree at finite d, beside the proportional limit (limit_*, "
      "with chi, B and V) and its wide end. norm2 is N |a|^2, limit_norm2 (N / d) |a|^2, a in f = sum a sigma.";
  entry.source =
      "Mei and Montanari 2019 (limit); Defilippis, Loureiro and Misiakiewicz 2024 on the Funk-Hecke spectrum "
      "(finite d)";
  entry.domain =
      "x, theta uniform on the sphere of radius sqrt(d); finite d: n and N large; limit: n, N of the order of d";
  entry.params =
      std::vector<ParamDoc>{{"activation", "relu", "relu, erf, gelu, tanh, sin, cos, quadratic, ...; not affine"},
                            {"d", "100", "input dimension, at least 3"},
                            {"n", "300", "number of examples"},
                            {"N", "600", "number of features"},
                            {"noise", "0.25", "variance of the label noise"},
                            target_doc("0:1"),
                            {"networks", "1", "size of the ensemble whose mean is evaluated"},
                            degrees_doc()} +
      ridge_docs("mei-montanari");
  entry.evaluate = evaluate;
  return entry;
}

}  // namespace widelab::theory
