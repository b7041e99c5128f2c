// Cholesky factors whose leading blocks serve many sizes, and the extreme eigenvalues of what was factored, by a few
// steps of power and of inverse iteration.
#pragma once

#include <vector>

#include "kernels/cuda/ridge/row_kernels.hpp"
#include "kernels/cuda/support/dense_solver.hpp"
#include "kernels/cuda/support/errors.hpp"
#include "kernels/shared/ridge_diagnosis.hpp"

namespace widelab::cuda {

/// `factor` becomes the factor of gram + ridge (all x all, contiguous), or of its largest leading block that has one;
/// returns the order of it. A factorisation that fails is repeated on the block before the failure, because the library
/// does not say what it left there.
inline Index factor_leading(Context& context, DenseSolver& solver, Index all, const double* gram, double ridge,
                            double* factor) {
  for (Index order = all; order > 0;) {
    copy_rows(context, order, order, gram, all, factor, all);
    add_diagonal(context, order, ridge, factor, all);
    const Index factored = solver.cholesky(order, factor, all);
    if (factored == order) return order;
    order = factored;
  }
  return 0;
}

/// Room for the estimates of up to `sizes` matrices of orders up to `order`.
struct ExtremesBuffers {
  double *x = nullptr, *lengths = nullptr;

  template <class Memory>
  void take_buffers(Memory& memory, Index sizes, Index order) {
    x = memory.template take<double>(sizes * order, "vectors of power iteration");
    lengths = memory.template take<double>(2 * least_squares::kPowerSteps * sizes, "growth of vectors");
  }
};

/// One pair for each row of `rows` (each = 1): multiply(x) and solve(x) apply the row's matrix, or its inverse, to all
/// rows of x, `rows.longest` apart. Waits.
template <class Multiply, class Solve>
std::vector<least_squares::Extremes> estimate_extremes(Context& context, const NestedRows& rows,
                                                       const ExtremesBuffers& buffers, const Multiply& multiply,
                                                       const Solve& solve) {
  constexpr int kSteps = least_squares::kPowerSteps;
  for (int step = 0; step < 2 * kSteps; ++step) {
    if (step % kSteps == 0) start_rows(context, rows, buffers.x, rows.longest);
    if (step < kSteps)
      multiply(buffers.x);
    else
      solve(buffers.x);
    normalise_rows(context, rows, buffers.x, rows.longest, buffers.lengths + step * rows.sizes);
  }
  const auto sizes = static_cast<std::size_t>(rows.sizes);
  std::vector<double> lengths(2 * kSteps * sizes);
  copy_to_host(context, lengths.data(), buffers.lengths, lengths.size() * sizeof(double));
  std::vector<least_squares::Extremes> out;
  for (std::size_t s = 0; s < sizes; ++s) {
    double growth[2] = {0, 0};
    for (std::size_t step = 0; step < 2 * kSteps; ++step)
      growth[step / kSteps] = least_squares::larger_growth(growth[step / kSteps], lengths[step * sizes + s]);
    out.push_back(least_squares::extremes_of_growth(growth[0], growth[1]));
  }
  return out;
}

/// Of the leading blocks L_s L_s^T of one Cholesky factor, of the orders that `rows` (each = 1) gives.
inline std::vector<least_squares::Extremes> estimate_factor_extremes(Context& context, DenseSolver& solver,
                                                                     const NestedRows& rows, Operand l,
                                                                     const ExtremesBuffers& buffers) {
  const auto apply = [&](auto&& step, Operand operand, double* x) {
    step(operand, x);
    truncate_rows(context, rows, x, rows.longest);
  };
  const auto multiply = [&](Operand operand, double* x) {
    solver.multiply_rows(rows.rows(), rows.longest, operand, x, rows.longest);
  };
  const auto solve = [&](Operand operand, double* x) {
    solver.solve_rows(rows.rows(), rows.longest, operand, x, rows.longest);
  };
  return estimate_extremes(
      context, rows, buffers,
      [&](double* x) {
        apply(multiply, l, x);
        apply(multiply, transposed(l), x);
      },
      [&](double* x) {
        apply(solve, transposed(l), x);
        apply(solve, l, x);
      });
}

}  // namespace widelab::cuda
