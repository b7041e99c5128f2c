#include "kernels/reference/jacobi_svd.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "widelab/base/contract.hpp"

namespace widelab::reference {
namespace {

using Columns = std::vector<std::vector<double>>;

double dot(const std::vector<double>& x, const std::vector<double>& y) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

void rotate(std::vector<double>& x, std::vector<double>& y, double c, double s) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double old = x[i];
    x[i] = c * old - s * y[i];
    y[i] = s * old + c * y[i];
  }
}

Columns transposed(const Columns& columns, Index rows) {
  Columns out(static_cast<std::size_t>(rows), std::vector<double>(columns.size()));
  for (std::size_t j = 0; j < columns.size(); ++j)
    for (std::size_t i = 0; i < out.size(); ++i) out[i][j] = columns[j][i];
  return out;
}

/// Rotates pairs of columns until all are orthogonal; the same rotations act on v. Returns whether nothing turned.
bool sweep(Columns& u, Columns& v) {
  const double tolerance = 4 * std::numeric_limits<double>::epsilon();
  bool done = true;
  for (std::size_t p = 0; p < u.size(); ++p)
    for (std::size_t q = p + 1; q < u.size(); ++q) {
      const double alpha = dot(u[p], u[p]), beta = dot(u[q], u[q]), gamma = dot(u[p], u[q]);
      if (std::abs(gamma) <= tolerance * std::sqrt(alpha * beta) || gamma == 0) continue;
      done = false;
      const double zeta = (beta - alpha) / (2 * gamma);
      const double t = (zeta < 0 ? -1 : 1) / (std::abs(zeta) + std::sqrt(1 + zeta * zeta));
      const double c = 1 / std::sqrt(1 + t * t);
      rotate(u[p], u[q], c, c * t);
      rotate(v[p], v[q], c, c * t);
    }
  return done;
}

/// A column that is rounding beside the largest one turns for ever; it carries no direction.
void drop_rounding(Columns& u) {
  double largest = 0;
  for (const auto& column : u) largest = std::max(largest, dot(column, column));
  const double tiny = std::numeric_limits<double>::epsilon();
  for (auto& column : u)
    if (dot(column, column) <= tiny * tiny * tiny * largest) std::fill(column.begin(), column.end(), 0.0);
}

}  // namespace

SingularValues jacobi_svd(const Columns& columns, Index rows) {
  const bool wide = static_cast<Index>(columns.size()) > rows;
  Columns u = wide ? transposed(columns, rows) : columns;
  const std::size_t count = u.size();
  Columns v(count, std::vector<double>(count, 0.0));
  for (std::size_t k = 0; k < count; ++k) v[k][k] = 1;
  constexpr int kMostSweeps = 60;
  int sweeps = 0;
  while (!sweep(u, v)) {
    WIDELAB_REQUIRE(++sweeps < kMostSweeps, "Jacobi rotations did not converge");
    drop_rounding(u);
  }
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<double> length(count);
  for (std::size_t k = 0; k < count; ++k) length[k] = std::sqrt(dot(u[k], u[k]));
  std::stable_sort(order.begin(), order.end(), [&](std::size_t i, std::size_t j) { return length[i] > length[j]; });
  SingularValues out;
  for (const std::size_t k : order) {
    out.values.push_back(length[k]);
    for (double& x : u[k]) x = length[k] > 0 ? x / length[k] : 0.0;
    out.left.push_back(wide ? v[k] : u[k]);
    out.right.push_back(wide ? u[k] : v[k]);
  }
  return out;
}

}  // namespace widelab::reference
