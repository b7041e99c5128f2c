// SGD on a stream of fresh Gaussian inputs: exact second moments, the critical learning rate, and the power law of the
// tail that multiplicative noise leaves behind.
#pragma once

#include <vector>

#include "widelab/base/types.hpp"

namespace widelab::theory {

/// Linear regression y = x.w* + noise of variance s2, x ~ N(0, diag h), every example used once, loss (y - x.w)^2 / 2
/// averaged over a batch of B, no momentum.
struct OnlineRegression {
  std::vector<double> input_variances{1.0};  ///< h_i, >= 0
  double learning_rate = 0.1;                ///< eta
  double label_noise = 1.0;                  ///< s2
  Index batch = 1;                           ///< B
};

struct OnlineLaw {
  std::vector<double> variances;  ///< S_i = E (w_i - w*_i)^2; covariances between directions are 0
  double excess_loss = 0.0;       ///< T / 2
};

/// S_i = eta (s2 + T) / (B (2 - eta h_i (1 + 1/B))), T = sum_j h_j S_j = s2 k / (1 - k), k = sum_j eta h_j / (B (2 -
/// eta h_j (1 + 1/B))). Fixed point of the second moments by Wick's theorem (derived here; of the form of Ziyin et al.
/// 2022). Throws RecipeError at and beyond the critical learning rate.
OnlineLaw online_stationary(const OnlineRegression& problem);

/// S_i one step after `variances` (covariances between directions stay 0):
/// (1 - eta h_i)^2 S_i + (eta^2 / B) h_i (h_i S_i + s2 + T). Stable or not.
std::vector<double> online_after(const OnlineRegression& problem, const std::vector<double>& variances);

/// Spectral radius of that map without s2: mean-square stable below 1, which is at the critical learning rate.
double online_mean_square_radius(const OnlineRegression& problem);

/// The eta at which k = 1 and T diverges; for d equal h it is 2 / (h (1 + (d + 1) / B)).
double online_critical_rate(const std::vector<double>& input_variances, Index batch);

/// Isotropic inputs N(0, h) in d dimensions.
struct KestenProblem {
  double learning_rate = 0.1;   ///< eta
  double input_variance = 1.0;  ///< h
  Index batch = 1, dimension = 1;
};

/// The alpha > 0 of P(|w - w*| > t) ~ t^-alpha in the stationary law of the problem above (Kesten 1973): E g^(alpha/2)
/// = 1 for the factor g by which a step multiplies |w - w*|^2 without label noise,
///   g = (1 - eta h t / B)^2 + (eta h / B)^2 t u,   t ~ chi^2_B, u ~ chi^2_{d-1} independent
/// (for batch 1 in one dimension |1 - eta x^2|^alpha). alpha = 2 at the edge of mean-square stability, 0 where the law
/// ceases to exist. Double-exponential quadrature in sqrt(t), split at the zero of the first term, and in sqrt(u); root
/// to about 1e-13. Throws RecipeError where E log g >= 0 (no stationary law) and where alpha would be beyond
/// kLargestTailExponent.
double kesten_exponent(const KestenProblem& problem);
inline constexpr double kLargestTailExponent = 1000.0;

/// The same for a factor that takes each of finitely many values equally often: the alpha > 0 of mean_k
/// |factors_k|^alpha = 1, as for linear regression in one direction on a finite data set, batch 1, factors 1 - eta
/// (x_n^2 + lambda). Infinite if no factor is beyond 1: all moments exist. Throws RecipeError where the geometric mean
/// is not below 1.
double kesten_exponent_of(const std::vector<double>& factors);

}  // namespace widelab::theory
