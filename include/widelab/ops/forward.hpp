// Op `forward`: outputs of an ensemble on a common set of inputs.
#pragma once

#include "widelab/base/types.hpp"
#include "widelab/base/view.hpp"
#include "widelab/model/parametrization.hpp"
#include "widelab/ops/member_weights.hpp"
#include "widelab/plan/device_limits.hpp"

namespace widelab {

/// f = z_{L+1}(x) as defined by MlpShape, for every member and every row of `inputs` (N x d).
template <class T>
struct ForwardProblem {
  const Network* network = nullptr;
  MemberWeights<T> weights;
  MatrixView<const T> inputs;
  T* outputs = nullptr;  ///< out: members x N x O
  DeviceLimits limits;   ///< workspace and workers; the default takes what there is
};

namespace reference {
void forward(const ForwardProblem<double>& problem);
}
namespace cpu {
void forward(const ForwardProblem<float>& problem);
void forward(const ForwardProblem<double>& problem);
}  // namespace cpu
/// CUDA: stored weights, inputs and outputs in device memory, ids and the network in host memory; returns when the
/// results are there.
namespace cuda {
struct Context;
void forward(Context& context, const ForwardProblem<float>& problem);
void forward(Context& context, const ForwardProblem<double>& problem);
}  // namespace cuda

}  // namespace widelab
