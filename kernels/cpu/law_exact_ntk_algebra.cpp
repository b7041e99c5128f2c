#include "kernels/cpu/law_exact_ntk_algebra.hpp"

#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/blas.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/ops/law_exact_ntk.hpp"

namespace widelab::cpu {
namespace {

/// V diag(f) V^T for the eigenvectors V (columns).
std::vector<double> recompose(const std::vector<double>& vectors, const std::vector<double>& f, Index n) {
  std::vector<double> scaled(vectors), out(vectors.size());
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < n; ++k) scaled[static_cast<std::size_t>(i * n + k)] *= f[static_cast<std::size_t>(k)];
  gemm(n, n, n, 1.0, {scaled.data(), n}, {vectors.data(), n, Op::transposed}, 0.0, out.data(), n);
  return out;
}

}  // namespace

GramFunctions gram_functions(const std::vector<double>& gram, Index n, bool with_pseudo_inverse) {
  const auto size = static_cast<std::size_t>(n);
  if (!std::all_of(gram.begin(), gram.end(), [](double v) { return std::isfinite(v); })) {
    const std::vector<double> nan(gram.size(), std::numeric_limits<double>::quiet_NaN());
    return {nan, with_pseudo_inverse ? nan : std::vector<double>{}};
  }
  std::vector<double> vectors(gram), values(size, 0.0);
  if (n == 1) {
    values[0] = gram[0];
    vectors[0] = 1.0;
  } else {
    const auto order = static_cast<lapack_int>(n);
    const lapack_int info = LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'V', 'U', order, vectors.data(), order, values.data());
    WIDELAB_REQUIRE(info == 0, "eigenvalue decomposition failed");
  }
  const double cut = law_exact_rank_tolerance(n) * values[size - 1];
  std::vector<double> root(size), inverse(size);
  for (std::size_t k = 0; k < size; ++k) {
    const bool kept = values[k] > cut;
    root[k] = kept ? std::sqrt(values[k]) : 0.0;
    inverse[k] = kept ? 1.0 / values[k] : 0.0;
  }
  GramFunctions out{recompose(vectors, root, n), {}};
  if (with_pseudo_inverse) out.pseudo_inverse = recompose(vectors, inverse, n);
  for (std::size_t i = 0; i < size; ++i)
    for (std::size_t k = 0; gram[i * size + i] == 0.0 && k < size; ++k)
      out.root[i * size + k] = out.root[k * size + i] = 0.0;
  return out;
}

std::vector<double> multiply(Index rows, Index cols, Index inner, const std::vector<double>& a,
                             const std::vector<double>& b) {
  std::vector<double> c(static_cast<std::size_t>(rows * cols));
  gemm(rows, cols, inner, 1.0, {a.data(), inner}, {b.data(), cols}, 0.0, c.data(), cols);
  return c;
}

void CompensatedArray::add(const double* term) {
  for (std::size_t k = 0; k < sum_.size(); ++k) {
    const double total = sum_[k] + term[k], shift = total - sum_[k];
    carry_[k] += (sum_[k] - (total - shift)) + (term[k] - shift);
    sum_[k] = total;
  }
}

void CompensatedArray::add(const CompensatedArray& other) {
  add(other.sum_.data());
  for (std::size_t k = 0; k < carry_.size(); ++k) carry_[k] += other.carry_[k];
}

std::vector<double> CompensatedArray::value() const {
  std::vector<double> out(sum_);
  for (std::size_t k = 0; k < out.size(); ++k) out[k] += carry_[k];
  return out;
}

}  // namespace widelab::cpu
