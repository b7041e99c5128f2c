#include "host/estimators/krylov_basis.hpp"

#include <cblas.h>

#include <algorithm>

#include "host/runtime/backend.hpp"
#include "widelab/base/contract.hpp"

namespace widelab::estimators {

KrylovBasis::KrylovBasis(Index dimension, Index capacity) : dimension_(dimension), capacity_(capacity + 1) {
  WIDELAB_REQUIRE(dimension >= 1 && capacity >= 1, "a Krylov basis needs a dimension and room for a vector");
  runtime::fix_blas_threads();
  rows_.reserve(static_cast<std::size_t>(capacity_ * dimension_));  // pages are taken up as they are written
}

double KrylovBasis::orthogonalise(std::span<double> v, std::span<double> coefficients) const {
  const int rows = static_cast<int>(size_), n = static_cast<int>(dimension_);
  std::fill(coefficients.begin(), coefficients.end(), 0.0);
  std::vector<double> overlap(static_cast<std::size_t>(size_));
  for (int round = 0; round < 2 && rows > 0; ++round) {
    cblas_dgemv(CblasRowMajor, CblasNoTrans, rows, n, 1.0, rows_.data(), n, v.data(), 1, 0.0, overlap.data(), 1);
    cblas_dgemv(CblasRowMajor, CblasTrans, rows, n, -1.0, rows_.data(), n, overlap.data(), 1, 1.0, v.data(), 1);
    for (std::size_t k = 0; k < overlap.size(); ++k) coefficients[k] += overlap[k];
  }
  return cblas_dnrm2(n, v.data(), 1);
}

void KrylovBasis::append(std::span<const double> v, double norm) {
  WIDELAB_REQUIRE(size_ < capacity_, "the Krylov basis is full");
  for (const double x : v) rows_.push_back(x / norm);
  ++size_;
}

void KrylovBasis::combine(std::span<const double> weights, std::span<double> out) const {
  cblas_dgemv(CblasRowMajor, CblasTrans, static_cast<int>(weights.size()), static_cast<int>(dimension_), 1.0,
              rows_.data(), static_cast<int>(dimension_), weights.data(), 1, 0.0, out.data(), 1);
}

void KrylovBasis::rotate(std::span<const double> weights, Index count) {
  const Index old = size_ - 1;
  constexpr Index kColumns = 1024;
  std::vector<double> block(static_cast<std::size_t>(count * kColumns));
  for (Index first = 0; first < dimension_; first += kColumns) {
    const Index columns = std::min(kColumns, dimension_ - first);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(count), static_cast<int>(columns),
                static_cast<int>(old), 1.0, weights.data(), static_cast<int>(old), rows_.data() + first,
                static_cast<int>(dimension_), 0.0, block.data(), static_cast<int>(columns));
    for (Index k = 0; k < count; ++k)
      std::copy_n(block.data() + k * columns, columns, rows_.data() + k * dimension_ + first);
  }
  std::copy_n(rows_.data() + old * dimension_, dimension_, rows_.data() + count * dimension_);
  size_ = count + 1;
  rows_.resize(static_cast<std::size_t>(size_ * dimension_));
}

}  // namespace widelab::estimators
