#include "widelab/ops/forward.hpp"

#include "kernels/reference/naive_network.hpp"

namespace widelab::reference {

void forward(const ForwardProblem<double>& problem) {
  const Network& network = *problem.network;
  const Index outputs = network.shape.outputs, n = problem.inputs.rows;
  for (Index m = 0; m < problem.weights.members; ++m) {
    const std::vector<double> parameters = member_parameters(network, problem.weights, m);
    for (Index i = 0; i < n; ++i) {
      const Trace trace = run(network, parameters, problem.inputs.row(i));
      for (Index o = 0; o < outputs; ++o)
        problem.outputs[(m * n + i) * outputs + o] = trace.output()[static_cast<std::size_t>(o)];
    }
  }
}

}  // namespace widelab::reference
