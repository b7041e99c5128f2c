// Inner products over the law of the inputs. Oracles: quadrature on the sphere of R^3, dual_moments, and second
// differences of dual_moments.
#include "host/estimators/population_risk.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "host/theory/sphere_spectrum.hpp"
#include "widelab/math/gaussian_moments.hpp"
#include "widelab/rng/normal.hpp"

namespace widelab::estimators {
namespace {

std::vector<double> draws(Index count, std::uint32_t row) {
  const StreamId id{5, 0, Stream::test_only, 3};
  std::vector<double> out;
  for (Index k = 0; k < count; ++k)
    out.push_back(static_cast<double>(normal_at(id, row, static_cast<std::uint32_t>(k))));
  return out;
}

std::vector<double> on_sphere(std::vector<double> w, Index dimension) {
  for (std::size_t at = 0; at < w.size(); at += static_cast<std::size_t>(dimension)) {
    double square = 0;
    for (Index c = 0; c < dimension; ++c)
      square += w[at + static_cast<std::size_t>(c)] * w[at + static_cast<std::size_t>(c)];
    for (Index c = 0; c < dimension; ++c)
      w[at + static_cast<std::size_t>(c)] *= std::sqrt(static_cast<double>(dimension) / square);
  }
  return w;
}

double scalar(const double* x, const double* y, Index count) {
  double sum = 0;
  for (Index k = 0; k < count; ++k) sum += x[k] * y[k];
  return sum;
}

/// Mean over the sphere of radius sqrt(3), by Simpson's rule along the axis `pole` on either side of its equator and
/// the trapezoid around it: the axis is where a ReLU has its kink.
double sphere_mean(const double* pole, const std::function<double(const double*)>& f) {
  double axis[3], first[3], second[3];
  const double length = std::sqrt(scalar(pole, pole, 3));
  for (int c = 0; c < 3; ++c) axis[c] = pole[c] / length;
  const int least = std::fabs(axis[0]) < std::fabs(axis[1]) ? 0 : 1;
  double square = 0;
  for (int c = 0; c < 3; ++c) first[c] = (c == least ? 1.0 : 0.0) - axis[least] * axis[c];
  for (const double x : first) square += x * x;
  for (double& x : first) x /= std::sqrt(square);
  for (int c = 0; c < 3; ++c)
    second[c] = axis[(c + 1) % 3] * first[(c + 2) % 3] - axis[(c + 2) % 3] * first[(c + 1) % 3];
  constexpr int kAlong = 400, kAround = 64;
  double sum = 0;
  for (const double side : {-1.0, 1.0})
    for (int k = 0; k <= kAlong; ++k) {
      const double z = side * (k == 0 ? 1e-15 : static_cast<double>(k) / kAlong), radius = std::sqrt(1 - z * z);
      const double weight = (k == 0 || k == kAlong ? 1.0 : k % 2 == 1 ? 4.0 : 2.0) / (3.0 * kAlong) / 2;
      for (int a = 0; a < kAround; ++a) {
        const double angle = 2 * moments::kPi * a / kAround;
        double x[3];
        for (int c = 0; c < 3; ++c)
          x[c] = std::sqrt(3.0) * (z * axis[c] + radius * (std::cos(angle) * first[c] + std::sin(angle) * second[c]));
        sum += weight / kAround * f(x);
      }
    }
  return sum;
}

double overlap_of(const FeatureOverlap& overlap, const double* w, const double* other, Index dimension) {
  double out = 0;
  overlap.panel({w, 1, dimension}, {other, 1, dimension}, &out);
  return out;
}

ZonalSeries sphere_series(const Activation& activation, Index dimension, int degrees) {
  ZonalSeries series{theory::funk_hecke(activation, dimension, degrees), dimension};
  for (int l = 0; l <= degrees; ++l) {
    double& c = series.coefficients[static_cast<std::size_t>(l)];
    c *= c * theory::sphere_multiplicity(dimension, l);
  }
  return series;
}

TEST(PopulationRisk, ZonalSeriesAreGegenbauerPolynomials) {
  const double t = 0.3, d = 7;
  const ZonalSeries second{{0, 0, 1}, 7}, third{{0, 0, 0, 1}, 7}, power{{0, 0, 0, 2}, 0};
  EXPECT_NEAR(second.at(t).value, (d * t * t - 1) / (d - 1), 1e-15);
  EXPECT_NEAR(second.at(t).slope, 2 * d * t / (d - 1), 1e-15);
  EXPECT_NEAR(third.at(t).value, ((d + 2) * t * t * t - 3 * t) / (d - 1), 1e-15);
  EXPECT_NEAR(power.at(t).value, 2 * t * t * t, 1e-15);
  EXPECT_NEAR(power.at(t).slope, 6 * t * t, 1e-15);
}

TEST(PopulationRisk, SmoothFeaturesOnTheSphereEqualQuadrature) {
  const std::vector<double> w = on_sphere(draws(6, 0), 3);
  const FeatureOverlap overlap = FeatureOverlap::zonal(sphere_series(Erf{}, 3, 60));
  const auto mean = [&](const double* a, const double* b) {
    return sphere_mean(a, [&](const double* x) {
      return std::erf(scalar(a, x, 3) / std::sqrt(3.0)) * std::erf(scalar(b, x, 3) / std::sqrt(3.0));
    });
  };
  EXPECT_NEAR(overlap_of(overlap, w.data(), w.data() + 3, 3), mean(w.data(), w.data() + 3), 1e-9);
  EXPECT_NEAR(overlap_of(overlap, w.data(), w.data(), 3), mean(w.data(), w.data()), 1e-9);
  // A multiplicity that is off by one is seen.
  ZonalSeries wrong = sphere_series(Erf{}, 3, 60);
  wrong.coefficients[3] *= 8.0 / 7.0;
  EXPECT_GT(std::fabs(overlap_of(FeatureOverlap::zonal(wrong), w.data(), w.data(), 3) - mean(w.data(), w.data())),
            1e-5);
}

TEST(PopulationRisk, HomogeneousFeaturesEqualDualMomentsAtAnyLength) {
  const Index d = 5;
  const std::vector<double> w = draws(3 * d, 1);
  const AbRelu leaky{-0.3, 1.2};
  const FeatureOverlap overlap = FeatureOverlap::homogeneous(leaky).value();
  EXPECT_FALSE(FeatureOverlap::homogeneous(Gelu{}));
  for (Index i = 0; i < 3; ++i)
    for (Index j = 0; j < 3; ++j) {
      const double *a = w.data() + i * d, *b = w.data() + j * d, n = static_cast<double>(d);
      const KernelTriple triple{scalar(a, a, d) / n, scalar(a, b, d) / n, scalar(b, b, d) / n};
      EXPECT_NEAR(overlap_of(overlap, a, b, d), dual_moments(leaky, triple).value, 1e-14);
    }
}

TEST(PopulationRisk, GaussianInputsAgreeBetweenSeriesAndMoments) {
  const Index d = 6;
  const std::vector<double> w = on_sphere(draws(2 * d, 2), d);
  for (const Activation& activation : {Activation{Erf{}}, Activation{Gelu{}}, Activation{Tanh{}}}) {
    ZonalSeries series{hermite_coefficients(activation, 1.0, 120), 0};
    for (double& c : series.coefficients) c *= c;
    const FeatureOverlap zonal = FeatureOverlap::zonal(series), pairs = FeatureOverlap::gaussian(activation);
    for (Index j = 0; j < 2; ++j)
      EXPECT_NEAR(overlap_of(zonal, w.data(), w.data() + j * d, d), overlap_of(pairs, w.data(), w.data() + j * d, d),
                  1e-12);
  }
}

/// a^T U b from U itself, one column a unit.
double direct_product(const FeatureOverlap& overlap, const std::vector<double>& wa, const std::vector<double>& wb,
                      Index d, const double* a, const double* b, Index units) {
  double sum = 0;
  for (Index i = 0; i < units; ++i)
    for (Index j = 0; j < units; ++j) sum += a[i] * b[j] * overlap_of(overlap, wa.data() + i * d, wb.data() + j * d, d);
  return sum;
}

TEST(PopulationRisk, ProductsByPanelsEqualTheDoubleSum) {
  const Index d = 4, units = 150;  // beyond a panel of rows
  const std::vector<double> wa = draws(units * d, 3), wb = draws(units * d, 4);
  const std::vector<double> a = draws(2 * 2 * units, 5), b = draws(2 * 3 * units, 6);
  const FeatureOverlap overlap = FeatureOverlap::homogeneous(0, 1);
  for (const Index used : {Index{7}, units}) {
    std::vector<double> out(12), small(12);
    const std::vector<ProductBlock> blocks{{5, 2, 2, 3, a.data(), b.data(), small.data()},
                                           {used, 2, 2, 3, a.data(), b.data(), out.data()}};
    random_feature_products(overlap, {wa.data(), units, d}, {wb.data(), units, d}, blocks);
    for (Index g = 0; g < 2; ++g)
      for (Index l = 0; l < 2; ++l)
        for (Index r = 0; r < 3; ++r)
          for (const ProductBlock& block : blocks) {
            const double expected = direct_product(overlap, wa, wb, d, a.data() + (g * 2 + l) * block.units,
                                                   b.data() + (g * 3 + r) * block.units, block.units);
            EXPECT_NEAR(block.out[(g * 2 + l) * 3 + r], expected, 1e-11 * static_cast<double>(block.units));
          }
  }
}

/// E[(r.x)(t.x) 1_a 1_b] as the mixed second difference of E[relu(<a, x>) relu(<b, x>)] along r and t.
double tangent_by_differences(const double* a, const double* b, const double* r, const double* t, Index d) {
  const double h = 1e-3;
  const auto value = [&](double s, double u) {
    std::vector<double> p(a, a + d), q(b, b + d);
    for (Index c = 0; c < d; ++c) {
      p[static_cast<std::size_t>(c)] += s * h * r[c];
      q[static_cast<std::size_t>(c)] += u * h * t[c];
    }
    return dual_moments(Relu{},
                        {scalar(p.data(), p.data(), d), scalar(p.data(), q.data(), d), scalar(q.data(), q.data(), d)})
        .value;
  };
  return (value(1, 1) - value(1, -1) - value(-1, 1) + value(-1, -1)) / (4 * h * h);
}

TEST(PopulationRisk, TangentProductsAreSecondDifferencesOfTheArcCosineKernel) {
  const Index d = 5, units = 3;
  const std::vector<double> wa = draws(units * d, 7), wb = draws(units * d, 8);
  const std::vector<double> r = draws(units * d, 9), t = draws(units * d, 10);
  double expected = 0, measured = 0;
  for (Index i = 0; i < units; ++i)
    for (Index j = 0; j < units; ++j)
      expected += tangent_by_differences(wa.data() + i * d, wb.data() + j * d, r.data() + i * d, t.data() + j * d, d);
  const ProductBlock block{units, 1, 1, 1, r.data(), t.data(), &measured};
  tangent_feature_products({wa.data(), units, d}, {wb.data(), units, d}, {&block, 1});
  EXPECT_NEAR(measured, expected, 1e-5 * std::fabs(expected) + 1e-5);
  // Of one unit with itself: half of the space, E[x x^T 1] = 1/2.
  const ProductBlock own{1, 1, 1, 1, r.data(), t.data(), &measured};
  tangent_feature_products({wa.data(), 1, d}, {wa.data(), 1, d}, {&own, 1});
  EXPECT_NEAR(measured, 0.5 * scalar(r.data(), t.data(), d), 1e-12);
}

TEST(PopulationRisk, TangentProductsByPanelsAddUp) {
  const Index d = 3, units = 140;
  const std::vector<double> wa = draws(units * d, 11), wb = draws(units * d, 12);
  const std::vector<double> r = draws(2 * units * d, 13), t = draws(2 * units * d, 14);
  std::vector<double> out(4);
  const ProductBlock block{units, 1, 2, 2, r.data(), t.data(), out.data()};
  tangent_feature_products({wa.data(), units, d}, {wb.data(), units, d}, {&block, 1});
  double sum = 0;  // of unit pairs, each alone
  for (Index i = 0; i < units; ++i)
    for (Index j = 0; j < units; ++j) {
      double one = 0;
      const ProductBlock pair{1, 1, 1, 1, r.data() + (units + i) * d, t.data() + j * d, &one};
      tangent_feature_products({wa.data() + i * d, 1, d}, {wb.data() + j * d, 1, d}, {&pair, 1});
      sum += one;
    }
  EXPECT_NEAR(out[2], sum, 1e-9 * static_cast<double>(units));
}

TEST(PopulationRisk, TargetOverlapsEqualQuadratureOnTheSphere) {
  const std::vector<double> w = on_sphere(draws(3, 15), 3), xi = theory::funk_hecke(Relu{}, 3, 2);
  // f* = sqrt(3) Q_1 + sqrt(5) Q_2 in x_1 / sqrt(3): F_1 = F_2 = 1.
  const ZonalSeries target{{0, std::sqrt(3.0), std::sqrt(5.0)}, 3};
  const ZonalSeries profile{{0, std::sqrt(3.0) * xi[1], std::sqrt(5.0) * xi[2]}, 3};
  const auto value = [&](const double* x) { return target.at(x[0] / std::sqrt(3.0)).value; };
  double v = 0;
  random_feature_target({w.data(), 1, 3}, profile, &v);
  EXPECT_NEAR(
      v,
      sphere_mean(w.data(),
                  [&](const double* x) { return value(x) * std::fmax(scalar(w.data(), x, 3) / std::sqrt(3.0), 0.0); }),
      1e-9);
  double tangent[3];
  tangent_feature_target({w.data(), 1, 3}, profile, tangent);
  for (int c = 0; c < 3; ++c)
    EXPECT_NEAR(
        tangent[c],
        sphere_mean(w.data(), [&](const double* x) { return scalar(w.data(), x, 3) > 0 ? value(x) * x[c] : 0.0; }),
        2e-3 / 400);  // the indicator jumps at the equator, whose ring counts for one side only
}

TEST(PopulationRisk, GaussianTargetsAreHermiteCoefficients) {
  const std::vector<double> w = draws(4, 16);
  const double variance = scalar(w.data(), w.data(), 4) / 4;
  double v = 0;
  gaussian_feature_target({w.data(), 1, 4}, Erf{}, {0.0, 0.0, 0.0, 1.0}, &v);
  // E[h_3(u) erf(s)] for jointly normal u, s of correlation rho and Var s = variance, by quadrature over u and the
  // rest.
  const double rho = w[0] / std::sqrt(4 * variance);
  double sum = 0;
  for (int i = -600; i <= 600; ++i)
    for (int j = -100; j <= 100; ++j) {
      const double u = i * 0.0125, rest = j * 0.075;
      const double s = std::sqrt(variance) * (rho * u + std::sqrt(1 - rho * rho) * rest);
      sum += 0.0125 * 0.075 / (2 * moments::kPi) * std::exp(-0.5 * (u * u + rest * rest)) * (u * u * u - 3 * u) /
             std::sqrt(6.0) * std::erf(s);
    }
  EXPECT_NEAR(v, sum, 1e-10);
}

}  // namespace
}  // namespace widelab::estimators
