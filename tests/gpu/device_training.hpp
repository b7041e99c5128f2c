// The op `train` on the device and on the host, as operations on the ensembles of tests/support/train_case.hpp.
#pragma once

#include "tests/gpu/device_ops.hpp"
#include "tests/support/train_comparison.hpp"

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

}  // namespace widelab::test
