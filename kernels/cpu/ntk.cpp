#include "widelab/ops/ntk.hpp"

#include <algorithm>

#include "kernels/cpu/kernel_pass.hpp"
#include "widelab/ops/nngp.hpp"

namespace widelab::cpu {
namespace {

template <class T>
void run(const NtkProblem<T>& problem) {
  const Index outputs = problem.network->shape.outputs;
  const BackwardSignals backward = problem.ntk ? BackwardSignals::of_outputs : BackwardSignals::none;
  kernel_pass<T>(problem, backward, {}, [&](Index e, Index row, const Signals<T>& signals) {
    if (problem.outputs)
      std::copy(signals.f.begin(), signals.f.end(), problem.outputs + (e * problem.x1.rows + row) * outputs);
  });
}

}  // namespace

void ntk(const NtkProblem<float>& problem) { run(problem); }
void ntk(const NtkProblem<double>& problem) { run(problem); }

void nngp(const NngpProblem<float>& problem) {
  ntk({problem.network, problem.weights, problem.x1, problem.x2, NtkBlocks::trace, nullptr, problem.nngp, nullptr,
       problem.limits});
}
void nngp(const NngpProblem<double>& problem) {
  ntk({problem.network, problem.weights, problem.x1, problem.x2, NtkBlocks::trace, nullptr, problem.nngp, nullptr,
       problem.limits});
}

}  // namespace widelab::cpu
