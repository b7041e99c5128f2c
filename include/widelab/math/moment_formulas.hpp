// Gaussian moments of each activation: closed forms by overload, quadrature for smooth functors without one. Kinked
// functors have no fallback: a new one does not compile until its overloads are here. Host only.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <type_traits>
#include <vector>

#include "widelab/base/contract.hpp"
#include "widelab/math/activations.hpp"
#include "widelab/math/quadrature.hpp"

namespace widelab {

/// Covariance [[k11, k12], [k12, k22]] of (u, v) ~ N(0, .).
struct KernelTriple {
  double k11;
  double k12;
  double k22;
};

/// E[phi(u) phi(v)] and E[phi'(u) phi'(v)].
struct DualMoments {
  double value;
  double slope;
};

/// E phi, E phi^2, E phi^4, E phi'^2 and chi = E[phi^2 (z^2 - K)] for z ~ N(0, K).
struct SingleMoments {
  double mean;
  double square;
  double fourth;
  double slope_square;
  double chi;
};

/// E[(p p')^2], E[(e e')^2], E[p p' e e'] with p = phi(u), p' = phi(v), e = phi'(u), e' = phi'(v).
struct QuarticMoments {
  double pp;
  double ee;
  double ppee;
};

namespace moments {

inline constexpr double kPi = 3.14159265358979323846;

/// A covariance with |k12| <= sqrt(k11 k22), and its determinant, computed without cancellation.
struct GaussianPair {
  double k11;
  double k12;
  double k22;
  double det;

  GaussianPair flipped() const { return {k11, -k12, k22, det}; }  ///< law of (u, -v)
};

/// Rounding may carry a kernel entry beyond the Cauchy-Schwarz bound: k12 is clipped to it, det to 0.
inline GaussianPair gaussian_pair(const KernelTriple& k) {
  WIDELAB_REQUIRE(k.k11 >= 0.0 && k.k22 >= 0.0 && std::isfinite(k.k11) && std::isfinite(k.k22) && std::isfinite(k.k12),
                  "covariance (k11, k12, k22) = (" + std::to_string(k.k11) + ", " + std::to_string(k.k12) + ", " +
                      std::to_string(k.k22) + "): needs finite numbers and variances >= 0");
  // Kahan's k11 k22 - k12^2: the rounding error of one product is recovered by fma.
  const double square = k.k12 * k.k12;
  const double det = std::fma(k.k11, k.k22, -square) + std::fma(-k.k12, k.k12, square);
  if (det > 0.0) return {k.k11, k.k12, k.k22, det};
  return {k.k11, std::copysign(std::sqrt(k.k11 * k.k22), k.k12), k.k22, 0.0};
}

// ---- a min(z, 0) + b max(z, 0): Cho and Saul 2009 (arc-cosine kernels), by quadrants of the plane ----

/// E[u_+^q v_+^q] for q = 0, 1, 2; with theta the angle between the inputs these are s^q J_q(theta) / (2 pi),
/// J_0 = pi - theta, J_1 = sin + (pi - theta) cos, J_2 = 3 sin cos + (pi - theta)(1 + 2 cos^2).
struct QuadrantMoments {
  double zeroth;
  double first;
  double second;
};

/// pi - theta comes from atan2, which keeps all digits near theta = 0 and pi; exactly 1/2, K/2, 3K^2/2 for u = v > 0
/// and exactly 0 for u = -v. With a zero variance all are 0, since relu'(0) = 0.
inline QuadrantMoments quadrant_moments(const GaussianPair& k) {
  if (k.k11 <= 0.0 || k.k22 <= 0.0) return {0.0, 0.0, 0.0};
  const double root = std::sqrt(k.det);
  const double fraction = std::atan2(root, -k.k12) / (2.0 * kPi);
  const double density = root / (2.0 * kPi);
  return {fraction, density + fraction * k.k12,
          3.0 * density * k.k12 + fraction * (k.k11 * k.k22 + 2.0 * k.k12 * k.k12)};
}

inline DualMoments dual(const AbRelu& f, const GaussianPair& k) {
  const QuadrantMoments same = quadrant_moments(k), opposite = quadrant_moments(k.flipped());
  const double squares = f.a * f.a + f.b * f.b, product = 2.0 * f.a * f.b;
  return {squares * same.first - product * opposite.first, squares * same.zeroth + product * opposite.zeroth};
}

inline QuarticMoments quartic(const AbRelu& f, const GaussianPair& k) {
  const QuadrantMoments same = quadrant_moments(k), opposite = quadrant_moments(k.flipped());
  const double a2 = f.a * f.a, b2 = f.b * f.b;
  const double fourths = a2 * a2 + b2 * b2, product = 2.0 * a2 * b2;
  return {fourths * same.second + product * opposite.second, fourths * same.zeroth + product * opposite.zeroth,
          fourths * same.first - product * opposite.first};
}

inline SingleMoments single(const AbRelu& f, double variance) {
  const double a2 = f.a * f.a, b2 = f.b * f.b, half = 0.5 * (a2 + b2);
  return {(f.b - f.a) * std::sqrt(variance / (2.0 * kPi)), half * variance,
          1.5 * (a2 * a2 + b2 * b2) * variance * variance, variance > 0.0 ? half : 0.0,
          2.0 * half * variance * variance};
}

/// phi = (a + b)/2 z + (b - a)/2 |z|; for |g|: c_0 = sqrt(2/pi), c_{k+2} = -c_k (k - 1) / sqrt((k + 1)(k + 2)).
inline std::vector<double> hermite(const AbRelu& f, double variance, int max_degree) {
  const double sigma = std::sqrt(variance);
  std::vector<double> c(static_cast<std::size_t>(max_degree) + 1, 0.0);
  double even = 0.5 * (f.b - f.a) * sigma * std::sqrt(2.0 / kPi);
  for (int k = 0; k <= max_degree; k += 2) {
    c[static_cast<std::size_t>(k)] = even;
    even *= -(k - 1.0) / std::sqrt((k + 1.0) * (k + 2.0));
  }
  if (max_degree >= 1) c[1] = 0.5 * (f.a + f.b) * sigma;
  return c;
}

inline DualMoments dual(const Relu&, const GaussianPair& k) { return dual(AbRelu{}, k); }
inline QuarticMoments quartic(const Relu&, const GaussianPair& k) { return quartic(AbRelu{}, k); }
inline SingleMoments single(const Relu&, double variance) { return single(AbRelu{}, variance); }
inline std::vector<double> hermite(const Relu&, double variance, int max_degree) {
  return hermite(AbRelu{}, variance, max_degree);
}

// ---- polynomials ----

inline DualMoments dual(const Identity&, const GaussianPair& k) { return {k.k12, 1.0}; }
inline DualMoments dual(const Quadratic&, const GaussianPair& k) {
  return {k.k11 * k.k22 + 2.0 * k.k12 * k.k12, 4.0 * k.k12};
}

/// b_k with phi(sigma g) = sum_k b_k sigma^k h_k(g), from the scaling law of Hermite polynomials,
/// He_n(sigma g) = sum_j n! / (2^j j! (n - 2j)!) sigma^(n - 2j) (sigma^2 - 1)^j He_{n - 2j}(g).
inline std::vector<double> scaled_series(const HermiteSeries& f, double variance) {
  const int degree = static_cast<int>(f.degree);
  std::vector<double> b(static_cast<std::size_t>(degree) + 1, 0.0);
  for (int k = 0; k <= degree; ++k) {
    double factor = 1.0;  // sqrt(n! / k!) (variance - 1)^j / (2^j j!), n = k + 2 j
    for (int n = k; n <= degree; n += 2) {
      if (n > k) factor *= (variance - 1.0) * std::sqrt(n * (n - 1.0)) / (n - k);
      b[static_cast<std::size_t>(k)] += f.c[n] * factor;
    }
  }
  return b;
}

/// phi' as a series: h_k' = sqrt(k) h_{k-1}.
inline HermiteSeries derivative(const HermiteSeries& f) {
  HermiteSeries slope;
  for (Index k = 1; k <= f.degree; ++k) slope.c[k - 1] = f.c[k] * std::sqrt(static_cast<double>(k));
  slope.degree = std::max<Index>(f.degree - 1, 0);
  return slope;
}

/// E[phi(u) phi(v)] = sum_k b_k(k11) b_k(k22) k12^k (Mehler), by Horner's rule.
inline double series_dual(const HermiteSeries& f, const GaussianPair& k) {
  const std::vector<double> b1 = scaled_series(f, k.k11), b2 = scaled_series(f, k.k22);
  double sum = 0.0;
  for (std::size_t n = b1.size(); n-- > 0;) sum = sum * k.k12 + b1[n] * b2[n];
  return sum;
}

inline DualMoments dual(const HermiteSeries& f, const GaussianPair& k) {
  return {series_dual(f, k), series_dual(derivative(f), k)};
}

inline std::vector<double> hermite(const HermiteSeries& f, double variance, int max_degree) {
  std::vector<double> c = scaled_series(f, variance);
  c.resize(static_cast<std::size_t>(max_degree) + 1, 0.0);
  double power = 1.0;
  for (double& ck : c) {
    ck *= power;
    power *= std::sqrt(variance);
  }
  return c;
}

inline std::vector<double> hermite(const Identity&, double variance, int max_degree) {
  return hermite(widelab::hermite(1), variance, max_degree);
}

/// z^2 = h_0 + sqrt(2) h_2.
inline std::vector<double> hermite(const Quadratic&, double variance, int max_degree) {
  HermiteSeries series = widelab::hermite(0);
  series.c[2] = std::sqrt(2.0);
  series.degree = 2;
  return hermite(series, variance, max_degree);
}

// ---- erf, GELU ----

/// Williams 1997: (2/pi) asin(2 k12 / sqrt((1 + 2 k11)(1 + 2 k22))) and its derivative in k12, with
/// (1 + 2 k11)(1 + 2 k22) - 4 k12^2 = 1 + 2 (k11 + k22) + 4 det.
inline DualMoments dual(const Erf&, const GaussianPair& k) {
  const double root = std::sqrt(1.0 + 2.0 * (k.k11 + k.k22) + 4.0 * k.det);
  return {2.0 / kPi * std::atan2(2.0 * k.k12, root), 4.0 / kPi / root};
}

/// The squares of the coefficients are the power series of the dual in the correlation, (2/pi) asin(r rho),
/// r = 2K / (1 + 2K); the signs of the odd ones alternate.
inline std::vector<double> hermite(const Erf&, double variance, int max_degree) {
  std::vector<double> c(static_cast<std::size_t>(max_degree) + 1, 0.0);
  const double r = 2.0 * variance / (1.0 + 2.0 * variance);
  double term = 2.0 / kPi * r, sign = 1.0;  // (2/pi) binom(2m, m) / (4^m (2m + 1)) r^(2m + 1), m = (k - 1)/2
  for (int k = 1; k <= max_degree; k += 2) {
    c[static_cast<std::size_t>(k)] = sign * std::sqrt(term);
    term *= r * r * k * k / ((k + 1.0) * (k + 2.0));
    sign = -sign;
  }
  return c;
}

/// Tsuchida et al. 2021 (avoiding kernel fixed points), in the form with d2 = (1 + k11)(1 + k22) - k12^2.
inline DualMoments dual(const Gelu&, const GaussianPair& k) {
  const double d2 = 1.0 + k.k11 + k.k22 + k.det, root = std::sqrt(d2);
  const double angle = std::atan2(k.k12, root), square = k.k12 * k.k12;
  const double product = k.k11 * k.k22, shifted = (1.0 + k.k11) * (1.0 + k.k22);
  return {0.25 * k.k12 + (k.k12 * angle + (square + product * d2) / (shifted * root)) / (2.0 * kPi),
          0.25 + (angle + k.k12 / root * (1.0 / d2 + (1.0 - product) / shifted + 1.0)) / (2.0 * kPi)};
}

/// Phi(z) = (1 + erf(z / sqrt(2))) / 2 has coefficients b_k; the factor z acts by
/// g h_k = sqrt(k+1) h_{k+1} + sqrt(k) h_{k-1}.
inline std::vector<double> hermite(const Gelu&, double variance, int max_degree) {
  std::vector<double> b = hermite(Erf{}, 0.5 * variance, max_degree + 1);
  for (double& value : b) value *= 0.5;
  b[0] = 0.5;
  std::vector<double> c(static_cast<std::size_t>(max_degree) + 1);
  for (std::size_t k = 0; k < c.size(); ++k) {
    const double degree = static_cast<double>(k);
    c[k] = std::sqrt(variance) * ((k > 0 ? std::sqrt(degree) * b[k - 1] : 0.0) + std::sqrt(degree + 1.0) * b[k + 1]);
  }
  return c;
}

// ---- sin, cos ----

/// E[cos u cos v] and E[sin u sin v] = e^m (e^k12 +- e^-k12) / 2, m = -(k11 + k22) / 2 (characteristic function).
struct WaveMoments {
  double even;
  double odd;
};

inline WaveMoments wave_moments(const GaussianPair& k) {
  const double size = std::fabs(k.k12);
  const double peak = 0.5 * std::exp(size - 0.5 * (k.k11 + k.k22));
  return {peak * (1.0 + std::exp(-2.0 * size)), std::copysign(-peak * std::expm1(-2.0 * size), k.k12)};
}

inline DualMoments dual(const Sin&, const GaussianPair& k) {
  const WaveMoments waves = wave_moments(k);
  return {waves.odd, waves.even};
}
inline DualMoments dual(const Cos&, const GaussianPair& k) {
  const WaveMoments waves = wave_moments(k);
  return {waves.even, waves.odd};
}

/// e^(i sigma g) = e^(-K/2) sum_k (i sigma)^k / sqrt(k!) h_k(g); the real part is cos, the imaginary part sin.
inline std::vector<double> wave_series(double variance, int max_degree, int parity) {
  std::vector<double> c(static_cast<std::size_t>(max_degree) + 1, 0.0);
  double magnitude = std::exp(-0.5 * variance);
  for (int k = 0; k <= max_degree; ++k) {
    if (k % 2 == parity) c[static_cast<std::size_t>(k)] = (k / 2) % 2 == 0 ? magnitude : -magnitude;
    magnitude *= std::sqrt(variance / (k + 1.0));
  }
  return c;
}

inline std::vector<double> hermite(const Sin&, double variance, int max_degree) {
  return wave_series(variance, max_degree, 1);
}
inline std::vector<double> hermite(const Cos&, double variance, int max_degree) {
  return wave_series(variance, max_degree, 0);
}

// ---- any smooth functor, by quadrature ----

/// Functions that grow at most linearly need |g| up to 9.5; the fourth power of a polynomial of degree 15 up to 20.
template <class F>
quadrature::Range range_for(const F&, double variance) {
  quadrature::Range range{.scale = std::sqrt(variance)};
  if constexpr (std::is_same_v<F, HermiteSeries> || std::is_same_v<F, Quadratic>) range.radius = 20.0;
  return range;
}

/// v = along x + across y for u = sqrt(k11) x, with x, y independent N(0, 1).
struct PairMap {
  double u;
  double along;
  double across;
};

inline PairMap pair_map(const GaussianPair& k) {
  const double sigma = std::sqrt(k.k11);
  if (sigma <= 0.0) return {0.0, 0.0, std::sqrt(k.k22)};
  return {sigma, k.k12 / sigma, std::sqrt(k.det) / sigma};
}

template <class F>
requires(!F::kKinked) DualMoments dual(const F& f, const GaussianPair& k) {
  const PairMap map = pair_map(k);
  const auto row = [&](double x) {
    const double u = map.u * x;
    return [&f, &map, x, p = f.value(u), e = f.first(u)](double y) {
      const double v = map.along * x + map.across * y;
      return std::array<double, 2>{p * f.value(v), e * f.first(v)};
    };
  };
  const auto sums = quadrature::normal_pair_expectations<2>(range_for(f, std::fmax(k.k11, k.k22)), row);
  return {sums[0], sums[1]};
}

template <class F>
requires(!F::kKinked) QuarticMoments quartic(const F& f, const GaussianPair& k) {
  const PairMap map = pair_map(k);
  const auto row = [&](double x) {
    const double u = map.u * x;
    return [&f, &map, x, p = f.value(u), e = f.first(u)](double y) {
      const double v = map.along * x + map.across * y;
      const double pp = p * f.value(v), ee = e * f.first(v);
      return std::array<double, 3>{pp * pp, ee * ee, pp * ee};
    };
  };
  const auto sums = quadrature::normal_pair_expectations<3>(range_for(f, std::fmax(k.k11, k.k22)), row);
  return {sums[0], sums[1], sums[2]};
}

template <class F>
requires(!F::kKinked) SingleMoments single(const F& f, double variance) {
  const double sigma = std::sqrt(variance);
  const auto sums = quadrature::normal_expectations(5, range_for(f, variance), [&](double x, double* out) {
    const double phi = f.value(sigma * x), slope = f.first(sigma * x), square = phi * phi;
    out[0] = phi;
    out[1] = square;
    out[2] = square * square;
    out[3] = slope * slope;
    out[4] = square * variance * (x * x - 1.0);
  });
  return {sums[0], sums[1], sums[2], sums[3], sums[4]};
}

template <class F>
requires(!F::kKinked) std::vector<double> hermite(const F& f, double variance, int max_degree) {
  constexpr int kMostDegree = 300;  // h_k overflows beyond
  WIDELAB_REQUIRE(max_degree <= kMostDegree,
                  "Hermite coefficients by quadrature go up to degree 300, not " + std::to_string(max_degree));
  const double sigma = std::sqrt(variance);
  const quadrature::Range range{sigma, 10.0 + 2.0 * std::sqrt(static_cast<double>(max_degree))};
  return quadrature::normal_expectations(static_cast<std::size_t>(max_degree) + 1, range, [&](double x, double* out) {
    double h = f.value(sigma * x), previous = 0.0;  // the recurrence is linear: carry phi h_k
    for (int k = 0; k <= max_degree; ++k) {
      out[k] = h;
      const double next = (x * h - std::sqrt(static_cast<double>(k)) * previous) / std::sqrt(k + 1.0);
      previous = h;
      h = next;
    }
  });
}

}  // namespace moments
}  // namespace widelab
