// The posterior of a Gaussian process against small closed forms and against the same posterior over weights.
#include "host/theory/gaussian_posterior.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "widelab/base/errors.hpp"

namespace widelab::theory {
namespace {

TEST(GaussianPosterior, OneObservationByHand) {
  // K = [[2, 1], [1, 3]], y = 4, s2 = 2: mean K_x1 y / (2 + 2), covariance K - K_x1 K_1x' / 4.
  const std::vector<double> kernel{2, 1, 1, 3};
  const GaussianPosterior out = gaussian_posterior(matrix_view<const double>(kernel.data(), 2, 2), {4}, 2);
  const std::vector<double> mean{2, 1}, covariance{1, 0.5, 0.5, 2.75};
  for (std::size_t k = 0; k < 2; ++k) EXPECT_NEAR(out.mean[k], mean[k], 1e-14);
  for (std::size_t k = 0; k < 4; ++k) EXPECT_NEAR(out.covariance[k], covariance[k], 1e-14);
}

// f = a + b x with a ~ N(0, 1), b ~ N(0, 1): the precision of (a, b) is 1 + X^T X / s2, a 2 x 2 matrix.
TEST(GaussianPosterior, EqualsTheRegressionOfWeights) {
  const std::vector<double> x{-1, 0.5, 2, 0.25, 3}, y{1, -0.5, 2};
  const double s2 = 0.3;
  std::vector<double> kernel;
  for (const double a : x)
    for (const double b : x) kernel.push_back(1 + a * b);
  const GaussianPosterior out = gaussian_posterior(matrix_view<const double>(kernel.data(), 5, 5), y, s2);
  double p00 = 1, p01 = 0, p11 = 1, r0 = 0, r1 = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    p00 += 1 / s2, p01 += x[i] / s2, p11 += x[i] * x[i] / s2;
    r0 += y[i] / s2, r1 += x[i] * y[i] / s2;
  }
  const double det = p00 * p11 - p01 * p01, c00 = p11 / det, c01 = -p01 / det, c11 = p00 / det;
  for (std::size_t p = 0; p < x.size(); ++p) {
    EXPECT_NEAR(out.mean[p], c00 * r0 + c01 * r1 + x[p] * (c01 * r0 + c11 * r1), 1e-12);
    for (std::size_t q = 0; q < x.size(); ++q)
      EXPECT_NEAR(out.covariance[p * 5 + q], c00 + c01 * (x[p] + x[q]) + c11 * x[p] * x[q], 1e-12);
  }
}

TEST(GaussianPosterior, RefusesWhatIsNoPrior) {
  const std::vector<double> kernel{1, 2, 2, 1};
  EXPECT_THROW(gaussian_posterior(matrix_view<const double>(kernel.data(), 2, 2), {1, 1}, 0.1), RecipeError);
  EXPECT_THROW(gaussian_posterior(matrix_view<const double>(kernel.data(), 2, 2), {1}, 0.0), RecipeError);
}

}  // namespace
}  // namespace widelab::theory
