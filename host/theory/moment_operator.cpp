#include "host/theory/moment_operator.hpp"

#include <lapacke.h>

#include <numeric>

#include "widelab/base/contract.hpp"

namespace widelab::theory {

MomentTriangle::MomentTriangle(const std::vector<double>& z) : MomentTriangle(static_cast<Index>(z.size())) {
  for (std::size_t j = 0; j < z.size(); ++j)
    for (std::size_t i = 0; i <= j; ++i) entries_[place(i, j)] = z[i] * z[j];
}

void MomentTriangle::add_image(const std::vector<double>& map, const MomentTriangle& moments, double weight) {
  const auto n = static_cast<std::size_t>(order_);
  std::vector<double> full(n * n), half(n * n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < n; ++j) full[i * n + j] = moments(i, j);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t k = 0; k < n; ++k)
      for (std::size_t l = 0; l < n; ++l) half[i * n + l] += map[i * n + k] * full[k * n + l];
  for (std::size_t j = 0; j < n; ++j)
    for (std::size_t i = 0; i <= j; ++i)
      entries_[place(i, j)] +=
          weight * std::inner_product(map.data() + j * n, map.data() + (j + 1) * n, half.data() + i * n, 0.0);
}

MomentOperator::MomentOperator(Index order)
    : order_(order), entries_(static_cast<std::size_t>(order * (order + 1) / 2 * (order * (order + 1) / 2))) {}

// Entry ((i, j), (k, l)) is P_ik P_jl + P_il P_jk, half of it for k = l.
void MomentOperator::add(const std::vector<double>& map, double weight) {
  const auto n = static_cast<std::size_t>(order_);
  double* entry = entries_.data();
  for (std::size_t j = 0; j < n; ++j)
    for (std::size_t i = 0; i <= j; ++i) {
      const double *a = map.data() + i * n, *b = map.data() + j * n;
      for (std::size_t l = 0; l < n; ++l) {
        for (std::size_t k = 0; k < l; ++k) *entry++ += weight * (a[k] * b[l] + a[l] * b[k]);
        *entry++ += weight * a[l] * b[l];
      }
    }
}

void MomentOperator::add(const MomentOperator& other, double weight) {
  for (std::size_t e = 0; e < entries_.size(); ++e) entries_[e] += weight * other.entries_[e];
}

MomentTriangle MomentOperator::apply(const MomentTriangle& moments) const {
  MomentTriangle out(order_);
  const std::vector<double>& in = moments.entries();
  for (std::size_t p = 0; p < in.size(); ++p)
    out.entries()[p] = std::inner_product(in.begin(), in.end(), entries_.data() + p * in.size(), 0.0);
  return out;
}

// (1 - L) Z = 0 in all entries but the last; W's equation is the leading part of the same system.
bool MomentOperator::fixed_point(MomentTriangle& fixed) const {
  const auto n = static_cast<std::size_t>(order_);
  const std::size_t size = fixed.entries().size(), unknowns = size - 1;
  WIDELAB_REQUIRE(size == n * (n + 1) / 2 && n >= 2, "moments of another order");
  std::vector<double> system(unknowns * unknowns), right(unknowns * 2);
  for (std::size_t p = 0; p < unknowns; ++p) {
    for (std::size_t q = 0; q < unknowns; ++q) system[p * unknowns + q] = (p == q ? 1.0 : 0.0) - entries_[p * size + q];
    right[2 * p] = entries_[p * size + unknowns];
  }
  for (std::size_t i = 0; i + 1 < n; ++i) right[2 * MomentTriangle::place(i, i) + 1] = 1.0;
  std::vector<lapack_int> pivots(unknowns);
  const auto order = static_cast<lapack_int>(unknowns);
  if (LAPACKE_dgesv(LAPACK_ROW_MAJOR, order, 2, system.data(), order, pivots.data(), right.data(), 2) != 0)
    return false;
  std::vector<double> witness((n - 1) * (n - 1));
  for (std::size_t i = 0; i + 1 < n; ++i)
    for (std::size_t j = 0; j + 1 < n; ++j) witness[i * (n - 1) + j] = right[2 * MomentTriangle::place(i, j) + 1];
  const auto dim = static_cast<lapack_int>(n - 1);
  if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'U', dim, witness.data(), dim) != 0) return false;
  for (std::size_t p = 0; p < unknowns; ++p) fixed.entries()[p] = right[2 * p];
  fixed.entries().back() = 1.0;
  return true;
}

}  // namespace widelab::theory
