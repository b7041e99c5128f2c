#include "widelab/ops/hvp.hpp"

#include <algorithm>
#include <optional>
#include <type_traits>
#include <vector>

#include "kernels/cpu/curvature_pass.hpp"
#include "kernels/cpu/parallel.hpp"

namespace widelab::cpu {
namespace {

/// A piece of a product matrix that one worker forms has about this size: large enough for an efficient matrix product,
/// small enough that the matrices of one narrow network keep several workers busy.
constexpr Index kPieceRows = 128, kPieceCols = 512;
constexpr Index kGradient = -1;  // in the place of a vector's number

/// The length of equal pieces of `whole`, as near to `wanted` as they can be.
Index even_piece(Index whole, Index wanted) {
  return ceil_div(whole, std::max<Index>(1, (whole + wanted / 2) / wanted));
}

struct Piece {
  Index layer, vector, row, rows, col, cols;  ///< cols = 0: biases
};

/// Sums over examples of one member's products and gradient, in fp64.
template <class T>
class CurvatureSums {
 public:
  CurvatureSums(const HvpProblem<T>& problem, const CurvaturePass<T>& pass)
      : problem_(problem), pass_(pass), layout_(problem.network->shape) {
    const MlpShape& shape = problem.network->shape;
    for (Index l = pass.lowest(); l < shape.layers(); ++l)
      for (Index k = problem.gradient ? kGradient : 0; k < problem.vectors; ++k) {
        if (pass.biases_moved(l)) pieces_.push_back({l, k, 0, shape.fan_out(l), 0, 0});
        if (!pass.weights_moved(l)) continue;
        const Index piece_rows = even_piece(shape.fan_out(l), kPieceRows),
                    piece_cols = even_piece(shape.fan_in(l), kPieceCols);
        for (Index row = 0; row < shape.fan_out(l); row += piece_rows)
          for (Index col = 0; col < shape.fan_in(l); col += piece_cols)
            pieces_.push_back({l, k, row, std::min(piece_rows, shape.fan_out(l) - row), col,
                               std::min(piece_cols, shape.fan_in(l) - col)});
      }
    if constexpr (std::is_same_v<T, float>) widened_.resize(static_cast<std::size_t>(problem.vectors * layout_.size));
  }

  void start(Index member) {
    if constexpr (std::is_same_v<T, float>)
      products_ = widened_.data();
    else
      products_ = problem_.products + member * problem_.vectors * layout_.size;
    gradient_ = problem_.gradient ? problem_.gradient + member * layout_.size : nullptr;
    std::fill_n(products_, problem_.vectors * layout_.size, 0.0);
    if (gradient_) std::fill_n(gradient_, layout_.size, 0.0);
  }

  /// Adds the examples of the pass's tile.
  void add_tile(bool parallel) {
    parallel_for(static_cast<Index>(pieces_.size()), parallel, [&](Index p) {
      const Piece& piece = pieces_[static_cast<std::size_t>(p)];
      piece.cols > 0 ? add_weights(piece) : add_biases(piece);
    });
  }

  void finish(Index member) const {
    if constexpr (std::is_same_v<T, float>) {
      const Index size = problem_.vectors * layout_.size;
      std::transform(products_, products_ + size, problem_.products + member * size,
                     [](double sum) { return static_cast<float>(sum); });
    }
  }

 private:
  double* target(const Piece& piece) const {
    return piece.vector == kGradient ? gradient_ : products_ + piece.vector * layout_.size;
  }
  double share() const { return 1.0 / static_cast<double>(problem_.inputs.rows); }

  /// R{dz}^T h + dz^T R{h}; the gradient: dz^T h.
  void add_weights(const Piece& piece) const {
    Buffer<T> block(static_cast<std::size_t>(piece.rows * piece.cols));
    const Index l = piece.layer, n = pass_.rows();
    const auto multiply = [&](Operand<T> signal, Operand<T> input, T beta) {
      gemm(piece.rows, piece.cols, n, static_cast<T>(pass_.weight_multiplier(l)),
           {signal.data + piece.row, signal.stride, Op::transposed}, {input.data + piece.col, input.stride}, beta,
           block.data(), piece.cols);
    };
    const bool gradient = piece.vector == kGradient;
    multiply(gradient ? pass_.signal(l) : pass_.signal_tangent(l, piece.vector), pass_.input(l), T(0));
    if (!gradient && problem_.curvature == Curvature::hessian && l > pass_.lowest())
      multiply(pass_.signal(l), pass_.input_tangent(l, piece.vector), T(1));
    const Index stride = problem_.network->shape.fan_in(l);
    double* out = target(piece) + layout_.weight_offset[static_cast<std::size_t>(l)] + piece.row * stride + piece.col;
    for (Index i = 0; i < piece.rows; ++i)
      for (Index j = 0; j < piece.cols; ++j)
        out[i * stride + j] += static_cast<double>(block[static_cast<std::size_t>(i * piece.cols + j)]) * share();
  }

  /// The sum of R{dz}; the gradient: of dz.
  void add_biases(const Piece& piece) const {
    const Index l = piece.layer;
    const Operand<T> signal = piece.vector == kGradient ? pass_.signal(l) : pass_.signal_tangent(l, piece.vector);
    double* out = target(piece) + layout_.bias_offset[static_cast<std::size_t>(l)];
    const double factor = pass_.bias_multiplier(l) * share();
    for (Index i = 0; i < pass_.rows(); ++i)
      for (Index j = 0; j < piece.rows; ++j) out[j] += factor * static_cast<double>(signal.data[i * signal.stride + j]);
  }

  const HvpProblem<T>& problem_;
  const CurvaturePass<T>& pass_;
  const ParamLayout layout_;
  std::vector<Piece> pieces_;
  Buffer<double> widened_;  ///< of products, where they are fp32
  double *products_ = nullptr, *gradient_ = nullptr;
};

/// A worker's memory, kept from member to member.
template <class T>
struct CurvatureWorker {
  CurvaturePass<T> pass;
  CurvatureSums<T> sums;
  CurvatureWorker(const HvpProblem<T>& problem, const HvpPlan& plan) : pass(problem, plan), sums(problem, pass) {}
};

template <class T>
void run_member(const HvpProblem<T>& problem, const HvpPlan& plan, Index member, CurvatureWorker<T>& worker) {
  const ParamLayout layout(problem.network->shape);
  const bool parallel = !plan.members_in_parallel;
  const MatrixView<const T> x = problem.inputs;
  CurvatureTile<T> tile;
  tile.parameters = problem.parameters + member * layout.size;
  tile.v = problem.v + member * problem.vectors * layout.size;
  worker.sums.start(member);
  for (Index first = 0; first < x.rows; first += plan.tile) {
    tile.inputs = {x.row(first), std::min(plan.tile, x.rows - first), x.cols, x.stride};
    tile.targets = problem.targets + first * problem.network->shape.outputs;
    tile.losses = problem.losses ? problem.losses + member * x.rows + first : nullptr;
    worker.pass.run(tile, parallel);
    worker.sums.add_tile(parallel);
  }
  worker.sums.finish(member);
}

template <class T>
void run(const HvpProblem<T>& problem) {
  check_hvp(problem);
  use_single_threaded_blas();
  DeviceLimits limits = problem.limits;
  limits.workers = worker_count(limits.workers);
  const HvpPlan plan = make_hvp_plan(problem.network->shape,
                                     {problem.members, problem.inputs.rows, problem.vectors,
                                      problem.curvature == Curvature::hessian, static_cast<int>(sizeof(T))},
                                     limits);
  std::vector<std::optional<CurvatureWorker<T>>> workers(
      static_cast<std::size_t>(plan.members_in_parallel ? omp_get_max_threads() : 1));
  parallel_for(problem.members, plan.members_in_parallel, [&](Index e) {
    auto& worker = workers[static_cast<std::size_t>(plan.members_in_parallel ? omp_get_thread_num() : 0)];
    if (!worker) worker.emplace(problem, plan);
    run_member(problem, plan, e, *worker);
  });
}

}  // namespace

void hvp(const HvpProblem<float>& problem) { run(problem); }
void hvp(const HvpProblem<double>& problem) { run(problem); }

}  // namespace widelab::cpu
