#include "host/estimators/chain_convergence.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "host/estimators/jackknife.hpp"
#include "widelab/base/contract.hpp"

namespace widelab::estimators {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// The chain without its mean; empty where a draw is not finite.
std::vector<double> centred(std::span<const double> chain) {
  double sum = 0;
  for (const double x : chain) sum += x - chain.front();
  const double mean = chain.front() + sum / static_cast<double>(chain.size());
  std::vector<double> out;
  for (const double x : chain) out.push_back(x - mean);
  return std::isfinite(mean) ? out : std::vector<double>{};
}

/// Sum of x_t x_{t + lag}: n times the autocovariance.
double lagged_sum(const std::vector<double>& x, std::size_t lag) {
  double sum = 0;
  for (std::size_t t = 0; t + lag < x.size(); ++t) sum += x[t] * x[t + lag];
  return sum;
}

}  // namespace

double autocorrelation_time(std::span<const double> chain) {
  if (chain.size() < 4) return kNaN;
  const std::vector<double> x = centred(chain);
  const double spread = x.empty() ? 0 : lagged_sum(x, 0);
  if (!(spread > 0)) return kNaN;
  double sum = 0, before = std::numeric_limits<double>::infinity();
  for (std::size_t lag = 0; lag + 1 < x.size(); lag += 2) {
    const double pair = (lagged_sum(x, lag) + lagged_sum(x, lag + 1)) / spread;
    if (!(pair > 0)) break;
    before = std::min(before, pair);
    sum += before;
  }
  return std::max(2 * sum - 1, 1 / std::log10(static_cast<double>(x.size())));
}

double effective_sample_size(std::span<const double> chain) {
  return static_cast<double>(chain.size()) / autocorrelation_time(chain);
}

SplitChain split_chain(std::span<const double> chain) {
  WIDELAB_REQUIRE(chain.size() >= 4, "a chain is split into halves of at least two draws");
  const std::size_t half = chain.size() / 2;
  const auto moments = [half](std::span<const double> part, double& mean, double& variance) {
    double sum = 0, square = 0;
    for (const double x : part) sum += x - part.front();
    mean = part.front() + sum / static_cast<double>(half);
    for (const double x : part) square += (x - mean) * (x - mean);
    variance = square / static_cast<double>(half - 1);
  };
  SplitChain out;
  moments(chain.first(half), out.first_mean, out.first_variance);
  moments(chain.last(half), out.second_mean, out.second_variance);
  return out;
}

Estimate split_rhat(std::span<const SplitChain> chains, Index half_length) {
  WIDELAB_REQUIRE(half_length >= 2, "halves have at least two draws");
  const auto h = static_cast<double>(half_length);
  // A chain enters by averages over its two halves: of their means, squares of means, and variances.
  std::vector<double> rows;
  const double shift = chains.empty() ? 0 : chains.front().first_mean;
  for (const SplitChain& chain : chains) {
    const double a = chain.first_mean - shift, b = chain.second_mean - shift;
    rows.insert(rows.end(), {(a + b) / 2, (a * a + b * b) / 2, (chain.first_variance + chain.second_variance) / 2});
  }
  const auto rhat = [h](std::span<const double> mean, double count) {
    const double halves = 2 * count, between = halves / (halves - 1) * std::max(0.0, mean[1] - mean[0] * mean[0]);
    return std::sqrt((h - 1) / h + between / mean[2]);
  };
  Estimate out = jackknife(rows, 3, rhat);
  // The bias of R-hat above 1 is what it says; only its error is the jackknife's.
  out.value = of_means(rows, 3, rhat);
  return out.defined() ? out : Estimate{kNaN, kNaN, out.count};
}

}  // namespace widelab::estimators
