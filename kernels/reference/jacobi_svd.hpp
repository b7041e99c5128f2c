// Singular value decomposition by one-sided Jacobi rotations (Hestenes 1958): slow, plain, and accurate to the last
// digits of small singular values.
#pragma once

#include <vector>

#include "widelab/base/types.hpp"

namespace widelab::reference {

/// a = sum_k values[k] left[k] right[k]^T, values descending. left[k] is 0 where values[k] is.
struct SingularValues {
  std::vector<double> values;
  std::vector<std::vector<double>> left, right;
};

/// Of `a` given by its columns, each with `rows` entries; min(rows, columns) triples.
SingularValues jacobi_svd(const std::vector<std::vector<double>>& columns, Index rows);

}  // namespace widelab::reference
