// Op `gradient_gram`: Gram matrices of per-sample loss gradients of an ensemble, without forming a gradient.
#pragma once

#include "widelab/base/types.hpp"
#include "widelab/base/view.hpp"
#include "widelab/math/losses.hpp"
#include "widelab/model/parameter_selection.hpp"
#include "widelab/model/parametrization.hpp"
#include "widelab/ops/member_weights.hpp"
#include "widelab/plan/device_limits.hpp"

namespace widelab {

/// G_ij = <g_i, g_j>, g_i = d loss(f(x_i), y_i) / d theta over the counted parameters theta, each loss by itself (no
/// mean over examples):
///   G_ij = sum_l (m_l^2 <h_{l-1,i}, h_{l-1,j}> + M_l^2) <delta_{l,i}, delta_{l,j}>,   delta_{l,i} = d loss_i / d z_l,
/// with m, M the forward multipliers of weights and biases that count. N^2 sum_l n_l operations in place of N^2 P, and
/// no N x P memory. Dots over units are accumulated in fp64 across chunks of at most 512 units.
/// Source: per-example norms by Goodfellow 2015 (arXiv 1510.01799); the Gram is the same step for pairs.
template <class T>
struct GradientGramProblem {
  const Network* network = nullptr;
  MemberWeights<T> weights;
  MatrixView<const T> inputs;  ///< N x d
  const T* targets = nullptr;  ///< N x O, in the form that the loss asks for
  LossKind loss = LossKind::half_squared;
  ParameterSelection parameters;
  double* gram = nullptr;     ///< out, or null: members x N x N
  double* squares = nullptr;  ///< out, or null: members x N, |g_i|^2; without `gram` no pair of examples is touched
  T* outputs = nullptr;       ///< out, or null: members x N x O, f (loss_value makes losses of them)
  DeviceLimits limits;        ///< workspace and workers; the default takes what there is
};

namespace reference {
/// Explicit gradients by naive backpropagation, then their inner products.
void gradient_gram(const GradientGramProblem<double>& problem);
}  // namespace reference
namespace cpu {
void gradient_gram(const GradientGramProblem<float>& problem);
void gradient_gram(const GradientGramProblem<double>& problem);
}  // namespace cpu
/// CUDA: stored weights, inputs, targets and results in device memory, ids and the network in host memory; returns when
/// the results are there.
namespace cuda {
struct Context;
void gradient_gram(Context& context, const GradientGramProblem<float>& problem);
void gradient_gram(Context& context, const GradientGramProblem<double>& problem);
}  // namespace cuda

}  // namespace widelab
