// The eigenvectors of a symmetric matrix as a basis: in it, linear dynamics driven by that matrix are modes.
#pragma once

#include <vector>

#include "widelab/base/view.hpp"

namespace widelab::theory {

/// H = U diag(values) U^T.
class Eigenbasis {
 public:
  /// `symmetric` d x d, its upper triangle is read. Throws RecipeError for an entry that is not finite.
  explicit Eigenbasis(MatrixView<const double> symmetric);

  Index dim() const { return static_cast<Index>(values_.size()); }
  const std::vector<double>& values() const { return values_; }  ///< ascending

  std::vector<double> rows_into(MatrixView<const double> rows) const;    ///< X U, `rows` x d
  std::vector<double> rows_out_of(MatrixView<const double> rows) const;  ///< X U^T, `rows` x d
  std::vector<double> into(MatrixView<const double> matrix) const;       ///< U^T S U, d x d
  std::vector<double> out_of(const std::vector<double>& matrix) const;   ///< U S U^T, d x d

 private:
  std::vector<double> values_, vectors_;  // vectors_: d x d, eigenvectors in columns
};

}  // namespace widelab::theory
