#include "kernels/cpu/feature_panels.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/blas.hpp"
#include "kernels/cpu/parallel.hpp"
#include "kernels/cpu/random_fill.hpp"

namespace widelab::cpu {
namespace {

constexpr Index kTile = 512;

}  // namespace

FeaturePanels::FeaturePanels(const RidgePathProblem& problem, Index member, bool parallel)
    : source_(problem.features), parallel_(parallel) {
  const Index d = source_.dimension, units = problem.sizes.back();
  const bool given = source_.kind == FeatureKind::given;
  inputs_ = source_.inputs + (source_.shared_inputs ? 0 : member * problem.examples * d);
  const bool own_test = given && !source_.shared_inputs;
  test_inputs_ =
      problem.test_inputs ? problem.test_inputs + (own_test ? member * problem.test_examples * d : 0) : nullptr;
  if (given) return;
  weights_.resize(static_cast<std::size_t>(units * d));
  const StreamId stream = source_.weights[member].stream(Stream::weights, 0);
  parallel_for(ceil_div(units, kTile), parallel, [&](Index tile) {
    for (Index j = tile * kTile; j < std::min(units, (tile + 1) * kTile); ++j) {
      double* w = weights_.data() + j * d;
      fill_init_row(InitKind::normal, stream, static_cast<std::uint32_t>(j), 0, d, 1.0, w);
      double square = 0;
      for (Index c = 0; c < d; ++c) square += w[c] * w[c];
      const double length = source_.sphere && square > 0 ? std::sqrt(static_cast<double>(d) / square) : 1.0;
      for (Index c = 0; c < d; ++c) w[c] *= length * source_.weight_scale;
    }
  });
}

void FeaturePanels::fill(const double* x, Index first_row, Index rows, Index first_column, Index columns, double* out,
                         Index stride) const {
  const Index down = ceil_div(columns, kTile), across = ceil_div(rows, kTile);
  parallel_for(down * across, parallel_, [&](Index t) {
    const Index c = t / across * kTile, i = t % across * kTile;
    const Index tile_columns = std::min(kTile, columns - c), tile_rows = std::min(kTile, rows - i);
    const double* tile_x = x + (first_row + i) * source_.dimension;
    double* tile_out = out + c * stride + i;
    if (source_.kind == FeatureKind::given)
      fill_given(tile_x, tile_rows, first_column + c, tile_columns, tile_out, stride);
    else if (source_.kind == FeatureKind::random)
      fill_random(tile_x, tile_rows, first_column + c, tile_columns, tile_out, stride);
    else
      fill_tangent(tile_x, tile_rows, first_column + c, tile_columns, tile_out, stride);
  });
}

void FeaturePanels::fill_given(const double* x, Index rows, Index first_column, Index columns, double* out,
                               Index stride) const {
  for (Index c = 0; c < columns; ++c)
    for (Index i = 0; i < rows; ++i) out[c * stride + i] = x[i * source_.dimension + first_column + c];
}

void FeaturePanels::fill_random(const double* x, Index rows, Index first_unit, Index units, double* out,
                                Index stride) const {
  const Index d = source_.dimension;
  gemm(units, rows, d, 1.0, {weights_.data() + first_unit * d, d}, {x, d, Op::transposed}, 0.0, out, stride);
  const double scale = source_.scale;
  visit(source_.activation, [&](const auto& phi) {
    for (Index j = 0; j < units; ++j) {
      double* row = out + j * stride;
      for (Index i = 0; i < rows; ++i) row[i] = scale * phi.value(row[i]);
    }
  });
}

void FeaturePanels::fill_tangent(const double* x, Index rows, Index first_column, Index columns, double* out,
                                 Index stride) const {
  const Index d = source_.dimension, first_unit = first_column / d;
  const Index units = (first_column + columns - 1) / d - first_unit + 1;
  Buffer<double> slopes(static_cast<std::size_t>(units * rows));
  gemm(units, rows, d, 1.0, {weights_.data() + first_unit * d, d}, {x, d, Op::transposed}, 0.0, slopes.data(), rows);
  visit(source_.activation, [&](const auto& phi) {
    for (double& z : slopes) z = source_.scale * phi.first(z);
  });
  for (Index c = 0; c < columns; ++c) {
    const double* slope = slopes.data() + ((first_column + c) / d - first_unit) * rows;
    const Index coordinate = (first_column + c) % d;
    for (Index i = 0; i < rows; ++i) out[c * stride + i] = slope[i] * x[i * d + coordinate];
  }
}

}  // namespace widelab::cpu
