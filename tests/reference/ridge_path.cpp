// The reference ridge paths on problems so small that every number below was worked out by hand.
#include "widelab/ops/ridge_path.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/reference/jacobi_svd.hpp"
#include "widelab/ops/kernel_ridge_path.hpp"
#include "widelab/rng/normal.hpp"

namespace widelab {
namespace {

constexpr double kTolerance = 20 * std::numeric_limits<double>::epsilon();  // numbers of size 1

SpectralFilter ridge(double value) { return {SpectralFilter::Kind::ridge, value}; }
SpectralFilter flow(double time) { return {SpectralFilter::Kind::flow, time}; }

struct Solved {
  std::vector<double> coefficients, predictions, residuals, norms;
  std::vector<RidgeReport> reports;
};

/// One member with the given features (n x units), one right-hand side, one test row of ones.
Solved solve(const std::vector<double>& z, const std::vector<double>& y, const std::vector<Index>& sizes,
             const std::vector<SpectralFilter>& filters) {
  const Index units = static_cast<Index>(z.size() / y.size());
  const std::vector<double> test(static_cast<std::size_t>(units), 1.0);
  const std::size_t cases = sizes.size() * filters.size();
  RidgePathProblem p;
  p.features.kind = FeatureKind::given;
  p.features.inputs = z.data();
  p.features.dimension = units;
  p.members = 1;
  p.examples = static_cast<Index>(y.size());
  p.targets = y.data();
  p.sizes = sizes;
  p.filters = filters;
  p.test_inputs = test.data();
  p.test_examples = 1;
  Solved out{std::vector<double>(cases * static_cast<std::size_t>(p.columns())), std::vector<double>(cases),
             std::vector<double>(cases), std::vector<double>(cases), std::vector<RidgeReport>(cases)};
  p.coefficients = out.coefficients.data();
  p.predictions = out.predictions.data();
  p.residuals = out.residuals.data();
  p.norms = out.norms.data();
  p.reports = out.reports.data();
  reference::ridge_path(p);
  return out;
}

TEST(ReferenceRidgePath, OneByOne) {
  // z = 2, y = 3: a = 6 / (4 + ridge).
  const Solved s = solve({2}, {3}, {1}, {ridge(0), ridge(2), flow(0), flow(0.25)});
  const double flowed = 1.5 * (1 - std::exp(-1.0));
  const std::vector<double> a{1.5, 1, 0, flowed};
  for (std::size_t k = 0; k < 4; ++k) {
    EXPECT_NEAR(s.coefficients[k], a[k], kTolerance);
    EXPECT_NEAR(s.predictions[k], a[k], kTolerance);
    EXPECT_NEAR(s.norms[k], a[k] * a[k], kTolerance);
    EXPECT_NEAR(s.residuals[k], (3 - 2 * a[k]) * (3 - 2 * a[k]), 10 * kTolerance);
  }
  EXPECT_NEAR(s.reports[1].smallest, 6, kTolerance);
  EXPECT_EQ(s.reports[1].condition, 1);
}

TEST(ReferenceRidgePath, TwoByTwo) {
  // Z = [1 1; 0 1], Z^T Z = [1 1; 1 2], y = (1, 2): ridge 1: [2 1; 1 3] a = (1, 3), a = (0, 1); ridge 0: a = (-1, 2).
  const Solved s = solve({1, 1, 0, 1}, {1, 2}, {1, 2}, {ridge(1), ridge(0)});
  const std::vector<double> a{0.5, 0, 1, 0, 0, 1, -1, 2};  // size 1: z = (1, 0), a = 1 / (1 + ridge)
  for (std::size_t k = 0; k < a.size(); ++k) EXPECT_NEAR(s.coefficients[k], a[k], kTolerance);
  EXPECT_NEAR(s.residuals[0], 0.25 + 4, kTolerance);
  EXPECT_NEAR(s.residuals[2], 1, kTolerance);
  EXPECT_NEAR(s.residuals[3], 0, kTolerance);
  EXPECT_NEAR(s.norms[3], 5, 5 * kTolerance);
  // Eigenvalues of Z^T Z: (3 +- sqrt 5) / 2.
  EXPECT_NEAR(s.reports[3].smallest, (3 - std::sqrt(5.0)) / 2, kTolerance);
  EXPECT_NEAR(s.reports[3].condition, (3 + std::sqrt(5.0)) / (3 - std::sqrt(5.0)), 10 * kTolerance);
}

TEST(ReferenceRidgePath, LeastNormOfAnUnderdeterminedSystem) {
  // One example z = (3, 4), y = 10: a = z y / 25; two equal examples change nothing and have rank 1.
  const Solved one = solve({3, 4}, {10}, {2}, {ridge(0)}), two = solve({3, 4, 3, 4}, {10, 10}, {2}, {ridge(0)});
  for (const Solved& s : {one, two}) {
    EXPECT_NEAR(s.coefficients[0], 1.2, kTolerance);
    EXPECT_NEAR(s.coefficients[1], 1.6, kTolerance);
    EXPECT_NEAR(s.norms[0], 4, 4 * kTolerance);
    EXPECT_EQ(s.reports[0].rank, 1);
  }
}

TEST(ReferenceRidgePath, FeaturesAreTheAddressedDraws) {
  // One example x = (2, -1), least norm: predictions at the same x give back y, and a is proportional to the features.
  const DrawId id{99, 4};
  const std::vector<double> x{2, -1}, y{1};
  const auto w = [&](std::uint32_t j, std::uint32_t c) {
    return 0.5 * static_cast<double>(normal_at(id.stream(Stream::weights, 0), j, c));
  };
  for (const FeatureKind kind : {FeatureKind::random, FeatureKind::tangent}) {
    RidgePathProblem p;
    p.features = {kind, Quadratic{}, 0.5, 3.0, false, &id, x.data(), true, 2};
    p.members = 1;
    p.examples = 1;
    p.targets = y.data();
    p.sizes = {2};
    p.filters = {ridge(0)};
    std::vector<double> a(static_cast<std::size_t>(p.columns()));
    p.coefficients = a.data();
    reference::ridge_path(p);
    std::vector<double> z;
    double square = 0;
    for (std::uint32_t j = 0; j < 2; ++j) {
      const double pre = 2 * w(j, 0) - w(j, 1);
      if (kind == FeatureKind::random)
        z.push_back(3 * pre * pre);
      else
        for (const double coordinate : x) z.push_back(3 * coordinate * 2 * pre);
    }
    for (const double v : z) square += v * v;
    for (std::size_t k = 0; k < z.size(); ++k) EXPECT_NEAR(a[k], z[k] / square, kTolerance * std::abs(z[k]) / square);
  }
}

TEST(ReferenceKernelRidgePath, TwoByTwo) {
  // K = [2 1; 1 2], y = (1, 1): the eigenvector (1, 1) has eigenvalue 3. Alone, the first example has K = 2.
  const std::vector<double> k{2, 1, 1, 2}, y{1, 1}, cross{1, 1};
  KernelRidgePathProblem p;
  p.members = 1;
  p.examples = 2;
  p.kernels = k.data();
  p.targets = y.data();
  p.sizes = {1, 2};
  p.filters = {ridge(2), flow(0.5)};
  p.cross = cross.data();
  p.test_examples = 1;
  std::vector<double> alpha(8), f(4), residuals(4), norms(4);
  p.coefficients = alpha.data();
  p.predictions = f.data();
  p.residuals = residuals.data();
  p.norms = norms.data();
  reference::kernel_ridge_path(p);
  const double one = (1 - std::exp(-1.0)) / 2, two = (1 - std::exp(-1.5)) / 3;
  const std::vector<double> expected{0.25, 0, one, 0, 0.2, 0.2, two, two}, predicted{0.25, one, 0.4, 2 * two};
  for (std::size_t i = 0; i < 8; ++i) EXPECT_NEAR(alpha[i], expected[i], kTolerance);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(f[i], predicted[i], kTolerance);
  EXPECT_NEAR(residuals[0], 0.25, kTolerance);
  EXPECT_NEAR(residuals[2], 2 * 0.16, kTolerance);
  EXPECT_NEAR(norms[0], 2 * 0.0625, kTolerance);
  EXPECT_NEAR(norms[2], 6 * 0.04, kTolerance);
}

TEST(JacobiSvd, KeepsSmallSingularValues) {
  // diag(1, 1e-9) rotated by 45 degrees on either side: Gram matrices would lose the small one.
  const double h = 0.5, e = 1e-9;
  const reference::SingularValues s = reference::jacobi_svd({{h + h * e, h - h * e}, {h - h * e, h + h * e}}, 2);
  EXPECT_NEAR(s.values[0], 1, kTolerance);
  EXPECT_NEAR(s.values[1] / 1e-9, 1, 1e-6);
}

TEST(JacobiSvd, ReproducesWideAndTallMatrices) {
  for (const bool wide : {false, true}) {
    const std::vector<std::vector<double>> tall{{1, 2, 3}, {-1, 0, 4}}, flat{{1, -1}, {2, 0}, {3, 4}};
    const auto& columns = wide ? flat : tall;
    const Index rows = wide ? 2 : 3;
    const reference::SingularValues s = reference::jacobi_svd(columns, rows);
    for (std::size_t j = 0; j < columns.size(); ++j)
      for (std::size_t i = 0; i < columns[j].size(); ++i) {
        double sum = 0;
        for (std::size_t k = 0; k < s.values.size(); ++k) sum += s.values[k] * s.left[k][i] * s.right[k][j];
        EXPECT_NEAR(sum, columns[j][i], 5 * kTolerance);
      }
  }
}

}  // namespace
}  // namespace widelab
