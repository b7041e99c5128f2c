// The sums over a spectrum that the deterministic equivalent consists of, and their combinations without cancellation,
// at a fixed point or at a pair of them: real for a ridge, complex for the nodes of a contour in time.
//
// With D2 = sum m s^2 / ((s + v_i)(s + v_j)), t = sum m s / ((s + v_i)(s + v_j)) + tail / (v_i v_j) and
// delta_i = v_j t = D1(v_i) - D2, alpha = n - D1, beta = p - D1 the divided differences over nu_1 of what the source
// of deterministic_equivalent.hpp states are (derived here; the diagonal i = j is one ridge)
//   n Upsilon       = D2 + delta_i kappa_j,             kappa_j = delta_j / (beta_j + delta_j), 0 at p = infinity,
//   n (1 - Upsilon) = alpha_i + delta_i (1 - kappa_j),  n - D2 = alpha_i + delta_i,
//   signal          = v_i v_j B2 + tail power + kappa_j v_j Bs:
// sums of positive terms at a real ridge, so that neither small ridges nor thresholds cost digits.
#pragma once

#include <cmath>
#include <string>

#include "host/theory/deterministic_equivalent.hpp"

namespace widelab::theory {

/// Throws RecipeError as deterministic_equivalent.hpp says, but for the risk that is infinite.
void require_feature_regression(const FeatureRegression& problem);

/// A number in a message: six digits, with an exponent where it needs one.
std::string shown(double value);

/// Number of positive eigenvalues, without the tail.
double spectrum_rank(const FeatureSpectrum& spectrum);

template <class T>
struct SpectrumSums {
  T df1{};        ///< D1 = sum m s / (s + nu) + tail / nu
  T unlearned{};  ///< rank - D1 = sum m nu / (s + nu) - tail / nu
  T slope{};      ///< -dD1/dnu

  /// size - D1(nu), without cancellation where size >= rank.
  T deficit(double size, double rank) const { return size >= rank ? (size - rank) + unlearned : size - df1; }
};

template <class T>
SpectrumSums<T> spectrum_sums(const FeatureSpectrum& spectrum, T nu) {
  SpectrumSums<T> sums;
  for (const FeatureSpectrum::Group& group : spectrum.groups) {
    if (group.eigenvalue == 0) continue;
    const T inverse = 1.0 / (group.eigenvalue + nu), mass = group.multiplicity * inverse;
    sums.df1 += mass * group.eigenvalue;
    sums.unlearned += mass * nu;
    sums.slope += mass * group.eigenvalue * inverse;
  }
  if (spectrum.tail_trace > 0) {
    sums.df1 += spectrum.tail_trace / nu;
    sums.unlearned -= spectrum.tail_trace / nu;
    sums.slope += spectrum.tail_trace / nu / nu;
  }
  return sums;
}

/// A solution of the fixed point at one ridge.
template <class T>
struct FixedPoint {
  T nu{}, alpha{}, beta{};  ///< nu_2, n - D1, p - D1 (of no meaning at p = infinity)
};

template <class T>
struct EquivalentTerms {
  T df2{}, slope{};           ///< D2, t
  T missed{}, partly{};       ///< v_i v_j B2 + tail power, Bs
  T delta{}, kappa{};         ///< delta_i, kappa_j
  T data_margin{}, margin{};  ///< n - D2, n (1 - Upsilon)
  T drawn{};                  ///< kappa_j v_j Bs: what one draw of features adds to the signal
};

template <class T>
EquivalentTerms<T> equivalent_terms(const FeatureSpectrum& spectrum, const FixedPoint<T>& i, const FixedPoint<T>& j,
                                    bool infinite_features) {
  EquivalentTerms<T> terms;
  terms.missed = spectrum.tail_power;
  for (const FeatureSpectrum::Group& group : spectrum.groups) {
    const double s = group.eigenvalue;
    if (s == 0) {
      terms.missed += group.target_power;
      continue;
    }
    const T inverse_i = 1.0 / (s + i.nu), inverse_j = 1.0 / (s + j.nu), both = s * inverse_i * inverse_j;
    terms.df2 += group.multiplicity * s * both;
    terms.slope += group.multiplicity * both;
    terms.missed += group.target_power * (i.nu * inverse_i) * (j.nu * inverse_j);
    terms.partly += group.target_power * both;
  }
  if (spectrum.tail_trace > 0) terms.slope += spectrum.tail_trace / i.nu / j.nu;
  terms.delta = j.nu * terms.slope;
  const T delta_j = i.nu * terms.slope;
  if (!infinite_features && delta_j != 0.0) terms.kappa = delta_j / (j.beta + delta_j);
  terms.data_margin = i.alpha + terms.delta;
  terms.margin =
      infinite_features || delta_j == 0.0 ? terms.data_margin : i.alpha + terms.delta * (j.beta / (j.beta + delta_j));
  terms.drawn = terms.kappa * j.nu * terms.partly;
  return terms;
}

}  // namespace widelab::theory
