// Square root and pseudo-inverse of Gram matrices on the device, through cuSOLVER's eigendecomposition.
#pragma once

#include "kernels/cuda/support/context.hpp"
#include "kernels/cuda/support/dense_solver.hpp"
#include "kernels/cuda/support/device_array.hpp"
#include "widelab/base/types.hpp"

namespace widelab::cuda {

/// For matrices up to `largest_order`.
class GramFunctions {
 public:
  GramFunctions(Context& context, Index largest_order);

  /// root = G^(1/2) and, unless null, pseudo_inverse = G^+ of `gram` (order x order, fp64, device memory), directions
  /// below law_exact_rank_tolerance dropped; rows and columns of the root are exactly 0 where the diagonal of G is. A
  /// gram that is not finite gives NaN. Waits for the result.
  void evaluate(const double* gram, Index order, double* root, double* pseudo_inverse);

 private:
  void recompose(Index order, bool inverse, double* out);

  Context& context_;
  DenseSolver solver_;
  DeviceArray<double> vectors_, scaled_, values_;
  DeviceArray<int> flags_;  ///< [0]: the solver's status, [1]: gram is not finite
};

}  // namespace widelab::cuda
