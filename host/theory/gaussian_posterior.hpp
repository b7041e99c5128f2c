// The posterior of a Gaussian process, and with it of an infinitely wide network under Langevin dynamics.
//
// Target e^{-U / T} of U = (kappa / 2) sum_i (f(x_i) - y_i)^2 + (lambda / 2) |theta|^2: a Gaussian likelihood of noise
// variance s2 = T / kappa, and the prior theta ~ N(0, T / lambda). For kappa = 1 and lambda = T that is s2 = T and
// N(0, 1), in the NTK parametrisation the law of a network as drawn. In the limit of infinite width f is a Gaussian
// process under the prior, and the Gibbs law gives at any points, with K the NNGP kernel,
//   E f = K(x, X) (K + s2)^-1 y,   Cov f = K(x, x) - K(x, X) (K + s2)^-1 K(X, x).
// Sources: Rasmussen and Williams 2006, chapter 2; Neal 1996, Lee et al. 2018; Welling and Teh 2011 for the dynamics.
#pragma once

#include <vector>

#include "widelab/base/view.hpp"

namespace widelab::theory {

/// At all P points, P x 1 and P x P row-major.
struct GaussianPosterior {
  std::vector<double> mean, covariance;
};

/// `kernel`: P x P prior covariance at the points (symmetric), of which the first N = targets.size() are observed with
/// noise of variance `noise_variance` > 0. By the eigenvectors of the observed block. Throws RecipeError for sizes or a
/// noise out of range, and for a block that is not positive semidefinite.
GaussianPosterior gaussian_posterior(MatrixView<const double> kernel, const std::vector<double>& targets,
                                     double noise_variance);

}  // namespace widelab::theory
