// An orthonormal basis grown by a symmetric operator: what Lanczos's iteration and its quadrature stand on.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "widelab/base/types.hpp"

namespace widelab::estimators {

/// image = A v, both of A's dimension; A symmetric.
using SymmetricOperator = std::function<void(const double* v, double* image)>;

/// Rows q_1 .. q_m, orthonormal to rounding. Memory: (capacity + 1) x dimension numbers in fp64.
class KrylovBasis {
 public:
  KrylovBasis(Index dimension, Index capacity);

  Index dimension() const { return dimension_; }
  Index size() const { return size_; }
  const double* vector(Index k) const { return rows_.data() + k * dimension_; }
  const double* last() const { return vector(size_ - 1); }

  /// Orthogonalises `v` against every row, twice ("twice is enough": Parlett 1980, section 6.9), and returns the norm
  /// of what is left; `coefficients` (size() entries) = what was taken off.
  double orthogonalise(std::span<double> v, std::span<double> coefficients) const;

  /// Appends v / norm. ContractError beyond the capacity.
  void append(std::span<const double> v, double norm);

  /// out = sum_k weights[k] q_k.
  void combine(std::span<const double> weights, std::span<double> out) const;

  /// Replaces all rows but the last by `count` combinations of them, weights count x (size() - 1) row-major; the last
  /// row stays behind them.
  void rotate(std::span<const double> weights, Index count);

 private:
  Index dimension_, capacity_, size_ = 0;
  std::vector<double> rows_;
};

}  // namespace widelab::estimators
