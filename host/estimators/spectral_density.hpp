// Spectra and traces of a large symmetric operator from random probes, with standard errors over probes.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "host/estimators/estimate.hpp"
#include "host/estimators/krylov_basis.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab::estimators {

/// Gauss's quadrature rule for the spectral measure of one probe v: sum_i w_i f(theta_i) = v^T f(A) v / n, exact for
/// polynomials of degree up to 2 m - 1, m the number of nodes.
struct QuadratureRule {
  std::vector<double> nodes;    ///< ascending
  std::vector<double> weights;  ///< add up to 1
};

struct QuadratureOptions {
  Index probes = 10;  ///< independent vectors of random signs; at least 2 for standard errors
  Index steps = 100;  ///< products with the operator for each probe; memory: 8 bytes x steps x dimension
  DrawId start;       ///< probe p takes row p of the stream
};

/// One rule for each probe.
struct SpectralSample {
  Index dimension = 0;
  std::vector<QuadratureRule> probes;
};

/// Stochastic Lanczos quadrature (Golub and Welsch 1969; Ubaru, Chen and Saad 2017, SIAM J. Matrix Anal. Appl. 38,
/// 1075): v has entries +-1, weights are the squared first components of the tridiagonal matrix's eigenvectors, the
/// basis is fully reorthogonalised. A probe that spans an invariant subspace ends there: its rule is exact.
/// Errors: ContractError for options out of range, DataError if a product is not finite.
SpectralSample sample_spectrum(Index dimension, const SymmetricOperator& apply, const QuadratureOptions& options);

/// tr f(A), with its standard error over probes. What the rule misses of f beyond degree 2 m - 1 is not in the error:
/// compare two numbers of steps where f is far from a polynomial.
Estimate spectral_trace(const SpectralSample& sample, const std::function<double(double)>& f);

/// A smeared density at each point x: (1/n) tr N(x; A, variance), N the normal density with this variance (unit of A
/// squared). Integrates to 1. (PyHessian, Yao et al. 2020, takes the variance 1e-5 x range of the nodes.)
std::vector<Estimate> spectral_density(const SpectralSample& sample, std::span<const double> points, double variance);

/// tr A = mean of v^T A v (Hutchinson 1990), one product a probe, with its standard error over probes.
Estimate hutchinson_trace(Index dimension, const SymmetricOperator& apply, Index probes, DrawId start);

}  // namespace widelab::estimators
