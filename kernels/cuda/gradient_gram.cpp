#include "widelab/ops/gradient_gram.hpp"

#include "kernels/cuda/kernel_op.hpp"

namespace widelab::cuda {
namespace {

template <class T>
void run(Context& context, const GradientGramProblem<T>& problem) {
  const Network network = with_unit_rates(*problem.network, problem.parameters);
  NtkProblem<T> kernel;
  kernel.network = &network;
  kernel.weights = problem.weights;
  kernel.x1 = problem.inputs;
  kernel.ntk = problem.gram;
  kernel.outputs = problem.outputs;
  kernel.limits = problem.limits;
  run_kernel_op<T>(context, kernel, {true, problem.loss, problem.targets, problem.squares}, "gradient_gram");
}

}  // namespace

void gradient_gram(Context& context, const GradientGramProblem<float>& problem) { run(context, problem); }
void gradient_gram(Context& context, const GradientGramProblem<double>& problem) { run(context, problem); }

}  // namespace widelab::cuda
