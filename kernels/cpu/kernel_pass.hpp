// The pass over pairs of input tiles that every kernel op is: signals of a tile, contracted with those of each other.
#pragma once

#include <algorithm>

#include "kernels/cpu/contract_kernel.hpp"
#include "kernels/cpu/ensemble.hpp"
#include "widelab/ops/ntk.hpp"

namespace widelab::cpu {

/// Runs `problem` with the backward signals named; of a loss (`loss`: targets of all rows of x1, blocks = trace) its
/// "ntk" is the Gram matrix of gradients of single losses. visit(member, first row, signals) sees each tile of x1 once.
template <class T, class Visit>
void kernel_pass(const NtkProblem<T>& problem, BackwardSignals backward, const LossTargets<T>& loss,
                 const Visit& visit) {
  const bool symmetric = problem.x2.data == nullptr, pairs = problem.ntk != nullptr || problem.nngp != nullptr;
  const MatrixView<const T> x1 = problem.x1, x2 = symmetric ? problem.x1 : problem.x2;
  const Network& network = *problem.network;
  const Index outputs = network.shape.outputs;
  WIDELAB_REQUIRE(x1.cols == network.shape.input_dim && x2.cols == network.shape.input_dim,
                  "inputs have another dimension than the network");
  const StoragePlan plan =
      plan_here(network, problem.weights, x1.rows, symmetric ? 0 : x2.rows, backward, problem.limits);
  const bool parallel = !plan.members_in_parallel;
  const auto rows_of = [&](MatrixView<const T> x, Index first) {
    return MatrixView<const T>{x.row(first), std::min(plan.input_tile, x.rows - first), x.cols, x.stride};
  };
  const auto loss_from = [&](Index first) {
    return LossTargets<T>{loss.kind, loss.targets ? loss.targets + first * outputs : nullptr};
  };

  for_each_member(network, problem.weights, plan, [&](Index e, WeightTiles<T>& weights, Worker<T>& worker) {
    KernelTarget target{problem.blocks,
                        problem.ntk ? problem.ntk + e * problem.entries() : nullptr,
                        problem.nngp ? problem.nngp + e * x1.rows * x2.rows : nullptr,
                        x2.rows,
                        0,
                        0,
                        symmetric};
    for (target.row = 0; target.row < x1.rows; target.row += plan.input_tile) {
      compute_signals(network, weights, rows_of(x1, target.row), {backward, problem.outputs != nullptr, parallel},
                      worker.first, loss_from(target.row));
      visit(e, target.row, worker.first);
      const Index last_col = !pairs ? 0 : symmetric ? target.row + 1 : x2.rows;
      for (target.col = 0; target.col < last_col; target.col += plan.input_tile) {
        if (symmetric && target.col == target.row) {
          contract_kernel(network, worker.first, worker.first, target, parallel);
          continue;
        }
        compute_signals(network, weights, rows_of(x2, target.col), {backward, false, parallel}, worker.second,
                        loss_from(target.col));
        contract_kernel(network, worker.first, worker.second, target, parallel);
      }
    }
  });
}

}  // namespace widelab::cpu
