#include "widelab/ops/ntk.hpp"

#include <algorithm>

#include "kernels/cpu/contract_kernel.hpp"
#include "kernels/cpu/ensemble.hpp"
#include "widelab/ops/nngp.hpp"

namespace widelab::cpu {
namespace {

template <class T>
MatrixView<const T> rows_of(MatrixView<const T> x, Index first, Index count) {
  return {x.row(first), std::min(count, x.rows - first), x.cols, x.stride};
}

/// Signals of every tile of inputs, contracted with those of every other.
template <class T>
void run(const NtkProblem<T>& problem, DeviceLimits limits) {
  const bool symmetric = problem.x2.data == nullptr;
  const MatrixView<const T> x1 = problem.x1, x2 = symmetric ? problem.x1 : problem.x2;
  const Network& network = *problem.network;
  WIDELAB_REQUIRE(x1.cols == network.shape.input_dim && x2.cols == network.shape.input_dim,
                  "inputs have another dimension than the network");
  const StoragePlan plan =
      plan_here(network, problem.weights, x1.rows, symmetric ? 0 : x2.rows, problem.ntk != nullptr, limits);
  const bool parallel = !plan.members_in_parallel;
  const SignalOptions options{problem.ntk != nullptr, problem.outputs != nullptr, parallel};
  const SignalOptions second_options{problem.ntk != nullptr, false, parallel};

  for_each_member(network, problem.weights, plan, [&](Index e, WeightTiles<T>& weights, Worker<T>& worker) {
    KernelTarget target{problem.blocks,
                        problem.ntk ? problem.ntk + e * problem.entries() : nullptr,
                        problem.nngp ? problem.nngp + e * x1.rows * x2.rows : nullptr,
                        x2.rows,
                        0,
                        0,
                        symmetric};
    for (target.row = 0; target.row < x1.rows; target.row += plan.input_tile) {
      compute_signals(network, weights, rows_of(x1, target.row, plan.input_tile), options, worker.first);
      if (problem.outputs)
        std::copy(worker.first.f.begin(), worker.first.f.end(),
                  problem.outputs + (e * x1.rows + target.row) * network.shape.outputs);
      const Index last_col = symmetric ? target.row + 1 : x2.rows;
      for (target.col = 0; target.col < last_col; target.col += plan.input_tile) {
        if (symmetric && target.col == target.row) {
          contract_kernel(network, worker.first, worker.first, target, parallel);
          continue;
        }
        compute_signals(network, weights, rows_of(x2, target.col, plan.input_tile), second_options, worker.second);
        contract_kernel(network, worker.first, worker.second, target, parallel);
      }
    }
  });
}

}  // namespace

void ntk(const NtkProblem<float>& problem) { run(problem, problem.limits); }
void ntk(const NtkProblem<double>& problem) { run(problem, problem.limits); }

void nngp(const NngpProblem<float>& problem) {
  ntk({problem.network, problem.weights, problem.x1, problem.x2, NtkBlocks::trace, nullptr, problem.nngp, nullptr,
       problem.limits});
}
void nngp(const NngpProblem<double>& problem) {
  ntk({problem.network, problem.weights, problem.x1, problem.x2, NtkBlocks::trace, nullptr, problem.nngp, nullptr,
       problem.limits});
}

}  // namespace widelab::cpu
