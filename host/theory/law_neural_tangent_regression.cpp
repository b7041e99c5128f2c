#include "host/theory/laws.hpp"
#include "host/theory/regression_values.hpp"

namespace widelab::theory {
namespace {

std::vector<NamedValue> evaluate(const Params& params) {
  NeuralTangentRegression problem;
  problem.dimension = params.count("d", kLeastSphereDimension);
  problem.neurons = params.time("N");
  problem.examples = params.number("n");
  problem.ridge = params.number_at_least("ridge", 0.0);
  problem.noise_variance = params.number_at_least("noise", 0.0);
  problem.target_power = read_target(params);
  problem.degrees = read_degrees(params);
  const FeatureRegression regression = neural_tangent_regression(problem);
  const RegressionRisk risk = regression_risk(regression);
  std::vector<NamedValue> values = risk_values(risk, problem.noise_variance);
  values.push_back({"p", regression.features});
  append(values,
         degree_values(sphere_spectrum(first_layer_tangent_kernel(), problem.dimension, problem.degrees), risk.nu2));
  return values;
}

}  // namespace

TheoryEntry neural_tangent_regression_entry() {
  TheoryEntry entry;
  entry.name = "neural-tangent-regression";
  entry.description =
      "Conjecture: ridge regression on the first-layer tangent features of N ReLU neurons behaves like random "
      "features with p = N d and the spectrum of the infinitely wide kernel. Proved only where N d is much larger "
      "than n.";
  entry.source =
      "mapping conjectured in host/theory/sphere_spectrum.hpp; Montanari and Zhong 2020 for N d much larger than n; "
      "equivalent of Defilippis, Loureiro and Misiakiewicz 2024";
  entry.domain =
      "unit sphere, n of the order of d^2 and N d of the order of n; simulations deviate by about 1.3 / d at N d = "
      "n, and by tens of per cent at n of the order of d with few neurons";
  entry.params = {{"d", "30", "input dimension, at least 3"},
                  {"n", "900", "number of examples"},
                  {"N", "90", "number of neurons, or inf"},
                  {"ridge", "1e-3", "added to the diagonal of the kernel (1/N) sum <x, x'> 1[w.x > 0] 1[w.x' > 0]"},
                  {"noise", "0.1", "variance of the label noise"},
                  target_doc("0:0.5:0.4:0:0.1"),
                  degrees_doc()};
  entry.evaluate = evaluate;
  return entry;
}

}  // namespace widelab::theory
