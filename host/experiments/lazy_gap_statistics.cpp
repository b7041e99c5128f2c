#include "host/experiments/lazy_gap_statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <type_traits>

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double x : values) sum += x;
  return sum / static_cast<double>(values.size());
}

/// Squared standard error of the mean of values - ratio * others.
double squared_error(const std::vector<double>& values, const std::vector<double>& others, double ratio) {
  const double mean = mean_of(values) - ratio * mean_of(others);
  double squares = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double deviation = values[i] - ratio * others[i] - mean;
    squares += deviation * deviation;
  }
  const auto count = static_cast<double>(values.size());
  return squares / (count - 1) / count;
}

/// (y - mean)^2 of every test example.
std::vector<double> squared_targets(const data::Dataset& test) {
  const double mean = mean_of(test.targets);
  std::vector<double> out;
  for (const double y : test.targets) out.push_back((y - mean) * (y - mean));
  return out;
}

}  // namespace

double test_variance(const data::Dataset& test) { return mean_of(squared_targets(test)); }

estimators::Estimate normalised_risk(const std::vector<const double*>& outputs, const data::Dataset& test) {
  const auto networks = static_cast<double>(outputs.size()), examples = static_cast<double>(test.examples);
  if (outputs.size() < 2) return {kNaN, kNaN, networks};
  std::vector<double> by_network, by_example(test.targets.size(), 0.0);
  for (const double* f : outputs) {
    double sum = 0;
    for (std::size_t i = 0; i < test.targets.size(); ++i) {
      const double square = (f[i] - test.targets[i]) * (f[i] - test.targets[i]);
      sum += square;
      by_example[i] += square / networks;
    }
    by_network.push_back(sum / examples);
  }
  const std::vector<double> targets = squared_targets(test);
  const double variance = mean_of(targets), risk = mean_of(by_network) / variance;
  const double of_networks = squared_error(by_network, by_network, 0);
  const double of_examples = test.examples > 1 ? squared_error(by_example, targets, risk) : 0;
  return {risk, std::sqrt(of_networks + of_examples) / variance, networks};
}

std::vector<double> escape_steps(const GapCell& cell, const estimators::SampleSink& sink) {
  std::vector<double> steps(static_cast<std::size_t>(sink.replicates()), kInfinity);
  for (Index r = 0; r < sink.replicates(); ++r)
    for (Index t = sink.times() - 1; t >= 0; --t) {
      bool found = true;
      for (Index a = 0; a < cell.hidden.count; ++a)
        found = found && sink.at(r, t)[cell.largest(a)] > cell.escape_overlap;  // NaN: diverged
      if (found)
        steps[static_cast<std::size_t>(r)] =
            static_cast<double>(cell.training.spec.observed[static_cast<std::size_t>(t)]);
    }
  return steps;
}

estimators::Estimate escaped_share(const std::vector<double>& steps, double step) {
  const auto count = static_cast<double>(steps.size());
  const auto escaped =
      static_cast<double>(std::count_if(steps.begin(), steps.end(), [&](double s) { return s <= step; }));
  const double smooth = (escaped + 1) / (count + 2);
  return {escaped / count, std::sqrt(smooth * (1 - smooth) / count), count};
}

EscapeQuantile escape_quantile(std::vector<double> steps, double share, double standard_deviations) {
  if (steps.empty()) return {kNaN, kNaN, kNaN};
  std::sort(steps.begin(), steps.end());
  const auto count = static_cast<double>(steps.size());
  const double rank = share * count, spread = standard_deviations * std::sqrt(count * share * (1 - share));
  // The k-th smallest value, k from 1; ranks beyond the sample have no value there.
  const auto ranked = [&](double k) {
    if (k < 1) return 0.0;
    return k > count ? kInfinity : steps[static_cast<std::size_t>(k) - 1];
  };
  return {ranked(std::ceil(rank)), ranked(std::floor(rank - spread)), ranked(std::ceil(rank + spread) + 1)};
}

double mean_largest_cosine(Index neurons, Index dimension) {
  if (dimension < 2) return 1;
  // P(|cos| <= cos a) is the share of sin^(d-2) in (a, pi/2): cumulative sums from pi/2 downwards.
  constexpr int kPoints = 20000;
  const double h = std::numbers::pi / 2 / kPoints, power = static_cast<double>(dimension - 2);
  const auto density = [&](int i) { return i == 0 && power > 0 ? 0.0 : std::pow(std::sin(h * i), power); };
  std::vector<double> below(kPoints + 1, 0.0);
  for (int i = kPoints - 1; i >= 0; --i)
    below[static_cast<std::size_t>(i)] = below[static_cast<std::size_t>(i) + 1] + (density(i) + density(i + 1)) * h / 2;
  double mean = 0;  // integral of (1 - P^n) d cos a = (1 - P^n) sin a da
  for (int i = 0; i < kPoints; ++i) {
    const auto value = [&](int k) {
      return (1 - std::pow(below[static_cast<std::size_t>(k)] / below[0], static_cast<double>(neurons))) *
             std::sin(h * k);
    };
    mean += (value(i) + value(i + 1)) * h / 2;
  }
  return mean;
}

Samples distances(const GapCell& cell, const estimators::SampleSink& a, const estimators::SampleSink& b) {
  const Index tests = cell.test().examples;
  const double scale = 1 / (static_cast<double>(tests) * test_variance(cell.test()));
  Samples out;
  out.replicates = std::min(a.replicates(), b.replicates());
  out.numbers = a.times();
  for (Index r = 0; r < out.replicates; ++r)
    for (Index t = 0; t < out.numbers; ++t) {
      const double *f = a.at(r, t) + cell.first_output(), *g = b.at(r, t) + cell.first_output();
      double sum = 0;
      for (Index i = 0; i < tests; ++i) sum += (f[i] - g[i]) * (f[i] - g[i]);
      out.values.push_back(sum * scale);
    }
  return out;
}

Samples log_slopes(const Samples& below, const Samples& above, double ratio) {
  Samples out;
  out.replicates = std::min(below.replicates, above.replicates);
  out.numbers = below.numbers;
  out.values.resize(static_cast<std::size_t>(out.replicates * out.numbers));
  for (Index t = 0; t < out.numbers; ++t) {
    const double low = below.mean(t).value, high = above.mean(t).value;
    for (Index r = 0; r < out.replicates; ++r)
      out.values[static_cast<std::size_t>(r * out.numbers + t)] =
          (std::log(high / low) + above.at(r, t) / high - below.at(r, t) / low) / std::log(ratio);
  }
  return out;
}

double lazy_slope(const Activation& activation) {
  return visit(activation, [](const auto& phi) { return std::decay_t<decltype(phi)>::kKinked ? 1.0 : 2.0; });
}

}  // namespace widelab::experiments
