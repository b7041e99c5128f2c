// Eigenvalues and singular values by LAPACK, for observers.
#pragma once

#include <span>
#include <vector>

#include "widelab/base/types.hpp"

namespace widelab::estimators {

/// Of a symmetric n x n matrix (row-major), largest first. NaN throughout where an entry is not finite.
/// Errors: ContractError if LAPACK gives up on a finite matrix.
std::vector<double> symmetric_eigenvalues(std::span<const double> matrix, Index n);

/// Of a rows x cols matrix (row-major): min(rows, cols) numbers, largest first. NaN and errors as above.
std::vector<double> singular_values(std::span<const double> matrix, Index rows, Index cols);

}  // namespace widelab::estimators
