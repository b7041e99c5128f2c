#include "host/theory/regression_values.hpp"

#include "widelab/base/errors.hpp"

namespace widelab::theory {

std::vector<ParamDoc> ridge_docs(const std::string& convention) {
  std::string names;
  for (const std::string& name : ridge_convention_names()) names += (names.empty() ? "" : ", ") + name;
  return {{"ridge", "0", "ridge, in `convention`; 0 is the least norm"},
          {"convention", convention, "what `ridge` is measured in: " + names}};
}

double read_sum_ridge(const Params& params, const RegressionSize& size) {
  const auto convention = static_cast<RidgeConvention>(params.choice("convention", ridge_convention_names()));
  return sum_ridge(convention, params.number_at_least("ridge", 0.0), size);
}

std::vector<NamedValue> ridge_values(double sum_ridge, const RegressionSize& size) {
  return {{"ridge_sum", sum_ridge},
          {"ridge_per_feature", ridge_in(RidgeConvention::per_feature, sum_ridge, size)},
          {"ridge_mean", ridge_in(RidgeConvention::mean, sum_ridge, size)},
          {"ridge_mei_montanari", ridge_in(RidgeConvention::mei_montanari, sum_ridge, size)}};
}

std::vector<NamedValue> risk_values(const RegressionRisk& risk, double noise_variance, const std::string& prefix) {
  std::vector<NamedValue> values{{"excess", risk.excess},
                                 {"test", risk.excess + noise_variance},
                                 {"train", risk.train},
                                 {"bias", risk.bias},
                                 {"variance", risk.variance},
                                 {"ensemble_excess", risk.ensemble_excess},
                                 {"norm2", risk.norm2},
                                 {"effective_ridge", risk.effective_ridge},
                                 {"nu1", risk.nu1},
                                 {"nu2", risk.nu2},
                                 {"df1", risk.df1},
                                 {"df2", risk.df2},
                                 {"upsilon", risk.upsilon},
                                 {"bias2", risk.terms.bias2},
                                 {"variance_features", risk.terms.features},
                                 {"variance_data", risk.terms.data},
                                 {"variance_features_data", risk.terms.features_data},
                                 {"variance_data_noise", risk.terms.data_noise},
                                 {"variance_features_data_noise", risk.terms.features_data_noise}};
  for (NamedValue& value : values) value.name = prefix + value.name;
  return values;
}

ParamDoc target_doc(const std::string& fallback) {
  return {"target", fallback, "power E f_l^2 of the target at degree l = 0, 1, ..., separated by ':'"};
}

std::vector<double> read_target(const Params& params) {
  std::vector<double> powers = params.numbers("target");
  for (const double power : powers)
    if (power < 0) throw RecipeError("target = " + params.text("target") + ": powers must not be negative");
  return powers;
}

ParamDoc degrees_doc() { return {"degrees", "24", "highest degree that is kept apart; higher ones are a tail"}; }

int read_degrees(const Params& params) {
  const Index degrees = params.count("degrees", 0);
  if (degrees > kMostDegrees)
    throw RecipeError("degrees = " + params.text("degrees") + ": at most " + std::to_string(kMostDegrees));
  return static_cast<int>(degrees);
}

std::vector<NamedValue> degree_values(const SphereSpectrum& spectrum, double nu2) {
  std::vector<double> traces;
  for (std::size_t l = 0; l < spectrum.eigenvalue.size(); ++l)
    traces.push_back(spectrum.eigenvalue[l] * spectrum.multiplicity[l]);
  return {{"learned", learned_fractions(spectrum, nu2)},
          {"multiplicities", spectrum.multiplicity},
          {"eigenvalues", spectrum.eigenvalue},
          {"traces", traces},
          {"tail_trace", spectrum.tail}};
}

void append(std::vector<NamedValue>& values, const std::vector<NamedValue>& more) {
  values.insert(values.end(), more.begin(), more.end());
}

}  // namespace widelab::theory
