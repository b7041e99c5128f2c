// Streamed covariance of a window, its components and correlation times against dense sums.
#include "host/estimators/window_covariance.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "host/estimators/power_fit.hpp"
#include "host/experiments/flatness_window.hpp"
#include "tests/support/random_problem.hpp"

namespace {

using namespace widelab;
using Vector = std::vector<double>;

constexpr Index kWindow = 150, kDimension = 11;  // more than two buffers, and not a multiple of one

/// Correlated steps with a drift far larger than they are.
Vector trajectory() {
  Vector w = test::normals<double>(kWindow, kDimension, 21);
  for (Index t = 0; t < kWindow; ++t)
    for (Index j = 0; j < kDimension; ++j) {
      double& x = w[static_cast<std::size_t>(t * kDimension + j)];
      x = 1e-4 * x * static_cast<double>(j + 1) +
          (t > 0 ? 0.9 * w[static_cast<std::size_t>((t - 1) * kDimension + j)] : 50.0);
    }
  return w;
}

void show(const Vector& w, const std::function<void(const double*)>& visit) {
  for (Index t = 0; t < kWindow; ++t) visit(w.data() + t * kDimension);
}

/// sum (w_i - mean_i)(w_j - mean_j) / divisor, in extended precision.
Vector dense(const Vector& w, double divisor) {
  std::vector<long double> mean(kDimension, 0.0L);
  for (Index t = 0; t < kWindow; ++t)
    for (Index j = 0; j < kDimension; ++j)
      mean[static_cast<std::size_t>(j)] +=
          static_cast<long double>(w[static_cast<std::size_t>(t * kDimension + j)]) / kWindow;
  Vector out;
  for (Index i = 0; i < kDimension; ++i)
    for (Index j = 0; j < kDimension; ++j) {
      long double sum = 0;
      for (Index t = 0; t < kWindow; ++t)
        sum += (static_cast<long double>(w[static_cast<std::size_t>(t * kDimension + i)]) -
                mean[static_cast<std::size_t>(i)]) *
               (static_cast<long double>(w[static_cast<std::size_t>(t * kDimension + j)]) -
                mean[static_cast<std::size_t>(j)]);
      out.push_back(static_cast<double>(sum / static_cast<long double>(divisor)));
    }
  return out;
}

TEST(WindowCovariance, EqualsDenseSumsWithTheMeanRemoved) {
  const Vector w = trajectory(), exact = dense(w, kWindow - 1), biased = dense(w, kWindow);
  estimators::WindowCovariance window(kDimension);
  show(w, [&](const double* x) { window.add(x); });
  const Vector streamed = window.covariance();
  double scale = 0;
  for (const double x : exact) scale = std::max(scale, std::fabs(x));
  for (std::size_t i = 0; i < exact.size(); ++i) EXPECT_NEAR(streamed[i], exact[i], 1e-13 * scale) << i;
  EXPECT_GT(std::fabs(streamed[0] - biased[0]), 1e-3 * scale);  // divided by W: seen
  EXPECT_EQ(window.count(), kWindow);
}

TEST(WindowComponents, AreEigenvectorsWithTheVarianceOfTheirOwnSeries) {
  const Vector w = trajectory(), exact = dense(w, kWindow - 1);
  const auto replay = [&](const std::function<void(const double*)>& visit) { show(w, visit); };
  const experiments::WindowComponents found = experiments::window_components(kDimension, {0, 1, 5, 10}, replay);
  for (std::size_t k = 0; k < 4; ++k) {
    const double* p = found.directions.data() + k * kDimension;
    Vector series;
    for (Index t = 0; t < kWindow; ++t) {
      double x = 0;
      for (Index j = 0; j < kDimension; ++j) x += p[j] * w[static_cast<std::size_t>(t * kDimension + j)];
      series.push_back(x);
    }
    double mean = 0, square = 0;
    for (const double x : series) mean += x / kWindow;
    for (const double x : series) square += (x - mean) * (x - mean) / (kWindow - 1);
    EXPECT_NEAR(found.variance[k], square, 1e-13 * found.variance[0]) << k;
    if (k > 0) {
      EXPECT_LT(found.variance[k], found.variance[k - 1]);
    }
    for (Index i = 0; i < kDimension; ++i) {
      double image = 0;
      for (Index j = 0; j < kDimension; ++j) image += exact[static_cast<std::size_t>(i * kDimension + j)] * p[j];
      EXPECT_NEAR(image, found.variance[k] * p[i], 1e-13 * found.variance[0]);
    }
    EXPECT_NEAR(found.time[k], estimators::correlation_time(series), 1e-6 * kWindow);
  }
}

TEST(WindowComponents, BelowTheRoundingOfTheLargestAreNoNumbers) {
  Vector w(static_cast<std::size_t>(kWindow * kDimension), 0.0);
  for (Index t = 0; t < kWindow; ++t) w[static_cast<std::size_t>(t * kDimension)] = static_cast<double>(t);
  const auto replay = [&](const std::function<void(const double*)>& visit) { show(w, visit); };
  const experiments::WindowComponents line = experiments::window_components(kDimension, {0, 3}, replay);
  EXPECT_NEAR(line.variance[0], kWindow * (kWindow + 1) / 12.0, 1e-9);
  EXPECT_NEAR(line.first_share, 1, 1e-12);
  EXPECT_TRUE(std::isnan(line.variance[1]));
  w[5] = NAN;
  const experiments::WindowComponents broken = experiments::window_components(kDimension, {0, 3}, replay);
  EXPECT_TRUE(std::isnan(broken.variance[0]) && std::isnan(broken.first_share));
}

TEST(CorrelationTime, IsReadOffBetweenTwoLags) {
  Vector square_wave;  // 1, 1, -1, -1: c_1 = 1 / (W - 1)
  for (int t = 0; t < 40; ++t) square_wave.push_back(t % 4 < 2 ? 1 : -1);
  const double one = 1.0 / 39, wanted = std::exp(-1.0);
  EXPECT_NEAR(estimators::correlation_time(square_wave), (1 - wanted) / (1 - one), 1e-12);
  Vector cosine;  // whole periods: c_k = cos up to the ends of the window
  for (int t = 0; t < 20000; ++t) cosine.push_back(std::cos(2 * M_PI * t / 100));
  EXPECT_NEAR(estimators::correlation_time(cosine), std::acos(wanted) * 100 / (2 * M_PI), 0.05);
  EXPECT_TRUE(std::isnan(estimators::correlation_time(Vector(50, 3.0))));
  EXPECT_TRUE(std::isnan(estimators::correlation_time(Vector{1, 2, 3})));
}

TEST(LogSlope, IsThatOfAPowerAndSkipsWhatHasNoLogarithm) {
  Vector x{1, 2, 4, 8, -1, 3, NAN}, y;
  for (const double v : x) y.push_back(5 * std::pow(std::fabs(v), -1.5));
  y[5] = NAN;
  EXPECT_NEAR(estimators::log_slope(x, y), -1.5, 1e-12);
  EXPECT_TRUE(std::isnan(estimators::log_slope({1, 2}, {1, 2})));
}

}  // namespace
