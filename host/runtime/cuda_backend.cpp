#include "host/runtime/cuda_backend.hpp"

#include <optional>
#include <string>
#include <vector>

#include "kernels/cuda/support/device_array.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::runtime {
namespace {

/// A host matrix, packed and uploaded; nothing where the view is null.
template <class T>
class UploadedMatrix {
 public:
  UploadedMatrix(cuda::Context& context, const char* name, MatrixView<const T> host) : host_(host) {
    if (!host.data) return;
    std::vector<T> packed;
    if (host.stride != host.cols) {
      for (Index i = 0; i < host.rows; ++i) packed.insert(packed.end(), host.row(i), host.row(i) + host.cols);
    }
    array_.emplace(context, name, packed.empty() ? host.data : packed.data(), host.size());
  }
  MatrixView<const T> view() const {
    return array_ ? matrix_view<const T>(array_->data(), host_.rows, host_.cols) : MatrixView<const T>{};
  }

 private:
  MatrixView<const T> host_;
  std::optional<cuda::DeviceArray<T>> array_;
};

/// A result: device memory that is copied to `host` by fetch(); nothing where host is null.
template <class T>
class Result {
 public:
  Result(cuda::Context& context, const char* name, T* host, Index size) : host_(host) {
    if (host) array_.emplace(context, name, size);
  }
  T* device() const { return array_ ? array_->data() : nullptr; }
  void fetch() const {
    if (array_) array_->download(host_);
  }

 private:
  T* host_;
  std::optional<cuda::DeviceArray<T>> array_;
};

/// Stored weights, uploaded; drawn ones stay ids.
template <class T>
class UploadedWeights {
 public:
  UploadedWeights(cuda::Context& context, const Network& network, const MemberWeights<T>& weights) : weights_(weights) {
    if (!weights.stored) return;
    array_.emplace(context, "stored weights", weights.stored, weights.members * ParamLayout(network.shape).size);
    weights_.stored = array_->data();
  }
  const MemberWeights<T>& on_device() const { return weights_; }

 private:
  MemberWeights<T> weights_;
  std::optional<cuda::DeviceArray<T>> array_;
};

/// An op that exists on the CPU alone.
[[noreturn]] void refuse_op(const std::string& op) {
  throw PlanError("op " + op + " has no CUDA code in this release: take --device cpu");
}

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(int ordinal) : context_(cuda::make_context(ordinal, {})) {
    const cuda::DeviceDescription& device = cuda::description(*context_);
    info_ = {"cuda", device.name, device.ordinal, device.memory_bytes, device.detail + ", " + cuda::library_versions()};
  }
  const DeviceInfo& info() const override { return info_; }

  void init(const InitProblem<float>& problem) override { run(problem); }
  void init(const InitProblem<double>& problem) override { run(problem); }
  void forward(const ForwardProblem<float>& problem) override { run(problem); }
  void forward(const ForwardProblem<double>& problem) override { run(problem); }
  void nngp(const NngpProblem<float>& problem) override { run(problem); }
  void nngp(const NngpProblem<double>& problem) override { run(problem); }
  void ntk(const NtkProblem<float>& problem) override { run(problem); }
  void ntk(const NtkProblem<double>& problem) override { run(problem); }

  void law_exact_ntk(const LawExactProblem& problem) override {
    const UploadedMatrix<double> inputs(*context_, "inputs", problem.inputs);
    const Index n = problem.inputs.rows, columns = n * problem.network->shape.outputs;
    const Result<double> ntk(*context_, "ntk", problem.ntk, problem.members * columns * columns);
    const Result<double> nngp(*context_, "nngp", problem.nngp, problem.members * n * n);
    const Result<double> outputs(*context_, "outputs", problem.outputs, problem.members * columns);
    LawExactProblem there = problem;
    there.inputs = inputs.view();
    there.ntk = ntk.device();
    there.nngp = nngp.device();
    there.outputs = outputs.device();
    cuda::law_exact_ntk(*context_, there);
    ntk.fetch();
    nngp.fetch();
    outputs.fetch();
  }

  void ridge_path(const RidgePathProblem&) override { refuse_op("ridge_path"); }
  void kernel_ridge_path(const KernelRidgePathProblem&) override { refuse_op("kernel_ridge_path"); }

  void train(const TrainProblem<float>& problem) override {
    if (problem.engine == TrainEngine::reference) refuse_fp32_reference();
    cuda::train(*context_, problem);
  }
  void train(const TrainProblem<double>& problem) override {
    problem.engine == TrainEngine::reference ? reference::train(problem) : cuda::train(*context_, problem);
  }

 private:
  template <class T>
  void run(const InitProblem<T>& problem) {
    const Result<T> parameters(*context_, "parameters", problem.parameters,
                               problem.members * ParamLayout(problem.network->shape).size);
    InitProblem<T> there = problem;
    there.parameters = parameters.device();
    cuda::init(*context_, there);
    parameters.fetch();
  }

  template <class T>
  void run(const ForwardProblem<T>& problem) {
    const UploadedWeights<T> weights(*context_, *problem.network, problem.weights);
    const UploadedMatrix<T> inputs(*context_, "inputs", problem.inputs);
    const Result<T> outputs(*context_, "outputs", problem.outputs,
                            problem.weights.members * problem.inputs.rows * problem.network->shape.outputs);
    ForwardProblem<T> there = problem;
    there.weights = weights.on_device();
    there.inputs = inputs.view();
    there.outputs = outputs.device();
    cuda::forward(*context_, there);
    outputs.fetch();
  }

  template <class T>
  void run(const NngpProblem<T>& problem) {
    const UploadedWeights<T> weights(*context_, *problem.network, problem.weights);
    const UploadedMatrix<T> x1(*context_, "x1", problem.x1), x2(*context_, "x2", problem.x2);
    const Index cols = problem.x2.data ? problem.x2.rows : problem.x1.rows;
    const Result<double> nngp(*context_, "nngp", problem.nngp, problem.weights.members * problem.x1.rows * cols);
    NngpProblem<T> there = problem;
    there.weights = weights.on_device();
    there.x1 = x1.view();
    there.x2 = x2.view();
    there.nngp = nngp.device();
    cuda::nngp(*context_, there);
    nngp.fetch();
  }

  template <class T>
  void run(const NtkProblem<T>& problem) {
    const UploadedWeights<T> weights(*context_, *problem.network, problem.weights);
    const UploadedMatrix<T> x1(*context_, "x1", problem.x1), x2(*context_, "x2", problem.x2);
    const Index members = problem.weights.members;
    const Result<double> ntk(*context_, "ntk", problem.ntk, members * problem.entries());
    const Result<double> nngp(*context_, "nngp", problem.nngp, members * problem.rows() * problem.cols());
    const Result<T> outputs(*context_, "outputs", problem.outputs,
                            members * problem.rows() * problem.network->shape.outputs);
    NtkProblem<T> there = problem;
    there.weights = weights.on_device();
    there.x1 = x1.view();
    there.x2 = x2.view();
    there.ntk = ntk.device();
    there.nngp = nngp.device();
    there.outputs = outputs.device();
    cuda::ntk(*context_, there);
    ntk.fetch();
    nngp.fetch();
    outputs.fetch();
  }

  cuda::ContextHandle context_;
  DeviceInfo info_;
};

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(int ordinal) { return std::make_unique<CudaBackend>(ordinal); }

}  // namespace widelab::runtime
