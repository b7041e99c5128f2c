// The exact population risk of regressions on tangent features, against Gegenbauer series where tangent features are
// ReLU features, and against averages over fresh points.
#include "host/estimators/tangent_risk.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <numeric>

#include "host/estimators/significance.hpp"
#include "host/experiments/normal_rows.hpp"
#include "host/theory/sphere_spectrum.hpp"

namespace widelab::estimators {
namespace {

constexpr int kDegrees = 60;
constexpr Index kTargets = 4, kRights = 2;

std::vector<double> normal_numbers(Index count, Index dimension, std::uint64_t key) {
  return experiments::normal_rows({key, 0, Stream::test_only, 0}, count, dimension);
}

std::vector<double> sphere_points(Index count, Index dimension, std::uint64_t key) {
  std::vector<double> points = normal_numbers(count, dimension, key);
  experiments::bring_to_length(points, dimension, 1);
  return points;
}

/// Units with two solutions of d coefficients each: c_j w_j, with c_j = Q_2(<u, w_j>) that look for degree 2, and
/// `spread` normal numbers on top.
struct Case {
  Index dimension, units;
  std::vector<double> directions, along, tangent;  ///< along: c_j, R x N; tangent: S x R x N d
  std::vector<Index> sizes;

  Case(Index d, Index count, std::vector<Index> at, double spread)
      : dimension(d), units(count), directions(sphere_points(count, d, 5)), sizes(std::move(at)) {
    const std::vector<double> other = normal_numbers(units, d, 6);
    for (Index r = 0; r < kRights; ++r)
      for (Index j = 0; j < units; ++j) {
        const double t = directions[static_cast<std::size_t>(j * d)];
        along.push_back(r == 0 ? (static_cast<double>(d) * t * t - 1) / static_cast<double>(d - 1)
                               : other[static_cast<std::size_t>(j * d)]);
      }
    for (std::size_t s = 0; s < sizes.size(); ++s)
      for (Index k = 0; k < kRights * units * d; ++k)
        tangent.push_back(along[static_cast<std::size_t>(k / d)] *
                              directions[static_cast<std::size_t>(k % (units * d))] +
                          spread * other[static_cast<std::size_t>(k % (units * d))]);
  }

  PrefixSolutions solutions(const std::vector<double>& coefficients) const {
    PrefixSolutions out;
    out.points = units;
    out.rights = kRights;
    out.sizes = sizes;
    out.directions = directions.data();
    out.coefficients = coefficients.data();
    return out;
  }
  PrefixMoments moments(const std::vector<double>& multiplicity) const {
    return TangentRisk(dimension, theory::funk_hecke(Relu{}, dimension, kDegrees), multiplicity)
        .moments(solutions(tangent), kTargets);
  }
  std::vector<double> multiplicity() const {
    return theory::activation_spectrum(Relu{}, dimension, kDegrees).multiplicity;
  }
};

TEST(TangentRisk, AlongTheirWeightsTangentsAreReluFeatures) {
  const Case sample(6, 40, {1, 15, 40}, 0);
  std::vector<double> c, g = theory::funk_hecke(Relu{}, 6, kDegrees);
  for (std::size_t s = 0; s < sample.sizes.size(); ++s) c.insert(c.end(), sample.along.begin(), sample.along.end());
  for (double& one : g) one /= std::sqrt(6.0);  // of relu(t), not relu(sqrt(d) t)
  const double tail = theory::activation_spectrum(Relu{}, 6, kDegrees).tail / 6;
  const PrefixMoments expected = KernelRisk(6, g, sample.multiplicity(), tail).moments(sample.solutions(c), kTargets),
                      found = sample.moments(sample.multiplicity());
  ASSERT_EQ(found.products.size(), expected.products.size());
  ASSERT_EQ(found.overlaps.size(), expected.overlaps.size());
  // KernelRisk leaves the tail out between different units.
  const double truncated = tail * std::inner_product(c.begin(), c.end(), c.begin(), 0.0) * 40;
  for (std::size_t k = 0; k < found.products.size(); ++k)
    EXPECT_NEAR(found.products[k], expected.products[k], truncated) << k;
  EXPECT_LT(truncated, 1e-2 * expected.product(2, 1, 1));
  for (std::size_t k = 0; k < found.overlaps.size(); ++k)
    EXPECT_NEAR(found.overlaps[k], expected.overlaps[k], 1e-12) << k;
}

/// Means over fresh points with their standard errors, laid out as PrefixMoments.
struct Averages {
  std::vector<double> sum, squares;
  Index count;

  Averages(const Case& sample, Index fresh) : count(fresh) {
    const Index d = sample.dimension, columns = sample.units * d;
    const std::vector<double> points = sphere_points(fresh, d, 9),
                              harmonics = zonal_harmonics(points, d, sample.multiplicity(), kTargets);
    for (Index i = 0; i < fresh; ++i) {
      const double* x = points.data() + i * d;
      std::vector<double> products, overlaps;
      for (std::size_t s = 0; s < sample.sizes.size(); ++s) {
        double f[kRights] = {};
        for (Index j = 0; j < sample.sizes[s]; ++j) {
          if (std::inner_product(x, x + d, sample.directions.begin() + j * d, 0.0) <= 0) continue;
          for (Index r = 0; r < kRights; ++r)
            f[r] += std::inner_product(
                x, x + d, sample.tangent.begin() + (static_cast<Index>(s) * kRights + r) * columns + j * d, 0.0);
        }
        for (const double left : f) {
          for (const double right : f) products.push_back(left * right);
          for (Index l = 0; l < kTargets; ++l)
            overlaps.push_back(left * harmonics[static_cast<std::size_t>(i * kTargets + l)]);
        }
      }
      products.insert(products.end(), overlaps.begin(), overlaps.end());
      sum.resize(products.size());
      squares.resize(products.size());
      for (std::size_t k = 0; k < products.size(); ++k) {
        sum[k] += products[k];
        squares[k] += products[k] * products[k];
      }
    }
  }

  /// Largest |z| of entries first .. last - 1 against `exact`.
  double largest(const std::vector<double>& exact, std::size_t first) const {
    double out = 0;
    const auto n = static_cast<double>(count);
    for (std::size_t k = 0; k < exact.size(); ++k) {
      const double mean = sum[first + k] / n;
      out = std::max(out, std::fabs(z_score(mean, std::sqrt((squares[first + k] / n - mean * mean) / n), exact[k])));
    }
    return out;
  }
};

TEST(TangentRisk, AgreesWithAveragesOverFreshPoints) {
  const Case sample(4, 20, {7, 20}, 0.2);
  const Averages averages(sample, 400000);
  const PrefixMoments exact = sample.moments(sample.multiplicity());
  const std::size_t products = exact.products.size();
  const double limit = z_threshold(1e-3, static_cast<Index>(products + exact.overlaps.size()));
  EXPECT_LT(averages.largest(exact.products, 0), limit);
  EXPECT_LT(averages.largest(exact.overlaps, products), limit);
  // What must not pass: products over d - 1 rather than d, and a multiplicity off by one.
  std::vector<double> scaled = exact.products;
  for (double& product : scaled) product *= 4.0 / 3.0;
  EXPECT_GT(averages.largest(scaled, 0), 2 * limit);
  for (const std::size_t degree : {1, 2}) {
    std::vector<double> multiplicity = sample.multiplicity();
    multiplicity[degree] += 1;
    EXPECT_GT(averages.largest(sample.moments(multiplicity).overlaps, products), limit) << degree;
  }
}

TEST(TangentRisk, BitsDoNotDependOnThreads) {
  const Case sample(4, 150, {3, 130, 150}, 0.5);
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const PrefixMoments one = sample.moments(sample.multiplicity());
  omp_set_num_threads(3);
  const PrefixMoments three = sample.moments(sample.multiplicity());
  omp_set_num_threads(before);
  EXPECT_EQ(one.products, three.products);
  EXPECT_EQ(one.overlaps, three.overlaps);
}

}  // namespace
}  // namespace widelab::estimators
