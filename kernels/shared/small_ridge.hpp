// Least squares of one small problem by one Block, its matrix in the Block's fast memory: the whole curve of sizes. A
// GPU runs it with a block a problem.
#pragma once

#include "kernels/shared/ridge_diagnosis.hpp"
#include "widelab/base/block.hpp"
#include "widelab/base/host_device.hpp"
#include "widelab/base/types.hpp"
#include "widelab/math/update_rules.hpp"

namespace widelab::least_squares {

/// One segment of one member. Rows (size, right-hand side) of filter f begin at f * filter_stride.
struct SmallRidge {
  Index examples = 0, targets = 1;  ///< n, R
  const double* z = nullptr;        ///< columns x n: one column of Z a row
  const double* y = nullptr;        ///< R x n
  const Index* columns = nullptr;   ///< in use, a size; ascending
  const double* ridges = nullptr;   ///< all > 0
  Index sizes = 0, filters = 0;
  bool in_features = false;  ///< solves for a, all sizes having at most n columns; else for alpha, a = Z^T alpha

  double* solution = nullptr;   ///< rows of `width` numbers: the columns of the last size, or n
  double* residuals = nullptr;  ///< in the space of examples: ridge alpha, which is y - Z a
  Index width = 0, filter_stride = 0;
  Extremes* extremes = nullptr;  ///< filters x sizes, or null
  double* vectors = nullptr;     ///< with extremes: two blocks of sizes (1 in the space of examples) x order
  int* failed = nullptr;         ///< set to 1 where a matrix is not positive definite in fp64

  WIDELAB_HD Index order() const { return in_features ? columns[sizes - 1] : examples; }
};

/// Fast memory: the Gram matrix lies above the diagonal and in `diagonal`, its factor L below and on it; the rows after
/// the last are right-hand sides, which become L^-1 of them. Rows are an odd number of scalars apart, so that a column
/// meets all banks of a memory.
struct SmallRidgeMemory {
  Index stride = 0;
  double *matrix = nullptr, *diagonal = nullptr, *right = nullptr, *x = nullptr;
};

/// An odd number of scalars a row.
WIDELAB_HD constexpr Index small_ridge_stride(Index order) { return order | 1; }

/// Scalars of fast memory for matrices up to `order`.
WIDELAB_HD constexpr Index small_ridge_scalars(Index order, Index targets) {
  return (order + targets) * small_ridge_stride(order) + order + 2 * targets * order;
}

WIDELAB_HD SmallRidgeMemory small_ridge_memory(double* memory, Index order, Index targets) {
  SmallRidgeMemory m;
  m.stride = small_ridge_stride(order);
  m.matrix = memory;
  m.diagonal = m.matrix + (order + targets) * m.stride;
  m.right = m.diagonal + order;
  m.x = m.right + targets * order;
  return m;
}

/// Rows of vectors of which row k is in use up to lengths[k / each], or all of them if null.
struct SmallRows {
  double* x = nullptr;
  Index stride = 0, rows = 0, each = 1;
  const Index* lengths = nullptr;

  WIDELAB_HD Index length(Index k, Index order) const { return lengths ? lengths[k / each] : order; }
  /// The first row that is longer than `shortest`.
  WIDELAB_HD Index first_beyond(Index shortest, Index order) const {
    Index k = 0;
    while (k < rows && length(k, order) <= shortest) k += each;
    return k;
  }
};

/// Every function ends where all workers have met.
template <Block B>
class SmallRidgeSolver {
 public:
  WIDELAB_HD SmallRidgeSolver(B& block, const SmallRidge& problem, const SmallRidgeMemory& memory)
      : block_(block), p_(problem), m_(memory), order_(problem.order()) {}

  WIDELAB_HD void run() {
    if (p_.in_features)
      solve_in_features();
    else
      solve_in_examples();
  }

 private:
  // ---- the matrix

  /// Adds b_i . b_j to the Gram matrix, b (order x inner).
  WIDELAB_HD void add_gram(StridedView<const double> b, Index inner, bool first) {
    const SmallRidgeMemory m = m_;
    block_.matmul(order_, order_, inner, b, b.transposed(), [=](Index i, Index j, Index count, const double* c) {
      for (Index e = 0; e < count; ++e) {
        if (j + e < i) continue;
        double& g = j + e == i ? m.diagonal[i] : m.matrix[i * m.stride + j + e];
        g = first ? c[e] : g + c[e];
      }
    });
    block_.sync();
  }

  /// L and L^-1 of the right-hand sides, by panels of columns; false if the matrix is not positive definite.
  WIDELAB_HD bool factor(double ridge) {
    const SmallRidgeMemory m = m_;
    const Index order = order_, rows = order + p_.targets;
    block_.for_each(rows, [=](Index i) {
      double* row = m.matrix + i * m.stride;
      for (Index j = 0; j < (i < order ? i : order); ++j)
        row[j] = i < order ? m.matrix[j * m.stride + i] : m.right[(i - order) * order + j];
      if (i < order) row[i] = m.diagonal[i] + ridge;
    });
    block_.sync();
    for (Index first = 0; first < order; first += kPanel) {
      const Index end = first + kPanel < order ? first + kPanel : order;
      if (first > 0) subtract_left(first, end);
      for (Index k = first; k < end; ++k)
        if (!eliminate(k, end)) return false;
    }
    return true;
  }

  /// Columns [first, end) less the product of what is left of them.
  WIDELAB_HD void subtract_left(Index first, Index end) {
    const SmallRidgeMemory m = m_;
    double* below = m.matrix + first * m.stride;
    const StridedView<const double> left{below, m.stride, 1};
    block_.matmul(order_ + p_.targets - first, end - first, first, left, left.transposed(),
                  [=](Index i, Index j, Index count, const double* c) {
                    for (Index e = 0; e < count; ++e)
                      if (j + e <= i) below[i * m.stride + first + j + e] -= c[e];
                  });
    block_.sync();
  }

  /// Column k of L, and what it takes from the columns up to `end`.
  WIDELAB_HD bool eliminate(Index k, Index end) {
    const SmallRidgeMemory m = m_;
    const Index order = order_, below = order + p_.targets - k - 1;
    const double pivot = m.matrix[k * m.stride + k];
    if (!(pivot > 0 && pivot <= 1.7976931348623157e308)) return false;
    const double root = sqrt(pivot);
    block_.for_each(below, [=](Index t) { m.matrix[(k + 1 + t) * m.stride + k] /= root; });
    block_.sync();
    block_.for_each(below + 1, [=](Index t) {
      const Index i = k + t, last = i < order ? i + 1 : order;
      double* row = m.matrix + i * m.stride;
      if (t == 0)
        row[k] = root;
      else
        for (Index c = k + 1; c < (last < end ? last : end); ++c)
          row[c] = update_rules::fused(-row[k], m.matrix[c * m.stride + k], row[c]);
    });
    block_.sync();
    return true;
  }

  // ---- triangular solves with L, row by row of `r`

  WIDELAB_HD void divide(const SmallRows& r, Index from, Index j) {
    const double pivot = m_.matrix[j * m_.stride + j];
    block_.for_each(r.rows - from, [=](Index k) { r.x[(from + k) * r.stride + j] /= pivot; });
    block_.sync();
  }

  /// L^T x = b.
  WIDELAB_HD void solve_backward(const SmallRows& r) {
    const SmallRidgeMemory m = m_;
    for (Index j = order_ - 1; j >= 0; --j) {
      const Index from = r.first_beyond(j, order_);
      divide(r, from, j);
      block_.for_each(j, [=](Index i) {
        const double l = m.matrix[j * m.stride + i];
        for (Index k = from; k < r.rows; ++k)
          r.x[k * r.stride + i] = update_rules::fused(-l, r.x[k * r.stride + j], r.x[k * r.stride + i]);
      });
      block_.sync();
    }
  }

  /// L x = b, each row up to its length, 0 beyond.
  WIDELAB_HD void solve_forward(const SmallRows& r) {
    const SmallRidgeMemory m = m_;
    const Index order = order_;
    for (Index j = 0; j < order; ++j) {
      const Index from = r.first_beyond(j, order);
      divide(r, from, j);
      block_.for_each(order - 1 - j, [=](Index t) {
        const Index i = j + 1 + t;
        const double l = m.matrix[i * m.stride + j];
        for (Index k = from; k < r.rows; ++k)
          if (i < r.length(k, order))
            r.x[k * r.stride + i] = update_rules::fused(-l, r.x[k * r.stride + j], r.x[k * r.stride + i]);
      });
      block_.sync();
    }
  }

  // ---- extreme eigenvalues of the leading blocks

  /// to = (G + ridge) x, with the leading block of each row.
  WIDELAB_HD void multiply(const SmallRows& r, double ridge, double* to) {
    const SmallRidgeMemory m = m_;
    const Index order = order_;
    block_.for_each(order, [=](Index i) {
      for (Index k = 0; k < r.rows; ++k) {
        const Index length = r.length(k, order);
        const double* x = r.x + k * r.stride;
        double sum = i < length ? (m.diagonal[i] + ridge) * x[i] : 0.0;
        if (i < length)
          for (Index j = 0; j < length; ++j) {
            const double g = j < i ? m.matrix[j * m.stride + i] : j > i ? m.matrix[i * m.stride + j] : 0.0;
            sum = update_rules::fused(g, x[j], sum);
          }
        to[k * r.stride + i] = sum;
      }
    });
    block_.sync();
  }

  /// Length of row k, which is brought to length 1.
  WIDELAB_HD double normalise(const SmallRows& r, Index k) {
    double* x = r.x + k * r.stride;
    const double square = block_.sum(order_, [=](Index i) { return x[i] * x[i]; });
    const double by = unit_factor(square);
    block_.for_each(order_, [=](Index i) { x[i] = by > 0 ? x[i] * by : 0.0; });
    block_.sync();
    return sqrt(square);
  }

  /// Of rows s to out[s], s < sizes; each = 1.
  WIDELAB_HD void estimate_extremes(Index sizes, const Index* lengths, double ridge, Extremes* out) {
    const Index order = order_;
    SmallRows r{p_.vectors, order, sizes, 1, lengths};
    double* other = p_.vectors + sizes * order;
    for (int pass = 0; pass < 2; ++pass) {
      const SmallRows start = r;
      block_.for_each(order, [=](Index i) {
        for (Index k = 0; k < start.rows; ++k) {
          const Index length = start.length(k, order);
          start.x[k * order + i] = i < length ? start_sign(i) * unit_factor(static_cast<double>(length)) : 0.0;
        }
      });
      block_.sync();
      for (int step = 0; step < kPowerSteps; ++step) {
        if (pass == 0) {
          multiply(r, ridge, other);
          double* swapped = r.x;
          r.x = other;
          other = swapped;
        } else {
          solve_forward(r);
          solve_backward(r);
        }
        for (Index k = 0; k < sizes; ++k) {
          const double length = normalise(r, k);
          if (block_.rank() == 0) {
            // Until both passes are over, the growths themselves.
            double& growth = pass == 0 ? out[k].largest : out[k].smallest;
            growth = larger_growth(step == 0 ? 0.0 : growth, length);
          }
        }
      }
    }
    if (block_.rank() == 0)
      for (Index k = 0; k < sizes; ++k) out[k] = extremes_of_growth(out[k].largest, out[k].smallest);
    block_.sync();
  }

  // ---- the two spaces

  WIDELAB_HD void fail() {
    if (block_.rank() == 0) *p_.failed = 1;
  }

  /// a_N = L_N^-T v_N, v = L^-1 Z^T y: one factor for all sizes.
  WIDELAB_HD void solve_in_features() {
    const SmallRidge p = p_;
    const SmallRidgeMemory m = m_;
    const Index n = p.examples, order = order_;
    const StridedView<const double> z{p.z, n, 1};
    add_gram(z, n, true);
    block_.matmul(p.targets, order, n, {p.y, n, 1}, z.transposed(),
                  [=](Index r, Index j, Index count, const double* c) {
                    for (Index e = 0; e < count; ++e) m.right[r * order + j + e] = c[e];
                  });
    block_.sync();
    for (Index f = 0; f < p.filters; ++f) {
      if (!factor(p.ridges[f])) return fail();
      const SmallRows rows{p.solution + f * p.filter_stride, p.width, p.sizes * p.targets, p.targets, p.columns};
      block_.for_each(order, [=](Index i) {
        for (Index k = 0; k < rows.rows; ++k)
          rows.x[k * rows.stride + i] =
              i < rows.length(k, order) ? m.matrix[(order + k % p.targets) * m.stride + i] : 0.0;
      });
      block_.sync();
      solve_backward(rows);
      if (p.extremes) estimate_extremes(p.sizes, p.columns, p.ridges[f], p.extremes + f * p.sizes);
    }
  }

  /// alpha = (Z Z^T + ridge)^-1 y: the Gram matrix is carried from size to size.
  WIDELAB_HD void solve_in_examples() {
    const SmallRidge p = p_;
    const SmallRidgeMemory m = m_;
    const Index n = p.examples;
    block_.for_each(p.targets * n, [=](Index k) { m.right[k] = p.y[k]; });
    for (Index s = 0; s < p.sizes; ++s) {
      const Index carried = s == 0 ? 0 : p.columns[s - 1];
      add_gram({p.z + carried * n, 1, n}, p.columns[s] - carried, s == 0);
      for (Index f = 0; f < p.filters; ++f) {
        const double ridge = p.ridges[f];
        if (!factor(ridge)) return fail();
        const SmallRows rows{m.x, n, p.targets, 1, nullptr};
        block_.for_each(n, [=](Index i) {
          for (Index r = 0; r < p.targets; ++r) m.x[r * n + i] = m.matrix[(n + r) * m.stride + i];
        });
        block_.sync();
        solve_backward(rows);
        const Index to = f * p.filter_stride + s * p.targets * p.width;
        block_.for_each(p.targets * n, [=](Index k) {
          p.solution[to + k] = m.x[k];
          p.residuals[to + k] = ridge * m.x[k];
        });
        block_.sync();
        if (p.extremes) estimate_extremes(1, nullptr, ridge, p.extremes + f * p.sizes + s);
      }
    }
  }

  /// Columns whose updates are gathered in one product.
  static constexpr Index kPanel = 8;

  B& block_;
  const SmallRidge& p_;
  SmallRidgeMemory m_;
  Index order_;
};

template <Block B>
WIDELAB_HD void solve_small_ridge(B& block, const SmallRidge& problem, const SmallRidgeMemory& memory) {
  SmallRidgeSolver<B>(block, problem, memory).run();
}

}  // namespace widelab::least_squares
