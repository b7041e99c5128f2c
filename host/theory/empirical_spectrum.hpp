// The eigen-system of a kernel on given examples, as the spectrum of a regression whose inputs are drawn from these
// examples: on real data the population is a pool, each of its examples equally likely.
#pragma once

#include <vector>

#include "host/theory/deterministic_equivalent.hpp"
#include "widelab/base/types.hpp"

namespace widelab::theory {

/// Kernel: N x N, symmetric and positive semi-definite. Targets: N x k; their powers add up over outputs, since
/// least squares fits every output by itself with the same matrix. With unit eigenvectors v_j of K:
///   s_j = eigenvalue_j / N,   target power = sum_o (v_j . y_o)^2 / N
/// (psi_j = sqrt(N) v_j has E psi_j^2 = 1 over the pool). Eigenvalues below rounding, N eps s_1, count as 0.
/// Throws RecipeError if the sizes do not agree, or a number is not finite.
FeatureSpectrum empirical_spectrum(std::vector<double> kernel, const std::vector<double>& targets, Index examples);

}  // namespace widelab::theory
