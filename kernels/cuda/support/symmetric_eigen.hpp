// Square root and pseudo-inverse of Gram matrices on the device, through cuSOLVER's eigendecomposition.
#pragma once

#include <cusolverDn.h>

#include <vector>

#include "kernels/cuda/support/context.hpp"
#include "kernels/cuda/support/device_array.hpp"
#include "widelab/base/types.hpp"

namespace widelab::cuda {

/// Workspace for matrices of two orders: the smaller one need not be content with the larger one's.
class GramFunctions {
 public:
  GramFunctions(Context& context, Index order, Index larger_order);
  ~GramFunctions();
  GramFunctions(const GramFunctions&) = delete;
  GramFunctions& operator=(const GramFunctions&) = delete;

  /// root = G^(1/2) and, unless null, pseudo_inverse = G^+ of `gram` (order x order, one of the two, fp64, device
  /// memory), directions below law_exact_rank_tolerance dropped; rows and columns of the root are exactly 0 where the
  /// diagonal of G is. A gram that is not finite gives NaN. Waits for the result.
  void evaluate(const double* gram, Index order, double* root, double* pseudo_inverse);

 private:
  void decompose(const double* gram, Index order);
  void recompose(Index order, bool inverse, double* out);

  Context& context_;
  cusolverDnParams_t parameters_ = nullptr;
  DeviceArray<double> vectors_, scaled_, values_;
  DeviceArray<int> flags_;  ///< [0]: the solver's status, [1]: gram is not finite
  DeviceArray<unsigned char> device_workspace_;
  std::vector<unsigned char> host_workspace_;
};

}  // namespace widelab::cuda
