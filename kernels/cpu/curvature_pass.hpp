// One member on one tile of examples: signals of the network and their derivatives along several vectors at once.
#pragma once

#include <vector>

#include "kernels/cpu/blas.hpp"
#include "kernels/cpu/buffer.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/ops/hvp.hpp"
#include "widelab/plan/hvp_plan.hpp"

namespace widelab::cpu {

/// What a pass reads, of one member and one tile.
template <class T>
struct CurvatureTile {
  const T* parameters = nullptr;  ///< P
  const T* v = nullptr;           ///< vectors x P
  MatrixView<const T> inputs;
  const T* targets = nullptr;  ///< rows x k
  double* losses = nullptr;    ///< out, or null: rows
};

/// Arrays are example-major: (rows x n) of the network, (rows x vectors x n) of the derivatives, written R{q} below, so
/// that W meets all vectors in one matrix product. A worker takes a chunk of examples through all layers by itself.
template <class T>
class CurvaturePass {
 public:
  CurvaturePass(const HvpProblem<T>& problem, const HvpPlan& plan);

  /// Fills all signals for the tile; shared among all threads if `parallel`.
  void run(const CurvatureTile<T>& tile, bool parallel);

  /// The lowest layer with a counted parameter: below it R{...} is 0 and nothing is propagated back. layers() if none.
  Index lowest() const { return lowest_; }
  bool weights_moved(Index l) const { return weights_[static_cast<std::size_t>(l)]; }
  bool biases_moved(Index l) const { return biases_[static_cast<std::size_t>(l)]; }
  /// Multipliers of W h and b in z, a residual branch's alpha included.
  double weight_multiplier(Index l) const { return branch(l) * scale(l).weight_multiplier; }
  double bias_multiplier(Index l) const { return branch(l) * scale(l).bias_multiplier; }

  // Of the last tile; rows are examples.
  Index rows() const { return tile_.inputs.rows; }
  Operand<T> input(Index l) const;                        ///< what W_l multiplies
  Operand<T> input_tangent(Index l, Index vector) const;  ///< R{input}; 0, and not stored, for l <= lowest()
  Operand<T> signal(Index l) const;                       ///< dL_n/dz, stored if there is a gradient or a Hessian
  Operand<T> signal_tangent(Index l, Index vector) const;

 private:
  /// Signals of one layer: hidden (features and slopes as well) or readout.
  struct Layer {
    Buffer<T> z, y, inverse_sd, h, slope, bend, dz;               ///< y, inverse_sd: with LayerNorm; bend = s phi''(y)
    Buffer<T> z_tangent, y_tangent, rate, h_tangent, dz_tangent;  ///< y_tangent, rate = R{sd}/sd: with LayerNorm
  };
  /// Examples [first, first + count) of the tile.
  struct Chunk {
    Index first, count;
  };

  void run_chunk(Chunk chunk);
  void forward(Index l, Chunk chunk);
  void forward_tangent(Index l, Chunk chunk);
  void features(Index l, Chunk chunk);
  void features_tangent(Index l, Chunk chunk);
  void loss(Chunk chunk);
  void backward(Index l, Chunk chunk);
  void backward_tangent(Index l, Chunk chunk);
  void through_features(Index hidden, Chunk chunk);
  void through_activation(Index hidden, Index example);
  void through_normalisation(Index hidden, Index example, T* row);

  bool hessian() const { return problem_.curvature == Curvature::hessian; }
  bool has_signal() const { return hessian() || problem_.gradient != nullptr; }
  const LayerScale& scale(Index l) const { return problem_.network->layers[static_cast<std::size_t>(l)]; }
  double branch(Index l) const { return shape_.is_residual(l) ? shape_.residual : 1.0; }
  Layer& at(Index l) { return layers_[static_cast<std::size_t>(l)]; }
  const Layer& at(Index l) const { return layers_[static_cast<std::size_t>(l)]; }
  const T* weights(const T* from, Index l) const { return from + layout_.weight_offset[static_cast<std::size_t>(l)]; }
  const T* biases(const T* from, Index l) const { return from + layout_.bias_offset[static_cast<std::size_t>(l)]; }
  const T* direction(Index vector) const { return tile_.v + vector * layout_.size; }

  const HvpProblem<T>& problem_;
  const MlpShape& shape_;
  const ParamLayout layout_;
  const Index vectors_, chunk_;
  Index lowest_;
  std::vector<bool> weights_, biases_;  ///< which count
  std::vector<Layer> layers_;
  CurvatureTile<T> tile_;
};

extern template class CurvaturePass<float>;
extern template class CurvaturePass<double>;

}  // namespace widelab::cpu
