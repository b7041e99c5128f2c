// Second moments under random linear maps: Z = E[z z^T] of a vector z = (.., 1) whose last entry is 1, so that Z holds
// the mean and the second moments of the others, goes to E[P Z P^T] when z goes to P z with P independent of z.
#pragma once

#include <vector>

#include "widelab/base/types.hpp"

namespace widelab::theory {

/// The upper triangle of a symmetric n x n matrix, column by column: a smaller matrix is the leading part.
class MomentTriangle {
 public:
  explicit MomentTriangle(Index order) : order_(order), entries_(static_cast<std::size_t>(order * (order + 1) / 2)) {}
  /// Z = z z^T.
  explicit MomentTriangle(const std::vector<double>& z);

  Index order() const { return order_; }
  std::vector<double>& entries() { return entries_; }
  const std::vector<double>& entries() const { return entries_; }
  static std::size_t place(std::size_t i, std::size_t j) { return i <= j ? j * (j + 1) / 2 + i : i * (i + 1) / 2 + j; }
  double operator()(std::size_t i, std::size_t j) const { return entries_[place(i, j)]; }

  /// Adds weight P Z P^T; `map` n x n, row-major.
  void add_image(const std::vector<double>& map, const MomentTriangle& moments, double weight);

 private:
  Index order_;
  std::vector<double> entries_;
};

/// Z -> E[P Z P^T], a dense matrix on upper triangles: n (n + 1) / 2 squared numbers.
class MomentOperator {
 public:
  explicit MomentOperator(Index order);

  /// Adds weight times Z -> P Z P^T; `map` n x n, row-major, its last row (0, .., 0, 1).
  void add(const std::vector<double>& map, double weight);
  void add(const MomentOperator& other, double weight);
  MomentTriangle apply(const MomentTriangle& moments) const;

  /// Z = E[P Z P^T] with last entry 1. The operator maps second moments among themselves positively, so they are stable
  /// iff W = E[P W P^T] + 1 has a positive definite solution; without one, false and `fixed` as it was.
  bool fixed_point(MomentTriangle& fixed) const;

 private:
  Index order_;
  std::vector<double> entries_;
};

}  // namespace widelab::theory
