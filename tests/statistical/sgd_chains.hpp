// Plain SGD on linear regression for tests of host/theory: loops over scalars, PyTorch's update rules, the standard
// library's random numbers. Many independent chains, judged jointly with the errors of their spread.
#pragma once

#include <cmath>
#include <cstdio>
#include <functional>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "host/estimators/grouped_moments.hpp"
#include "host/estimators/joint_test.hpp"
#include "tests/statistical/theory_monte_carlo.hpp"

namespace widelab::test {

/// y = x.w* + noise on N examples with d normal inputs of the given scales.
struct ChainData {
  std::size_t examples = 0, dim = 0;
  Vector x, y;

  static ChainData normal(std::size_t examples, const Vector& scales, double noise, std::uint64_t seed) {
    NormalSource source(seed);
    ChainData data{examples, scales.size(), {}, {}};
    for (std::size_t n = 0; n < examples; ++n) {
      double y = noise * source();
      for (std::size_t i = 0; i < scales.size(); ++i) {
        data.x.push_back(scales[i] * source());
        y += data.x.back() * (i % 2 == 0 ? 1.0 : -0.5);
      }
      data.y.push_back(y);
    }
    return data;
  }
};

enum class ChainMomentum { none, heavy_ball, nesterov };
enum class ChainSampling { with_replacement, fresh, epochs };

struct ChainRule {
  ChainMomentum momentum = ChainMomentum::none;
  ChainSampling sampling = ChainSampling::with_replacement;
  std::size_t batch = 1;
  double rate = 0.1, mu = 0.0, decay = 0.0;
  double label_noise = 0.0;  ///< variance, new at each use
  double injected = 0.0;     ///< variance a step
};

/// One trajectory.
class Chain {
 public:
  Chain(const ChainData& data, const ChainRule& rule, Vector start, std::uint64_t seed)
      : data_(data),
        rule_(rule),
        w_(std::move(start)),
        v_(w_.size()),
        g_(w_.size()),
        normal_(seed),
        bits_(seed ^ 0x9E3779B97F4A7C15ULL),
        order_(data.examples) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});
  }

  const Vector& w() const { return w_; }

  void step() {
    draw_batch();
    g_.assign(w_.size(), 0.0);
    for (std::size_t slot = 0; slot < rule_.batch; ++slot) {
      const double* x = data_.x.data() + order_[first_ + slot] * data_.dim;
      double error = -data_.y[order_[first_ + slot]];
      if (rule_.label_noise > 0.0) error -= std::sqrt(rule_.label_noise) * normal_();
      for (std::size_t i = 0; i < w_.size(); ++i) error += x[i] * w_[i];
      for (std::size_t i = 0; i < w_.size(); ++i) g_[i] += error * x[i] / static_cast<double>(rule_.batch);
    }
    for (std::size_t i = 0; i < w_.size(); ++i) {
      g_[i] += rule_.decay * w_[i];
      v_[i] = rule_.mu * v_[i] + g_[i];
      const double direction = rule_.momentum == ChainMomentum::none         ? g_[i]
                               : rule_.momentum == ChainMomentum::heavy_ball ? v_[i]
                                                                             : g_[i] + rule_.mu * v_[i];
      w_[i] -= rule_.rate * direction;
      if (rule_.injected > 0.0) w_[i] += std::sqrt(rule_.injected) * normal_();
    }
  }

 private:
  /// order_[first_ ..] holds the batch.
  void draw_batch() {
    const std::size_t n = data_.examples;
    if (rule_.sampling == ChainSampling::epochs) {
      first_ = done_ % (n / rule_.batch) * rule_.batch;
      if (first_ == 0)
        for (std::size_t last = n - 1; last > 0; --last) std::swap(order_[last], order_[bits_() % (last + 1)]);
      ++done_;
    } else if (rule_.sampling == ChainSampling::fresh) {
      for (std::size_t k = 0; k < rule_.batch; ++k) std::swap(order_[k], order_[k + bits_() % (n - k)]);
    } else {
      for (std::size_t k = 0; k < rule_.batch; ++k) order_[k] = bits_() % n;
    }
  }

  const ChainData& data_;
  ChainRule rule_;
  Vector w_, v_, g_;
  NormalSource normal_;
  std::mt19937_64 bits_;
  std::vector<std::size_t> order_;
  std::size_t first_ = 0, done_ = 0;
};

inline constexpr double kFalseAlarm = 1e-3;

/// measure(chain number) -> the numbers of one chain; `chains` of them in 128 groups.
inline estimators::GroupSample measured(std::size_t chains, std::size_t entries,
                                        const std::function<Vector(std::uint64_t)>& measure) {
  estimators::GroupedMoments moments(Vector(entries), 1, 128);
  for (std::size_t c = 0; c < chains; ++c) moments.add(static_cast<std::int64_t>(c), measure(c + 1));
  return moments.group_sample(estimators::Statistic::mean);
}

inline bool agrees(const estimators::GroupSample& sample, const Vector& prediction, const char* what) {
  const auto v = estimators::joint_test(sample, prediction, {.resamples = 2000, .key = 5});
  std::printf("  %-36s max|z| %7.2f, p %.3g; chi2 %.1f on %.0f, p %.3g %s\n", what, v.max_z, v.max_z_p, v.chi2, v.dof,
              v.chi2_p, v.status.c_str());
  return v.consistent(kFalseAlarm);
}

}  // namespace widelab::test
