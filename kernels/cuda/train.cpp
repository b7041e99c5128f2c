#include "kernels/cuda/fused/train_fused.hpp"
#include "kernels/cuda/gemm/train_gemm.hpp"
#include "kernels/cuda/support/context.hpp"
#include "widelab/ops/train_checks.hpp"

namespace widelab::cuda {
namespace {

template <class T>
void check_supported(const TrainProblem<T>& problem) {
  if (problem.engine != TrainEngine::fused && problem.engine != TrainEngine::gemm)
    throw PlanError(std::string("train.engine = \"") + engine_name(problem.engine) +
                    "\": CUDA has \"fused\" and \"gemm\": take one of them, or --device cpu");
  if (problem.engine == TrainEngine::gemm) check_window(problem);
}

template <class T>
void run(Context& context, const TrainProblem<T>& problem) {
  check_train(problem);
  check_supported(problem);
  if (problem.steps.last == problem.steps.first) return;
  const DeviceGuard guard(context);
  const DeviceDatasets<T> datasets(context, problem);
  if (problem.engine == TrainEngine::fused) return train_fused(context, problem, datasets.on_host());
  for (const TrainGroup<T>& group : problem.groups) train_gemm(context, problem, group, datasets.on_device());
}

}  // namespace

void train(Context& context, const TrainProblem<float>& problem) { run(context, problem); }
void train(Context& context, const TrainProblem<double>& problem) { run(context, problem); }

}  // namespace widelab::cuda
