// Panels of the feature matrices of a batch of members, made on the device when they are needed: weights are held,
// features are not.
#pragma once

#include <algorithm>

#include "kernels/cuda/support/blas.hpp"
#include "kernels/cuda/support/context.hpp"
#include "widelab/ops/ridge_path.hpp"

namespace widelab::cuda {

/// Z(first_row + i, first_column + c) of slot s goes to out[s * slot_stride + c * stride + i], i < rows, c < columns:
/// one column of Z a row.
struct FeaturePanel {
  Index first_row = 0, rows = 0, first_column = 0, columns = 0;
  double* out = nullptr;
  Index stride = 0, slot_stride = 0;
};

/// Features of the training or the test inputs. Slots without a member hold numbers that mean nothing.
class FeaturePanels {
 public:
  FeaturePanels(Context& context, const RidgePathProblem& problem, Index slots)
      : context_(context), problem_(problem), source_(problem.features), slots_(slots) {}

  /// Memory is an Arena or a ByteCounter.
  template <class Memory>
  void take_buffers(Memory& memory) {
    if (source_.kind == FeatureKind::given) return;
    const Index d = source_.dimension, n = problem_.examples;
    ids_ = memory.template take<DrawId>(slots_, "replicate ids");
    weights_ = memory.template take<double>(slots_ * weight_stride(), "weights of the features");
    // Copied, so that the inputs of every member lie at the same alignment: cuBLAS treats all members alike.
    if (!source_.shared_inputs) inputs_ = memory.template take<double>(slots_ * n * d, "inputs of the members");
    if (source_.kind == FeatureKind::tangent) {
      const Index rows = std::max(n, std::min(kRidgePanel, problem_.test_examples));
      slopes_ = memory.template take<double>(slots_ * kSlopeUnits * rows, "slopes of units");
    }
  }

  /// Draws the weights: slot s is member first + s from now on.
  void begin_batch(Index first, Index members);

  void train(const FeaturePanel& panel);
  void test(const FeaturePanel& panel);

 private:
  static constexpr Index kSlopeUnits = 128;

  /// Rows of inputs of each slot, and how many slots have any.
  struct Rows {
    const double* data;
    Index slot_stride, slots;
  };
  Index weight_stride() const { return ceil_div(problem_.sizes.back() * source_.dimension, 64) * 64; }
  void fill(const Rows& x, const FeaturePanel& panel);
  void fill_random(const Rows& x, const FeaturePanel& panel);
  void fill_tangent(const Rows& x, const FeaturePanel& panel);
  void multiply(const Rows& x, const FeaturePanel& panel, Index first_unit, Index units, double* z, Index stride,
                Index slot_stride);

  Context& context_;
  const RidgePathProblem& problem_;
  const FeatureSource& source_;
  Index slots_, first_ = 0, members_ = 0;
  DrawId* ids_ = nullptr;
  double *weights_ = nullptr, *inputs_ = nullptr, *slopes_ = nullptr;
};

}  // namespace widelab::cuda
