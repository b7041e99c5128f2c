#include "widelab/ops/nngp.hpp"

#include "kernels/reference/naive_network.hpp"

namespace widelab::reference {

void nngp(const NngpProblem<double>& problem) {
  const Network& network = *problem.network;
  const MatrixView<const double> x1 = problem.x1, x2 = problem.x2.data ? problem.x2 : problem.x1;
  for (Index m = 0; m < problem.weights.members; ++m) {
    const std::vector<double> parameters = member_parameters(network, problem.weights, m);
    for (Index i = 0; i < x1.rows; ++i)
      for (Index j = 0; j < x2.rows; ++j)
        problem.nngp[(m * x1.rows + i) * x2.rows + j] =
            feature_covariance(network, run(network, parameters, x1.row(i)), run(network, parameters, x2.row(j)));
  }
}

}  // namespace widelab::reference
