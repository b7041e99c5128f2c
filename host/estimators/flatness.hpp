// The training loss of a network along directions of one layer's weights: slope, noise and curvature where it stands,
// and how far one may go until the loss has grown e-fold.
//
// W, the layer's weights; a_n what enters it, z_n = m W a_n + .. its pre-activation. Along a direction P of its weights
// z_n(x) = z_n + x d_n, d_n = m P a_n, so that what lies below is computed once, and the loss at any x costs one pass
// from the layer upwards. With u_n = J_n d_n, J_n = df(x_n)/dz:
//   slope g_n = (d loss_n/df) . u_n,   curvature h_n = u_n . (d^2 loss_n/df^2) u_n,
// the latter P^T H_n P where the outputs are piecewise linear in the layer (layer_curvature.hpp), Gauss-Newton else.
// Source: derived from the chain rule.
#pragma once

#include <vector>

#include "widelab/base/view.hpp"
#include "widelab/math/losses.hpp"
#include "widelab/model/parametrization.hpp"

namespace widelab::estimators {

struct LayerLossProblem {
  const Network* network = nullptr;    ///< without LayerNorm and residual branches
  const double* parameters = nullptr;  ///< of one member, ParamLayout
  MatrixView<const double> features;   ///< N x fan_in(layer): a_n
  const double* targets = nullptr;     ///< N x k
  LossKind loss = LossKind::half_squared;
  Index layer = 1;  ///< 1 .. L
};

/// How ends of the e-fold width are found: from a bracket that doubles up to `farthest` (a length of weights), until ln
/// of the loss is within the tolerance of its end, or the bracket is within it relative to its length. A loss that
/// grows at least in proportion to x has its end to that relative error.
struct WidthSearch {
  double tolerance = 1e-5;
  double farthest = 1e3;
};

/// Of the mean loss L over examples, along one direction.
struct LayerLine {
  double gradient = 0;         ///< mean of g_n
  double noise = 0;            ///< mean of g_n^2 less the square of the mean: C_ii of one example
  double curvature = 0;        ///< mean of h_n: H_ii
  double left = 0, right = 0;  ///< L(W + x P) = e L(W) there: the first crossing that the growing bracket meets;
                               ///< NaN if it meets none, or if L(W) = 0
  /// F, the flatness of Feng and Tu (2021, PNAS 118 e2015617118). For a quadratic minimum 2 sqrt(2 (e - 1) L / H_ii).
  /// It is a length of weights: rescaling a ReLU layer by alpha and the next by 1/alpha leaves the function unchanged
  /// and multiplies every width of this layer by alpha (Dinh et al. 2017).
  double width() const { return right - left; }
};

class LayerLoss {
 public:
  /// Nothing is copied but pre-activations (8 N fan_out bytes): arrays outlive the object. ContractError for a layer
  /// that is not there, LayerNorm or residual branches.
  explicit LayerLoss(const LayerLossProblem& problem);

  double loss() const { return loss_; }  ///< L(W)
  /// `directions` K x (fan_out fan_in), in the order of ParamLayout, each of length 1. Directions in parallel.
  std::vector<LayerLine> slopes(const std::vector<double>& directions) const;  ///< without the ends: they are NaN
  std::vector<LayerLine> lines(const std::vector<double>& directions, const WidthSearch& search = {}) const;

 private:
  using Vector = std::vector<double>;
  Vector pre_activation_change(const double* direction) const;
  void affine(Index layer, Index rows, bool with_bias, Vector& h) const;
  void finish(Index rows, Vector& z, Vector* tangent) const;
  double loss_at(const Vector& change, double x) const;
  LayerLine slopes_along(const Vector& change) const;
  double end(const Vector& change, double sign, double guess, const WidthSearch& search) const;

  LayerLossProblem problem_;
  Vector pre_activation_;  // N x fan_out
  double loss_ = 0;
};

}  // namespace widelab::estimators
