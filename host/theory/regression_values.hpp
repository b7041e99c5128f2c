// What the regression laws of the registry share: their ridge, and the list of what a regression's risk consists of.
#pragma once

#include <string>
#include <vector>

#include "host/theory/deterministic_equivalent.hpp"
#include "host/theory/registry.hpp"
#include "host/theory/ridge_convention.hpp"
#include "host/theory/sphere_spectrum.hpp"

namespace widelab::theory {

/// Parameters `ridge` and `convention`, in which `convention` is the default, and lambda_u from them.
std::vector<ParamDoc> ridge_docs(const std::string& convention);
double read_sum_ridge(const Params& params, const RegressionSize& size);

/// ridge_sum, ridge_per_feature, ridge_mean, ridge_mei_montanari: one ridge in the four conventions.
std::vector<NamedValue> ridge_values(double sum_ridge, const RegressionSize& size);

/// Errors, norm, degrees of freedom, ensemble and analysis of variance; names start with `prefix`.
std::vector<NamedValue> risk_values(const RegressionRisk& risk, double noise_variance, const std::string& prefix = "");

/// Parameter `target`: powers E f_l^2 by degree, at least 0 each.
ParamDoc target_doc(const std::string& fallback);
std::vector<double> read_target(const Params& params);

/// Parameter `degrees`, the highest degree that is kept apart.
ParamDoc degrees_doc();
int read_degrees(const Params& params);

/// learned, multiplicities, eigenvalues, traces (eigenvalue times multiplicity), one for each degree, and tail_trace.
std::vector<NamedValue> degree_values(const SphereSpectrum& spectrum, double nu2);

/// Appends `more` to `values`.
void append(std::vector<NamedValue>& values, const std::vector<NamedValue>& more);

}  // namespace widelab::theory
