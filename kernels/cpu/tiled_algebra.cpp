#include "kernels/cpu/tiled_algebra.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "kernels/cpu/buffer.hpp"
#include "kernels/cpu/parallel.hpp"

namespace widelab::cpu {
namespace {

constexpr Index kTile = 512;                     // of a Gram matrix, or of a product
constexpr Index kCholeskyLeaf = 256;             // order up to which a factor is one thread's work
constexpr Index kFewRows = 64, kManyRows = 256;  // of a block of vectors that one task takes
constexpr Index kNestedRows = 32;                // fewer, because rows of one block are as long as the longest of them

/// An eighth of the rows, in whole lanes of triangular.cpp.
Index row_block(Index rows) { return std::clamp(ceil_div(rows / 8, kFewRows) * kFewRows, kFewRows, kManyRows); }

Operand<double> rows_of(Operand<double> a, Index first) {
  return {a.data + (a.op == Op::plain ? first * a.stride : first), a.stride, a.op};
}

Operand<double> flipped(Operand<double> a) {
  a.op = a.op == Op::plain ? Op::transposed : Op::plain;
  return a;
}

/// Pair number t of the tiles (i, j), j <= i.
struct TilePair {
  Index i, j;
};
std::vector<TilePair> lower_tiles(Index first, Index last) {
  std::vector<TilePair> pairs;
  for (Index i = first; i < last; ++i)
    for (Index j = first; j <= i; ++j) pairs.push_back({i, j});
  return pairs;
}

}  // namespace

void tiled_syrk(Index order, Index inner, double alpha, Operand<double> a, double beta, double* c, Index stride,
                bool parallel) {
  const std::vector<TilePair> tiles = lower_tiles(0, ceil_div(order, kTile));
  parallel_for(static_cast<Index>(tiles.size()), parallel, [&](Index t) {
    const Index i = tiles[static_cast<std::size_t>(t)].i * kTile, j = tiles[static_cast<std::size_t>(t)].j * kTile;
    const Index rows = std::min(kTile, order - i), cols = std::min(kTile, order - j);
    double* out = c + i * stride + j;
    if (i == j)
      syrk(rows, inner, alpha, rows_of(a, i), beta, out, stride);
    else
      gemm(rows, cols, inner, alpha, rows_of(a, i), flipped(rows_of(a, j)), beta, out, stride);
  });
}

Index tiled_cholesky(Index order, double* a, Index stride, bool parallel) {
  if (order <= kCholeskyLeaf) return cholesky(order, a, stride);
  const Index half = ceil_div(order / 2, kCholeskyLeaf) * kCholeskyLeaf, rest = order - half;
  const Index factored = tiled_cholesky(half, a, stride, parallel);
  if (factored < half) return factored;
  double *below = a + half * stride, *last = below + half;
  tiled_solve_rows(rest, half, {a, stride, Op::transposed}, below, stride, parallel);
  tiled_syrk(rest, half, -1.0, {below, stride}, 1.0, last, stride, parallel);
  return half + tiled_cholesky(rest, last, stride, parallel);
}

void tiled_solve_rows(Index rows, Index order, Operand<double> l, double* x, Index stride, bool parallel) {
  const Index block = row_block(rows);
  parallel_for(ceil_div(rows, block), parallel, [&](Index t) {
    solve_rows(std::min(block, rows - t * block), order, l, x + t * block * stride, stride);
  });
}

void tiled_gemm(Index rows, Index cols, Index inner, double alpha, Operand<double> a, Operand<double> b, double beta,
                double* c, Index stride, bool parallel) {
  const Index down = ceil_div(rows, kTile), across = ceil_div(cols, kTile);
  parallel_for(down * across, parallel, [&](Index t) {
    const Index i = t / across * kTile, j = t % across * kTile;
    gemm(std::min(kTile, rows - i), std::min(kTile, cols - j), inner, alpha, rows_of(a, i),
         flipped(rows_of(flipped(b), j)), beta, c + i * stride + j, stride);
  });
}

NestedRows::NestedRows(std::vector<Index> lengths, Index each, bool parallel)
    : lengths_(std::move(lengths)), each_(each), parallel_(parallel) {
  for (Index first = 0; first < rows(); first += kNestedRows) {
    const Index count = std::min(kNestedRows, rows() - first);
    blocks_.push_back({first, count, length(first + count - 1)});
  }
}

template <class Body>
void NestedRows::for_each_block(const Body& body) const {
  parallel_for(static_cast<Index>(blocks_.size()), parallel_,
               [&](Index k) { body(blocks_[static_cast<std::size_t>(k)]); });
}

void NestedRows::spread(const double* source, Index source_stride, double* x, Index stride) const {
  for (Index k = 0; k < rows(); ++k) std::copy_n(source + k % each_ * source_stride, length(k), x + k * stride);
  truncate(x, stride);
}

void NestedRows::truncate(double* x, Index stride) const {
  for (Index k = 0; k < rows(); ++k) std::fill(x + k * stride + length(k), x + (k + 1) * stride, 0.0);
}

void NestedRows::solve(Operand<double> l, double* x, Index stride) const {
  for_each_block([&](const Block& b) { solve_rows(b.rows, b.longest, l, x + b.first * stride, stride); });
  truncate(x, stride);
}

void NestedRows::multiply(Operand<double> l, double* x, Index stride) const {
  for_each_block([&](const Block& b) { multiply_rows(b.rows, b.longest, l, x + b.first * stride, stride); });
  truncate(x, stride);
}

void NestedRows::product(double alpha, const double* x, Index stride, Operand<double> b, Index cols, double beta,
                         double* out, Index out_stride) const {
  for_each_block([&](const Block& block) {
    gemm(block.rows, cols, block.longest, alpha, {x + block.first * stride, stride}, b, beta,
         out + block.first * out_stride, out_stride);
  });
}

namespace {

/// Norms of the rows, which are brought to length 1; a row that is 0 or not finite becomes 0.
std::vector<double> normalise_rows(const std::vector<Index>& lengths, Index stride, double* x) {
  std::vector<double> norms;
  for (std::size_t s = 0; s < lengths.size(); ++s) {
    double* row = x + static_cast<Index>(s) * stride;
    double square = 0;
    for (Index k = 0; k < lengths[s]; ++k) square += row[k] * row[k];
    norms.push_back(std::sqrt(square));
    const double factor = least_squares::unit_factor(square);
    for (Index k = 0; k < lengths[s]; ++k) row[k] = factor > 0 ? row[k] * factor : 0.0;
  }
  return norms;
}

/// Largest growth of each row under repeated application.
std::vector<double> growth(const std::vector<Index>& lengths, Index stride, const RowOperator& apply) {
  Buffer<double> x(lengths.size() * static_cast<std::size_t>(stride));
  std::fill(x.begin(), x.end(), 0.0);
  for (std::size_t s = 0; s < lengths.size(); ++s)
    for (Index k = 0; k < lengths[s]; ++k)
      x[s * static_cast<std::size_t>(stride) + static_cast<std::size_t>(k)] = least_squares::start_sign(k);
  normalise_rows(lengths, stride, x.data());
  std::vector<double> largest(lengths.size(), 0.0);
  for (int step = 0; step < least_squares::kPowerSteps; ++step) {
    apply(x.data());
    const std::vector<double> norms = normalise_rows(lengths, stride, x.data());
    for (std::size_t s = 0; s < norms.size(); ++s) largest[s] = least_squares::larger_growth(largest[s], norms[s]);
  }
  return largest;
}

}  // namespace

std::vector<Extremes> estimate_extremes(const std::vector<Index>& lengths, Index stride, const RowOperator& multiply,
                                        const RowOperator& solve) {
  const std::vector<double> largest = growth(lengths, stride, multiply), inverse = growth(lengths, stride, solve);
  std::vector<Extremes> out;
  for (std::size_t s = 0; s < lengths.size(); ++s)
    out.push_back(least_squares::extremes_of_growth(largest[s], inverse[s]));
  return out;
}

std::vector<Extremes> estimate_factor_extremes(const std::vector<Index>& lengths, Operand<double> l, bool parallel) {
  const NestedRows rows(lengths, 1, parallel);
  const Index longest = lengths.back();
  const auto multiply = [&](double* x) {
    rows.multiply(l, x, longest);
    rows.multiply(flipped(l), x, longest);
  };
  const auto solve = [&](double* x) {
    rows.solve(flipped(l), x, longest);
    rows.solve(l, x, longest);
  };
  return estimate_extremes(lengths, longest, multiply, solve);
}

}  // namespace widelab::cpu
