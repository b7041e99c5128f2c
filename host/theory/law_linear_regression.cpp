#include <functional>
#include <limits>

#include "host/theory/isotropic_regression.hpp"
#include "host/theory/laws.hpp"
#include "host/theory/regression_values.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::theory {
namespace {

constexpr double kNotANumber = std::numeric_limits<double>::quiet_NaN();

/// Values <name>_bias, <name>_variance and <name>_excess of a risk, or NaN and <name>_reason where it has none.
void append_risk(std::vector<NamedValue>& values, const std::string& name,
                 const std::function<IsotropicRisk()>& evaluate) {
  IsotropicRisk risk{kNotANumber, kNotANumber};
  std::string reason;
  try {
    risk = evaluate();
  } catch (const RecipeError& error) {
    reason = error.what();
  }
  append(values, {{name + "_bias", risk.bias}, {name + "_variance", risk.variance}, {name + "_excess", risk.excess()}});
  if (!reason.empty()) values.push_back({name + "_reason", reason});
}

std::vector<NamedValue> evaluate(const Params& params) {
  const Index n = params.count("n", 1), p = params.count("p", 1);
  const RegressionSize size{static_cast<double>(p), static_cast<double>(n), static_cast<double>(p)};
  const IsotropicRegression problem{size.features / size.examples, params.number_at_least("signal", 0.0),
                                    params.number_at_least("noise", 0.0)};
  const double time = params.time("time"), lambda_u = read_sum_ridge(params, size), ridge = lambda_u / size.examples;
  const IsotropicRisk risk = isotropic_risk(problem, ridge);
  std::vector<NamedValue> values{{"aspect", problem.aspect},
                                 {"bias", risk.bias},
                                 {"variance", risk.variance},
                                 {"excess", risk.excess()},
                                 {"test", risk.excess() + problem.noise_variance},
                                 {"stieltjes", isotropic_stieltjes(problem.aspect, ridge)}};
  append(values, ridge_values(lambda_u, size));
  append_risk(values, "finite_least_norm",
              [&] { return isotropic_finite_risk(n, p, problem.signal, problem.noise_variance); });
  append_risk(values, "flow", [&] { return isotropic_flow_risk(problem, time); });
  append_risk(values, "best", [&] { return isotropic_risk(problem, isotropic_best_ridge(problem)); });
  if (problem.signal > 0) values.push_back({"best_ridge_mean", isotropic_best_ridge(problem)});
  return values;
}

}  // namespace

TheoryEntry linear_regression_entry() {
  TheoryEntry entry;
  entry.name = "linear-regression";
  entry.description =
      "Ridge regression, least norm and gradient flow on isotropic Gaussian inputs: bias and variance of the excess "
      "risk at p / n, beside the exact mean of the least-norm risk at finite sizes and the best ridge.";
  entry.source =
      "Hastie, Montanari, Rosset and Tibshirani 2019; gradient flow from the Marchenko-Pastur law; finite sizes from "
      "the mean of an inverse Wishart matrix";
  entry.domain =
      "n, p -> infinity at fixed p / n; finite_least_norm: every n and p with |n - p| > 1, where the mean is finite";
  entry.params = std::vector<ParamDoc>{{"n", "400", "number of examples"},
                                       {"p", "200", "number of inputs, which are the features"},
                                       {"signal", "1", "|beta|^2"},
                                       {"noise", "0.25", "variance of the label noise"},
                                       {"time", "inf", "time of the gradient flow, without ridge, or inf"}} +
                 ridge_docs("mean");
  entry.evaluate = evaluate;
  return entry;
}

}  // namespace widelab::theory
