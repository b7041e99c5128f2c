#include "widelab/ops/ntk.hpp"

#include "kernels/cuda/kernel_op.hpp"
#include "widelab/ops/nngp.hpp"

namespace widelab::cuda {
namespace {

template <class T>
void run(Context& context, const NtkProblem<T>& problem) {
  run_kernel_op<T>(context, problem, {}, "ntk");
}

template <class T>
NtkProblem<T> features_only(const NngpProblem<T>& problem) {
  NtkProblem<T> kernel;
  kernel.network = problem.network;
  kernel.weights = problem.weights;
  kernel.x1 = problem.x1;
  kernel.x2 = problem.x2;
  kernel.nngp = problem.nngp;
  kernel.limits = problem.limits;
  return kernel;
}

}  // namespace

void ntk(Context& context, const NtkProblem<float>& problem) { run(context, problem); }
void ntk(Context& context, const NtkProblem<double>& problem) { run(context, problem); }
void nngp(Context& context, const NngpProblem<float>& problem) { run(context, features_only(problem)); }
void nngp(Context& context, const NngpProblem<double>& problem) { run(context, features_only(problem)); }

}  // namespace widelab::cuda
