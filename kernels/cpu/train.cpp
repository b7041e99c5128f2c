#include "widelab/ops/train.hpp"
#include "kernels/cpu/train_fused.hpp"
#include "kernels/cpu/train_gemm.hpp"
#include "widelab/ops/train_checks.hpp"

namespace widelab::cpu {
namespace {

template <class T>
void train_by_engine(const TrainProblem<T>& problem) {
  if (problem.engine == TrainEngine::gemm) return train_gemm(problem);
  WIDELAB_REQUIRE(
      problem.engine == TrainEngine::fused,
      std::string("the engine must be chosen before the op is called, not \"") + engine_name(problem.engine) + "\"");
  check_train(problem);
  train_fused(problem);
}

}  // namespace

void train(const TrainProblem<float>& problem) { train_by_engine(problem); }
void train(const TrainProblem<double>& problem) { train_by_engine(problem); }

}  // namespace widelab::cpu
