#include "widelab/ops/forward.hpp"

#include <algorithm>

#include "kernels/cpu/ensemble.hpp"

namespace widelab::cpu {
namespace {

template <class T>
void run(const ForwardProblem<T>& problem) {
  const Network& network = *problem.network;
  const MatrixView<const T> x = problem.inputs;
  WIDELAB_REQUIRE(x.cols == network.shape.input_dim, "inputs have another dimension than the network");
  const StoragePlan plan = plan_here(network, problem.weights, x.rows, 0, BackwardSignals::none, problem.limits);
  for_each_member(network, problem.weights, plan, [&](Index e, WeightTiles<T>& weights, Worker<T>& worker) {
    for (Index row = 0; row < x.rows; row += plan.input_tile) {
      const Index rows = std::min(plan.input_tile, x.rows - row);
      compute_signals(network, weights, {x.row(row), rows, x.cols, x.stride},
                      {BackwardSignals::none, true, !plan.members_in_parallel}, worker.first);
      std::copy(worker.first.f.begin(), worker.first.f.end(),
                problem.outputs + (e * x.rows + row) * network.shape.outputs);
    }
  });
}

}  // namespace

void forward(const ForwardProblem<float>& problem) { run(problem); }
void forward(const ForwardProblem<double>& problem) { run(problem); }

}  // namespace widelab::cpu
