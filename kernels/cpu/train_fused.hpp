// The fused engine of the CPU: one member a thread, for a whole range of steps.
#pragma once

#include "widelab/ops/train.hpp"

namespace widelab::cpu {

/// Instruction set of the matrix products. All give the same bits.
enum class TileKind { best, plain, avx2, avx512 };

/// Whether this processor has it.
bool can_run(TileKind tiles);

/// Trains a problem that check_train has passed. Results do not depend on the number of threads or on the instruction
/// set.
template <class T>
void train_fused(const TrainProblem<T>& problem, TileKind tiles = TileKind::best);

extern template void train_fused(const TrainProblem<float>&, TileKind);
extern template void train_fused(const TrainProblem<double>&, TileKind);

}  // namespace widelab::cpu
