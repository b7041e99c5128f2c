// Where the ops run. Above this line every pointer is host memory; a backend moves what it must.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/runtime/devices.hpp"
#include "widelab/ops/forward.hpp"
#include "widelab/ops/gradient_gram.hpp"
#include "widelab/ops/hvp.hpp"
#include "widelab/ops/init.hpp"
#include "widelab/ops/kernel_ridge_path.hpp"
#include "widelab/ops/law_exact_ntk.hpp"
#include "widelab/ops/nngp.hpp"
#include "widelab/ops/ntk.hpp"
#include "widelab/ops/ridge_path.hpp"
#include "widelab/ops/train.hpp"

namespace widelab::runtime {

/// The ops of include/widelab/ops on one device; used by one thread at a time. Errors are those of the ops.
class Backend {
 public:
  virtual ~Backend();
  virtual const DeviceInfo& info() const = 0;

  virtual void init(const InitProblem<float>& problem) = 0;
  virtual void init(const InitProblem<double>& problem) = 0;
  virtual void forward(const ForwardProblem<float>& problem) = 0;
  virtual void forward(const ForwardProblem<double>& problem) = 0;
  virtual void nngp(const NngpProblem<float>& problem) = 0;
  virtual void nngp(const NngpProblem<double>& problem) = 0;
  virtual void ntk(const NtkProblem<float>& problem) = 0;
  virtual void ntk(const NtkProblem<double>& problem) = 0;
  virtual void gradient_gram(const GradientGramProblem<float>& problem) = 0;
  virtual void gradient_gram(const GradientGramProblem<double>& problem) = 0;
  /// On the CPU only: PlanError from a CUDA backend.
  virtual void hvp(const HvpProblem<float>& problem) = 0;
  virtual void hvp(const HvpProblem<double>& problem) = 0;
  virtual void law_exact_ntk(const LawExactProblem& problem) = 0;
  virtual void ridge_path(const RidgePathProblem& problem) = 0;
  virtual void kernel_ridge_path(const KernelRidgePathProblem& problem) = 0;
  /// Engines fused, gemm and reference, whichever the problem names; the reference is in double: RecipeError in fp32.
  virtual void train(const TrainProblem<float>& problem) = 0;
  virtual void train(const TrainProblem<double>& problem) = 0;
};

/// "cpu"; "cuda" (= "cuda:0") or "cuda:I"; "auto": a CUDA device if there is one, else the CPU. A CUDA device that was
/// asked for is never replaced: DeviceError if it is absent, BackendNotCompiled if this build has no CUDA code.
/// RecipeError for any other request.
std::unique_ptr<Backend> make_backend(const std::string& request);

/// RecipeError: what every backend answers to the reference trainer in fp32.
[[noreturn]] void refuse_fp32_reference();

/// One BLAS thread for each thread that calls: BLAS and LAPACK round differently with another number, and widelab
/// parallelises above them. Idempotent.
void fix_blas_threads();

/// The BLAS that the CPU kernels use, as far as it says who it is.
std::string blas_description();

/// Code of this release that has never run on the device that it is for, one line each.
std::vector<std::string> never_ran_on_device();

}  // namespace widelab::runtime
