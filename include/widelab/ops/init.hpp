// Op `init`: writes the initial parameters of an ensemble.
#pragma once

#include "widelab/base/types.hpp"
#include "widelab/model/parametrization.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab {

/// W[l](i, j) = weight_std_l * draw(stream weights, layer l, row i, col j), b[l](i) = bias_std_l * draw(stream biases,
/// layer l, row 0, col i), in the layout of ParamLayout. The draw is an fp32 number, widened to T before scaling.
/// Orthogonal layers: Q of the QR decomposition of the normal draws (columns' signs fixed by R's diagonal), scaled to
/// mean square entry 1. InitKind::file is refused (ContractError): such weights are read, not drawn.
template <class T>
struct InitProblem {
  const Network* network = nullptr;
  const DrawId* init = nullptr;  ///< `members` ids, host memory
  Index members = 0;
  T* parameters = nullptr;  ///< out: members x ParamLayout(shape).size, on the op's device
};

namespace reference {
void init(const InitProblem<double>& problem);
}
namespace cpu {
void init(const InitProblem<float>& problem);
void init(const InitProblem<double>& problem);
}  // namespace cpu
/// CUDA: `parameters` in device memory, ids and the network in host memory; returns when the results are there.
namespace cuda {
struct Context;
void init(Context& context, const InitProblem<float>& problem);
void init(Context& context, const InitProblem<double>& problem);
}  // namespace cuda

}  // namespace widelab
