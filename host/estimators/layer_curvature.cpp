#include "host/estimators/layer_curvature.hpp"

#include <cblas.h>

#include <algorithm>
#include <string>
#include <type_traits>

#include "host/runtime/backend.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::estimators {
namespace {

constexpr Index kTile = 256;  // examples at once
using Vector = std::vector<double>;

/// Row-major c = alpha a op(b) + beta c.
struct Product {
  Index rows, cols, inner;
  CBLAS_TRANSPOSE b_op = CblasNoTrans;
  double alpha = 1, beta = 0;

  void operator()(const double* a, Index a_stride, const double* b, Index b_stride, double* c) const {
    cblas_dgemm(CblasRowMajor, CblasNoTrans, b_op, static_cast<int>(rows), static_cast<int>(cols),
                static_cast<int>(inner), alpha, a, static_cast<int>(a_stride), b, static_cast<int>(b_stride), beta, c,
                static_cast<int>(cols));
  }
};

void check(const LayerCurvatureProblem& problem, LayerMatrix matrix) {
  const MlpShape& shape = problem.network->shape;
  WIDELAB_REQUIRE(problem.layer >= 0 && problem.layer < shape.layers(), "a network has no such layer");
  WIDELAB_REQUIRE(problem.inputs.cols == shape.input_dim && problem.inputs.rows >= 1, "inputs do not fit the network");
  if (shape.layer_norm)
    throw RecipeError("model.layer_norm = true: dense layer matrices have no LayerNorm; use Hessian-vector products");
  const bool needs_all = matrix == LayerMatrix::hessian || matrix == LayerMatrix::squared_hessians;
  if (needs_all && problem.layer < shape.depth() && !piecewise_linear(shape.activation))
    throw RecipeError(
        "model.activation: a layer's dense Hessian needs a piecewise linear activation (relu, leaky-relu, ab-relu, "
        "identity) above it; take the Gauss-Newton matrix, or Hessian-vector products");
  const Index size = shape.fan_in(problem.layer) * shape.fan_out(problem.layer);
  if (size > kLargestLayerMatrix)
    throw PlanError("layer " + std::to_string(problem.layer) + " has " + std::to_string(size) +
                    " weights: dense matrices go up to " + std::to_string(kLargestLayerMatrix) +
                    "; use a narrower layer, or Hessian-vector products");
}

/// The layer's inputs and the outputs' derivatives by its pre-activations, tile by tile.
class LayerSignals {
 public:
  explicit LayerSignals(const LayerCurvatureProblem& problem)
      : problem_(problem), shape_(problem.network->shape), layout_(shape_) {}

  Vector input;     ///< a: T x fan_in
  Vector outputs;   ///< f: T x k
  Vector jacobian;  ///< m J: T x k x fan_out

  void run(Index first, Index count) {
    rows_ = count;
    slopes_.clear();
    forward(first);
    backward();
  }

 private:
  double branch(Index l) const { return shape_.is_residual(l) ? shape_.residual : 1.0; }
  double multiplier(Index l) const {
    return branch(l) * problem_.network->layers[static_cast<std::size_t>(l)].weight_multiplier;
  }
  const double* weights(Index l) const {
    return problem_.parameters + layout_.weight_offset[static_cast<std::size_t>(l)];
  }

  void forward(Index first) {
    Vector h, z;
    for (Index i = first; i < first + rows_; ++i)
      h.insert(h.end(), problem_.inputs.row(i), problem_.inputs.row(i) + shape_.input_dim);
    for (Index l = 0; l < shape_.layers(); ++l) {
      const Index n = shape_.fan_out(l), fan_in = shape_.fan_in(l);
      if (l == problem_.layer) input = h;
      Vector next(static_cast<std::size_t>(rows_ * n));
      Product{rows_, n, fan_in, CblasTrans, multiplier(l)}(h.data(), fan_in, weights(l), fan_in, next.data());
      const double bias = branch(l) * problem_.network->layers[static_cast<std::size_t>(l)].bias_multiplier;
      const double* b = problem_.parameters + layout_.bias_offset[static_cast<std::size_t>(l)];
      for (Index i = 0; i < rows_ * n; ++i) next[static_cast<std::size_t>(i)] += bias * b[i % n];
      for (std::size_t i = 0; shape_.is_residual(l) && i < next.size(); ++i) next[i] += z[i];
      z = std::move(next);
      if (l < shape_.depth()) h = features(l, z);
    }
    outputs = std::move(z);
  }

  /// s phi(z); s phi'(z) is kept.
  Vector features(Index l, const Vector& z) {
    const Index n = shape_.fan_out(l);
    const float* s = shape_.multipliers(l);
    Vector h(z.size()), slope(z.size());
    visit(shape_.activation, [&](const auto& phi) {
      for (std::size_t i = 0; i < z.size(); ++i) {
        const double scale = s ? static_cast<double>(s[static_cast<Index>(i) % n]) : 1.0;
        h[i] = scale * phi.value(z[i]);
        slope[i] = scale * phi.first(z[i]);
      }
    });
    slopes_.push_back(std::move(slope));
    return h;
  }

  void backward() {
    const Index k = shape_.outputs;
    Vector dz(static_cast<std::size_t>(rows_ * k * k), 0.0);
    for (Index r = 0; r < rows_ * k; ++r) dz[static_cast<std::size_t>(r * k + r % k)] = 1;
    for (Index l = shape_.depth(); l > problem_.layer; --l) {
      const Index n = shape_.fan_out(l), fan_in = shape_.fan_in(l);
      Vector below(static_cast<std::size_t>(rows_ * k * fan_in));
      Product{rows_ * k, fan_in, n, CblasNoTrans, multiplier(l)}(dz.data(), n, weights(l), fan_in, below.data());
      const Vector& slope = slopes_[static_cast<std::size_t>(l - 1)];
      for (Index r = 0; r < rows_ * k; ++r)
        for (Index j = 0; j < fan_in; ++j)
          below[static_cast<std::size_t>(r * fan_in + j)] *= slope[static_cast<std::size_t>(r / k * fan_in + j)];
      for (std::size_t i = 0; shape_.is_residual(l) && i < below.size(); ++i) below[i] += dz[i];
      dz = std::move(below);
    }
    for (double& x : dz) x *= multiplier(problem_.layer);
    jacobian = std::move(dz);
  }

  const LayerCurvatureProblem& problem_;
  const MlpShape& shape_;
  const ParamLayout layout_;
  Index rows_ = 0;
  std::vector<Vector> slopes_;
};

/// S of one example, fan_out x fan_out: its matrix is S (x) a a^T. `jacobian` is m J (k x n), `a` the layer's input.
class UnitMatrix {
 public:
  UnitMatrix(LossKind loss, LayerMatrix matrix, Index outputs, Index units, Index fan_in)
      : loss_(loss), matrix_(matrix), k_(outputs), n_(units), fan_in_(fan_in) {}

  void form(const double* jacobian, const double* f, const double* y, const double* a, double* s) const {
    if (matrix_ == LayerMatrix::gradient_moment) {
      Vector slope(static_cast<std::size_t>(k_)), signal(static_cast<std::size_t>(n_));
      loss_slope(loss_, f, y, k_, Index{1}, slope.data());
      Product{1, n_, k_}(slope.data(), k_, jacobian, n_, signal.data());
      Product{n_, n_, 1}(signal.data(), 1, signal.data(), n_, s);
      return;
    }
    Vector curvature(static_cast<std::size_t>(k_ * k_)), unit(static_cast<std::size_t>(k_), 0.0),
        curved(static_cast<std::size_t>(k_ * n_));
    for (Index o = 0; o < k_; ++o) {
      unit[static_cast<std::size_t>(o)] = 1;
      loss_curvature(loss_, f, y, k_, Index{1}, unit.data(), curvature.data() + o * k_);
      unit[static_cast<std::size_t>(o)] = 0;
    }
    Product{k_, n_, k_}(curvature.data(), k_, jacobian, n_, curved.data());
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, static_cast<int>(n_), static_cast<int>(n_),
                static_cast<int>(k_), 1.0, jacobian, static_cast<int>(n_), curved.data(), static_cast<int>(n_), 0.0, s,
                static_cast<int>(n_));
    if (matrix_ != LayerMatrix::squared_hessians) return;
    // (S (x) a a^T)^2 = |a|^2 S^2 (x) a a^T.
    const Vector once(s, s + n_ * n_);
    const double square = cblas_ddot(static_cast<int>(fan_in_), a, 1, a, 1);
    Product{n_, n_, n_, CblasNoTrans, square}(once.data(), n_, once.data(), n_, s);
  }

 private:
  LossKind loss_;
  LayerMatrix matrix_;
  Index k_, n_, fan_in_;
};

/// Adds sum_n S_n[i, i'] a_n a_n^T for all i' >= i: block row i of the upper half.
void add_block_row(const Vector& s, const Vector& a, Index rows, Index i, Index units, double share, double* out) {
  const Index fan_in = static_cast<Index>(a.size()) / rows, cols = (units - i) * fan_in, size = units * fan_in;
  Vector scaled(static_cast<std::size_t>(rows * cols));
  for (Index p = 0; p < rows; ++p)
    for (Index other = i; other < units; ++other) {
      const double factor = s[static_cast<std::size_t>((p * units + i) * units + other)];
      for (Index j = 0; j < fan_in; ++j)
        scaled[static_cast<std::size_t>(p * cols + (other - i) * fan_in + j)] =
            factor * a[static_cast<std::size_t>(p * fan_in + j)];
    }
  cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, static_cast<int>(fan_in), static_cast<int>(cols),
              static_cast<int>(rows), share, a.data(), static_cast<int>(fan_in), scaled.data(), static_cast<int>(cols),
              1.0, out + i * fan_in * (size + 1), static_cast<int>(size));
}

}  // namespace

bool piecewise_linear(const Activation& activation) {
  return visit(activation, [](const auto& phi) {
    using Phi = std::remove_cvref_t<decltype(phi)>;
    return Phi::kKinked || std::is_same_v<Phi, Identity>;
  });
}

std::vector<double> layer_curvature(const LayerCurvatureProblem& problem, LayerMatrix matrix) {
  check(problem, matrix);
  runtime::fix_blas_threads();
  const MlpShape& shape = problem.network->shape;
  const Index n = shape.fan_out(problem.layer), fan_in = shape.fan_in(problem.layer), k = shape.outputs;
  const Index size = n * fan_in, examples = problem.inputs.rows;
  const UnitMatrix unit_matrix(problem.loss, matrix, k, n, fan_in);
  LayerSignals signals(problem);
  Vector out(static_cast<std::size_t>(size * size), 0.0),
      s(static_cast<std::size_t>(std::min(kTile, examples) * n * n));
  for (Index first = 0; first < examples; first += kTile) {
    const Index rows = std::min(kTile, examples - first);
    signals.run(first, rows);
#pragma omp parallel for schedule(static)
    for (Index p = 0; p < rows; ++p)
      unit_matrix.form(signals.jacobian.data() + p * k * n, signals.outputs.data() + p * k,
                       problem.targets + (first + p) * k, signals.input.data() + p * fan_in, s.data() + p * n * n);
#pragma omp parallel for schedule(dynamic, 1)
    for (Index i = 0; i < n; ++i)
      add_block_row(s, signals.input, rows, i, n, 1 / static_cast<double>(examples), out.data());
  }
  for (Index i = 0; i < size; ++i)
    for (Index j = 0; j < i; ++j)
      out[static_cast<std::size_t>(i * size + j)] = out[static_cast<std::size_t>(j * size + i)];
  return out;
}

}  // namespace widelab::estimators
