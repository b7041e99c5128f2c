// Losses: slopes are derivatives of values, extremes neither overflow nor lose what is left, conventions are the named
// ones.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "widelab/math/losses.hpp"

namespace {

using namespace widelab;
using Vector = std::vector<double>;

constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr LossKind kLosses[] = {LossKind::half_squared, LossKind::squared, LossKind::cross_entropy, LossKind::logistic,
                                LossKind::hinge};

double value(LossKind kind, const Vector& f, const Vector& y) {
  return loss_value(kind, f.data(), y.data(), static_cast<Index>(f.size()));
}

template <class T>
std::vector<T> slope(LossKind kind, const std::vector<T>& f, const std::vector<T>& y) {
  std::vector<T> out(f.size());
  loss_slope(kind, f.data(), y.data(), static_cast<Index>(f.size()), Index{1}, out.data());
  return out;
}

/// Largest |slope - central difference| / tolerance; `convention` multiplies the slope (1 is right).
double disagreement(LossKind kind, const Vector& f, const Vector& y, double convention) {
  const double step = 1e-5;
  const Vector claimed = slope(kind, f, y);
  double worst = 0;
  for (std::size_t o = 0; o < f.size(); ++o) {
    const auto difference = [&](double h) {
      Vector up = f, down = f;
      up[o] += h;
      down[o] -= h;
      return (value(kind, up, y) - value(kind, down, y)) / (2 * h);
    };
    const double near = difference(step), far = difference(2 * step);
    const double tolerance = std::abs(far - near) + 16 * kEps * (1 + value(kind, f, y)) / step;
    worst = std::max(worst, std::abs(convention * claimed[o] - near) / tolerance);
  }
  return worst;
}

const std::vector<Vector> kOutputs{{0.3, -1.2, 2.5}, {0, 0, 0}, {-4, 3, 0.5}, {1.5, 1.25, -0.75}};

Vector targets(LossKind kind) {
  if (kind == LossKind::cross_entropy) return {0.2, 0.7, 0.4};  // mass 1.3: the slope keeps it
  if (kind == LossKind::logistic || kind == LossKind::hinge) return {1, -1, 1};
  return {0.5, -2, 1};
}

TEST(Losses, SlopesAreDerivativesOfValues) {
  for (const LossKind kind : kLosses)
    for (const Vector& f : kOutputs)
      EXPECT_LT(disagreement(kind, f, targets(kind), 1.0), 1.0) << "loss " << static_cast<int>(kind);
}

TEST(Losses, ATwoOfAnotherConventionIsSeen) {
  for (const LossKind kind : kLosses)
    EXPECT_GT(disagreement(kind, kOutputs[0], targets(kind), 2.0), 1e3) << "loss " << static_cast<int>(kind);
}

template <class T>
std::vector<T> curvature(LossKind kind, const std::vector<T>& f, const std::vector<T>& y, const std::vector<T>& u) {
  std::vector<T> out(f.size());
  loss_curvature(kind, f.data(), y.data(), static_cast<Index>(f.size()), Index{1}, u.data(), out.data());
  return out;
}

/// Largest |curvature times u - central difference of the slope along u| / tolerance; hinge away from its kink.
double curvature_disagreement(LossKind kind, const Vector& f, const Vector& y, const Vector& u, double convention) {
  const double step = 1e-5;
  const Vector claimed = curvature(kind, f, y, u);
  const auto difference = [&](double h) {
    Vector up = f, down = f;
    for (std::size_t o = 0; o < f.size(); ++o) {
      up[o] += h * u[o];
      down[o] -= h * u[o];
    }
    Vector out = slope(kind, up, y);
    const Vector below = slope(kind, down, y);
    for (std::size_t o = 0; o < out.size(); ++o) out[o] = (out[o] - below[o]) / (2 * h);
    return out;
  };
  const Vector near = difference(step), far = difference(2 * step), size = slope(kind, f, y);
  double worst = 0;
  for (std::size_t o = 0; o < f.size(); ++o) {
    const double tolerance = std::abs(far[o] - near[o]) + 16 * kEps * (1 + std::abs(size[o])) / step;
    worst = std::max(worst, std::abs(convention * claimed[o] - near[o]) / tolerance);
  }
  return worst;
}

TEST(Losses, CurvaturesAreDerivativesOfSlopes) {
  for (const LossKind kind : kLosses)
    for (const Vector& f : kOutputs)
      for (const Vector& u : {Vector{1, 0, 0}, Vector{0.7, -1.5, 0.2}, Vector{1, 1, 1}}) {
        EXPECT_LT(curvature_disagreement(kind, f, targets(kind), u, 1.0), 1.0) << "loss " << static_cast<int>(kind);
        if (kind != LossKind::hinge && u[0] < 1) {
          EXPECT_GT(curvature_disagreement(kind, f, targets(kind), u, 1.001), 10.0) << static_cast<int>(kind);
        }
      }
}

TEST(Losses, CurvaturesByHand) {
  EXPECT_EQ(curvature<double>(LossKind::half_squared, {3, 1}, {1, 2}, {2, -1}), (Vector{2, -1}));
  EXPECT_EQ(curvature<double>(LossKind::squared, {3, 1}, {1, 2}, {2, -1}), (Vector{4, -2}));
  EXPECT_EQ(curvature<double>(LossKind::hinge, {3, 1}, {1, -1}, {2, -1}), (Vector{0, 0}));
  EXPECT_EQ(curvature<double>(LossKind::logistic, {0, 0}, {1, -1}, {4, 8}), (Vector{1, 2}));
  EXPECT_EQ(curvature<double>(LossKind::cross_entropy, {2, 2}, {1, 0}, {4, 0}), (Vector{1, -1}));
  EXPECT_EQ(curvature<float>(LossKind::cross_entropy, {1e4f, -1e4f}, {0, 1}, {1, 2}), (std::vector<float>{0, 0}));
  EXPECT_EQ(curvature<float>(LossKind::logistic, {1e4f, -1e4f}, {-1, -1}, {1, 2}), (std::vector<float>{0, 0}));
}

TEST(Losses, ValuesByHand) {
  EXPECT_EQ(value(LossKind::half_squared, {3, 1}, {1, 2}), 2.5);
  EXPECT_EQ(value(LossKind::squared, {3, 1}, {1, 2}), 5);
  EXPECT_EQ(value(LossKind::hinge, {3, 0.25, -1}, {1, 1, 1}), 2.75);
  EXPECT_NEAR(value(LossKind::logistic, {0, 0}, {1, -1}), 2 * std::log(2.0), 4 * kEps);
  EXPECT_NEAR(value(LossKind::cross_entropy, {1, 1, 1, 1}, {0, 1, 0, 0}), std::log(4.0), 4 * kEps);
  EXPECT_NEAR(value(LossKind::cross_entropy, {std::log(3.0), 0}, {1, 0}), std::log(4.0 / 3), 4 * kEps);
}

TEST(Losses, SlopesByHand) {
  EXPECT_EQ(slope<double>(LossKind::half_squared, {3, 1}, {1, 2}), (Vector{2, -1}));
  EXPECT_EQ(slope<double>(LossKind::squared, {3, 1}, {1, 2}), (Vector{4, -2}));
  EXPECT_EQ(slope<double>(LossKind::hinge, {3, 0.25, -1, 1, -1}, {1, 1, 1, 1, -1}), (Vector{0, -1, -1, 0, 0}));
  EXPECT_EQ(slope<double>(LossKind::logistic, {0, 0}, {1, -1}), (Vector{-0.5, 0.5}));
  EXPECT_EQ(slope<double>(LossKind::cross_entropy, {2, 2}, {1, 0}), (Vector{-0.5, 0.5}));
}

// Logits of +-1e4 in double and in float: right class, wrong class.
template <class T>
void check_extremes() {
  const std::vector<T> f{T(1e4), T(-1e4)};
  EXPECT_EQ((slope<T>(LossKind::cross_entropy, f, {1, 0})), (std::vector<T>{0, 0}));
  EXPECT_EQ((slope<T>(LossKind::cross_entropy, f, {0, 1})), (std::vector<T>{1, -1}));
  EXPECT_EQ((slope<T>(LossKind::logistic, f, {1, -1})), (std::vector<T>{0, 0}));
  EXPECT_EQ((slope<T>(LossKind::logistic, f, {-1, 1})), (std::vector<T>{1, -1}));
  EXPECT_EQ((slope<T>(LossKind::hinge, f, {-1, 1})), (std::vector<T>{1, -1}));
}

TEST(Losses, ExtremeLogitsHaveTheirLimits) {
  check_extremes<double>();
  check_extremes<float>();
  EXPECT_EQ(value(LossKind::cross_entropy, {1e4, -1e4}, {1, 0}), 0);
  EXPECT_EQ(value(LossKind::cross_entropy, {1e4, -1e4}, {0, 1}), 2e4);
  EXPECT_EQ(value(LossKind::logistic, {1e4, -1e4}, {1, -1}), 0);
  EXPECT_EQ(value(LossKind::logistic, {1e4, -1e4}, {-1, 1}), 2e4);
}

// Far from the boundary, values and slopes keep their relative precision: log1p and e^{-|m|} alone.
TEST(Losses, SmallLossesKeepTheirDigits) {
  EXPECT_NEAR(value(LossKind::logistic, {40}, {1}) / std::exp(-40.0), 1, 8 * kEps);
  EXPECT_NEAR(slope<double>(LossKind::logistic, {40}, {1})[0] / -std::exp(-40.0), 1, 8 * kEps);
  EXPECT_NEAR(slope<double>(LossKind::cross_entropy, {40, 0}, {1, 0})[1] / std::exp(-40.0), 1, 8 * kEps);
}

TEST(Losses, NotANumberStaysNotANumber) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const LossKind kind : kLosses)
    if (kind != LossKind::hinge) {
      EXPECT_TRUE(std::isnan(slope<double>(kind, {nan}, {1})[0])) << static_cast<int>(kind);
    }
}

TEST(Losses, StridedAndInPlaceSlopesAreTheSame) {
  for (const LossKind kind : kLosses) {
    const Vector y = targets(kind), plain = slope(kind, kOutputs[0], y);
    Vector wide(9, -7.0), wide_y(9, 0.0);
    for (std::size_t o = 0; o < 3; ++o) {
      wide[3 * o] = kOutputs[0][o];
      wide_y[3 * o] = y[o];
    }
    loss_slope(kind, wide.data(), wide_y.data(), Index{3}, Index{3}, wide.data());
    for (std::size_t k = 0; k < 9; ++k) EXPECT_EQ(wide[k], k % 3 ? -7.0 : plain[k / 3]);
    const Vector bent = curvature(kind, kOutputs[0], y, {0.5, 2, -1}), u{0.5, 9, 9, 2, 9, 9, -1, 9, 9};
    Vector wide_f(9, 0.0), out(9, -7.0);
    for (std::size_t o = 0; o < 3; ++o) wide_f[3 * o] = kOutputs[0][o];
    loss_curvature(kind, wide_f.data(), wide_y.data(), Index{3}, Index{3}, u.data(), out.data());
    for (std::size_t k = 0; k < 9; ++k) EXPECT_EQ(out[k], k % 3 ? -7.0 : bent[k / 3]);
  }
}

TEST(Losses, ReductionFactors) {
  EXPECT_EQ(reduction_factor(Reduction::sum, 4, 100, 5), 1);
  EXPECT_EQ(reduction_factor(Reduction::mean, 4, 100, 5), 0.25);
  EXPECT_EQ(reduction_factor(Reduction::mean_entries, 4, 100, 5), 0.05);
  EXPECT_EQ(reduction_factor(Reduction::dataset_sum, 4, 100, 5), 25);
}

TEST(Losses, Misclassification) {
  const auto wrong = [](const Vector& f, const Vector& y) {
    return misclassified(f.data(), y.data(), static_cast<Index>(f.size()));
  };
  EXPECT_FALSE(wrong({0.2}, {1}));
  EXPECT_TRUE(wrong({-0.2}, {1}));
  EXPECT_TRUE(wrong({0.0}, {1}));
  EXPECT_FALSE(wrong({-3, 2, 1}, {0, 1, 0}));
  EXPECT_TRUE(wrong({-3, 2, 1}, {0, 0, 1}));
  EXPECT_FALSE(wrong({1, 1}, {1, 0}));  // the first of equals
}

}  // namespace
