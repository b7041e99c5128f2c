// A number that tells training tasks apart.
#pragma once

#include <cstdint>

#include "host/engine/trainer.hpp"

namespace widelab::engine {

/// 64-bit hash of all that a member's trajectory depends on but the plan: network, rule, precision, storage, settings
/// of the members, number of stored networks, and the data sets unless they are parts of a stream. FNV-1a over 64-bit
/// words (Fowler, Noll, Vo 1991) with a shift after each, so that high bits reach low ones.
std::int64_t task_fingerprint(const TrainTask& task);

}  // namespace widelab::engine
