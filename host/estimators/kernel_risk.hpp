// Exact population risk of f(x) = sum_i alpha_i g(<p_i, x>), x uniform on the unit sphere of R^d, without a test set:
// kernel regression (p_i the examples, g the kernel) and random features (p_i the directions of the weights, g the
// activation). By Funk and Hecke, with g = sum_l B_l g_l Q_l and target harmonics f_l = sqrt(B_l) Q_l(<u, x>),
//   E[f f_l] = g_l sum_i alpha_i f_l(p_i),   E f^2 = alpha^T K2 alpha,  K2_ij = sum_l B_l g_l^2 Q_l(<p_i, p_j>).
// Q_l: Gegenbauer, Q_l(1) = 1; B_l: number of harmonics of degree l; u: the first coordinate axis.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "widelab/base/types.hpp"

namespace widelab::estimators {

/// A function of the angle in [0, pi], piecewise polynomials of degree 9 on 256 intervals: far below rounding for
/// anything that varies on scales above pi / 60, such as Q_l(cos angle), l <= 60.
class AngleTable {
 public:
  explicit AngleTable(const std::function<double(double angle)>& value);
  double at_cosine(double cosine) const;
  /// Values at the angles between point i and points 0 .. count - 1; `directions`: points x d, of unit length.
  void fill_row(const double* directions, Index dimension, Index i, Index count, double* out) const;
  /// Largest distance from the function half-way between the nodes.
  double error() const { return error_; }

 private:
  std::vector<double> polynomials_;
  double error_ = 0;
};

/// Solutions of nested problems: R right-hand sides on the leading points of each size.
struct PrefixSolutions {
  Index points = 0, rights = 0;          ///< n, R
  std::vector<Index> sizes;              ///< S numbers of leading points, from 1 to n
  const double* directions = nullptr;    ///< n x d, of unit length
  const double* coefficients = nullptr;  ///< S x R x n; what lies beyond a size is not read
};

/// E[f_r f_q] and E[f_r f_l] of the solutions f_r of each size.
struct PrefixMoments {
  Index rights = 0, degrees = 0;
  std::vector<double> products;  ///< S x R x R
  std::vector<double> overlaps;  ///< S x R x degrees

  double product(Index size, Index r, Index q) const {
    return products[static_cast<std::size_t>((size * rights + r) * rights + q)];
  }
  double overlap(Index size, Index r, Index degree) const {
    return overlaps[static_cast<std::size_t>((size * rights + r) * degrees + degree)];
  }
  /// E (f - f*)^2, f = sum_r weights_r f_r, f* = sum_l amplitudes_l f_l; as many weights as leading right-hand sides,
  /// as many amplitudes as degrees.
  double excess(Index size, std::span<const double> weights, std::span<const double> amplitudes) const;
};

/// f_0 .. f_(degrees - 1) at points of the unit sphere: points x degrees. `multiplicity`: B_0, B_1, ..
std::vector<double> zonal_harmonics(std::span<const double> directions, Index dimension,
                                    std::span<const double> multiplicity, Index degrees);

class KernelRisk {
 public:
  /// `coefficient`, `multiplicity`: g_l and B_l of degrees 0 .. L, as many of both, at least two; d >= 3.
  /// `tail`: sum over l > L of B_l g_l^2. Q_l of such degrees is taken as 0 between different points.
  KernelRisk(Index dimension, std::vector<double> coefficient, std::vector<double> multiplicity, double tail = 0);

  /// With target degrees 0 .. degrees - 1. The largest terms of K2, of degrees 0 and 1, are summed as squares, so that
  /// a solution whose huge coefficients cancel keeps its digits. In parallel over points; the bits do not depend on
  /// the number of threads.
  PrefixMoments moments(const PrefixSolutions& solutions, Index degrees) const;

  /// Error of a tabulated entry of K2 without degrees 0 and 1.
  double table_error() const { return higher_.error(); }

 private:
  /// Products of the rows `first` and on, a panel of them: S x R x R.
  std::vector<double> panel_products(const PrefixSolutions& solutions, Index first) const;
  /// Degrees 0 and 1 of the products, and the overlaps.
  void add_low_degrees(const PrefixSolutions& solutions, PrefixMoments& out) const;

  Index dimension_;
  std::vector<double> coefficient_, multiplicity_;
  AngleTable higher_;    // sum over 2 <= l <= L
  double diagonal_ = 0;  // sum over l >= 2 at equal points
};

}  // namespace widelab::estimators
