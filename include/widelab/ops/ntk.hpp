// Op `ntk`: empirical tangent kernels of an ensemble, with the feature kernels and outputs that fall out on the way.
#pragma once

#include "widelab/base/types.hpp"
#include "widelab/base/view.hpp"
#include "widelab/model/parametrization.hpp"
#include "widelab/ops/member_weights.hpp"
#include "widelab/plan/device_limits.hpp"

namespace widelab {

/// Which output blocks of the NTK are formed.
enum class NtkBlocks {
  full,      ///< (N1 O) x (N2 O), entry ((i, o), (j, p))
  trace,     ///< N1 x N2, mean over outputs of the diagonal blocks: (1/O) sum_o Theta[(i, o), (j, o)]
  diagonal,  ///< N1 x N2 x O, entry (i, j, o) = Theta[(i, o), (j, o)]
};

/// Theta[(i, o), (j, p)] = sum over trained parameters t of rate_t df_o(x_i)/dt df_p(x_j)/dt
///   = sum_l (kw_l <h_{l-1,i}, h_{l-1,j}> + kb_l) <B_{l,i,o}, B_{l,j,p}>,  B_{l,i,o} = df_o(x_i)/dz_l,
/// kw = rate * multiplier^2 of the weights, kb of the biases (LayerScale). Layerwise Grams; no Jacobian is formed
/// except by the reference. Source: derived in Novak et al. 2022 (structured derivatives) for dense layers.
/// Dots over units are accumulated in fp64 across chunks of at most 512 units.
template <class T>
struct NtkProblem {
  const Network* network = nullptr;
  MemberWeights<T> weights;
  MatrixView<const T> x1;  ///< N1 x d
  MatrixView<const T> x2;  ///< N2 x d; null data = x1 (symmetric problem)
  NtkBlocks blocks = NtkBlocks::trace;
  double* ntk = nullptr;   ///< out, or null: members x entries(blocks)
  double* nngp = nullptr;  ///< out, or null: members x N1 x N2, see ops/nngp.hpp
  T* outputs = nullptr;    ///< out, or null: members x N1 x O, f on x1
  DeviceLimits limits;     ///< workspace and workers; the default takes what there is

  Index rows() const { return x1.rows; }
  Index cols() const { return x2.data ? x2.rows : x1.rows; }
  /// Numbers in `ntk` for one member.
  Index entries() const {
    const Index o = network->shape.outputs;
    return rows() * cols() * (blocks == NtkBlocks::full ? o * o : blocks == NtkBlocks::diagonal ? o : 1);
  }
};

namespace reference {
/// Explicit Jacobians by naive backpropagation, then their contraction.
void ntk(const NtkProblem<double>& problem);
}  // namespace reference
namespace cpu {
void ntk(const NtkProblem<float>& problem);
void ntk(const NtkProblem<double>& problem);
}  // namespace cpu
/// CUDA: stored weights, inputs and results in device memory, ids and the network in host memory; returns when the
/// results are there.
namespace cuda {
struct Context;
void ntk(Context& context, const NtkProblem<float>& problem);
void ntk(Context& context, const NtkProblem<double>& problem);
}  // namespace cuda

}  // namespace widelab
