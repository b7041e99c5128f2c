#include "widelab/ops/gradient_gram.hpp"

#include <vector>

#include "kernels/reference/jacobian.hpp"
#include "kernels/reference/naive_network.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::reference {
namespace {

/// 1 for every parameter that counts, 0 for the others, in the layout of ParamLayout.
std::vector<bool> counted(const Network& network, const ParameterSelection& selection) {
  const ParamLayout layout(network.shape);
  std::vector<bool> flags(static_cast<std::size_t>(layout.size), false);
  for (Index l = 0; l < network.shape.layers(); ++l) {
    const auto at = static_cast<std::size_t>(l);
    const Index weights = layout.weight_offset[at], biases = layout.bias_offset[at];
    for (Index t = weights; t < biases; ++t) flags[static_cast<std::size_t>(t)] = weights_count(network, selection, l);
    for (Index t = biases; t < biases + network.shape.fan_out(l); ++t)
      flags[static_cast<std::size_t>(t)] = biases_count(network, selection, l);
  }
  return flags;
}

double inner_product(const std::vector<double>& a, const std::vector<double>& b, const std::vector<bool>& counts) {
  double sum = 0;
  for (std::size_t t = 0; t < a.size(); ++t)
    if (counts[t]) sum += a[t] * b[t];
  return sum;
}

}  // namespace

void gradient_gram(const GradientGramProblem<double>& problem) {
  const Network& network = *problem.network;
  const Index n = problem.inputs.rows, outputs = network.shape.outputs;
  const std::vector<bool> counts = counted(network, problem.parameters);
  for (Index m = 0; m < problem.weights.members; ++m) {
    const std::vector<double> parameters = member_parameters(network, problem.weights, m);
    std::vector<std::vector<double>> gradients;
    for (Index i = 0; i < n; ++i) {
      const Trace trace = run(network, parameters, problem.inputs.row(i));
      const double* y = problem.targets + i * outputs;
      std::vector<double> slope(static_cast<std::size_t>(outputs));
      loss_slope(problem.loss, trace.output().data(), y, outputs, Index{1}, slope.data());
      for (Index o = 0; problem.outputs && o < outputs; ++o)
        problem.outputs[(m * n + i) * outputs + o] = trace.output()[static_cast<std::size_t>(o)];
      gradients.push_back(pullback(network, parameters, trace, slope));
    }
    for (Index i = 0; i < n; ++i) {
      const std::vector<double>& g = gradients[static_cast<std::size_t>(i)];
      if (problem.squares) problem.squares[m * n + i] = inner_product(g, g, counts);
      for (Index j = 0; problem.gram && j < n; ++j)
        problem.gram[(m * n + i) * n + j] = inner_product(g, gradients[static_cast<std::size_t>(j)], counts);
    }
  }
}

}  // namespace widelab::reference
