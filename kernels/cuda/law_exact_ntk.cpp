#include "widelab/ops/law_exact_ntk.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/grams.hpp"
#include "kernels/cuda/law_exact_kernels.hpp"
#include "kernels/cuda/support/errors.hpp"
#include "kernels/cuda/support/symmetric_eigen.hpp"
#include "widelab/base/contract.hpp"

namespace widelab::cuda {
namespace {

constexpr Index kUnitsPerBlock = 512;  ///< units of one product of a Gram; the products are summed with compensation
constexpr Index kMaxBlocksAtOnce = 256;
constexpr double kPartialBytes = 256e6;  ///< products of the blocks in flight

/// Per-layer state of a member; sizes do not depend on the width. Names as in the CPU's sampler.
struct LayerState {
  double* features = nullptr;        ///< A^T A of the layer's input, N x N
  double* root = nullptr;            ///< G^(1/2), N x N
  double* pseudo_inverse = nullptr;  ///< G^+, N x N
  double* noise = nullptr;           ///< A^T w, A the layer's output features, N x N O
  double* signals = nullptr;         ///< B^T B, N O x N O
  double* cross = nullptr;           ///< Z^T B, N x N O
};

struct Sizes {
  Index layers, inputs, outputs, blocks;  ///< blocks: of 512 units, in flight
  Index columns() const { return inputs * outputs; }
  Index units() const { return blocks * kUnitsPerBlock; }
};

struct Workspace {
  std::vector<LayerState> layers;
  double *covariance = nullptr, *signal_root = nullptr, *residual = nullptr, *conditioned = nullptr,
         *scaled_noise = nullptr;
  double *bias_noise = nullptr, *white = nullptr, *z = nullptr, *slope = nullptr, *w = nullptr, *b = nullptr;
  double *partial = nullptr, *carry = nullptr, *second_carry = nullptr;

  template <class Memory>
  void take_buffers(Memory& memory, const Sizes& s) {
    const Index n = s.inputs, c = s.columns(), units = s.units();
    const auto take = [&](Index count, const char* name) { return memory.template take<double>(count, name); };
    layers.resize(static_cast<std::size_t>(s.layers));
    for (LayerState& layer : layers)
      layer = {take(n * n, "A^T A"), take(n * n, "root of G"), take(n * n, "inverse of G"),
               take(n * c, "A^T w"), take(c * c, "B^T B"),     take(n * c, "Z^T B")};
    covariance = take(n * n, "G");
    signal_root = take(c * c, "root of B^T B");
    residual = take(n * c, "Z^T B - A^T xi");
    conditioned = take(n * c, "G^+ (Z^T B - A^T xi)");
    scaled_noise = take(n * c, "A^T w with biases");
    bias_noise = take(c, "bias row of w");
    white = take(n * units, "white noise of units");
    z = take(n * units, "pre-activations of units");
    slope = take(n * units, "slopes of units");
    w = take(c * units, "white noise of backward signals");
    b = take(c * units, "backward signals of units");
    partial = take(s.blocks * c * c, "Grams of blocks");
    carry = take(c * c, "rounding errors");
    second_carry = take(n * c, "rounding errors");
  }
};

/// One member after the other: a member's products fill the device as soon as the width or N does.
class Sampler {
 public:
  Sampler(Context& context, const LawExactProblem& problem, const Sizes& sizes)
      : context_(context),
        problem_(problem),
        network_(*problem.network),
        sizes_(sizes),
        n_(sizes.inputs),
        columns_(sizes.columns()),
        functions_(context, columns_) {
    work_.take_buffers(context.arena, sizes);
  }

  void run(Index member) {
    member_ = member;
    forward();
    readout();
    for (Index l = network_.shape.depth(); l >= 1; --l) backward(l);
    write_kernel();
  }

 private:
  const LayerScale& scale(Index l) const { return network_.layers[static_cast<std::size_t>(l)]; }
  LayerState& layer(Index l) { return work_.layers[static_cast<std::size_t>(l)]; }
  StreamId stream(Stream s, Index l) const { return problem_.init[member_].stream(s, static_cast<std::uint8_t>(l)); }

  /// c (rows x cols) = alpha op(a) op(b) + beta c, one product.
  void multiply(const GemmShape& shape, double alpha, const double* a, Index a_stride, const double* b, Index b_stride,
                double beta, double* c) {
    gemm(context_, shape, 1, alpha, {a, a_stride, 0}, {b, b_stride, 0}, beta, {c, shape.cols, 0});
  }

  void clear(double* values, Index size) {
    WIDELAB_CUDA(cudaMemsetAsync(values, 0, static_cast<std::size_t>(size) * sizeof(double), context_.stream));
  }

  /// sum (rows x cols) += a b^T over the units of a step, block by block.
  void add_products(const double* a, Index rows, const double* b, Index cols, double* sum, double* carry) {
    const Index units = sizes_.units();
    gemm(context_, {rows, cols, kUnitsPerBlock, Op::plain, Op::transposed}, sizes_.blocks, 1.0,
         {a, units, kUnitsPerBlock}, {b, units, kUnitsPerBlock}, 0.0, {work_.partial, cols, rows * cols});
    accumulate(context_, work_.partial, sizes_.blocks, rows * cols, sum, carry);
  }

  template <class Body>
  void for_each_step(Index width, Body&& body) {
    for (Index first = 0; first < width; first += sizes_.units())
      body(UnitStep{first, std::min(sizes_.units(), width - first), sizes_.units()});
  }

  void covariance(Index l, double* out) {
    affine(context_, n_ * n_, scale(l).weight_variance(), scale(l).bias_variance(), layer(l).features, out);
  }

  void forward() {
    const MatrixView<const double>& x = problem_.inputs;
    multiply({n_, n_, x.cols, Op::plain, Op::transposed}, 1.0, x.data, x.stride, x.data, x.stride, 0.0,
             layer(0).features);
    for (Index l = 0; l < network_.shape.layers(); ++l) {
      covariance(l, work_.covariance);
      functions_.evaluate(work_.covariance, n_, layer(l).root, l > 0 ? layer(l).pseudo_inverse : nullptr);
      if (l < network_.shape.depth()) forward_pass(l);
    }
  }

  /// z (N x units) = G^(1/2) g.
  void preactivations(Index l, const UnitStep& step) {
    fill_noise(context_, stream(Stream::law_exact_forward, l), step, n_, work_.white);
    multiply({n_, step.stride, n_}, 1.0, layer(l).root, n_, work_.white, step.stride, 0.0, work_.z);
  }

  void forward_pass(Index l) {
    double *gram = layer(l + 1).features, *noise = layer(l).noise;
    clear(gram, n_ * n_);
    clear(work_.carry, n_ * n_);
    clear(noise, n_ * columns_);
    clear(work_.second_carry, n_ * columns_);
    for_each_step(network_.shape.fan_out(l), [&](const UnitStep& step) {
      preactivations(l, step);
      activate_units(context_, network_.shape.activation, step, n_, work_.z, work_.z, nullptr);
      fill_noise(context_, stream(Stream::law_exact_backward, l), step, columns_, work_.w);
      add_products(work_.z, n_, work_.z, n_, gram, work_.carry);
      add_products(work_.z, n_, work_.w, columns_, noise, work_.second_carry);
    });
    settle(context_, n_ * n_, gram, work_.carry);
    settle(context_, n_ * columns_, noise, work_.second_carry);
  }

  void readout() {
    const Index depth = network_.shape.depth();
    preactivations(depth, {0, sizes_.outputs, sizes_.units()});
    write_readout(context_, {work_.z, sizes_.units(), n_, sizes_.outputs, layer(depth).signals, layer(depth).cross,
                             problem_.outputs ? problem_.outputs + member_ * columns_ : nullptr});
    if (problem_.nngp) covariance(depth, problem_.nngp + member_ * n_ * n_);
  }

  /// C = G^+ (Z^T B - [c_w A; c_b]^T xi), N x N O, with xi = w root.
  void condition(Index l) {
    const double weight = std::sqrt(scale(l).weight_variance()), bias = std::sqrt(scale(l).bias_variance());
    const std::size_t bytes = static_cast<std::size_t>(n_ * columns_) * sizeof(double);
    fill_noise(context_, stream(Stream::law_exact_backward, l - 1), {network_.shape.fan_in(l), 1, 1}, columns_,
               work_.bias_noise);
    WIDELAB_CUDA(
        cudaMemcpyAsync(work_.scaled_noise, layer(l - 1).noise, bytes, cudaMemcpyDeviceToDevice, context_.stream));
    add_bias_noise(context_, n_, columns_, weight, bias, work_.bias_noise, work_.scaled_noise);
    WIDELAB_CUDA(cudaMemcpyAsync(work_.residual, layer(l).cross, bytes, cudaMemcpyDeviceToDevice, context_.stream));
    multiply({n_, columns_, columns_}, -1.0, work_.scaled_noise, columns_, work_.signal_root, columns_, 1.0,
             work_.residual);
    multiply({n_, columns_, n_}, 1.0, layer(l).pseudo_inverse, n_, work_.residual, columns_, 0.0, work_.conditioned);
  }

  /// From the signals of layer l to those of layer l - 1: B = phi'(Z) o c_w (c_w A C + xi).
  void backward(Index l) {
    functions_.evaluate(layer(l).signals, columns_, work_.signal_root, nullptr);
    condition(l);
    const double weight_variance = scale(l).weight_variance(), weight = std::sqrt(weight_variance);
    double *gram = layer(l - 1).signals, *cross = layer(l - 1).cross;
    clear(gram, columns_ * columns_);
    clear(work_.carry, columns_ * columns_);
    clear(cross, n_ * columns_);
    clear(work_.second_carry, n_ * columns_);
    for_each_step(network_.shape.fan_in(l), [&](const UnitStep& step) {
      preactivations(l - 1, step);
      activate_units(context_, network_.shape.activation, step, n_, work_.z, work_.white, work_.slope);
      fill_noise(context_, stream(Stream::law_exact_backward, l - 1), step, columns_, work_.w);
      multiply({columns_, step.stride, columns_}, weight, work_.signal_root, columns_, work_.w, step.stride, 0.0,
               work_.b);
      multiply({columns_, step.stride, n_, Op::transposed, Op::plain}, weight_variance, work_.conditioned, columns_,
               work_.white, step.stride, 1.0, work_.b);
      multiply_by_slope(context_, step, columns_, sizes_.outputs, work_.slope, work_.b);
      add_products(work_.b, columns_, work_.b, columns_, gram, work_.carry);
      add_products(work_.z, n_, work_.b, columns_, cross, work_.second_carry);
    });
    settle(context_, columns_ * columns_, gram, work_.carry);
    settle(context_, n_ * columns_, cross, work_.second_carry);
  }

  /// Theta = sum_l (kw A^T A + kb) o B^T B.
  void write_kernel() {
    KernelPlacement at;
    at.blocks = NtkBlocks::full;
    at.members = 1;
    at.outputs = sizes_.outputs;
    at.rows = at.cols = at.all_rows = at.all_cols = n_;
    for (Index l = 0; l < network_.shape.layers(); ++l)
      add_layer(context_,
                {layer(l).features, 0, layer(l).signals, scale(l).weight_kernel(), scale(l).bias_kernel(), l == 0}, at,
                problem_.ntk + member_ * columns_ * columns_);
  }

  Context& context_;
  const LawExactProblem& problem_;
  const Network& network_;
  Sizes sizes_;
  Index n_, columns_;
  GramFunctions functions_;
  Workspace work_;
  Index member_ = 0;
};

double workspace_bytes(const Sizes& sizes) {
  ByteCounter counter;
  Workspace().take_buffers(counter, sizes);
  return counter.bytes();
}

/// As many blocks of units at once as the widest layer has and memory allows; at least the readout's units.
Sizes choose_sizes(const LawExactProblem& problem, double limit) {
  const MlpShape& shape = problem.network->shape;
  Sizes sizes{shape.layers(), problem.inputs.rows, shape.outputs, 1};
  const Index widest = *std::max_element(shape.widths.begin(), shape.widths.end());
  const Index least = ceil_div(shape.outputs, kUnitsPerBlock);
  const double columns = static_cast<double>(sizes.columns());
  const Index by_partial = static_cast<Index>(kPartialBytes / (8 * columns * columns));
  sizes.blocks = std::max(least, std::min({ceil_div(widest, kUnitsPerBlock), kMaxBlocksAtOnce, by_partial}));
  while (workspace_bytes(sizes) > limit && sizes.blocks > least) sizes.blocks = std::max(least, sizes.blocks / 2);
  if (workspace_bytes(sizes) > limit)
    throw PlanError("law_exact_ntk of " + std::to_string(sizes.inputs) + " inputs and " +
                    std::to_string(sizes.outputs) + " outputs needs " + std::to_string(workspace_bytes(sizes) * 1e-9) +
                    " GB of workspace on the device, more than the limit of " + std::to_string(limit * 1e-9) +
                    " GB: use fewer inputs or outputs, or a larger memory limit");
  return sizes;
}

}  // namespace

void law_exact_ntk(Context& context, const LawExactProblem& problem) {
  check_law_exact(*problem.network);
  WIDELAB_REQUIRE(problem.inputs.cols == problem.network->shape.input_dim && problem.inputs.rows > 0,
                  "inputs must be N x d, N > 0");
  const DeviceGuard guard(context);
  const Sizes sizes = choose_sizes(problem, context.workspace_limit);
  context.arena.reserve(workspace_bytes(sizes), "law_exact_ntk");
  Sampler sampler(context, problem, sizes);
  for (Index member = 0; member < problem.members; ++member) sampler.run(member);
  synchronise(context);
}

}  // namespace widelab::cuda
