// The fused engine of the CPU: one member a thread, for a whole range of steps.
#pragma once

#include "kernels/cpu/tile_sets.hpp"
#include "widelab/ops/train.hpp"

namespace widelab::cpu {

/// Trains a problem that check_train has passed. Results do not depend on the number of threads or on the instruction
/// set.
template <class T>
void train_fused(const TrainProblem<T>& problem, TileKind tiles = TileKind::best);

extern template void train_fused(const TrainProblem<float>&, TileKind);
extern template void train_fused(const TrainProblem<double>&, TileKind);

}  // namespace widelab::cpu
