// The op on kernels, written once: tangent and feature kernels of outputs, and Gram matrices of loss gradients.
#pragma once

#include <optional>

#include "kernels/cuda/grams.hpp"
#include "kernels/cuda/signals.hpp"
#include "kernels/cuda/support/device_array.hpp"
#include "kernels/cuda/support/errors.hpp"
#include "kernels/cuda/workspace_limit.hpp"
#include "widelab/ops/ntk.hpp"

namespace widelab::cuda {

/// Makes loss gradients of what would be tangent kernels: blocks = trace, and "ntk" is the Gram matrix.
template <class T>
struct LossGradients {
  bool wanted = false;
  LossKind loss = LossKind::half_squared;
  const T* targets = nullptr;  ///< device memory: N x O
  double* squares = nullptr;   ///< device memory: members x N, or null
};

template <class T>
MatrixView<const T> tile_of(MatrixView<const T> x, Index first, Index tile) {
  return {x.row(first), std::min(tile, x.rows - first), x.cols, x.stride};
}

/// Everything that an op on kernels holds on the device beside its inputs and results.
template <class T>
class KernelWorkspace {
 public:
  KernelWorkspace(Context& context, const NtkProblem<T>& problem, bool of_loss, const BatchPlan& plan)
      : panels(context, *problem.network, problem.weights, plan),
        first(context, *problem.network, plan, {problem.ntk || of_loss, problem.outputs != nullptr, of_loss}),
        second(context, *problem.network, plan, {problem.ntk != nullptr, false, of_loss}),
        plan_(plan),
        kernels_(problem.ntk != nullptr || problem.nngp != nullptr),
        two_tiles_(kernels_ && (problem.x2.data != nullptr || plan.tile < problem.x1.rows)) {}

  template <class Memory>
  void take_buffers(Memory& memory, const NtkProblem<T>& problem) {
    panels.take_buffers(memory);
    first.take_buffers(memory);
    if (two_tiles_) second.take_buffers(memory);
    if (!kernels_) return;
    const Index rows = std::min(plan_.tile, problem.rows()), cols = std::min(plan_.tile, problem.cols());
    const Index signals = problem.ntk ? signal_entries(problem.blocks, first.backward_rows(), rows, cols) : 0;
    feature_gram = memory.template take<double>(plan_.slots * rows * cols, "Gram of features");
    signal_gram = memory.template take<double>(plan_.slots * signals, "Gram of backward signals");
    if (sizeof(T) < sizeof(double))
      partial = memory.template take<T>(plan_.slots * std::max(rows * cols, signals), "partial sums of a Gram");
  }

  WeightPanels<T> panels;
  SignalTile<T> first, second;
  double* feature_gram = nullptr;
  double* signal_gram = nullptr;
  T* partial = nullptr;

 private:
  BatchPlan plan_;
  bool kernels_, two_tiles_;
};

template <class T>
class KernelOp {
 public:
  KernelOp(Context& context, const NtkProblem<T>& problem, const LossGradients<T>& gradients, const BatchPlan& plan)
      : context_(context),
        problem_(problem),
        gradients_(gradients),
        network_(*problem.network),
        shape_(network_.shape),
        plan_(plan),
        symmetric_(problem.x2.data == nullptr),
        x2_(symmetric_ ? problem.x1 : problem.x2),
        work_(context, problem, gradients.wanted, plan) {
    const std::vector<float> multipliers = concatenated_multipliers(shape_);
    if (!multipliers.empty())
      multipliers_.emplace(context, "unit multipliers", multipliers.data(), static_cast<Index>(multipliers.size()));
    context.arena.reserve(plan.bytes, "kernels");
    work_.take_buffers(context.arena, problem);
    for (SignalTile<T>* tile : {&work_.first, &work_.second})
      tile->set_multipliers(multipliers_ ? multipliers_->data() : nullptr);
  }

  void run() {
    for (Index member = 0; member < problem_.weights.members; member += plan_.slots) {
      first_member_ = member;
      work_.panels.begin_batch(member, std::min(plan_.slots, problem_.weights.members - member));
      for (Index row = 0; row < problem_.x1.rows; row += plan_.tile) run_row(row);
    }
    synchronise(context_);
  }

 private:
  /// All pairs of tiles whose first begins at input `row`. Symmetric problems form the lower triangle of pairs.
  void run_row(Index row) {
    forward(work_.first, problem_.x1, row);
    if (problem_.outputs) copy_outputs(row);
    if (gradients_.squares) squares(row);
    if (!problem_.ntk && !problem_.nngp) return;
    const Index end = symmetric_ ? row + 1 : x2_.rows;
    for (Index col = 0; col < end; col += plan_.tile) {
      const bool same = symmetric_ && col == row;
      // Backward signals of the first tile are made anew for every pair: from the outputs' slopes on.
      if (!same) forward(work_.second, x2_, col);
      contract(work_.first, same ? work_.first : work_.second, row, col);
    }
  }

  void forward(SignalTile<T>& tile, MatrixView<const T> x, Index first) {
    tile.forward(work_.panels, tile_of(x, first, plan_.tile));
    if (gradients_.wanted) tile.differentiate(gradients_.loss, gradients_.targets + first * shape_.outputs);
  }

  double branch_square(Index layer) const {
    return shape_.is_residual(layer) ? shape_.residual * shape_.residual : 1.0;
  }

  /// |g|^2 of the first tile's inputs, layer by layer.
  void squares(Index row) {
    SignalTile<T>& tile = work_.first;
    SquareTask<T> task;
    task.members = work_.panels.members();
    task.inputs = tile.inputs();
    task.first = row;
    task.all_inputs = problem_.x1.rows;
    task.squares = gradients_.squares + first_member_ * problem_.x1.rows;
    task.set = true;
    for (Index l = shape_.depth(); l >= 0; --l) {
      if (l < shape_.depth()) tile.backward(work_.panels, l);
      if (l > 0) tile.load_features(l - 1);
      const BatchedMatrix<const T> h = tile.layer_input(l);
      const LayerScale& scale = network_.layers[static_cast<std::size_t>(l)];
      task.h = h.data, task.h_stride = h.stride, task.h_slot = h.slot_stride, task.fan_in = shape_.fan_in(l);
      task.delta = l == shape_.depth() ? tile.df() : tile.b();
      task.fan_out = shape_.fan_out(l);
      task.weight_kernel = branch_square(l) * scale.weight_kernel();
      task.bias_kernel = branch_square(l) * scale.bias_kernel();
      add_gradient_squares(context_, task);
      task.set = false;
    }
  }

  void copy_outputs(Index row) {
    const std::size_t block = static_cast<std::size_t>(work_.first.inputs() * shape_.outputs) * sizeof(T);
    const std::size_t member = static_cast<std::size_t>(problem_.x1.rows * shape_.outputs) * sizeof(T);
    WIDELAB_CUDA(cudaMemcpy2DAsync(problem_.outputs + (first_member_ * problem_.x1.rows + row) * shape_.outputs, member,
                                   work_.first.f(), block, block, static_cast<std::size_t>(work_.panels.members()),
                                   cudaMemcpyDeviceToDevice, context_.stream));
  }

  KernelPlacement placement(const SignalTile<T>& a, const SignalTile<T>& b, Index row, Index col) const {
    KernelPlacement at;
    at.blocks = problem_.blocks;
    at.members = work_.panels.members();
    at.outputs = a.backward_rows();
    at.rows = a.inputs();
    at.cols = b.inputs();
    at.row = row;
    at.col = col;
    at.all_rows = problem_.rows();
    at.all_cols = problem_.cols();
    at.mirror = symmetric_ && row != col;
    return at;
  }

  /// Layers from the readout down: each needs the features below it and the signals at it, then the signals go on.
  void contract(SignalTile<T>& a, SignalTile<T>& b, Index row, Index col) {
    const KernelPlacement at = placement(a, b, row, col);
    bool first = true;
    for (Index l = shape_.depth(); l >= 0; --l) {
      const bool readout = l == shape_.depth();
      const LayerScale& scale = network_.layers[static_cast<std::size_t>(l)];
      const double weight_kernel = branch_square(l) * scale.weight_kernel(),
                   bias_kernel = branch_square(l) * scale.bias_kernel();
      const bool trained = problem_.ntk && (weight_kernel != 0.0 || bias_kernel != 0.0);
      if (trained || (readout && problem_.nngp)) feature_gram(a, b, l, at);
      if (readout && problem_.nngp)
        write_nngp(context_, work_.feature_gram, scale.weight_variance(), scale.bias_variance(), at,
                   problem_.nngp + first_member_ * problem_.rows() * problem_.cols());
      if (!problem_.ntk) return;
      if (trained) {
        const bool identity = readout && !gradients_.wanted;  // df_o/dz = 1 where o is the unit, else 0
        if (!identity) signal_gram(a, b, l, at);
        add_layer(context_,
                  {work_.feature_gram, l == 0 ? 0 : at.rows * at.cols, identity ? nullptr : work_.signal_gram,
                   weight_kernel, bias_kernel, first},
                  at, problem_.ntk + first_member_ * problem_.entries());
        first = false;
      }
      if (l == 0) break;
      a.backward(work_.panels, l - 1);
      if (&a != &b) b.backward(work_.panels, l - 1);
    }
    if (!first) return;
    // No trained layer: the kernel is 0.
    WIDELAB_CUDA(cudaMemsetAsync(problem_.ntk + first_member_ * problem_.entries(), 0,
                                 static_cast<std::size_t>(at.members * problem_.entries()) * sizeof(double),
                                 context_.stream));
  }

  void feature_gram(SignalTile<T>& a, SignalTile<T>& b, Index layer, const KernelPlacement& at) {
    if (layer > 0) {
      a.load_features(layer - 1);
      b.load_features(layer - 1);
    }
    // The inputs are the same for all members.
    const Index slots = layer == 0 ? 1 : plan_.slots;
    gram(context_, {slots, at.rows, at.cols, shape_.fan_in(layer)}, a.layer_input(layer), b.layer_input(layer),
         work_.partial, work_.feature_gram, at.rows * at.cols);
  }

  void signal_gram(const SignalTile<T>& a, const SignalTile<T>& b, Index layer, const KernelPlacement& at) {
    const Index n = shape_.fan_out(layer), outputs = at.outputs;
    const T *above = layer == shape_.depth() ? a.df() : a.b(), *below = layer == shape_.depth() ? b.df() : b.b();
    const Index a_slot = at.rows * outputs * n, b_slot = at.cols * outputs * n;
    const Index stride = signal_entries(at.blocks, outputs, at.rows, at.cols);
    if (at.blocks == NtkBlocks::full) {
      gram(context_, {plan_.slots, at.rows * outputs, at.cols * outputs, n}, {above, n, a_slot}, {below, n, b_slot},
           work_.partial, work_.signal_gram, stride);
    } else if (at.blocks == NtkBlocks::trace) {
      // The sum over outputs of <B_o, B_o'> is one product of rows of O n elements.
      gram(context_, {plan_.slots, at.rows, at.cols, outputs * n}, {above, outputs * n, a_slot},
           {below, outputs * n, b_slot}, work_.partial, work_.signal_gram, stride);
    } else {
      for (Index o = 0; o < outputs; ++o)
        gram(context_, {plan_.slots, at.rows, at.cols, n}, {above + o * n, outputs * n, a_slot},
             {below + o * n, outputs * n, b_slot}, work_.partial, work_.signal_gram + o * at.rows * at.cols, stride);
    }
  }

  Context& context_;
  const NtkProblem<T>& problem_;
  const LossGradients<T>& gradients_;
  const Network& network_;
  const MlpShape& shape_;
  BatchPlan plan_;
  bool symmetric_;
  MatrixView<const T> x2_;
  KernelWorkspace<T> work_;
  std::optional<DeviceArray<float>> multipliers_;
  Index first_member_ = 0;
};

/// `op`: the name in messages.
template <class T>
void run_kernel_op(Context& context, const NtkProblem<T>& problem, const LossGradients<T>& gradients, const char* op) {
  const Network& network = *problem.network;
  const MatrixView<const T> x2 = problem.x2.data ? problem.x2 : problem.x1;
  WIDELAB_REQUIRE(problem.x1.cols == network.shape.input_dim && x2.cols == network.shape.input_dim,
                  "inputs have another dimension than the network");
  WIDELAB_REQUIRE(problem.x1.rows > 0 && x2.rows > 0, "at least one input is needed");
  const DeviceGuard guard(context);
  const BatchWork work{problem.x1.rows, problem.x2.data ? problem.x2.rows : 0, context.device.multiprocessors,
                       workspace_limit(context, problem.limits)};
  const BatchPlan plan = make_batch_plan(network.shape, work, op, [&](const BatchPlan& candidate) {
    ByteCounter counter;
    KernelWorkspace<T>(context, problem, gradients.wanted, candidate).take_buffers(counter, problem);
    return counter.bytes();
  });
  KernelOp<T>(context, problem, gradients, plan).run();
}

}  // namespace widelab::cuda
