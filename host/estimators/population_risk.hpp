// Inner products over the law of the inputs, exactly and without a test set: of features with features,
// U_ij = E[sigma_i(x) sigma_j(x)], and of features with a target, v_i = E[f*(x) sigma_i(x)]. With them the excess risk
// of f = sum_i a_i sigma_i is a^T U a - 2 a^T v + E f*^2, and errors of two fits have their covariance.
//
// Laws of x: uniform on the sphere of radius sqrt(d), or N(0, 1_d); features sigma(<w_i, x> / sqrt(d)). On the sphere
// functions are expanded in Gegenbauer polynomials Q_l of dimension d with Q_l(1) = 1, of multiplicity B(d, l):
//   sigma(sqrt(d) t) = sum_l B xi_l Q_l(t),      f*(x) = sum_l F_l sqrt(B) Q_l(<u, x> / sqrt(d)),  |u| = 1,
//   U_ij = sum_l B xi_l^2 Q_l(cos),              v_i = sum_l F_l sqrt(B) xi_l Q_l(<u, w_i> / sqrt(d)),  |w_i|^2 = d
// (Funk 1916, Hecke 1918). For Gaussian inputs the same holds with Q_l(t) = t^l, the limit d -> infinity, B xi_l^2
// replaced by the squared Hermite coefficient and F_l sqrt(B) xi_l by F_l times it. Who asks brings the coefficients.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "widelab/base/types.hpp"
#include "widelab/math/activations.hpp"

namespace widelab::estimators {

/// sum_l coefficients[l] Q_l(t) with Q_l Gegenbauer of dimension `dimension` >= 2; 0: Q_l(t) = t^l.
struct ZonalSeries {
  std::vector<double> coefficients;
  Index dimension = 0;

  struct Point {
    double value = 0, slope = 0;  ///< and derivative in t
  };
  Point at(double t) const;
};

/// Weights w_i of a layer's units: count x dimension, row-major.
struct Units {
  const double* weights = nullptr;
  Index count = 0, dimension = 0;
};

/// U as a function of the weights.
class FeatureOverlap {
 public:
  /// a min(z, 0) + b max(z, 0), weights of any length: arc-cosine kernels (Cho and Saul 2009). Equal for both laws of
  /// x, since the products are homogeneous of degree 2 in x.
  static FeatureOverlap homogeneous(double a, double b);
  /// The same of ReLU and ab-ReLU (leaky ReLU and the absolute value among them); empty for other activations.
  static std::optional<FeatureOverlap> homogeneous(const Activation& activation);
  /// Weights of length sqrt(d); the series of U in the cosine. Evaluated by Clenshaw's rule in Chebyshev polynomials.
  static FeatureOverlap zonal(const ZonalSeries& series);
  /// Gaussian inputs, weights of any length: dual_moments pair by pair (slow for activations without a closed form).
  static FeatureOverlap gaussian(const Activation& activation);

  /// out (a.count x b.count, row-major).
  void panel(const Units& a, const Units& b, double* out) const;

 private:
  enum class Form { homogeneous, zonal, gaussian };
  void apply(double norm_a, double norm_b, double* products) const;

  Form form_ = Form::homogeneous;
  double squares_ = 1, product_ = 0;  // a^2 + b^2 and 2 a b
  std::vector<double> chebyshev_;
  Activation activation_ = Relu{};
};

/// Coefficients of the first `units` units of two sets of features, for which a^T U b is wanted. A group holds vectors
/// that are multiplied with each other (all fits at one ridge, say).
struct ProductBlock {
  Index units = 0;  ///< <= the count of either set
  Index groups = 1, left = 1, right = 1;
  const double* a = nullptr;  ///< groups x left x columns
  const double* b = nullptr;  ///< groups x right x columns
  double* out = nullptr;      ///< groups x left x right
};

/// a^T U b of random features, one column a unit; blocks with ascending units. U is made by panels of rows, once for
/// all blocks, and never stored.
void random_feature_products(const FeatureOverlap& overlap, const Units& a, const Units& b,
                             std::span<const ProductBlock> blocks);

/// The same for first-layer tangent features of ReLU, x_c 1[<w_i, x> > 0], d columns a unit, where
///   E[x x^T 1_i 1_j] = (pi - theta) / (2 pi) 1 + sin(theta) / (2 pi) (m m^T - m' m'^T),
/// theta the angle between w_i and w_j, m and m' unit vectors along the sum and the difference of their directions:
/// in the plane of the two the wedge where both are positive has opening pi - theta around m. Equal for both laws of x.
void tangent_feature_products(const Units& a, const Units& b, std::span<const ProductBlock> blocks);

/// v of random features with weights of length sqrt(d), or of a homogeneous activation with weights of any length:
/// |w_i| / sqrt(d) profile(<u, w_i> / |w_i|) with u the first unit vector. out: units.count.
void random_feature_target(const Units& units, const ZonalSeries& profile, double* out);

/// v of Gaussian inputs, weights of any length: sum_l amplitudes[l] c_l(|w_i|^2 / d) cos^l with c_l the Hermite
/// coefficients of the activation, f* = sum_l amplitudes[l] h_l(x_1).
void gaussian_feature_target(const Units& units, const Activation& activation, const std::vector<double>& amplitudes,
                             double* out);

/// v of tangent features: the gradient by w of |w| profile(cos), profile being that of ReLU features; out: count x d.
void tangent_feature_target(const Units& units, const ZonalSeries& profile, double* out);

}  // namespace widelab::estimators
