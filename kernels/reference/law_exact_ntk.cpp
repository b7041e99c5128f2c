#include "kernels/reference/law_exact_ntk.hpp"

#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "widelab/base/contract.hpp"

namespace widelab::reference {
namespace {

/// rows x cols, row-major.
struct Matrix {
  Index rows, cols;
  std::vector<double> data;

  Matrix(Index r, Index c) : rows(r), cols(c), data(static_cast<std::size_t>(r * c), 0.0) {}
  double& operator()(Index i, Index j) { return data[static_cast<std::size_t>(i * cols + j)]; }
  double operator()(Index i, Index j) const { return data[static_cast<std::size_t>(i * cols + j)]; }
};

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix c(a.rows, b.cols);
  for (Index i = 0; i < a.rows; ++i)
    for (Index j = 0; j < b.cols; ++j)
      for (Index k = 0; k < a.cols; ++k) c(i, j) += a(i, k) * b(k, j);
  return c;
}

Matrix transpose(const Matrix& a) {
  Matrix t(a.cols, a.rows);
  for (Index i = 0; i < a.rows; ++i)
    for (Index j = 0; j < a.cols; ++j) t(j, i) = a(i, j);
  return t;
}

/// a = U diag(sigma) V^T without the directions that are rounding.
struct Svd {
  Matrix u, vt;
  std::vector<double> sigma;

  explicit Svd(Matrix a) : u(a.rows, std::min(a.rows, a.cols)), vt(std::min(a.rows, a.cols), a.cols) {
    sigma.resize(static_cast<std::size_t>(u.cols));
    const double tolerance = law_exact_rank_tolerance(a.cols);
    const auto k = static_cast<lapack_int>(u.cols);
    const lapack_int info =
        LAPACKE_dgesdd(LAPACK_ROW_MAJOR, 'S', static_cast<lapack_int>(a.rows), static_cast<lapack_int>(a.cols),
                       a.data.data(), static_cast<lapack_int>(a.cols), sigma.data(), u.data.data(), k, vt.data.data(),
                       static_cast<lapack_int>(vt.cols));
    WIDELAB_REQUIRE(info == 0, "singular value decomposition failed");
    for (double& s : sigma)
      if (!(s * s > tolerance * sigma.front() * sigma.front())) s = 0;
  }

  /// sqrt(a^T a) = V diag(sigma) V^T.
  Matrix root_of_gram() const {
    Matrix root(vt.cols, vt.cols);
    for (Index i = 0; i < vt.cols; ++i)
      for (Index j = 0; j < vt.cols; ++j)
        for (Index k = 0; k < vt.rows; ++k) root(i, j) += vt(k, i) * sigma[static_cast<std::size_t>(k)] * vt(k, j);
    return root;
  }

  /// a (a^T a)^+ = U diag(1/sigma) V^T.
  Matrix transposed_pseudo_inverse() const {
    Matrix scaled = vt;
    for (Index k = 0; k < vt.rows; ++k) {
      const double s = sigma[static_cast<std::size_t>(k)];
      for (Index j = 0; j < vt.cols; ++j) scaled(k, j) = s > 0 ? vt(k, j) / s : 0.0;
    }
    return product(u, scaled);
  }
};

/// sqrt(a^T a), with rows and columns exactly 0 where a column of a is 0.
Matrix root_of_gram(const Matrix& a) {
  Matrix root = Svd(a).root_of_gram();
  for (Index j = 0; j < a.cols; ++j) {
    bool dead = true;
    for (Index i = 0; i < a.rows; ++i) dead = dead && a(i, j) == 0.0;
    for (Index k = 0; dead && k < a.cols; ++k) root(j, k) = root(k, j) = 0.0;
  }
  return root;
}

Matrix white_noise(const StreamId& stream, Index rows, Index cols) {
  Matrix noise(rows, cols);
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j)
      noise(i, j) =
          static_cast<double>(normal_at(stream, static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(j)));
  return noise;
}

/// One member: every matrix of the derivation, by name.
class Sampler {
 public:
  Sampler(const LawExactProblem& problem, const LawExactStreams& streams, Index member)
      : problem_(problem),
        network_(*problem.network),
        streams_(streams),
        init_(problem.init[member]),
        member_(member) {}

  void run() {
    forward();
    backward();
  }

 private:
  const LayerScale& scale(Index l) const { return network_.layers[static_cast<std::size_t>(l)]; }
  Index inputs() const { return problem_.inputs.rows; }
  Index outputs() const { return network_.shape.outputs; }

  /// [c_w A; c_b 1^T], (fan_in + 1) x N: what [W b] multiplies, both with N(0, 1) entries.
  Matrix augmented(Index l) const {
    const Matrix& a = features_[static_cast<std::size_t>(l)];
    Matrix out(a.rows + 1, a.cols);
    for (Index j = 0; j < a.cols; ++j) {
      for (Index i = 0; i < a.rows; ++i) out(i, j) = std::sqrt(scale(l).weight_variance()) * a(i, j);
      out(a.rows, j) = std::sqrt(scale(l).bias_variance());
    }
    return out;
  }

  void forward() {
    Matrix x(network_.shape.input_dim, inputs());
    for (Index i = 0; i < x.rows; ++i)
      for (Index j = 0; j < x.cols; ++j) x(i, j) = problem_.inputs(j, i);
    features_.push_back(x);
    for (Index l = 0; l < network_.shape.layers(); ++l) {
      const StreamId stream = init_.stream(streams_.forward, static_cast<std::uint8_t>(l));
      z_.push_back(product(white_noise(stream, network_.shape.fan_out(l), inputs()), root_of_gram(augmented(l))));
      Matrix h = z_.back();
      for (double& v : h.data) v = visit(network_.shape.activation, [v](const auto& f) { return f.value(v); });
      if (l < network_.shape.depth()) features_.push_back(h);
    }
    write_forward();
  }

  void write_forward() const {
    const Index n = inputs();
    const Matrix last = augmented(network_.shape.depth()), gram = product(transpose(last), last);
    if (problem_.nngp) std::copy(gram.data.begin(), gram.data.end(), problem_.nngp + member_ * n * n);
    for (Index i = 0; problem_.outputs && i < n; ++i)
      for (Index o = 0; o < outputs(); ++o) problem_.outputs[(member_ * n + i) * outputs() + o] = z_.back()(o, i);
  }

  void backward() {
    const Index columns = inputs() * outputs();
    std::fill_n(problem_.ntk + member_ * columns * columns, columns * columns, 0.0);
    Matrix b(outputs(), columns);
    for (Index c = 0; c < columns; ++c) b(c % outputs(), c) = 1.0;
    for (Index l = network_.shape.depth(); l >= 0; --l) {
      add_to_kernel(l, b);
      if (l > 0) b = backward_signals(l, b);
    }
  }

  /// Theta += (kw A^T A + kb) o B^T B.
  void add_to_kernel(Index l, const Matrix& b) const {
    const Matrix& a = features_[static_cast<std::size_t>(l)];
    const Matrix features = product(transpose(a), a), signals = product(transpose(b), b);
    double* theta = problem_.ntk + member_ * signals.rows * signals.cols;
    for (Index r = 0; r < signals.rows; ++r)
      for (Index c = 0; c < signals.cols; ++c)
        theta[r * signals.cols + c] +=
            (scale(l).weight_kernel() * features(r / outputs(), c / outputs()) + scale(l).bias_kernel()) *
            signals(r, c);
  }

  /// B of layer l - 1 from B of layer l: V^T B = A (A^T A)^+ (Z^T B - A^T xi) + xi, then the rows of W.
  Matrix backward_signals(Index l, const Matrix& b) const {
    const Matrix a = augmented(l), &z = z_[static_cast<std::size_t>(l)], &below = z_[static_cast<std::size_t>(l - 1)];
    const StreamId stream = init_.stream(streams_.backward, static_cast<std::uint8_t>(l - 1));
    const Matrix xi = product(white_noise(stream, a.rows, b.cols), root_of_gram(b));
    Matrix residual = product(transpose(z), b);
    const Matrix along = product(transpose(a), xi);
    for (std::size_t k = 0; k < residual.data.size(); ++k) residual.data[k] -= along.data[k];
    const Matrix conditioned = product(Svd(a).transposed_pseudo_inverse(), residual);
    Matrix signals(below.rows, b.cols);
    for (Index i = 0; i < signals.rows; ++i)
      for (Index c = 0; c < signals.cols; ++c) {
        const double slope =
            visit(network_.shape.activation, [v = below(i, c / outputs())](const auto& f) { return f.first(v); });
        signals(i, c) = slope * std::sqrt(scale(l).weight_variance()) * (conditioned(i, c) + xi(i, c));
      }
    return signals;
  }

  const LawExactProblem& problem_;
  const Network& network_;
  const LawExactStreams& streams_;
  DrawId init_;
  Index member_;
  std::vector<Matrix> features_;  ///< layer l: its input A, fan_in x N
  std::vector<Matrix> z_;         ///< layer l: its pre-activations, fan_out x N
};

}  // namespace

void law_exact_ntk(const LawExactProblem& problem, const LawExactStreams& streams) {
  check_law_exact(*problem.network);
  for (Index m = 0; m < problem.members; ++m) Sampler(problem, streams, m).run();
}

void law_exact_ntk(const LawExactProblem& problem) { law_exact_ntk(problem, LawExactStreams{}); }

}  // namespace widelab::reference
