// Dense curvature matrices of one layer's weights.
#pragma once

#include <vector>

#include "widelab/base/view.hpp"
#include "widelab/math/losses.hpp"
#include "widelab/model/parametrization.hpp"

namespace widelab::estimators {

/// With a_n the layer's input, z its pre-activation, J_n = df(x_n)/dz, m the forward multiplier and
///   h_n = m^2 J_n^T (d^2 loss_n/df^2) J_n (x) a_n a_n^T,   g_n = m J_n^T (d loss_n/df) (x) a_n:
/// sums over outputs c of rank-one terms v_nc (x) a_n. Where the outputs are piecewise linear in the layer, h_n is the
/// example's whole Hessian: there is no second term. Source: derived from the chain rule.
enum class LayerMatrix {
  hessian,           ///< E_n[h_n]; refused where it would not be exact
  gauss_newton,      ///< E_n[h_n] for any activation
  squared_hessians,  ///< E_n[h_n h_n]; refused as above
  gradient_moment,   ///< E_n[g_n g_n^T]; minus g g^T, the covariance of per-sample gradients
};

struct LayerCurvatureProblem {
  const Network* network = nullptr;
  const double* parameters = nullptr;  ///< of one member, ParamLayout
  MatrixView<const double> inputs;     ///< N x d
  const double* targets = nullptr;     ///< N x k
  LossKind loss = LossKind::half_squared;
  Index layer = 0;  ///< 0 .. L
};

/// The matrix over the layer's weights (biases left out), D x D row-major and exactly symmetric, D = fan_out fan_in in
/// the order of ParamLayout. About N D^2 multiplications; 8 D^2 bytes.
/// Errors: RecipeError for LayerNorm, and for a Hessian below an activation that is not piecewise linear; PlanError
/// beyond kLargestLayerMatrix.
std::vector<double> layer_curvature(const LayerCurvatureProblem& problem, LayerMatrix matrix);

inline constexpr Index kLargestLayerMatrix = 16384;

/// Kinked activations and the identity: outputs are piecewise linear in any one layer.
bool piecewise_linear(const Activation& activation);

}  // namespace widelab::estimators
