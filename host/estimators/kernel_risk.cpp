#include "host/estimators/kernel_risk.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include "widelab/base/contract.hpp"
#include "widelab/math/gegenbauer.hpp"

namespace widelab::estimators {
namespace {

using std::numbers::pi;

constexpr int kIntervals = 256, kNodes = 10;
constexpr Index kPanel = 64;  // rows of K2 that one thread takes at a time

/// Q_0 .. Q_(count - 1) at t.
void gegenbauer(double d, double t, std::size_t count, double* out) {
  double q = 1, before = 0;
  for (std::size_t l = 0; l < count; ++l) {
    out[l] = q;
    const GegenbauerStep step = gegenbauer_step(d, static_cast<int>(l));
    const double next = step.up * t * q - step.down * before;
    before = q;
    q = next;
  }
}

double node(int k) { return std::cos(pi * (k + 0.5) / kNodes); }

/// Powers of x in [-1, 1] of the polynomial through the values at the Chebyshev nodes.
std::array<double, kNodes> interpolate(const std::array<double, kNodes>& values) {
  std::array<double, kNodes> chebyshev{}, powers{}, low{}, high{};
  for (int j = 0; j < kNodes; ++j) {
    double sum = 0;
    for (int k = 0; k < kNodes; ++k) sum += values[static_cast<std::size_t>(k)] * std::cos(pi * j * (k + 0.5) / kNodes);
    chebyshev[static_cast<std::size_t>(j)] = (j == 0 ? 1.0 : 2.0) / kNodes * sum;
  }
  low[0] = 1;   // T_0
  high[1] = 1;  // T_1
  for (int j = 0; j < kNodes; ++j) {
    std::array<double, kNodes> next{};  // T_(j+2) = 2 x T_(j+1) - T_j
    for (std::size_t p = 0; p < kNodes; ++p) {
      powers[p] += chebyshev[static_cast<std::size_t>(j)] * low[p];
      next[p] = (p > 0 ? 2 * high[p - 1] : 0.0) - low[p];
    }
    low = high;
    high = next;
  }
  return powers;
}

double dot(const double* x, const double* y, Index count) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (Index i = 0; i < count; ++i) sum += x[i] * y[i];
  return sum;
}

/// sum over 2 <= l <= L of B_l g_l^2 Q_l.
std::function<double(double)> higher_degrees(Index dimension, const std::vector<double>& coefficient,
                                             const std::vector<double>& multiplicity) {
  WIDELAB_REQUIRE(dimension >= 3 && coefficient.size() >= 2 && coefficient.size() == multiplicity.size(),
                  "d >= 3, and as many coefficients as multiplicities, at least two");
  return [dimension, &coefficient, &multiplicity](double angle) {
    std::vector<double> q(coefficient.size());
    gegenbauer(static_cast<double>(dimension), std::cos(angle), q.size(), q.data());
    double sum = 0;
    for (std::size_t l = q.size(); l-- > 2;) sum += multiplicity[l] * coefficient[l] * coefficient[l] * q[l];
    return sum;
  };
}

}  // namespace

AngleTable::AngleTable(const std::function<double(double)>& value) {
  polynomials_.reserve(static_cast<std::size_t>(kIntervals) * kNodes);
  const double half = 0.5 * pi / kIntervals;
  for (int i = 0; i < kIntervals; ++i) {
    const double centre = (2 * i + 1) * half;
    std::array<double, kNodes> values;
    for (int k = 0; k < kNodes; ++k) values[static_cast<std::size_t>(k)] = value(centre + half * node(k));
    const std::array<double, kNodes> powers = interpolate(values);
    polynomials_.insert(polynomials_.end(), powers.begin(), powers.end());
  }
  for (int i = 0; i < kIntervals; ++i)
    for (int k = 0; k + 1 < kNodes; ++k) {
      const double angle = (2 * i + 1 + 0.5 * (node(k) + node(k + 1))) * half, cosine = std::cos(angle);
      error_ = std::max(error_, std::abs(at_cosine(cosine) - value(std::acos(cosine))));
    }
}

double AngleTable::at_cosine(double cosine) const {
  const double place = std::acos(std::clamp(cosine, -1.0, 1.0)) * (kIntervals / pi);
  const int interval = std::min(static_cast<int>(place), kIntervals - 1);
  const double x = 2 * (place - interval) - 1;
  const double* powers = polynomials_.data() + static_cast<std::ptrdiff_t>(interval) * kNodes;
  double sum = powers[kNodes - 1];
  for (int p = kNodes - 2; p >= 0; --p) sum = sum * x + powers[p];
  return sum;
}

void AngleTable::fill_row(const double* directions, Index dimension, Index i, Index count, double* out) const {
  for (Index j = 0; j < count; ++j)
    out[j] = at_cosine(dot(directions + i * dimension, directions + j * dimension, dimension));
}

double PrefixMoments::excess(Index size, std::span<const double> weights, std::span<const double> amplitudes) const {
  double square = 0, cross = 0, target = 0;
  for (std::size_t r = 0; r < weights.size(); ++r) {
    for (std::size_t q = 0; q < weights.size(); ++q)
      square += weights[r] * weights[q] * product(size, static_cast<Index>(r), static_cast<Index>(q));
    for (std::size_t l = 0; l < amplitudes.size(); ++l)
      cross += weights[r] * amplitudes[l] * overlap(size, static_cast<Index>(r), static_cast<Index>(l));
  }
  for (const double amplitude : amplitudes) target += amplitude * amplitude;
  return square - 2 * cross + target;
}

std::vector<double> zonal_harmonics(std::span<const double> directions, Index dimension,
                                    std::span<const double> multiplicity, Index degrees) {
  WIDELAB_REQUIRE(degrees <= static_cast<Index>(multiplicity.size()), "as many multiplicities as degrees");
  const auto count = static_cast<std::size_t>(degrees), d = static_cast<std::size_t>(dimension);
  const std::size_t points = directions.size() / d;
  std::vector<double> out(points * count);
  for (std::size_t i = 0; i < points; ++i) {
    double* row = out.data() + i * count;
    gegenbauer(static_cast<double>(dimension), directions[i * d], count, row);
    for (std::size_t l = 0; l < count; ++l) row[l] *= std::sqrt(multiplicity[l]);
  }
  return out;
}

KernelRisk::KernelRisk(Index dimension, std::vector<double> coefficient, std::vector<double> multiplicity, double tail)
    : dimension_(dimension),
      coefficient_(std::move(coefficient)),
      multiplicity_(std::move(multiplicity)),
      higher_(higher_degrees(dimension_, coefficient_, multiplicity_)),
      diagonal_(tail) {
  for (std::size_t l = coefficient_.size(); l-- > 2;) diagonal_ += multiplicity_[l] * coefficient_[l] * coefficient_[l];
}

PrefixMoments KernelRisk::moments(const PrefixSolutions& solutions, Index degrees) const {
  const auto sizes = static_cast<Index>(solutions.sizes.size());
  PrefixMoments out{solutions.rights, degrees,
                    std::vector<double>(static_cast<std::size_t>(sizes * solutions.rights * solutions.rights)),
                    std::vector<double>(static_cast<std::size_t>(sizes * solutions.rights * degrees))};
  const Index panels = (solutions.points + kPanel - 1) / kPanel;
  std::vector<std::vector<double>> parts(static_cast<std::size_t>(panels));
#pragma omp parallel for schedule(dynamic, 1)
  for (Index turn = 0; turn < panels; ++turn) {
    const Index panel = panels - 1 - turn;  // the longest first
    parts[static_cast<std::size_t>(panel)] = panel_products(solutions, panel * kPanel);
  }
  for (const std::vector<double>& part : parts)
    for (std::size_t k = 0; k < part.size(); ++k) out.products[k] += part[k];
  add_low_degrees(solutions, out);
  return out;
}

/// alpha^T K2 alpha = sum_i alpha_i (2 sum_(j<i) K2_ij alpha_j + K2_ii alpha_i): row i serves every size beyond it.
std::vector<double> KernelRisk::panel_products(const PrefixSolutions& solutions, Index first) const {
  const Index n = solutions.points, rights = solutions.rights;
  const auto sizes = static_cast<Index>(solutions.sizes.size());
  std::vector<double> part(static_cast<std::size_t>(sizes * rights * rights)), row(static_cast<std::size_t>(n)),
      along(static_cast<std::size_t>(rights));
  for (Index i = first; i < std::min(n, first + kPanel); ++i) {
    higher_.fill_row(solutions.directions, dimension_, i, i, row.data());
    for (Index s = 0; s < sizes; ++s) {
      if (solutions.sizes[static_cast<std::size_t>(s)] <= i) continue;
      const double* alpha = solutions.coefficients + s * rights * n;
      for (Index r = 0; r < rights; ++r)
        along[static_cast<std::size_t>(r)] = dot(row.data(), alpha + r * n, i) + 0.5 * diagonal_ * alpha[r * n + i];
      for (Index r = 0; r < rights; ++r)
        for (Index q = 0; q < rights; ++q)
          part[static_cast<std::size_t>((s * rights + r) * rights + q)] +=
              alpha[r * n + i] * along[static_cast<std::size_t>(q)] +
              alpha[q * n + i] * along[static_cast<std::size_t>(r)];
    }
  }
  return part;
}

void KernelRisk::add_low_degrees(const PrefixSolutions& solutions, PrefixMoments& out) const {
  const Index n = solutions.points, rights = solutions.rights, d = dimension_, degrees = out.degrees;
  const std::vector<double> harmonics =
      zonal_harmonics({solutions.directions, static_cast<std::size_t>(n * d)}, d, multiplicity_, degrees);
  const double zeroth = coefficient_[0] * coefficient_[0], first = multiplicity_[1] * coefficient_[1] * coefficient_[1];
  std::vector<double> sums(static_cast<std::size_t>(rights * (d + 1)));  // sum_i alpha_i, sum_i alpha_i p_i
  for (std::size_t s = 0; s < solutions.sizes.size(); ++s) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (Index r = 0; r < rights; ++r) {
      const Index at = static_cast<Index>(s) * rights + r;
      const double* alpha = solutions.coefficients + at * n;
      double *sum = sums.data() + r * (d + 1), *overlap = out.overlaps.data() + at * degrees;
      for (Index i = 0; i < solutions.sizes[s]; ++i) {
        sum[0] += alpha[i];
        for (Index c = 0; c < d; ++c) sum[1 + c] += alpha[i] * solutions.directions[i * d + c];
        for (Index l = 0; l < degrees; ++l)
          overlap[l] += alpha[i] * harmonics[static_cast<std::size_t>(i * degrees + l)];
      }
      for (Index l = 0; l < degrees; ++l) overlap[l] *= coefficient_[static_cast<std::size_t>(l)];
    }
    for (Index r = 0; r < rights; ++r)
      for (Index q = 0; q < rights; ++q) {
        const double *a = sums.data() + r * (d + 1), *b = sums.data() + q * (d + 1);
        out.products[(s * static_cast<std::size_t>(rights) + static_cast<std::size_t>(r)) *
                         static_cast<std::size_t>(rights) +
                     static_cast<std::size_t>(q)] += zeroth * a[0] * b[0] + first * dot(a + 1, b + 1, d);
      }
  }
}

}  // namespace widelab::estimators
