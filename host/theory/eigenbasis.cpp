#include "host/theory/eigenbasis.hpp"

#include <cblas.h>
#include <lapacke.h>

#include <cmath>

#include "widelab/base/contract.hpp"

namespace widelab::theory {
namespace {

/// op(a) op(b), row-major.
std::vector<double> product(CBLAS_TRANSPOSE op_a, MatrixView<const double> a, CBLAS_TRANSPOSE op_b,
                            MatrixView<const double> b) {
  const Index rows = op_a == CblasNoTrans ? a.rows : a.cols, inner = op_a == CblasNoTrans ? a.cols : a.rows;
  const Index cols = op_b == CblasNoTrans ? b.cols : b.rows;
  WIDELAB_REQUIRE(inner == (op_b == CblasNoTrans ? b.rows : b.cols), "matrices of a product do not fit");
  std::vector<double> out(static_cast<std::size_t>(rows * cols));
  if (rows > 0)
    cblas_dgemm(CblasRowMajor, op_a, op_b, static_cast<int>(rows), static_cast<int>(cols), static_cast<int>(inner), 1.0,
                a.data, static_cast<int>(a.stride), b.data, static_cast<int>(b.stride), 0.0, out.data(),
                static_cast<int>(cols));
  return out;
}

}  // namespace

Eigenbasis::Eigenbasis(MatrixView<const double> symmetric) {
  const Index d = symmetric.rows;
  WIDELAB_REQUIRE(d >= 1 && symmetric.cols == d, "a symmetric matrix must be square and not empty");
  for (Index i = 0; i < d; ++i) vectors_.insert(vectors_.end(), symmetric.row(i), symmetric.row(i) + d);
  for (const double entry : vectors_)
    if (!std::isfinite(entry)) throw RecipeError("the curvature matrix has an entry that is not finite");
  values_.resize(static_cast<std::size_t>(d));
  const auto order = static_cast<lapack_int>(d);
  const lapack_int info = LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'V', 'U', order, vectors_.data(), order, values_.data());
  WIDELAB_REQUIRE(info == 0, "eigenvalues of the curvature did not converge");
}

std::vector<double> Eigenbasis::rows_into(MatrixView<const double> rows) const {
  return product(CblasNoTrans, rows, CblasNoTrans, matrix_view(vectors_.data(), dim(), dim()));
}

std::vector<double> Eigenbasis::rows_out_of(MatrixView<const double> rows) const {
  return product(CblasNoTrans, rows, CblasTrans, matrix_view(vectors_.data(), dim(), dim()));
}

std::vector<double> Eigenbasis::into(MatrixView<const double> matrix) const {
  const std::vector<double> half = rows_into(matrix);
  return product(CblasTrans, matrix_view(vectors_.data(), dim(), dim()), CblasNoTrans,
                 matrix_view(half.data(), dim(), dim()));
}

std::vector<double> Eigenbasis::out_of(const std::vector<double>& matrix) const {
  const std::vector<double> half = rows_out_of(matrix_view(matrix.data(), dim(), dim()));
  return product(CblasNoTrans, matrix_view(vectors_.data(), dim(), dim()), CblasNoTrans,
                 matrix_view(half.data(), dim(), dim()));
}

}  // namespace widelab::theory
