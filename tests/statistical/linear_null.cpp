// Linear dynamics with Gaussian noise: variances at every time and inside windows against exact factors, for every
// sampling; and what window PCA makes of them. Modes of one curvature are independent copies of each other.
#include "host/experiments/linear_null.hpp"
#include "host/estimators/power_fit.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "host/estimators/estimate.hpp"
#include "host/estimators/power_fit.hpp"
#include "host/experiments/flatness_window.hpp"
#include "host/theory/finite_window.hpp"

namespace {

using namespace widelab;
using namespace widelab::experiments;
using Vector = std::vector<double>;

constexpr Index kCopies = 1500;
constexpr double kRate = 0.1, kNoise = 3.0;

LinearNull copies(double curvature, OrderKind order, Index examples, Index batch, Index before) {
  LinearNull null;
  null.training.learning_rate = kRate;
  null.curvature.assign(kCopies, curvature);
  null.noise.assign(kCopies, kNoise);
  null.examples = examples;
  null.batch = batch;
  null.order = order;
  null.before = before;
  null.draws = {99, 3};
  return null;
}

/// Standard errors between the mean of squares of normals and a variance: it scatters by sqrt(2 / n) of itself.
double squares_z(double mean_square, double expected) {
  return (mean_square / expected - 1) * std::sqrt(kCopies / 2.0);
}

double mean_square(const double* x) {
  double sum = 0;
  for (Index i = 0; i < kCopies; ++i) sum += x[i] * x[i] / kCopies;
  return sum;
}

struct Sampling {
  OrderKind order;
  Index examples, batch;
};
const std::vector<Sampling> kSamplings{
    {OrderKind::iid, 40, 4}, {OrderKind::fresh, 40, 4}, {OrderKind::epochs, 40, 4}, {OrderKind::epochs, 43, 4}};

// 4 samplings x 3 curvatures x 3 times, far from independent: below 4.2 with probability above 0.999.
TEST(LinearNull, HasTheVarianceOfItsModeAtEveryTime) {
  for (const Sampling& sampling : kSamplings)
    for (const double h : {0.0, 0.5, 12.0}) {
      const LinearNull null = copies(h, sampling.order, sampling.examples, sampling.batch, 0);
      Index t = 0;
      null.run(26, [&](const double* e) {
        if (t == 5 || t == 13 || t == 25) {
          EXPECT_LT(std::fabs(squares_z(mean_square(e), mode_variance(null.mode(0), sampling.order, t))), 4.2)
              << t << ' ' << h;
        }
        ++t;
      });
    }
}

TEST(LinearNull, BeginsInTheLawOfTheStepsBefore) {
  for (const Sampling& sampling : kSamplings) {
    const LinearNull null = copies(0.5, sampling.order, sampling.examples, sampling.batch, 30);
    null.run(1, [&](const double* e) {
      EXPECT_LT(std::fabs(squares_z(mean_square(e), mode_variance(null.mode(0), sampling.order, 30))), 4.2);
    });
  }
}

TEST(LinearNull, TakesTheSamplingModeSeriously) {
  const LinearNull shuffled = copies(0.5, OrderKind::epochs, 40, 4, 0), iid = copies(0.5, OrderKind::iid, 40, 4, 0);
  Index t = 0;
  shuffled.run(11, [&](const double* e) {
    if (t++ == 10) {
      EXPECT_LT(squares_z(mean_square(e), mode_variance(iid.mode(0), OrderKind::iid, 10)), -20);
    }
  });
}

// C = (2 1; 1 2) where H is diagonal, and a slope: after 10 steps of a flat direction mean -10 eta g, covariance
// 10 eta^2 C / B.
TEST(LinearNull, DrawsNoiseOfOtherModesAndFollowsTheSlope) {
  const Vector covariance{2, 1, 1, 2};
  const theory::Eigenbasis basis(matrix_view<const double>(covariance.data(), 2, 2));
  LinearNull null;
  null.training.learning_rate = kRate;
  null.curvature = {0, 0};
  null.noise = basis.values();
  null.noise_basis = &basis;
  null.gradient = {0.3, 0};
  null.examples = 40;
  null.batch = 4;
  null.order = OrderKind::iid;
  constexpr Index kDraws = 4000;
  double mean = 0, square = 0, product = 0;
  for (std::uint32_t r = 0; r < kDraws; ++r) {
    null.draws = {101, r};
    Index t = 0;
    null.run(11, [&](const double* e) {
      if (t++ < 10) return;
      mean += e[0] / kDraws;
      const double x = e[0] + 10 * kRate * 0.3;
      square += x * x / kDraws;
      product += x * e[1] / kDraws;
    });
  }
  const double step = 10 * kRate * kRate / 4;
  EXPECT_LT(std::fabs(mean + 10 * kRate * 0.3), 4 * std::sqrt(2 * step / kDraws));
  EXPECT_LT(std::fabs(square / (2 * step) - 1), 4 * std::sqrt(2.0 / kDraws));
  EXPECT_LT(std::fabs(product / step - 1), 4 * std::sqrt(5.0 / kDraws));  // E x^2 y^2 - 1 = 2 * 2 + 1 for C_12 = 1
  EXPECT_GT(product / step, 0.5);                                         // a diagonal C would give 0
}

/// Mean over copies of the window's variance, sums over W, and its standard error.
estimators::Estimate window_variance(const LinearNull& null, Index window) {
  std::vector<double> sum(kCopies, 0.0), square(kCopies, 0.0);
  null.run(window, [&](const double* e) {
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += e[i], square[i] += e[i] * e[i];
  });
  double mean = 0, squares = 0;
  const auto w = static_cast<double>(window);
  for (std::size_t i = 0; i < sum.size(); ++i) {
    const double variance = square[i] / w - sum[i] * sum[i] / (w * w);
    mean += variance / kCopies;
    squares += variance * variance / kCopies;
  }
  return {mean, std::sqrt((squares - mean * mean) / (kCopies - 1)), kCopies};
}

TEST(LinearNull, WindowsHoldTheirShareOfTheStationaryVariance) {
  constexpr Index kWindow = 60;
  const auto z = [](const estimators::Estimate& e, double expected) { return (e.value - expected) / e.se; };
  const double step = kRate * kRate * kNoise / 4;
  const estimators::Estimate walk = window_variance(copies(0, OrderKind::iid, 400, 4, 0), kWindow);
  EXPECT_LT(std::fabs(z(walk, step * theory::walk_window_variance(kWindow).centred)), 4);
  const LinearNull bridge_of = copies(0, OrderKind::epochs, 4 * kWindow, 4, 0);
  const estimators::Estimate bridge = window_variance(bridge_of, kWindow);
  const double bridge_step = kRate * kRate * bridge_of.mode(0).batch_noise();
  EXPECT_LT(std::fabs(z(bridge, bridge_step * theory::bridge_window_variance(kWindow).centred)), 4);
  const LinearNull relaxing = copies(0.3, OrderKind::iid, 400, 4, 2000);
  const double stationary = mode_variance(relaxing.mode(0), OrderKind::iid, 2000);
  const estimators::Estimate window = window_variance(relaxing, kWindow);
  EXPECT_LT(std::fabs(z(window, stationary * theory::ar1_window_variance(1 - 0.3 * kRate, kWindow).centred)), 4);
  // Faults: a window holds the stationary variance; a bridge is a walk.
  EXPECT_LT(z(window, stationary), -20);
  EXPECT_LT(z(bridge, step * theory::walk_window_variance(kWindow).centred), -20);
}

// -------------------------------------------------------------------------------- what PCA makes of it

constexpr std::size_t kModes = 24;
constexpr std::uint32_t kWindows = 24;

/// Modes over two decades of curvature from `least` on, noise C ~ H^gamma, from their stationary law on.
LinearNull spectrum(double least, double gamma, std::uint32_t replicate) {
  LinearNull null;
  null.training.learning_rate = kRate;
  for (std::size_t i = 0; i < kModes; ++i)
    null.curvature.push_back(least * std::pow(10, 2 * static_cast<double>(i) / (kModes - 1)));
  for (const double h : null.curvature) null.noise.push_back(std::pow(h, gamma));
  null.examples = 400;
  null.batch = 4;
  null.order = OrderKind::iid;
  null.before = 1000000;
  null.draws = {100, replicate};
  return null;
}

/// Mean over windows of `number(null)`, and its error.
template <class Number>
estimators::Estimate over_windows(double least, double gamma, const Number& number) {
  double mean = 0, square = 0;
  for (std::uint32_t r = 0; r < kWindows; ++r) {
    const double x = number(spectrum(least, gamma, r));
    mean += x / kWindows;
    square += x * x / kWindows;
  }
  return {mean, std::sqrt((square - mean * mean) / (kWindows - 1)), kWindows};
}

/// a in variance ~ curvature^a over components 1, 2, .. of the window's PCA.
estimators::Estimate pca_exponent(double least, double gamma, Index window) {
  std::vector<Index> components;
  for (std::size_t i = 0; i < kModes; ++i) components.push_back(static_cast<Index>(i));
  return over_windows(least, gamma, [&](const LinearNull& null) {
    const WindowComponents found = window_components(
        kModes, components, [&](const std::function<void(const double*)>& visit) { null.run(window, visit); });
    Vector curvature;
    for (std::size_t k = 0; k < kModes; ++k) {
      const double* p = found.directions.data() + k * kModes;
      double h = 0;
      for (std::size_t j = 0; j < kModes; ++j) h += p[j] * p[j] * null.curvature[j];
      curvature.push_back(h);
    }
    return estimators::log_slope({curvature.begin() + 1, curvature.end()},
                                 {found.variance.begin() + 1, found.variance.end()});
  });
}

/// The same in the basis of the modes, and what it is exactly, but for the logarithm of a scattered number.
struct ModeExponent {
  estimators::Estimate measured;
  double expected = 0;
};
ModeExponent mode_exponent(double least, double gamma, Index window) {
  const LinearNull first = spectrum(least, gamma, 0);
  Vector exact, mean(kModes, 0.0);
  for (std::size_t i = 0; i < kModes; ++i)
    exact.push_back(mode_variance(first.mode(i), OrderKind::iid, first.before) *
                    theory::ar1_window_variance(1 - kRate * first.curvature[i], window).centred);
  ModeExponent out;
  out.expected = estimators::log_slope(first.curvature, exact);
  // Each mode's variance in units of the exact one: the slope of what is left, to first order in it, has mean 0.
  out.measured = over_windows(least, gamma, [&](const LinearNull& null) {
    Vector sum(kModes, 0.0), square(kModes, 0.0);
    null.run(window, [&](const double* e) {
      for (std::size_t i = 0; i < kModes; ++i) sum[i] += e[i], square[i] += e[i] * e[i];
    });
    Vector lifted;
    const auto w = static_cast<double>(window);
    for (std::size_t i = 0; i < kModes; ++i)
      lifted.push_back(std::exp((square[i] / w - sum[i] * sum[i] / (w * w)) / exact[i] - 1) * exact[i]);
    return estimators::log_slope(null.curvature, lifted);
  });
  return out;
}

TEST(LinearNull, EquilibratedModesHaveTheExponentOfTheirNoiseLessOne) {
  const ModeExponent flat = mode_exponent(0.02, 1, 5000), steep = mode_exponent(0.02, 1.5, 5000);
  EXPECT_LT(std::fabs(flat.expected), 0.1);  // Sigma ~ 1 / (2 - eta h), and what the window takes off slow modes
  EXPECT_LT(std::fabs(flat.measured.value - flat.expected), 4 * flat.measured.se);
  EXPECT_LT(std::fabs(steep.measured.value - steep.expected), 4 * steep.measured.se);
  EXPECT_GT(steep.measured.value - flat.expected, 10 * steep.measured.se);
}

// Components of nearly equal variance mix, by the scatter of the window's variances: an exponent ~ W^-1/2 that is not
// there, and nothing in the limit.
TEST(LinearNull, WindowPcaFindsNoExponentInLongEquilibratedWindows) {
  const estimators::Estimate once = pca_exponent(0.02, 1, 5000), four_times = pca_exponent(0.02, 1, 20000);
  EXPECT_GT(once.value, 10 * once.se);
  EXPECT_NEAR(four_times.value / once.value, 0.5, 0.1);
  EXPECT_NEAR(2 * four_times.value - once.value, 0, 0.05);
}

// In a window that slow modes do not see the end of, PCA sorts by wavelength: a noise exponent from 0.5 to 1.5, and a
// variance that follows it, is hardly seen in what it reports.
TEST(LinearNull, WindowPcaReportsALargeExponentWhateverTheNoise) {
  const estimators::Estimate half = pca_exponent(1e-4, 0.5, 1000), one = pca_exponent(1e-4, 1, 1000),
                             more = pca_exponent(1e-4, 1.5, 1000);
  for (const estimators::Estimate& a : {half, one, more}) EXPECT_GT(a.value, 1.6);
  EXPECT_LT(std::fabs(more.value - half.value), 0.4);
}

}  // namespace
