// Gaussian expectations of activations: the scalars from which infinite-width kernels and finite-width variances are
// built. Double precision, host only. Formulas and their sources: moment_formulas.hpp.
#pragma once

#include <string>
#include <vector>

#include "widelab/base/contract.hpp"
#include "widelab/math/activations.hpp"
#include "widelab/math/moment_formulas.hpp"

namespace widelab {

/// E[phi(u) phi(v)] and E[phi'(u) phi'(v)] for (u, v) ~ N(0, [[k11, k12], [k12, k22]]): the duals of Daniely, Frostig
/// and Singer 2016. |k12| beyond sqrt(k11 k22) is clipped; zero variances are exact, with relu'(0) = 0, so that the
/// ReLU slope moment at a zero input is 0 (not 1/4). Closed forms, except tanh: quadrature to about 1e-13, whose cost
/// grows with max(k11, k22). Throws ContractError for a negative or non-finite variance.
inline DualMoments dual_moments(const Activation& activation, KernelTriple triple) {
  const moments::GaussianPair pair = moments::gaussian_pair(triple);
  return visit(activation, [&](const auto& functor) { return moments::dual(functor, pair); });
}

/// E phi, E phi^2, E phi^4, E phi'^2 and E[phi^2 (z^2 - K)] for z ~ N(0, K), K = variance >= 0.
inline SingleMoments single_moments(const Activation& activation, double variance) {
  moments::gaussian_pair({variance, variance, variance});
  return visit(activation, [&](const auto& functor) { return moments::single(functor, variance); });
}

/// E[(p p')^2], E[(e e')^2] and E[p p' e e'], p = phi(u), p' = phi(v), e = phi'(u), e' = phi'(v): what the variance of
/// the NTK of one hidden layer is made of. Closed forms for ReLU and abReLU, quadrature for smooth functors.
inline QuarticMoments quartic_moments(const Activation& activation, KernelTriple triple) {
  const moments::GaussianPair pair = moments::gaussian_pair(triple);
  return visit(activation, [&](const auto& functor) { return moments::quartic(functor, pair); });
}

/// c_k = E[phi(sqrt(variance) g) h_k(g)], k = 0 .. max_degree, g ~ N(0, 1), h_k = He_k / sqrt(k!). Closed forms, except
/// tanh (quadrature, max_degree <= 300).
inline std::vector<double> hermite_coefficients(const Activation& activation, double variance, int max_degree) {
  moments::gaussian_pair({variance, variance, variance});
  WIDELAB_REQUIRE(max_degree >= 0, "max_degree = " + std::to_string(max_degree) + ": must be at least 0");
  return visit(activation, [&](const auto& functor) { return moments::hermite(functor, variance, max_degree); });
}

}  // namespace widelab
