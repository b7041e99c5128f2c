// Stand-ins for the CUDA backend in a build without it: the same names, an error that says what to do.
#include "kernels/cuda/support/device.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/ops/forward.hpp"
#include "widelab/ops/gradient_gram.hpp"
#include "widelab/ops/init.hpp"
#include "widelab/ops/kernel_ridge_path.hpp"
#include "widelab/ops/law_exact_ntk.hpp"
#include "widelab/ops/nngp.hpp"
#include "widelab/ops/ntk.hpp"
#include "widelab/ops/ridge_path.hpp"
#include "widelab/ops/train.hpp"

namespace widelab::cuda {
namespace {

[[noreturn]] void not_compiled() {
  throw BackendNotCompiled(
      "this build of widelab has no CUDA code: configure with -DWIDELAB_CUDA=ON where nvcc is on the PATH and build "
      "again, or run "
      "with --device cpu");
}

}  // namespace

bool compiled() { return false; }
std::vector<DeviceDescription> list_devices() { return {}; }
std::string library_versions() { return "none"; }

void ContextDeleter::operator()(Context* /*context*/) const noexcept {}
ContextHandle make_context(int, const DeviceLimits&) { not_compiled(); }
const DeviceDescription& description(const Context&) { not_compiled(); }
void* allocate(Context&, std::size_t, const std::string&) { not_compiled(); }
void release(Context&, void*) noexcept {}
void copy_to_device(Context&, void*, const void*, std::size_t) { not_compiled(); }
void copy_to_host(Context&, void*, const void*, std::size_t) { not_compiled(); }

void init(Context&, const InitProblem<float>&) { not_compiled(); }
void init(Context&, const InitProblem<double>&) { not_compiled(); }
void forward(Context&, const ForwardProblem<float>&) { not_compiled(); }
void forward(Context&, const ForwardProblem<double>&) { not_compiled(); }
void nngp(Context&, const NngpProblem<float>&) { not_compiled(); }
void nngp(Context&, const NngpProblem<double>&) { not_compiled(); }
void ntk(Context&, const NtkProblem<float>&) { not_compiled(); }
void ntk(Context&, const NtkProblem<double>&) { not_compiled(); }
void gradient_gram(Context&, const GradientGramProblem<float>&) { not_compiled(); }
void gradient_gram(Context&, const GradientGramProblem<double>&) { not_compiled(); }
void law_exact_ntk(Context&, const LawExactProblem&) { not_compiled(); }
void ridge_path(Context&, const RidgePathProblem&) { not_compiled(); }
void kernel_ridge_path(Context&, const KernelRidgePathProblem&) { not_compiled(); }
void train(Context&, const TrainProblem<float>&) { not_compiled(); }
void train(Context&, const TrainProblem<double>&) { not_compiled(); }

}  // namespace widelab::cuda
