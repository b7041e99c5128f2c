// Exact population risk of f(x) = sum_j <a_j, x> 1[<w_j, x> > 0], x uniform on the unit sphere of R^d, without a test
// set: regression on the first-layer tangent features of ReLU. Those are the gradient of relu(sqrt(d) <w_j, x>) by
// sqrt(d) w_j, |w_j| = 1, so that with the coefficients xi_l = E[relu(sqrt(d) t) Q_l(t)] of ReLU and the harmonics
// f_l = sqrt(B_l) Q_l(<u, x>), u the first coordinate axis,
//   E[f f_l] = a^T v_l,  v_l = grad_w |w| sqrt(B_l) xi_l Q_l(<u, w> / |w|) / sqrt(d)      (Funk 1916, Hecke 1918)
//   E f^2 = a^T U a,  U as in tangent_feature_products.
#pragma once

#include <vector>

#include "host/estimators/kernel_risk.hpp"

namespace widelab::estimators {

class TangentRisk {
 public:
  /// `coefficient`, `multiplicity`: xi_l of ReLU and B_l of degrees 0 .. L, as many of both; d >= 3.
  TangentRisk(Index dimension, std::vector<double> coefficient, std::vector<double> multiplicity);

  /// With target degrees 0 .. degrees - 1 <= L. The points of `solutions` are units, `directions` their w_j (N x d),
  /// and every unit has d coefficients: S x R x (N d). In parallel; the bits do not depend on the number of threads.
  PrefixMoments moments(const PrefixSolutions& solutions, Index degrees) const;

 private:
  Index dimension_;
  std::vector<double> coefficient_, multiplicity_;
};

}  // namespace widelab::estimators
