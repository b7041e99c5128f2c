// How states of small ensembles in training are compared: to the rounding that a step allows, and bit by bit.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "tests/support/train_case.hpp"

namespace widelab::test {

/// How far increments and moments are from the oracle's, in units of the largest one, and what rounding allows: sums of
/// k products through `layers` layers, plus the rounding of the parameters themselves.
struct TrainGap {
  double parameters, moments, allowed;
  bool within() const { return parameters < allowed && moments < allowed; }
};

template <class T>
TrainGap gap_after(const TrainCase& c, const TrainState<T>& fast, const TrainState<double>& exact) {
  const TrainState<double> start = train_start<double>(c);
  std::vector<double> moved_fast, moved_exact;
  double largest = 0, move = 0;
  for (std::size_t p = 0; p < exact.parameters.size(); ++p) {
    // D is what displacement storage computes; theta is its rounded sum with theta_0.
    moved_fast.push_back(c.displacement ? static_cast<double>(fast.displacement[p])
                                        : static_cast<double>(fast.parameters[p]) - start.parameters[p]);
    moved_exact.push_back(c.displacement ? exact.displacement[p] : exact.parameters[p] - start.parameters[p]);
    largest = std::max(largest, std::abs(exact.parameters[p]));
    move = std::max(move, std::abs(moved_exact.back()));
  }
  double longest = static_cast<double>(std::max(c.network.input_dim, c.settings.batch));
  for (const Index n : c.network.widths) longest = std::max(longest, static_cast<double>(n));
  const double eps = static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;
  const double layers = static_cast<double>(c.network.widths.size() + 1);
  return {relative_distance(moved_fast, moved_exact), relative_distance(fast.moments, exact.moments),
          40 * layers * std::sqrt(longest) * eps * (1 + (c.displacement ? 0.0 : largest / std::max(move, 1e-300)))};
}

/// How much of theta_0 is gone: <theta_0, theta_0 - theta> / <theta_0, theta_0>.
template <class T>
double shrinkage(const TrainState<T>& start, const TrainState<T>& state) {
  double shrunk = 0, size = 0;
  for (std::size_t p = 0; p < state.parameters.size(); ++p) {
    const double theta = static_cast<double>(start.parameters[p]);
    shrunk += theta * (theta - static_cast<double>(state.parameters[p]));
    size += theta * theta;
  }
  return shrunk / size;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

/// Whether two states agree in every bit that the op writes; NaN equals NaN.
template <class T>
bool same_bits(const TrainState<T>& a, const TrainState<T>& b) {
  bool same = same_bits(a.parameters, b.parameters) && same_bits(a.displacement, b.displacement) &&
              same_bits(a.moments, b.moments) && a.status.size() == b.status.size();
  for (std::size_t m = 0; same && m < a.status.size(); ++m)
    same = a.status[m].status == b.status[m].status && a.status[m].step == b.status[m].step &&
           std::memcmp(&a.status[m].quantity, &b.status[m].quantity, sizeof(double)) == 0;
  return same;
}

/// The part of a state that belongs to its `at`-th member.
template <class T>
TrainState<T> only(const TrainState<T>& state, std::size_t at) {
  const auto part = [&](const std::vector<T>& all) {
    const auto size = static_cast<std::ptrdiff_t>(all.size() / state.members.size());
    const auto first = all.begin() + static_cast<std::ptrdiff_t>(at) * size;
    return std::vector<T>(first, first + size);
  };
  return {{state.members[at]},      part(state.parameters), part(state.start),
          part(state.displacement), part(state.moments),    {state.status[at]}};
}

/// As many threads as it is told, until it goes.
class ThreadCount {
 public:
  explicit ThreadCount(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ThreadCount(const ThreadCount&) = delete;
  ThreadCount& operator=(const ThreadCount&) = delete;
  ~ThreadCount() { omp_set_num_threads(before_); }

 private:
  int before_;
};

}  // namespace widelab::test
