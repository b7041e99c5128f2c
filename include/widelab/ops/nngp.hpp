// Op `nngp`: the feature Gram, the covariance of a network's outputs given its hidden layers.
#pragma once

#include "widelab/base/types.hpp"
#include "widelab/base/view.hpp"
#include "widelab/model/parametrization.hpp"
#include "widelab/ops/member_weights.hpp"
#include "widelab/plan/device_limits.hpp"

namespace widelab {

/// K(i, j) = (M_{L+1} std_b)^2 + (m_{L+1} std_w)^2 <h_{L,i}, h_{L,j}>: the conditional covariance of f(x_i), f(x_j)
/// over the readout, which tends to the NNGP kernel.
template <class T>
struct NngpProblem {
  const Network* network = nullptr;
  MemberWeights<T> weights;
  MatrixView<const T> x1;  ///< N1 x d
  MatrixView<const T> x2;  ///< N2 x d; null data = x1
  double* nngp = nullptr;  ///< out: members x N1 x N2
  DeviceLimits limits;     ///< workspace and workers; the default takes what there is
};

namespace reference {
void nngp(const NngpProblem<double>& problem);
}
namespace cpu {
void nngp(const NngpProblem<float>& problem);
void nngp(const NngpProblem<double>& problem);
}  // namespace cpu
/// CUDA: stored weights, inputs and results in device memory, ids and the network in host memory; returns when the
/// results are there.
namespace cuda {
struct Context;
void nngp(Context& context, const NngpProblem<float>& problem);
void nngp(Context& context, const NngpProblem<double>& problem);
}  // namespace cuda

}  // namespace widelab
