// A Block: the workers that run one member's fused training body together. On a GPU they are the threads of a block; on
// a CPU one thread is a whole Block. The body is written in phases between which the workers meet.
#pragma once

#include <concepts>

#include "widelab/base/host_device.hpp"
#include "widelab/base/types.hpp"

namespace widelab {

/// Virtual lanes of Block::sum: the order of additions is the same for every number of workers.
inline constexpr Index kSumLanes = 32;

/// Element (i, j) at data[i * row + j * col]: a matrix or its transpose.
template <class T>
struct StridedView {
  T* data = nullptr;
  Index row = 0, col = 0;

  WIDELAB_HD T& operator()(Index i, Index j) const { return data[i * row + j * col]; }
  WIDELAB_HD StridedView transposed() const { return {data, col, row}; }
  WIDELAB_HD operator StridedView<const T>() const { return {data, row, col}; }
};

/// Functions of the shapes that a Block is given; nvcc takes no lambdas in a concept.
namespace block_probes {

struct Visit {
  WIDELAB_HD void operator()(Index) const {}
};
template <class T>
struct Term {
  WIDELAB_HD T operator()(Index) const { return T(0); }
};
template <class T>
struct Epilogue {
  WIDELAB_HD void operator()(Index, Index, Index, const T*) const {}
};

}  // namespace block_probes

/// What a body may ask of its Block (T: float or double):
///   rank(), size()                     this worker, and how many there are
///   sync()                             all workers meet; writes before are seen after
///   for_each(count, f)                 f(i) once for every i < count, split among the workers in any way; no sync
///   sum(count, f)                      sum of f(i), i < count, the same bits for every size(): lane j < kSumLanes adds
///                                      i = j, j + kSumLanes, ... in turn, then lanes are added pairwise, halving;
///                                      every worker gets it; syncs
///   matmul(m, n, k, a, b, epilogue)    c(i, j) = sum_{q < k} a(i, q) b(q, j), q ascending, each term by fma into an
///                                      accumulator that starts at 0; epilogue(i, j, count, c) is called once for every
///                                      run c(i, j), .., c(i, j + count - 1) it was split into (runs begin at multiples
///                                      of 4); a and b are StridedViews; no sync
/// A Block of one worker with vectors may also have, with the same bits:
///   kColumnGroup                       neighbours that it likes to take at once
///   row_sums(m, k, a, finish)          as fused::row_sums of the training body
///   memory(count)                      room of its own for `count` scalars
template <class B>
concept Block = requires(B& block, StridedView<const typename B::Scalar> a) {
  { block.rank() } -> std::convertible_to<Index>;
  { block.size() } -> std::convertible_to<Index>;
  block.sync();
  block.for_each(Index{}, block_probes::Visit{});
  { block.sum(Index{}, block_probes::Term<typename B::Scalar>{}) } -> std::convertible_to<typename B::Scalar>;
  block.matmul(Index{}, Index{}, Index{}, a, a, block_probes::Epilogue<typename B::Scalar>{});
};

}  // namespace widelab
