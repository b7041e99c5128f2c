// The registry of random streams: the one place where a stream gets its number. A number, once used in a
// release, is never reused; a new consumer of random numbers adds a line.
#pragma once

#include <cstdint>

#include "widelab/base/host_device.hpp"
#include "widelab/rng/philox.hpp"

namespace widelab {

enum class Stream : std::uint8_t {
  weights = 1,              // init role: layer = weight layer, (row, col) = (output unit, input unit)
  biases = 2,               // init role: layer = weight layer, (0, output unit)
  law_exact_forward = 3,    // init role: layer, (unit, input index): the Gaussian behind a unit's pre-activations
  law_exact_backward = 4,   // init role: layer, (unit, column): the Gaussian behind a unit's backward signals
  scalar_chain = 5,         // init role: layer, (0, unit)
  inputs = 16,              // data role: (example, coordinate)
  class_of_example = 17,    // data role: (0, example): component of a mixture
  data_directions = 18,     // data role: (direction, coordinate): teacher and mixture directions
  random_labels = 19,       // data role: (0, example)
  teacher_weights = 20,     // data role: as weights
  teacher_biases = 21,      // data role: as biases
  example_choice = 22,      // data role: order in which examples are drawn from a file
  pool_choice = 23,         // data role: (0, draw): example of a pool, drawn with replacement
  pixel_order = 24,         // data role: (key number, example): keys of the permutation of an example's coordinates
  label_noise = 32,         // label_noise role: (example, output)
  label_noise_at_use = 33,  // label_noise role: (slot x outputs + output, step): fresh each time an example is used
  wrong_labels = 34,       // label_noise role: (example, 0): whether its label is wrong, (example, 1): which one it has
  batch_iid = 40,          // order role: (slot, step): examples drawn with replacement
  batch_permutation = 41,  // order role: (key number, step or epoch): keys of the bijections behind an order
  dropout = 42,            // noise role: layer, (slot x ceil(n / 4) + unit / 4, step)
  langevin_weights = 43,   // noise role: layer, (row x ceil(columns / 4) + column / 4, step)
  langevin_biases = 44,    // noise role: layer, (unit / 4, step)
  bootstrap = 48,          // estimators: (resample, group)
  lanczos_start = 49,      // engine, estimators: (vector, entry): what an eigenvalue iteration starts from
  trace_probe = 50,        // estimators: (probe, entry): signs of the vectors behind a stochastic trace
  test_only = 255,
};

/// Who asks, within a key: a replicate of a role, a stream and a layer of it.
struct StreamId {
  std::uint64_t key = 0;
  std::uint32_t replicate = 0;
  Stream stream = Stream::test_only;
  std::uint8_t layer = 0;
};

/// The random block at (row, block_in_row) of a stream without steps: a 64-bit index, row in its high half.
/// Rows start at block boundaries and do not depend on the length of a row, so a narrower matrix is the
/// leading part of a wider one with the same id.
WIDELAB_HD PhiloxBlock random_block(const StreamId& id, std::uint32_t row, std::uint32_t block_in_row) {
  const std::uint32_t tag =
      (static_cast<std::uint32_t>(id.stream) << 24) | (static_cast<std::uint32_t>(id.layer) << 16);
  return philox4x32({{block_in_row, row, id.replicate, tag}}, id.key);
}

/// The random block at (index, step) of a stream with steps: 32-bit index, 48-bit absolute step.
WIDELAB_HD PhiloxBlock random_block_at_step(const StreamId& id, std::uint32_t index, std::uint64_t step) {
  const std::uint32_t tag = (static_cast<std::uint32_t>(id.stream) << 24) |
                            (static_cast<std::uint32_t>(id.layer) << 16) |
                            static_cast<std::uint32_t>((step >> 32) & 0xFFFFu);
  return philox4x32({{index, static_cast<std::uint32_t>(step), id.replicate, tag}}, id.key);
}

}  // namespace widelab
