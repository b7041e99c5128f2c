#include "host/runtime/backend.hpp"

#include <dlfcn.h>

#include <charconv>

#include "host/runtime/cuda_backend.hpp"
#include "kernels/cpu/blas.hpp"
#include "kernels/cuda/support/device.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::runtime {
namespace {

class CpuBackend final : public Backend {
 public:
  const DeviceInfo& info() const override { return info_; }
  void init(const InitProblem<float>& problem) override { cpu::init(problem); }
  void init(const InitProblem<double>& problem) override { cpu::init(problem); }
  void forward(const ForwardProblem<float>& problem) override { cpu::forward(problem); }
  void forward(const ForwardProblem<double>& problem) override { cpu::forward(problem); }
  void nngp(const NngpProblem<float>& problem) override { cpu::nngp(problem); }
  void nngp(const NngpProblem<double>& problem) override { cpu::nngp(problem); }
  void ntk(const NtkProblem<float>& problem) override { cpu::ntk(problem); }
  void ntk(const NtkProblem<double>& problem) override { cpu::ntk(problem); }
  void gradient_gram(const GradientGramProblem<float>& problem) override { cpu::gradient_gram(problem); }
  void gradient_gram(const GradientGramProblem<double>& problem) override { cpu::gradient_gram(problem); }
  void hvp(const HvpProblem<float>& problem) override { cpu::hvp(problem); }
  void hvp(const HvpProblem<double>& problem) override { cpu::hvp(problem); }
  void law_exact_ntk(const LawExactProblem& problem) override { cpu::law_exact_ntk(problem); }
  void ridge_path(const RidgePathProblem& problem) override { cpu::ridge_path(problem); }
  void kernel_ridge_path(const KernelRidgePathProblem& problem) override { cpu::kernel_ridge_path(problem); }
  void train(const TrainProblem<float>& problem) override {
    if (problem.engine == TrainEngine::reference) refuse_fp32_reference();
    cpu::train(problem);
  }
  void train(const TrainProblem<double>& problem) override {
    problem.engine == TrainEngine::reference ? reference::train(problem) : cpu::train(problem);
  }

 private:
  DeviceInfo info_ = cpu_device();
};

/// I of "cuda:I", 0 for "cuda", -1 for anything else.
int cuda_ordinal(const std::string& request) {
  constexpr const char* kPrefix = "cuda:";
  if (request == "cuda") return 0;
  if (request.rfind(kPrefix, 0) != 0) return -1;
  int ordinal = -1;
  const char *begin = request.data() + 5, *end = request.data() + request.size();
  const auto [stopped, error] = std::from_chars(begin, end, ordinal);
  return error == std::errc{} && stopped == end && ordinal >= 0 ? ordinal : -1;
}

}  // namespace

Backend::~Backend() = default;

void refuse_fp32_reference() {
  throw RecipeError(
      "train.engine = \"reference\" with precision \"fp32\": the reference computes in double; take precision "
      "\"fp64\", or one of the engines \"auto\", \"fused\", \"gemm\"");
}

std::unique_ptr<Backend> make_backend(const std::string& request) {
  if (request == "cpu") return std::make_unique<CpuBackend>();
  if (request == "auto") {
    if (cuda::list_devices().empty()) return std::make_unique<CpuBackend>();
    return make_cuda_backend(0);
  }
  const int ordinal = cuda_ordinal(request);
  if (ordinal < 0)
    throw RecipeError("device = \"" + request +
                      "\": must be \"auto\", \"cpu\", \"cuda\" or \"cuda:I\" with I = 0, 1, ...");
  return make_cuda_backend(ordinal);
}

void fix_blas_threads() { cpu::use_single_threaded_blas(); }

std::string blas_description() {
  // The library behind cblas_dgemm is found by its own symbols: none of them is in the standard interface.
  if (void* symbol = dlsym(RTLD_DEFAULT, "openblas_get_config"))
    return std::string("OpenBLAS: ") + reinterpret_cast<char* (*)()>(symbol)();
  if (dlsym(RTLD_DEFAULT, "MKL_Get_Version_String")) return "Intel MKL";
  if (dlsym(RTLD_DEFAULT, "bli_info_get_version_str")) return "BLIS";
  return "a BLAS that does not say its name";
}

std::vector<std::string> never_ran_on_device() {
  return {"init on CUDA",
          "forward on CUDA",
          "nngp on CUDA",
          "ntk on CUDA",
          "law_exact_ntk on CUDA",
          "train fused on CUDA",
          "train gemm on CUDA",
          "ridge_path on CUDA",
          "kernel_ridge_path on CUDA",
          "gradient_gram on CUDA",
          "hvp on CUDA: there is none, the host does it"};
}

}  // namespace widelab::runtime
