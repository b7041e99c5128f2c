// Training of wide members by BLAS: products over the whole batch, epilogues per tile of units, updates without a
// gradient of the whole network in memory.
#pragma once

#include "widelab/ops/train.hpp"

namespace widelab::cpu {

/// ops/train.hpp's op, whatever problem.engine says. At least as many members as workers: one member a worker;
/// otherwise the workers share the tiles of one member after the other. Tiles are fixed by shapes, so the choice
/// changes no bit. Throws what check_train throws, and ContractError for a window that its rule, its storage or its
/// first step does not allow (TrainProblem::window).
void train_gemm(const TrainProblem<float>& problem);
void train_gemm(const TrainProblem<double>& problem);

}  // namespace widelab::cpu
