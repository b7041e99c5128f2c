#include "host/runtime/cuda_backend.hpp"

#include <optional>
#include <string>
#include <vector>

#include "kernels/cuda/support/device_array.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/ops/ridge_checks.hpp"

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

/// An array that the device reads; nothing where host is null.
class Uploaded {
 public:
  Uploaded(cuda::Context& context, const char* name, const double* host, Index size) {
    if (host) array_.emplace(context, name, host, size);
  }
  const double* device() const { return array_ ? array_->data() : nullptr; }

 private:
  std::optional<cuda::DeviceArray<double>> array_;
};

/// The results that a ridge path and a kernel ridge path have in common: `length` coefficients a row.
template <class Problem>
class RidgeResults {
 public:
  RidgeResults(cuda::Context& context, const Problem& problem, Index length)
      : cases_(problem.members * static_cast<Index>(problem.sizes.size() * problem.filters.size())),
        each_(problem.targets_per_example),
        coefficients_(context, "coefficients", problem.coefficients, cases_ * each_ * length),
        predictions_(context, "predictions", problem.predictions, cases_ * problem.test_examples * each_),
        residuals_(context, "residuals", problem.residuals, cases_ * each_ * each_),
        norms_(context, "norms", problem.norms, cases_ * each_ * each_) {}

  void hand_to(Problem& problem) const {
    problem.coefficients = coefficients_.device();
    problem.predictions = predictions_.device();
    problem.residuals = residuals_.device();
    problem.norms = norms_.device();
  }
  void fetch() const {
    for (const Result<double>* result : {&coefficients_, &predictions_, &residuals_, &norms_}) result->fetch();
  }

 private:
  Index cases_, each_;
  Result<double> coefficients_, predictions_, residuals_, norms_;
};

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
  void gradient_gram(const GradientGramProblem<float>& problem) override { run(problem); }
  void gradient_gram(const GradientGramProblem<double>& problem) override { run(problem); }
  void hvp(const HvpProblem<float>& problem) override { hvp_on_host(problem); }
  void hvp(const HvpProblem<double>& problem) override { hvp_on_host(problem); }

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

  void ridge_path(const RidgePathProblem& problem) override {
    check_ridge_path(problem);
    const FeatureSource& source = problem.features;
    const Index copies = source.shared_inputs ? 1 : problem.members;
    const Index test_copies = source.kind == FeatureKind::given ? copies : 1;
    const Uploaded inputs(*context_, "inputs", source.inputs, copies * problem.examples * source.dimension),
        tests(*context_, "test inputs", problem.test_inputs, test_copies * problem.test_examples * source.dimension),
        targets(*context_, "targets", problem.targets,
                problem.members * problem.examples * problem.targets_per_example);
    const RidgeResults results(*context_, problem, problem.columns());
    RidgePathProblem there = problem;
    there.features.inputs = inputs.device();
    there.test_inputs = tests.device();
    there.targets = targets.device();
    results.hand_to(there);
    cuda::ridge_path(*context_, there);
    results.fetch();
  }

  void kernel_ridge_path(const KernelRidgePathProblem& problem) override {
    check_kernel_ridge_path(problem);
    const Index n = problem.examples, members = problem.members;
    const Uploaded kernels(*context_, "kernels", problem.kernels, (problem.shared_kernels ? 1 : members) * n * n),
        targets(*context_, "targets", problem.targets, members * n * problem.targets_per_example),
        cross(*context_, "cross kernels", problem.cross,
              (problem.shared_cross ? 1 : members) * problem.test_examples * n);
    const RidgeResults results(*context_, problem, n);
    KernelRidgePathProblem there = problem;
    there.kernels = kernels.device();
    there.targets = targets.device();
    there.cross = cross.device();
    results.hand_to(there);
    cuda::kernel_ridge_path(*context_, there);
    results.fetch();
  }

  void train(const TrainProblem<float>& problem) override {
    if (problem.engine == TrainEngine::reference) refuse_fp32_reference();
    cuda::train(*context_, problem);
  }
  void train(const TrainProblem<double>& problem) override {
    problem.engine == TrainEngine::reference ? reference::train(problem) : cuda::train(*context_, problem);
  }

 private:
  /// There are no kernels for curvature products yet: the host's cores and memory do them, exactly as without a GPU.
  template <class T>
  static void hvp_on_host(HvpProblem<T> problem) {
    problem.limits = {};
    cpu::hvp(problem);
  }

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

  template <class T>
  void run(const GradientGramProblem<T>& problem) {
    const Index members = problem.weights.members, n = problem.inputs.rows, k = problem.network->shape.outputs;
    const UploadedWeights<T> weights(*context_, *problem.network, problem.weights);
    const UploadedMatrix<T> inputs(*context_, "inputs", problem.inputs);
    const cuda::DeviceArray<T> targets(*context_, "targets", problem.targets, n * k);
    const Result<double> gram(*context_, "gradient Gram", problem.gram, members * n * n),
        squares(*context_, "gradient squares", problem.squares, members * n);
    const Result<T> outputs(*context_, "outputs", problem.outputs, members * n * k);
    GradientGramProblem<T> there = problem;
    there.weights = weights.on_device();
    there.inputs = inputs.view();
    there.targets = targets.data();
    there.gram = gram.device();
    there.squares = squares.device();
    there.outputs = outputs.device();
    cuda::gradient_gram(*context_, there);
    gram.fetch();
    squares.fetch();
    outputs.fetch();
  }

  cuda::ContextHandle context_;
  DeviceInfo info_;
};

}  // namespace

std::unique_ptr<Backend> make_cuda_backend(int ordinal) { return std::make_unique<CudaBackend>(ordinal); }

}  // namespace widelab::runtime
