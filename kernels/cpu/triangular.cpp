#include "kernels/cpu/triangular.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/clones.hpp"

namespace widelab::cpu {
namespace {

constexpr Index kBlock = 64;  // order of a triangle that is solved by substitution
constexpr Index kLanes = 64;  // right-hand sides that are solved together; with a block's unknowns, 32 KB

/// The first part of an order that is halved: a multiple of the block.
Index first_half(Index order) { return ceil_div(order / 2, kBlock) * kBlock; }

/// xj -= sum_i factor_i xi over `count` rows of lanes; factors lie `step` apart. Four rows at a time, so that xj is
/// loaded once for four products.
[[gnu::always_inline]] inline void subtract_rows(Index count, const double* factors, Index step, const double* xi,
                                                 double* xj) {
  Index i = 0;
  for (; i + 4 <= count; i += 4) {
    const double f0 = -factors[i * step], f1 = -factors[(i + 1) * step], f2 = -factors[(i + 2) * step],
                 f3 = -factors[(i + 3) * step];
    const double* x = xi + i * kLanes;
    for (Index k = 0; k < kLanes; ++k)
      xj[k] = std::fma(f3, x[3 * kLanes + k],
                       std::fma(f2, x[2 * kLanes + k], std::fma(f1, x[kLanes + k], std::fma(f0, x[k], xj[k]))));
  }
  for (; i < count; ++i)
    for (Index k = 0; k < kLanes; ++k) xj[k] = std::fma(-factors[i * step], xi[i * kLanes + k], xj[k]);
}

/// L x = b for kLanes right-hand sides, x[j * kLanes + lane].
WIDELAB_CLONES void substitute_forward(Index order, const double* l, Index stride, double* x) {
  for (Index j = 0; j < order; ++j) {
    double* xj = x + j * kLanes;
    subtract_rows(j, l + j * stride, 1, x, xj);
    for (Index k = 0; k < kLanes; ++k) xj[k] /= l[j * stride + j];
  }
}

/// L^T x = b.
WIDELAB_CLONES void substitute_backward(Index order, const double* l, Index stride, double* x) {
  for (Index j = order - 1; j >= 0; --j) {
    double* xj = x + j * kLanes;
    subtract_rows(order - 1 - j, l + (j + 1) * stride + j, stride, xj + kLanes, xj);
    for (Index k = 0; k < kLanes; ++k) xj[k] /= l[j * stride + j];
  }
}

void solve_block(Index rows, Index order, Operand<double> l, double* x, Index stride) {
  alignas(64) double lanes[kBlock * kLanes];
  for (Index first = 0; first < rows; first += kLanes) {
    const Index count = std::min(kLanes, rows - first);
    double* block = x + first * stride;
    if (count < kLanes) std::fill_n(lanes, order * kLanes, 0.0);
    for (Index k = 0; k < count; ++k)
      for (Index j = 0; j < order; ++j) lanes[j * kLanes + k] = block[k * stride + j];
    if (l.op == Op::transposed)
      substitute_forward(order, l.data, l.stride, lanes);
    else
      substitute_backward(order, l.data, l.stride, lanes);
    for (Index k = 0; k < count; ++k)
      for (Index j = 0; j < order; ++j) block[k * stride + j] = lanes[j * kLanes + k];
  }
}

}  // namespace

void solve_rows(Index rows, Index order, Operand<double> l, double* x, Index x_stride) {
  if (rows == 0 || order == 0) return;
  if (order <= kBlock) return solve_block(rows, order, l, x, x_stride);
  const Index half = first_half(order), rest = order - half;
  const Operand<double> last{l.data + half * (l.stride + 1), l.stride, l.op};
  const double* below = l.data + half * l.stride;
  if (l.op == Op::transposed) {
    solve_rows(rows, half, l, x, x_stride);
    gemm(rows, rest, half, -1.0, {x, x_stride}, {below, l.stride, Op::transposed}, 1.0, x + half, x_stride);
    solve_rows(rows, rest, last, x + half, x_stride);
  } else {
    solve_rows(rows, rest, last, x + half, x_stride);
    gemm(rows, half, rest, -1.0, {x + half, x_stride}, {below, l.stride}, 1.0, x, x_stride);
    solve_rows(rows, half, l, x, x_stride);
  }
}

Index cholesky(Index order, double* a, Index stride) {
  if (order <= kBlock) return cholesky_block(order, a, stride);
  const Index half = first_half(order), rest = order - half;
  const Index factored = cholesky(half, a, stride);
  if (factored < half) return factored;
  double *below = a + half * stride, *last = below + half;
  solve_rows(rest, half, {a, stride, Op::transposed}, below, stride);
  syrk(rest, half, -1.0, {below, stride}, 1.0, last, stride);
  return half + cholesky(rest, last, stride);
}

}  // namespace widelab::cpu
