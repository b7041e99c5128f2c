// Kernel matrices from signals: Grams of features and of backward signals, multiplied entry by entry, block by block.
#pragma once

#include "kernels/cpu/signals.hpp"
#include "widelab/ops/ntk.hpp"

namespace widelab::cpu {

/// Where a member's kernel of the inputs of `a` (rows from `row`) and `b` (cols from `col`) goes.
struct KernelTarget {
  NtkBlocks blocks = NtkBlocks::trace;
  double* ntk = nullptr;   ///< whole member's array in the layout of NtkBlocks, or null
  double* nngp = nullptr;  ///< N1 x N2, or null
  Index cols = 0;          ///< N2 of the whole array
  Index row = 0, col = 0;  ///< offset of this pair of input tiles
  bool symmetric = false;  ///< whole problem is symmetric: only blocks with row >= col are formed, and mirrored
};

/// Adds nothing: every entry of the pair's block is written. Products over chunks of kUnitTile units are summed in T,
/// unit after unit, chunks in fp64: no bit depends on the blocks, on `parallel`, or on the instruction set.
template <class T>
void contract_kernel(const Network& network, const Signals<T>& a, const Signals<T>& b, const KernelTarget& target,
                     bool parallel);

extern template void contract_kernel(const Network&, const Signals<float>&, const Signals<float>&, const KernelTarget&,
                                     bool);
extern template void contract_kernel(const Network&, const Signals<double>&, const Signals<double>&,
                                     const KernelTarget&, bool);

}  // namespace widelab::cpu
