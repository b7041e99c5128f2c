#include "host/theory/sgd_epochs.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <string>

#include "widelab/base/contract.hpp"

namespace widelab::theory {
namespace {

/// N! / (B!^M (N - M B)!).
double distinct_orders(Index examples, Index batch) {
  const Index whole = examples / batch;
  const auto steps = static_cast<double>(whole), rest = static_cast<double>(examples % batch);
  return std::round(std::exp(std::lgamma(static_cast<double>(examples) + 1.0) -
                             steps * std::lgamma(static_cast<double>(batch) + 1.0) - std::lgamma(rest + 1.0)));
}

std::size_t group_of(Index number) { return static_cast<std::size_t>(number % EpochOrders::kGroups) + 1; }

/// [mean | centred covariance] of the first d entries of z.
std::vector<double> flattened(const MomentTriangle& z, std::size_t d) {
  const auto last = static_cast<std::size_t>(z.order()) - 1;
  std::vector<double> values(d + d * d);
  for (std::size_t i = 0; i < d; ++i) values[i] = z(i, last);
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t j = 0; j < d; ++j) values[d + i * d + j] = z(i, j) - values[i] * values[j];
  return values;
}

/// Values of all orders with the standard error from the spread of the groups.
PhaseMoments moments_of(const EpochMap::State& groups, std::size_t d) {
  const std::vector<double> whole = flattened(groups.front(), d);
  std::vector<double> sums(whole.size()), squares(whole.size()), errors(whole.size());
  const auto count = static_cast<double>(groups.size() - 1);
  for (std::size_t g = 1; g < groups.size(); ++g) {
    const std::vector<double> part = flattened(groups[g], d);
    for (std::size_t e = 0; e < part.size(); ++e) {
      const double difference = part[e] - whole[e];
      sums[e] += difference / count;
      squares[e] += difference * difference / count;
    }
  }
  if (groups.size() > 1)
    for (std::size_t e = 0; e < errors.size(); ++e)
      errors[e] = std::sqrt(std::max(0.0, squares[e] - sums[e] * sums[e]) / (count - 1.0));
  const auto cut = static_cast<std::ptrdiff_t>(d);
  return {{whole.begin(), whole.begin() + cut},
          {errors.begin(), errors.begin() + cut},
          {whole.begin() + cut, whole.end()},
          {errors.begin() + cut, errors.end()}};
}

}  // namespace

EpochMap::EpochMap(const QuadraticSamples& samples, const LinearTraining& training, Index batch,
                   const EpochOrders& orders)
    : samples_(samples),
      training_(training),
      form_(step_form(training)),
      batch_(batch),
      steps_(batch > 0 ? samples.examples / batch : 0),
      state_((form_.momentum == 0.0 ? 1 : 2) * samples.dim + 1),
      orders_(orders) {
  check();
  if (orders_.independent_steps())
    gather_independent_step();
  else
    gather_orders();
}

void EpochMap::check() const {
  const auto entries = static_cast<std::size_t>(samples_.examples * samples_.dim);
  WIDELAB_REQUIRE(samples_.dim >= 1 && samples_.gradients.size() == entries &&
                      samples_.curvatures.size() == entries * static_cast<std::size_t>(samples_.dim),
                  "gradients and curvatures do not fit the examples");
  if (steps_ < 1)
    throw RecipeError("batch = " + std::to_string(batch_) + ": must be between 1 and the " +
                      std::to_string(samples_.examples) + " examples");
  if (state_ - 1 > kMostState)
    throw RecipeError("epoch map: " + std::to_string(samples_.dim) + " directions make a state of " +
                      std::to_string(state_ - 1) + ", above " + std::to_string(kMostState) +
                      "; project the examples on fewer directions");
  if (orders_.kind == EpochOrders::Kind::all &&
      !(distinct_orders(samples_.examples, batch_) <= static_cast<double>(EpochOrders::kMostOrders)))
    throw RecipeError("epoch map: " + std::to_string(samples_.examples) + " examples in batches of " +
                      std::to_string(batch_) + " have more than " + std::to_string(EpochOrders::kMostOrders) +
                      " orders; take a sample of them");
  if (sampled() && (orders_.count < EpochOrders::kGroups || orders_.count % EpochOrders::kGroups != 0))
    throw RecipeError("orders = " + std::to_string(orders_.count) + ": must be a multiple of " +
                      std::to_string(EpochOrders::kGroups) + ", the number of groups behind the standard errors");
}

/// visit(rows, number): rows[k B .. k B + B) is the batch of step k. All orders: each assignment of examples to batches
/// once; sampled: Fisher and Yates' shuffle.
template <class Visit>
void EpochMap::for_each_order(Visit&& visit) const {
  const auto n = static_cast<std::size_t>(samples_.examples), b = static_cast<std::size_t>(batch_);
  std::vector<Index> rows(n);
  std::iota(rows.begin(), rows.end(), Index{0});
  if (orders_.kind == EpochOrders::Kind::fixed) {
    visit(rows, Index{0});
  } else if (sampled()) {
    std::mt19937_64 bits(orders_.seed);
    for (Index number = 0; number < orders_.count; ++number) {
      for (std::size_t last = n - 1; last > 0; --last) std::swap(rows[last], rows[bits() % (last + 1)]);
      visit(rows, number);
    }
  } else {
    std::vector<std::size_t> step_of(n);
    for (std::size_t k = 0; k < n; ++k) step_of[k] = k / b;
    Index number = 0;
    do {
      std::vector<std::size_t> next(n / b + 1);
      for (std::size_t step = 0; step < next.size(); ++step) next[step] = step * b;
      for (std::size_t k = 0; k < n; ++k) rows[next[step_of[k]]++] = static_cast<Index>(k);
      visit(rows, number++);
    } while (std::next_permutation(step_of.begin(), step_of.end()));
  }
}

/// The map of no step.
std::vector<double> EpochMap::rest() const {
  const auto n = static_cast<std::size_t>(state_);
  std::vector<double> map(n * n);
  for (std::size_t i = 0; i < n; ++i) map[i * n + i] = 1.0;
  return map;
}

/// [mean H_n | mean g_n] over `count` examples, d x (d + 1).
std::vector<double> EpochMap::objective(const Index* rows, Index count) const {
  const auto d = static_cast<std::size_t>(samples_.dim);
  std::vector<double> mean(d * (d + 1));
  const double weight = 1.0 / static_cast<double>(count);
  for (Index slot = 0; slot < count; ++slot) {
    const auto n = static_cast<std::size_t>(rows[slot]);
    for (std::size_t i = 0; i < d; ++i) {
      for (std::size_t j = 0; j < d; ++j) mean[i * (d + 1) + j] += weight * samples_.curvatures[(n * d + i) * d + j];
      mean[i * (d + 1) + d] += weight * samples_.gradients[n * d + i];
    }
  }
  return mean;
}

/// map <- (matrix of one step) map, z = (e, u, 1): the rows of e and u follow the update rule, with the gradient
/// H_B e + g_B.
void EpochMap::advance(const std::vector<double>& objective, std::vector<double>& map) const {
  const auto d = static_cast<std::size_t>(samples_.dim), n = static_cast<std::size_t>(state_);
  const double rate = training_.effective_rate();
  std::vector<double> gradient(d * n);
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t k = 0; k <= d; ++k) {
      const double factor = objective[i * (d + 1) + k];
      const double* row = map.data() + (k == d ? n - 1 : k) * n;
      for (std::size_t c = 0; c < n; ++c) gradient[i * n + c] += factor * row[c];
    }
  const bool moves = form_.momentum != 0.0;
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t c = 0; c < n; ++c) {
      const double velocity = moves ? map[(d + i) * n + c] : 0.0;
      map[i * n + c] += form_.velocity_gain * velocity - form_.parameter_gain * rate * gradient[i * n + c];
      if (moves) map[(d + i) * n + c] = form_.momentum * velocity - rate * gradient[i * n + c];
    }
}

void EpochMap::gather_orders() {
  const std::size_t groups = sampled() ? static_cast<std::size_t>(EpochOrders::kGroups) : 0;
  operators_.assign(1 + groups, MomentOperator(state_));
  const double total = sampled()                                  ? static_cast<double>(orders_.count)
                       : orders_.kind == EpochOrders::Kind::fixed ? 1.0
                                                                  : distinct_orders(samples_.examples, batch_);
  const double group_size = total / static_cast<double>(EpochOrders::kGroups);
  for_each_order([&](const std::vector<Index>& rows, Index number) {
    std::vector<double> map = rest();
    for (Index step = 0; step < steps_; ++step) advance(objective(rows.data() + step * batch_, batch_), map);
    if (groups > 0)
      operators_[group_of(number)].add(map, 1.0 / group_size);
    else
      operators_[0].add(map, 1.0 / total);
    count_ = number + 1;
  });
  WIDELAB_REQUIRE(static_cast<double>(count_) == total, "not all orders were visited");
  for (std::size_t g = 1; g <= groups; ++g) operators_[0].add(operators_[g], 1.0 / static_cast<double>(groups));
}

void EpochMap::gather_independent_step() {
  const auto n = static_cast<double>(samples_.examples), b = static_cast<double>(batch_);
  const bool replaced = orders_.kind == EpochOrders::Kind::with_replacement;
  const double f = replaced ? 1.0 / b : samples_.examples == 1 ? 0.0 : (n - b) / (b * (n - 1.0));
  operators_.assign(1, MomentOperator(state_));
  std::vector<Index> rows(static_cast<std::size_t>(samples_.examples));
  std::iota(rows.begin(), rows.end(), Index{0});
  std::vector<double> map = rest();
  advance(objective(rows.data(), samples_.examples), map);
  operators_[0].add(map, 1.0 - f);
  for (const Index& row : rows) {
    map = rest();
    advance(objective(&row, 1), map);
    operators_[0].add(map, f / n);
  }
}

EpochMap::State EpochMap::at_rest(const std::vector<double>& start) const {
  WIDELAB_REQUIRE(static_cast<Index>(start.size()) == samples_.dim, "a starting point of another dimension");
  std::vector<double> z(static_cast<std::size_t>(state_));
  std::copy(start.begin(), start.end(), z.begin());
  z.back() = 1.0;
  return State(operators_.size(), MomentTriangle(z));
}

EpochMap::State EpochMap::after(State state, Index epochs) const {
  const Index times = epochs * (orders_.independent_steps() ? steps_ : 1);
  for (std::size_t g = 0; g < operators_.size(); ++g)
    for (Index k = 0; k < times; ++k) state[g] = operators_[g].apply(state[g]);
  return state;
}

EpochMap::State EpochMap::stationary() const {
  State state(operators_.size(), MomentTriangle(state_));
  for (std::size_t g = 0; g < operators_.size(); ++g)
    if (!operators_[g].fixed_point(state[g]))
      throw RecipeError("learning_rate = " + std::to_string(training_.learning_rate) +
                        ": the second moments grow from epoch to epoch, or a direction has no curvature; there is no "
                        "stationary law. Give a smaller learning rate, or follow the epochs from a starting point");
  return state;
}

PhaseMoments EpochMap::boundary(const State& state) const {
  return moments_of(state, static_cast<std::size_t>(samples_.dim));
}

std::vector<PhaseMoments> EpochMap::phases(const State& state) const {
  const auto d = static_cast<std::size_t>(samples_.dim), phases = static_cast<std::size_t>(steps_) + 1;
  std::vector<State> sums;
  if (orders_.independent_steps()) {
    for (sums.push_back(state); sums.size() < phases;) sums.push_back({operators_[0].apply(sums.back()[0])});
  } else {
    sums.assign(phases, State(operators_.size(), MomentTriangle(state_)));
    const double weight = 1.0 / static_cast<double>(count_);
    for_each_order([&](const std::vector<Index>& rows, Index number) {
      std::vector<double> map = rest();
      for (std::size_t phase = 0; phase < phases; ++phase) {
        if (phase > 0) advance(objective(rows.data() + (static_cast<Index>(phase) - 1) * batch_, batch_), map);
        sums[phase][0].add_image(map, state[0], weight);
        const std::size_t group = group_of(number);
        if (sampled())
          sums[phase][group].add_image(map, state[group], weight * static_cast<double>(EpochOrders::kGroups));
      }
    });
  }
  std::vector<PhaseMoments> out;
  for (const State& at_phase : sums) out.push_back(moments_of(at_phase, d));
  return out;
}

}  // namespace widelab::theory
