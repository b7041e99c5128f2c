#include "widelab/ops/ntk.hpp"

#include <vector>

#include "kernels/reference/jacobian.hpp"
#include "kernels/reference/naive_network.hpp"

namespace widelab::reference {
namespace {

/// sum over parameters t of rate_t df_o(x_i)/dt df_p(x_j)/dt.
double contract(const std::vector<double>& first, const std::vector<double>& rates, const std::vector<double>& second) {
  double sum = 0;
  for (std::size_t t = 0; t < rates.size(); ++t) sum += rates[t] * first[t] * second[t];
  return sum;
}

/// The traces of all inputs and the Jacobian, one row for each (input, output).
struct Differentiated {
  std::vector<Trace> traces;
  std::vector<std::vector<double>> rows;

  Differentiated(const Network& network, const std::vector<double>& parameters, MatrixView<const double> x) {
    for (Index i = 0; i < x.rows; ++i) {
      traces.push_back(run(network, parameters, x.row(i)));
      for (Index o = 0; o < network.shape.outputs; ++o)
        rows.push_back(jacobian_row(network, parameters, traces.back(), o));
    }
  }
};

void contract_blocks(const NtkProblem<double>& problem, const Differentiated& d1, const Differentiated& d2,
                     const std::vector<double>& rates, double* ntk) {
  const Index outputs = problem.network->shape.outputs, n1 = problem.rows(), n2 = problem.cols();
  const auto entry = [&](Index i, Index o, Index j, Index p) {
    return contract(d1.rows[static_cast<std::size_t>(i * outputs + o)], rates,
                    d2.rows[static_cast<std::size_t>(j * outputs + p)]);
  };
  for (Index i = 0; i < n1; ++i)
    for (Index j = 0; j < n2; ++j) {
      double trace = 0;
      for (Index o = 0; o < outputs; ++o) {
        if (problem.blocks == NtkBlocks::full) {
          for (Index p = 0; p < outputs; ++p)
            ntk[(i * outputs + o) * n2 * outputs + j * outputs + p] = entry(i, o, j, p);
        } else if (problem.blocks == NtkBlocks::diagonal) {
          ntk[(i * n2 + j) * outputs + o] = entry(i, o, j, o);
        } else {
          trace += entry(i, o, j, o);
        }
      }
      if (problem.blocks == NtkBlocks::trace) ntk[i * n2 + j] = trace / static_cast<double>(outputs);
    }
}

}  // namespace

void ntk(const NtkProblem<double>& problem) {
  const Network& network = *problem.network;
  const Index outputs = network.shape.outputs, n1 = problem.rows(), n2 = problem.cols();
  const std::vector<double> rates = parameter_rates(network);
  for (Index m = 0; m < problem.weights.members; ++m) {
    const std::vector<double> parameters = member_parameters(network, problem.weights, m);
    const Differentiated d1(network, parameters, problem.x1);
    const Differentiated d2 = problem.x2.data ? Differentiated(network, parameters, problem.x2) : d1;
    if (problem.ntk) contract_blocks(problem, d1, d2, rates, problem.ntk + m * problem.entries());
    for (Index i = 0; i < n1; ++i) {
      const Trace& first = d1.traces[static_cast<std::size_t>(i)];
      for (Index j = 0; problem.nngp && j < n2; ++j)
        problem.nngp[(m * n1 + i) * n2 + j] =
            feature_covariance(network, first, d2.traces[static_cast<std::size_t>(j)]);
      for (Index o = 0; problem.outputs && o < outputs; ++o)
        problem.outputs[(m * n1 + i) * outputs + o] = first.output()[static_cast<std::size_t>(o)];
    }
  }
}

}  // namespace widelab::reference
