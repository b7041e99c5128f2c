// What `variance-flatness` measures of one network, from its checkpoint on.
#pragma once

#include <vector>

#include "host/engine/trainer.hpp"
#include "host/experiments/flatness_cell.hpp"
#include "host/runtime/backend.hpp"

namespace widelab::experiments {

/// A network at its checkpoint: member `member` of a trainer that stands between two epochs.
struct AtCheckpoint {
  const engine::Trainer* trainer = nullptr;
  Index member = 0;
  std::uint32_t replicate = 0;
};

/// Fills a row of the cell (cell.numbers()); it stays NaN where the network diverges within the window.
void measure_flatness(const FlatnessCell& cell, runtime::Backend& backend, const AtCheckpoint& from, double* row);

}  // namespace widelab::experiments
