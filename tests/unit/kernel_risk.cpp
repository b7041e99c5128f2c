// The exact population risk of kernel and feature regressions on the sphere, against expansions in explicit spherical
// harmonics and against averages over fresh points.
#include "host/estimators/kernel_risk.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <numbers>
#include <numeric>

#include "host/estimators/significance.hpp"
#include "host/theory/sphere_spectrum.hpp"
#include "widelab/rng/normal.hpp"

namespace widelab::estimators {
namespace {

/// Points of the unit sphere of R^d.
std::vector<double> sphere_points(Index count, Index d, std::uint64_t key) {
  std::vector<double> points(static_cast<std::size_t>(count * d));
  const StreamId id{key, 0, Stream::test_only, 0};
  for (Index i = 0; i < count; ++i) {
    double* row = points.data() + i * d;
    for (Index c = 0; c < d; ++c) row[c] = normal_at(id, static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(c));
    const double norm = std::sqrt(std::inner_product(row, row + d, row, 0.0));
    for (Index c = 0; c < d; ++c) row[c] /= norm;
  }
  return points;
}

/// R solutions of each size, normal numbers.
std::vector<double> any_coefficients(const PrefixSolutions& shape, std::uint64_t key) {
  const std::size_t rows = shape.sizes.size() * static_cast<std::size_t>(shape.rights);
  std::vector<double> out(rows * static_cast<std::size_t>(shape.points));
  const StreamId id{key, 1, Stream::test_only, 0};
  for (std::size_t r = 0; r < rows; ++r)
    for (Index i = 0; i < shape.points; ++i)
      out[r * static_cast<std::size_t>(shape.points) + static_cast<std::size_t>(i)] =
          normal_at(id, static_cast<std::uint32_t>(r), static_cast<std::uint32_t>(i));
  return out;
}

struct Case {
  std::vector<double> directions, coefficients;
  PrefixSolutions solutions;

  Case(Index dimension, Index points, Index rights, std::vector<Index> sizes)
      : directions(sphere_points(points, dimension, 5)) {
    solutions.points = points;
    solutions.rights = rights;
    solutions.sizes = std::move(sizes);
    coefficients = any_coefficients(solutions, 6);
    solutions.directions = directions.data();
    solutions.coefficients = coefficients.data();
  }
  double alpha(Index s, Index r, Index i) const {
    return coefficients[static_cast<std::size_t>((s * solutions.rights + r) * solutions.points + i)];
  }
};

TEST(AngleTable, IsRightToRoundingBetweenItsNodes) {
  const auto steep = [](double angle) { return std::cos(60 * angle) + (std::numbers::pi - angle) * std::sin(angle); };
  const AngleTable table(steep);
  EXPECT_LT(table.error(), 2e-13);  // 60 times the rounding of the angle
  for (double t = -1; t <= 1; t += 0.00731) EXPECT_NEAR(table.at_cosine(t), steep(std::acos(t)), 2e-13) << t;
  EXPECT_NEAR(table.at_cosine(1 + 1e-15), 1, 1e-13) << "rounded beyond 1";
  const AngleTable kinked([](double angle) { return std::abs(angle - 1); });
  EXPECT_GT(kinked.error(), 1e-4) << "a table that is too coarse says so";
}

TEST(KernelRisk, ProductsAreSumsOverHarmonicsInThreeDimensions) {
  // Degree 2 of R^3 in an explicit orthonormal basis; degrees 0 and 1 are 1 and sqrt(3) x.
  const std::vector<double> g{0.7, -0.4, 0.3}, multiplicity{1, 3, 5};
  const Case sample(3, 150, 2, {1, 64, 65, 150});
  const PrefixMoments moments = KernelRisk(3, g, multiplicity).moments(sample.solutions, 3);
  const auto basis = [](const double* x) {
    const double a = std::sqrt(15.0), b = std::sqrt(5.0) / 2, c = std::sqrt(3.0);
    return std::vector<double>{1,
                               c * x[0],
                               c * x[1],
                               c * x[2],
                               a * x[0] * x[1],
                               a * x[1] * x[2],
                               a * x[2] * x[0],
                               a / 2 * (x[1] * x[1] - x[2] * x[2]),
                               b * (3 * x[0] * x[0] - 1)};
  };
  for (Index s = 0; s < 4; ++s) {
    std::vector<std::vector<double>> f(2, std::vector<double>(9));  // components of both solutions
    for (Index r = 0; r < 2; ++r)
      for (Index i = 0; i < sample.solutions.sizes[static_cast<std::size_t>(s)]; ++i) {
        const std::vector<double> y = basis(sample.directions.data() + 3 * i);
        for (std::size_t k = 0; k < 9; ++k)
          f[static_cast<std::size_t>(r)][k] += g[k == 0 ? 0 : k < 4 ? 1 : 2] * sample.alpha(s, r, i) * y[k];
      }
    for (Index r = 0; r < 2; ++r) {
      const auto& fr = f[static_cast<std::size_t>(r)];
      for (Index q = 0; q < 2; ++q) {
        const auto& fq = f[static_cast<std::size_t>(q)];
        EXPECT_NEAR(moments.product(s, r, q), std::inner_product(fr.begin(), fr.end(), fq.begin(), 0.0), 1e-12);
      }
      EXPECT_NEAR(moments.overlap(s, r, 0), fr[0], 1e-13);
      EXPECT_NEAR(moments.overlap(s, r, 1), fr[1], 1e-13);
      EXPECT_NEAR(moments.overlap(s, r, 2), fr[8], 1e-13);
    }
    const std::vector<double> weights{0.5, -2}, amplitudes{1, 0.3, -0.6};
    double expected = 0;
    for (std::size_t k = 0; k < 9; ++k) {
      const double target = k == 0 ? 1 : k == 1 ? 0.3 : k == 8 ? -0.6 : 0;
      expected += std::pow(0.5 * f[0][k] - 2 * f[1][k] - target, 2);
    }
    EXPECT_NEAR(moments.excess(s, weights, amplitudes), expected, 1e-12);
  }
}

TEST(KernelRisk, AgreesWithAveragesOverFreshPoints) {
  const Index d = 6, fresh = 40000;
  const theory::SphereKernel kernel = theory::exponential_kernel();
  const theory::SphereSpectrum spectrum = theory::sphere_spectrum(kernel, d, 40);
  const Case sample(d, 30, 1, {30});
  const PrefixMoments moments = KernelRisk(d, spectrum.eigenvalue, spectrum.multiplicity).moments(sample.solutions, 4);
  const std::vector<double> points = sphere_points(fresh, d, 9), amplitudes{0, 1, 0.5, 0.25}, weight{0.2};
  const std::vector<double> harmonics = zonal_harmonics(points, d, spectrum.multiplicity, 4);
  double sum = 0, squares = 0;
  for (Index i = 0; i < fresh; ++i) {
    double error = 0;
    for (Index j = 0; j < 30; ++j) {
      const double t =
          std::inner_product(points.data() + i * d, points.data() + (i + 1) * d, sample.directions.data() + j * d, 0.0);
      error += weight[0] * sample.alpha(0, 0, j) * std::exp(t);
    }
    for (std::size_t l = 0; l < 4; ++l) error -= amplitudes[l] * harmonics[static_cast<std::size_t>(i) * 4 + l];
    sum += error * error;
    squares += std::pow(error, 4);
  }
  const double count = static_cast<double>(fresh), mean = sum / count;
  const double se = std::sqrt((squares / count - mean * mean) / count), exact = moments.excess(0, weight, amplitudes);
  EXPECT_LT(std::abs(z_score(mean, se, exact)), z_threshold(1e-3)) << mean << " " << exact;
  EXPECT_LT(se, 0.02 * exact);
  const std::vector<double> other{0, 1, -1, 0.25};  // a wrong target is seen
  EXPECT_GT(std::abs(z_score(mean, se, moments.excess(0, weight, other))), z_threshold(1e-6));
}

TEST(KernelRisk, HugeCoefficientsThatCancelKeepTheirDigits) {
  // Two nearly equal points with opposite coefficients: f is a directional derivative, whatever the coefficients are.
  const Index d = 20;
  const theory::SphereSpectrum spectrum = theory::sphere_spectrum(theory::inverse_kernel(20), d, 30);
  Case sample(d, 2, 1, {2});
  const double step = 1e-6;
  std::fill(sample.directions.begin(), sample.directions.end(), 0.0);
  sample.directions[0] = 1;
  sample.directions[static_cast<std::size_t>(d)] = std::cos(step);
  sample.directions[static_cast<std::size_t>(d) + 1] = std::sin(step);
  sample.coefficients = {1 / step, -1 / step};
  const double found =
      KernelRisk(d, spectrum.eigenvalue, spectrum.multiplicity).moments(sample.solutions, 2).product(0, 0, 0);
  // (2 / step^2) (K2(0) - K2(step)) = sum B g^2 l (l + d - 2) / (d - 1), since Q_l'(1) = l (l + d - 2) / (d - 1).
  double expected = 0;
  for (std::size_t l = 0; l < spectrum.eigenvalue.size(); ++l) {
    const auto degree = static_cast<double>(l);
    expected += spectrum.multiplicity[l] * std::pow(spectrum.eigenvalue[l], 2) * degree * (degree + d - 2) / (d - 1);
  }
  // K2 in one table has entries of 1 and rounds to 2e-16: an error of 2e-4, a hundred times the tolerance.
  EXPECT_NEAR(found, expected, 1e-3 * expected);
  EXPECT_LT(1e-3 * expected, 3e-6);
}

TEST(KernelRisk, BitsDoNotDependOnThreads) {
  const Case sample(5, 333, 3, {7, 100, 333});
  const KernelRisk risk(5, {1, 0.5, 0.2, 0.1}, {1, 5, 14, 30});
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const PrefixMoments one = risk.moments(sample.solutions, 4);
  omp_set_num_threads(3);
  const PrefixMoments three = risk.moments(sample.solutions, 4);
  omp_set_num_threads(before);
  EXPECT_EQ(one.products, three.products);
  EXPECT_EQ(one.overlaps, three.overlaps);
}

}  // namespace
}  // namespace widelab::estimators
