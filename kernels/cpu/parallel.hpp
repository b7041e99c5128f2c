// One loop over independent pieces of work, on all threads or on the caller's alone.
#pragma once

#include <omp.h>

#include <exception>

#include "widelab/base/types.hpp"

namespace widelab::cpu {

/// body(i) for i < count; the pieces never depend on the number of threads. The first exception is rethrown.
template <class Body>
void parallel_for(Index count, bool parallel, Body&& body) {
  if (!parallel || count < 2) {
    for (Index i = 0; i < count; ++i) body(i);
    return;
  }
  std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic, 1)
  for (Index i = 0; i < count; ++i) {
    try {
      body(i);
    } catch (...) {
#pragma omp critical(widelab_parallel_for)
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

inline int worker_count(int requested) { return requested > 0 ? requested : omp_get_max_threads(); }

}  // namespace widelab::cpu
