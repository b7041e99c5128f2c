// The op `train` on the device and on the host, as operations on the ensembles of tests/support/train_case.hpp.
#pragma once

#include <cstring>

#include "tests/gpu/device_ops.hpp"
#include "tests/support/train_case.hpp"

namespace widelab::test {

template <TrainEngine kEngine, class T>
void train_there(const TrainProblem<T>& problem) {
  TrainProblem<T> there = problem;
  there.engine = kEngine;
  device().train(there);
}

template <TrainEngine kEngine, class T>
void train_here(const TrainProblem<T>& problem) {
  TrainProblem<T> here = problem;
  here.engine = kEngine;
  host().train(here);
}

inline std::vector<TrainCase> all_train_cases() {
  std::vector<TrainCase> cases = optimiser_cases();
  for (auto* more : {&loss_cases, &batch_cases, &shape_cases})
    for (TrainCase& c : (*more)()) cases.push_back(std::move(c));
  return cases;
}

/// Whether two states agree in every bit that the op writes; NaN equals NaN.
template <class T>
bool same_bits(const TrainState<T>& a, const TrainState<T>& b) {
  const auto same = [](const std::vector<T>& x, const std::vector<T>& y) {
    return x.size() == y.size() && (x.empty() || std::memcmp(x.data(), y.data(), x.size() * sizeof(T)) == 0);
  };
  bool status = a.status.size() == b.status.size();
  for (std::size_t m = 0; status && m < a.status.size(); ++m)
    status = a.status[m].status == b.status[m].status && a.status[m].step == b.status[m].step &&
             std::memcmp(&a.status[m].quantity, &b.status[m].quantity, sizeof(double)) == 0;
  return status && same(a.parameters, b.parameters) && same(a.displacement, b.displacement) &&
         same(a.moments, b.moments);
}

}  // namespace widelab::test
