#include "host/theory/deterministic_equivalent.hpp"
#include "host/theory/laws.hpp"
#include "host/theory/regression_values.hpp"
#include "host/theory/spectra.hpp"

namespace widelab::theory {
namespace {

std::vector<ParamDoc> problem_docs() {
  return {{"eigenvalues", "", "eigenvalues s of the feature covariance, separated by ':'"},
          {"multiplicities", "1", "multiplicity of each (or one for all)"},
          {"powers", "1", "power of the target on each (or one for all)"},
          {"tail_trace", "0", "trace of infinitely many infinitesimal eigenvalues"},
          {"tail_power", "0", "power of the target on them"},
          {"n", "", "number of examples"},
          {"p", "inf", "number of random features; inf: their kernel"},
          {"noise", "0", "variance of the label noise"}};
}

FeatureRegression read_problem(const Params& params) {
  FeatureRegression problem;
  problem.spectrum =
      grouped_spectrum(params.numbers("eigenvalues"), params.numbers("multiplicities"), params.numbers("powers"));
  problem.spectrum.tail_trace = params.number_at_least("tail_trace", 0.0);
  problem.spectrum.tail_power = params.number_at_least("tail_power", 0.0);
  problem.examples = params.number("n");
  problem.features = params.time("p");
  problem.noise_variance = params.number_at_least("noise", 0.0);
  return problem;
}

}  // namespace

TheoryEntry feature_regression_entry() {
  TheoryEntry entry;
  entry.name = "feature-regression";
  entry.description =
      "Ridge regression on p random features, or with their kernel (p = inf): errors, norm, degrees of freedom, the "
      "ensemble over features, and the analysis of variance of the excess risk.";
  entry.source =
      "deterministic equivalent of Defilippis, Loureiro and Misiakiewicz 2024; ensembles, variance split and norm "
      "derived in host/theory/equivalent_terms.hpp";
  entry.domain =
      "n, p and the rank large, features concentrated as Gaussian ones; loss sum (y - f)^2 + ridge |a|^2 with "
      "f = p^-1/2 sum a_j sigma_j; ridge 0 is the least norm";
  entry.params = problem_docs();
  entry.params.push_back({"ridge", "0", "ridge, added to the sum over examples; 0: least norm"});
  entry.evaluate = [](const Params& params) -> std::vector<NamedValue> {
    FeatureRegression problem = read_problem(params);
    problem.ridge = params.number_at_least("ridge", 0.0);
    return risk_values(regression_risk(problem), problem.noise_variance);
  };
  return entry;
}

TheoryEntry feature_flow_entry() {
  TheoryEntry entry;
  entry.name = "feature-flow";
  entry.description =
      "Excess risk of p random features, or of their kernel (p = inf), during gradient flow on the squared loss from "
      "a = 0, and of the ensemble over features.";
  entry.source =
      "deterministic equivalent of Defilippis, Loureiro and Misiakiewicz 2024 at complex ridges, derived in "
      "host/theory/equivalent_terms.hpp; contour of Weideman and Trefethen 2007";
  entry.domain = "n, p and the rank large, features concentrated as Gaussian ones; da/dt = Z^T (y - Z a) / n";
  entry.params = problem_docs();
  entry.params.push_back({"time", "1", "time t of the flow, or inf"});
  entry.evaluate = [](const Params& params) -> std::vector<NamedValue> {
    const FeatureRegression problem = read_problem(params);
    const FlowRisk risk = gradient_flow_risk(problem, params.time("time"));
    return {{"excess", risk.excess()},
            {"test", risk.excess() + problem.noise_variance},
            {"signal", risk.signal},
            {"noise_part", risk.noise},
            {"ensemble_excess", risk.ensemble_excess()},
            {"ensemble_signal", risk.ensemble_signal},
            {"ensemble_noise_part", risk.ensemble_noise}};
  };
  return entry;
}

}  // namespace widelab::theory
