// Lanczos's iteration against LAPACK on spectra that break careless versions: clustered, multiple, rank-deficient, of
// huge ratio. Bounds are honoured, residuals are what they say, and a recurrence without reorthogonalisation fails the
// same check.
#include "host/estimators/lanczos.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "host/estimators/spectra.hpp"
#include "host/estimators/spectral_density.hpp"
#include "tests/support/known_spectrum.hpp"
#include "widelab/base/errors.hpp"

namespace {

using namespace widelab;
using namespace widelab::estimators;
using test::KnownSpectrum;
using Vector = std::vector<double>;

constexpr double kEps = std::numeric_limits<double>::epsilon();

struct Spectrum {
  std::string name;
  Vector values;
};

Vector filled(Index n, const std::function<double(double)>& at) {
  Vector out;
  for (Index i = 0; i < n; ++i) out.push_back(at(static_cast<double>(i) / static_cast<double>(n - 1)));
  return out;
}

std::vector<Spectrum> spectra() {
  std::vector<Spectrum> out;
  out.push_back({"flat", filled(150, [](double t) { return 2 * t - 1; })});
  out.push_back({"outliers", filled(150, [](double t) { return t > 0.97 ? 100 * t : t; })});
  out.push_back({"clustered", filled(150, [](double t) { return t > 0.8 ? 1 + 1e-4 * t : t; })});
  out.push_back({"huge ratio", filled(150, [](double t) { return std::pow(10, 16 * t - 8); })});
  out.push_back({"signs and sizes", filled(151, [](double t) { return std::pow(2 * t - 1, 7); })});
  out.push_back({"rank seven", filled(150, [](double t) { return t > 0.955 ? t : 0.0; })});
  return out;
}

/// Rounding of products and orthogonalisation: the norm of A times the square root of the dimension.
double slack(const KnownSpectrum& a, double scale) {
  return 20 * kEps * std::sqrt(static_cast<double>(a.size())) * scale;
}

bool within(double a, double b, double distance) { return std::abs(a - b) <= distance; }

/// Do the first `values.size()` eigenvalues from one end agree with LAPACK's, each within its own bound?
bool agrees(const Vector& dense, const std::vector<RitzValue>& values, bool largest, double allowance) {
  for (std::size_t k = 0; k < values.size(); ++k) {
    const double truth = largest ? dense[k] : dense[dense.size() - 1 - k];
    if (!within(values[k].value, truth, values[k].bound + allowance)) return false;
  }
  return true;
}

/// From the nearest eigenvalue.
double distance(const Vector& dense, double value) {
  double nearest = INFINITY;
  for (const double eigenvalue : dense) nearest = std::min(nearest, std::abs(eigenvalue - value));
  return nearest;
}

TEST(Lanczos, FindsBothEndsOfEverySpectrumWithinItsBounds) {
  for (const Spectrum& spectrum : spectra()) {
    const KnownSpectrum a(spectrum.values);
    const Vector dense = symmetric_eigenvalues(a.dense(), a.size());
    LanczosOptions options;
    options.largest = 4;
    options.smallest = 3;
    options.tolerance = 1e-10;
    options.max_products = 2000;
    options.max_basis = 150;
    options.true_residuals = true;
    const LanczosResult found = lanczos(a.size(), a, options);
    EXPECT_NE(found.stop, LanczosStop::steps_used) << spectrum.name;
    ASSERT_EQ(found.largest.size(), 4u);
    ASSERT_EQ(found.smallest.size(), 3u);
    EXPECT_TRUE(agrees(dense, found.largest, true, slack(a, found.scale))) << spectrum.name;
    // Of the huge ratio's small end, bounds of 1e-10 scale say nothing: gaps are below 1e-16 scale.
    EXPECT_TRUE(spectrum.name == "huge ratio" || agrees(dense, found.smallest, false, slack(a, found.scale)))
        << spectrum.name;
    for (const auto& end : {found.largest, found.smallest})
      for (const RitzValue& value : end) {
        EXPECT_LE(distance(dense, value.value), value.bound + slack(a, found.scale)) << spectrum.name;
        EXPECT_LE(value.bound, 1e-10 * found.scale) << spectrum.name;
        EXPECT_NEAR(value.residual, value.bound, slack(a, found.scale)) << spectrum.name;
        EXPECT_TRUE(value.vector.empty());
      }
  }
}

TEST(Lanczos, RestartsFindTheSameValues) {
  int restarted = 0;
  for (const Spectrum& spectrum : spectra()) {
    const KnownSpectrum a(spectrum.values);
    const Vector dense = symmetric_eigenvalues(a.dense(), a.size());
    LanczosOptions options;
    options.largest = 2;
    options.smallest = spectrum.name == "huge ratio" ? 0 : 1;
    options.tolerance = 1e-8;
    options.max_products = 5000;
    options.max_basis = 24;
    const LanczosResult found = lanczos(a.size(), a, options);
    EXPECT_NE(found.stop, LanczosStop::steps_used) << spectrum.name;
    restarted += found.restarts > 0 ? 1 : 0;
    EXPECT_TRUE(agrees(dense, found.largest, true, slack(a, found.scale))) << spectrum.name;
    EXPECT_TRUE(agrees(dense, found.smallest, false, slack(a, found.scale))) << spectrum.name;
  }
  EXPECT_EQ(restarted, 4);  // two are done within one basis
}

TEST(Lanczos, BoundsAreResidualsAlsoWhereNothingHasConverged) {
  for (const Spectrum& spectrum : spectra()) {
    if (spectrum.name == "rank seven") continue;  // is complete after eight products
    const KnownSpectrum a(spectrum.values);
    const Vector dense = symmetric_eigenvalues(a.dense(), a.size());
    LanczosOptions options;
    options.largest = options.smallest = 2;
    options.tolerance = 1e-12;
    options.max_products = 7;
    options.true_residuals = options.vectors = true;
    const LanczosResult found = lanczos(a.size(), a, options);
    EXPECT_EQ(found.stop, LanczosStop::steps_used);
    EXPECT_EQ(found.products, 7);
    for (const auto& end : {found.largest, found.smallest})
      for (const RitzValue& value : end) {
        double square = 0;
        for (const double x : value.vector) square += x * x;
        EXPECT_LE(distance(dense, value.value), value.bound + slack(a, found.scale)) << spectrum.name;
        EXPECT_NEAR(value.residual, value.bound, slack(a, found.scale)) << spectrum.name;
        EXPECT_NEAR(square, 1, 100 * kEps);
      }
    // The comparison can fail: residuals here are far above rounding.
    EXPECT_GT(1e-3 * found.largest[1].bound, slack(a, found.scale)) << spectrum.name;
  }
}

TEST(Lanczos, CountsMultipleEigenvaluesWhereItsBasisIsInvariant) {
  Vector values(60, 0.0);
  values[3] = values[17] = values[42] = 5;
  values[8] = 2;
  values[30] = values[31] = -1;
  const KnownSpectrum a(values);
  LanczosOptions options;
  options.largest = 5;
  options.smallest = 3;
  const LanczosResult found = lanczos(a.size(), a, options);
  EXPECT_EQ(found.stop, LanczosStop::complete);
  EXPECT_LT(found.products, 40);
  const Vector expected{5, 5, 5, 2, 0}, below{-1, -1, 0};
  for (std::size_t k = 0; k < 5; ++k) EXPECT_NEAR(found.largest[k].value, expected[k], slack(a, 5));
  for (std::size_t k = 0; k < 3; ++k) EXPECT_NEAR(found.smallest[k].value, below[k], slack(a, 5));
}

TEST(Lanczos, SmallSpacesAreSpannedWhole) {
  for (const Index n : {1, 2, 3, 5}) {
    const KnownSpectrum a(filled(n + 1, [](double t) { return 1 + t; }));
    LanczosOptions options;
    options.largest = 4;
    options.smallest = 4;
    options.tolerance = 1e-15;
    const LanczosResult found = lanczos(n + 1, a, options);
    EXPECT_EQ(found.stop, LanczosStop::complete);
    EXPECT_EQ(found.largest.size(), static_cast<std::size_t>(std::min<Index>(4, n + 1)));
    EXPECT_NEAR(found.largest[0].value, 2, slack(a, 2));
    EXPECT_NEAR(found.smallest[0].value, 1, slack(a, 2));
  }
  LanczosOptions one;
  const LanczosResult single = lanczos(
      1, [](const double* v, double* image) { image[0] = -3 * v[0]; }, one);
  EXPECT_EQ(single.largest[0].value, -3);
  const LanczosResult zero = lanczos(
      9, [](const double*, double* image) { std::fill_n(image, 9, 0.0); }, one);
  EXPECT_EQ(zero.largest[0].value, 0);
  EXPECT_EQ(zero.stop, LanczosStop::complete);
}

/// The textbook's three-term recurrence: the `count` largest eigenvalues of its T after `steps` products.
std::vector<RitzValue> without_reorthogonalisation(const KnownSpectrum& a, Index steps, Index count) {
  const auto n = static_cast<std::size_t>(a.size()), m = static_cast<std::size_t>(steps);
  Vector q = test::normals<double>(1, a.size(), 3), before(n, 0.0), image(n), t(m * m, 0.0);
  double norm = 0, beta = 0;
  for (const double x : q) norm += x * x;
  for (double& x : q) x /= std::sqrt(norm);
  for (std::size_t k = 0; k < m; ++k) {
    a(q.data(), image.data());
    double alpha = 0, square = 0;
    for (std::size_t i = 0; i < n; ++i) alpha += q[i] * image[i];
    for (std::size_t i = 0; i < n; ++i) {
      image[i] -= alpha * q[i] + beta * before[i];
      square += image[i] * image[i];
    }
    t[k * m + k] = alpha;
    beta = std::sqrt(square);
    if (k + 1 < m) t[k * m + k + 1] = t[(k + 1) * m + k] = beta;
    before = q;
    for (std::size_t i = 0; i < n; ++i) q[i] = image[i] / beta;
  }
  const Vector values = symmetric_eigenvalues(t, steps);
  std::vector<RitzValue> out(static_cast<std::size_t>(count));
  for (std::size_t k = 0; k < out.size(); ++k) out[k].value = values[k];
  return out;
}

TEST(Lanczos, GhostsOfALostBasisAreSeen) {
  const KnownSpectrum a(spectra()[3].values);
  const Vector dense = symmetric_eigenvalues(a.dense(), a.size());
  LanczosOptions options;
  options.largest = 4;
  options.tolerance = 1e-15;
  options.max_products = 80;
  const LanczosResult sound = lanczos(a.size(), a, options);
  EXPECT_TRUE(agrees(dense, sound.largest, true, 1e-10 * sound.scale));
  EXPECT_FALSE(agrees(dense, without_reorthogonalisation(a, 80, 4), true, 1e-10 * sound.scale));
}

TEST(Lanczos, SideBySideIsTheSameAsOneAfterTheOther) {
  const std::vector<Spectrum> all = spectra();
  const std::vector<KnownSpectrum> operators{KnownSpectrum(all[0].values), KnownSpectrum(all[1].values),
                                             KnownSpectrum(all[5].values)};
  LanczosOptions options;
  options.largest = 2;
  options.true_residuals = true;
  Index rounds = 0;
  const auto apply = [&](const std::vector<Index>& which, const std::vector<const double*>& v,
                         const std::vector<double*>& images) {
    for (std::size_t i = 0; i < which.size(); ++i) operators[static_cast<std::size_t>(which[i])](v[i], images[i]);
    ++rounds;
  };
  const auto together = lanczos_side_by_side(150, 3, apply, options, {{9, 0}, {9, 1}, {9, 2}});
  Index longest = 0;
  for (std::uint32_t i = 0; i < 3; ++i) {
    options.start = {9, i};
    const LanczosResult alone = lanczos(150, operators[i], options);
    longest = std::max(longest, alone.products);
    for (std::size_t k = 0; k < 2; ++k) {
      EXPECT_EQ(alone.largest[k].value, together[i].largest[k].value);
      EXPECT_EQ(alone.largest[k].residual, together[i].largest[k].residual);
    }
  }
  EXPECT_EQ(rounds, longest + 2);
  options.start = {10, 0};
  EXPECT_NE(lanczos(150, operators[0], options).largest[1].value, together[0].largest[1].value);
}

TEST(Lanczos, RefusesWhatItCannotDo) {
  const KnownSpectrum a(spectra()[0].values);
  const auto with = [&](const std::function<void(LanczosOptions&)>& change) {
    LanczosOptions options;
    change(options);
    return lanczos(a.size(), a, options);
  };
  EXPECT_THROW(with([](LanczosOptions& o) { o.largest = 0; }), ContractError);
  EXPECT_THROW(with([](LanczosOptions& o) { o.max_basis = 2; }), ContractError);
  EXPECT_THROW(with([](LanczosOptions& o) { o.tolerance = 0; }), ContractError);
  EXPECT_THROW(lanczos(3, [](const double*, double* image) { image[0] = NAN; }, {}), DataError);
}

TEST(SpectralDensity, RulesAreExactForPolynomials) {
  const KnownSpectrum a(filled(40, [](double t) { return 3 * t - 1; }));
  const SpectralSample sample = sample_spectrum(a.size(), a, {5, 4, {2, 0}});
  // Products with the same probes: v^T A v, and |A v|^2 through the square of A.
  const Estimate direct = hutchinson_trace(a.size(), a, 5, {2, 0});
  const auto squared = [&](const double* v, double* image) {
    Vector once(40);
    a(v, once.data());
    a(once.data(), image);
  };
  const Estimate square = hutchinson_trace(a.size(), squared, 5, {2, 0});
  const Estimate ones = spectral_trace(sample, [](double) { return 1.0; });
  EXPECT_NEAR(ones.value, 40, 1e-12);
  EXPECT_NEAR(ones.se, 0, 1e-12);
  EXPECT_NEAR(spectral_trace(sample, [](double x) { return x; }).value, direct.value, 1e-12);
  EXPECT_NEAR(spectral_trace(sample, [](double x) { return x; }).se, direct.se, 1e-12);
  EXPECT_NEAR(spectral_trace(sample, [](double x) { return x * x; }).value, square.value, 1e-11);
  // Degree 8 = 2 m is the first that four nodes miss.
  const SpectralSample finer = sample_spectrum(a.size(), a, {5, 5, {2, 0}});
  const auto moment = [](const SpectralSample& s, int k) {
    return spectral_trace(s, [k](double x) { return std::pow(x, k); }).value;
  };
  EXPECT_NEAR(moment(sample, 7) / moment(finer, 7), 1, 1e-12);
  EXPECT_GT(std::abs(moment(sample, 8) / moment(finer, 8) - 1), 1e-6);
}

TEST(SpectralDensity, DiagonalMatricesHaveNoError) {
  const auto diagonal = [](const double* v, double* image) {
    for (Index i = 0; i < 30; ++i) image[i] = (i % 3 == 0 ? 2.0 : -1.0) * v[i];
  };
  const SpectralSample sample = sample_spectrum(30, diagonal, {4, 20, {3, 0}});
  for (const QuadratureRule& rule : sample.probes) {
    ASSERT_EQ(rule.nodes.size(), 2u);  // the space that the probe spans
    EXPECT_NEAR(rule.nodes[1], 2, 1e-13);
    EXPECT_NEAR(rule.weights[1], 1.0 / 3, 1e-13);
  }
  const Estimate logarithm = spectral_trace(sample, [](double x) { return std::log(x * x); });
  EXPECT_NEAR(logarithm.value, 10 * std::log(4.0), 1e-12);
  EXPECT_NEAR(logarithm.se, 0, 1e-12);
  const Estimate exact = hutchinson_trace(30, diagonal, 3, {3, 0});
  EXPECT_NEAR(exact.value, 0, 1e-13);
  EXPECT_EQ(exact.count, 3);

  const double variance = 0.04;
  Vector points;
  for (int i = -400; i <= 400; ++i) points.push_back(0.01 * i);
  double mass = 0;
  for (const Estimate& e : spectral_density(sample, points, variance)) mass += 0.01 * e.value;
  EXPECT_NEAR(mass, 1, 1e-12);
  const double peak = 1 / std::sqrt(2 * M_PI * variance);
  EXPECT_NEAR(spectral_density(sample, Vector{2}, variance)[0].value, peak / 3, 1e-10);
}

}  // namespace
