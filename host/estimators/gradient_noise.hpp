// The noise of stochastic gradients, from the Gram matrix G_ij = <g_i, g_j> of per-sample loss gradients (op
// gradient_gram) or from the norms of batch gradients alone. No gradient is ever needed as a vector.
//
// g = (1/N) sum_i g_i is the gradient of the mean loss, C = (1/N) sum_i (g_i - g)(g_i - g)^T the noise covariance of
// one example; a batch of B drawn with replacement has C / B.
#pragma once

#include <span>
#include <vector>

#include "host/estimators/estimate.hpp"
#include "widelab/base/types.hpp"

namespace widelab::estimators {

struct GradientNoise {
  double gradient_square = 0;  ///< |g|^2 = 1^T G 1 / N^2
  double trace = 0;            ///< tr C = tr G / N - |g|^2
  double trace_of_square = 0;  ///< tr C^2 = |J G J|_F^2 / N^2, J = 1 - 1 1^T / N

  /// (tr C)^2 / tr C^2: the number of directions that the noise spreads over; 0 without noise.
  double participation() const;
  /// B_simple = tr C / |g|^2 (McCandlish et al. 2018, arXiv 1812.06162): the batch at which noise and gradient are
  /// equally large. Infinite at a minimum.
  double noise_scale() const;
};

/// `gram`: n x n, n >= 1. ContractError for another size.
GradientNoise gradient_noise(std::span<const double> gram, Index n);

/// Eigenvalues of C, largest first: those of J G J / N, which are all that are not 0 (n numbers). NaN where an entry is
/// not finite.
std::vector<double> noise_spectrum(std::span<const double> gram, Index n);

/// Two kinds of examples, clean and wrong labels say, with mean gradients g_0 and g_1: cos(g_0, g_1), and how hard the
/// second kind pulls, n_1 |g_1| / (n_0 |g_0|). NaN where a kind has no example or no gradient. Order parameters of the
/// learning phases of mislabelled data (after Feng and Tu 2021, MLST 2 043001; this form is ours).
struct KindAlignment {
  double cosine = 0, relative_strength = 0;
};
KindAlignment kind_alignment(std::span<const double> gram, const std::vector<bool>& second_kind);

/// The gradients g^b of consecutive batches of `batch` examples, a last smaller one left out: mean cosine over pairs
/// and mean norm. NaN with fewer than two batches, or where one has no gradient.
struct BatchAlignment {
  double cosine = 0, amplitude = 0;
};
BatchAlignment batch_alignment(std::span<const double> gram, Index n, Index batch);

/// |g|^2, tr C and their quotient from norms of batch gradients of two sizes, one pair a row of the two lists: with
/// E |g_B|^2 = |g|^2 + tr C / B,
///   |g|^2 = (b |G_b|^2 - a |G_a|^2) / (b - a),   tr C = (|G_a|^2 - |G_b|^2) / (1/a - 1/b)
/// (McCandlish et al. 2018, appendix A), numerator and denominator of the noise scale averaged apart; errors by the
/// jackknife over pairs. Batches are drawn with replacement, or from a data set much larger than they are.
struct BatchNoise {
  Estimate gradient_square, trace, noise_scale;
};
struct BatchSquares {
  Index batch = 1;                  ///< examples a batch
  std::span<const double> squares;  ///< |G|^2 of each
};
/// ContractError unless small.batch < large.batch and both lists have the same length of at least 2.
BatchNoise batch_noise(const BatchSquares& small, const BatchSquares& large);

}  // namespace widelab::estimators
