#include "host/estimators/spectra.hpp"

#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "widelab/base/contract.hpp"

namespace widelab::estimators {
namespace {

bool all_finite(std::span<const double> values) {
  return std::ranges::all_of(values, [](double x) { return std::isfinite(x); });
}

std::vector<double> undefined(Index count) {
  return std::vector<double>(static_cast<std::size_t>(count), std::numeric_limits<double>::quiet_NaN());
}

}  // namespace

std::vector<double> symmetric_eigenvalues(std::span<const double> matrix, Index n) {
  if (!all_finite(matrix)) return undefined(n);
  std::vector<double> work(matrix.begin(), matrix.end()), values(static_cast<std::size_t>(n));
  const auto order = static_cast<lapack_int>(n);
  // A symmetric matrix is its own transpose: column-major spares LAPACKE a copy.
  const lapack_int info = LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'N', 'U', order, work.data(), order, values.data());
  WIDELAB_REQUIRE(info == 0, "dsyevd did not converge, info " + std::to_string(info));
  std::ranges::reverse(values);
  return values;
}

std::vector<double> singular_values(std::span<const double> matrix, Index rows, Index cols) {
  const Index count = std::min(rows, cols);
  if (!all_finite(matrix)) return undefined(count);
  std::vector<double> work(matrix.begin(), matrix.end()), values(static_cast<std::size_t>(count));
  double unused = 0;
  // The transpose, which is what a row-major matrix is to LAPACK, has the same singular values.
  const lapack_int info =
      LAPACKE_dgesdd(LAPACK_COL_MAJOR, 'N', static_cast<lapack_int>(cols), static_cast<lapack_int>(rows), work.data(),
                     static_cast<lapack_int>(cols), values.data(), &unused, 1, &unused, 1);
  WIDELAB_REQUIRE(info == 0, "dgesdd did not converge, info " + std::to_string(info));
  return values;
}

}  // namespace widelab::estimators
