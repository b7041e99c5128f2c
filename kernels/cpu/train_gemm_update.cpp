#include "kernels/cpu/train_gemm_update.hpp"

#include <algorithm>

#include "kernels/cpu/blas.hpp"
#include "kernels/cpu/buffer.hpp"
#include "kernels/cpu/clones.hpp"
#include "kernels/cpu/parallel.hpp"
#include "widelab/ops/train.hpp"

namespace widelab::cpu {
namespace {

constexpr Index kChunk = 256;  // parameters at a time: every operand of the increment's loop is in first-level cache

/// The operands of one chunk; none is null.
template <class T>
struct Chunk {
  const T *theta, *gradient, *draws;
  T *v, *s, *increments;
};

/// The rule is a constant, so that the loop vectorises without its branches.
template <OptimiserKind kKind, class T>
void chunk_of_kind(const UpdateStep<T>& given, const Chunk<T>& chunk, Index count) {
  UpdateStep<T> step = given;
  step.kind = kKind;
  if (!is_noisy(kKind)) step.noise = T(0);
  const T* __restrict theta = chunk.theta, * __restrict gradient = chunk.gradient, * __restrict draws = chunk.draws;
  T* __restrict v = chunk.v, * __restrict s = chunk.s, * __restrict out = chunk.increments;
  for (Index i = 0; i < count; ++i) out[i] = update_increment(step, theta[i], gradient[i], draws[i], v[i], s[i]);
}

template <class T>
void chunk_increments(const UpdateStep<T>& step, const Chunk<T>& chunk, Index count) {
  switch (step.kind) {
    case OptimiserKind::sgd:
      return chunk_of_kind<OptimiserKind::sgd>(step, chunk, count);
    case OptimiserKind::heavy_ball:
      return chunk_of_kind<OptimiserKind::heavy_ball>(step, chunk, count);
    case OptimiserKind::nesterov:
      return chunk_of_kind<OptimiserKind::nesterov>(step, chunk, count);
    case OptimiserKind::adam:
      return chunk_of_kind<OptimiserKind::adam>(step, chunk, count);
    case OptimiserKind::sign:
      return chunk_of_kind<OptimiserKind::sign>(step, chunk, count);
    case OptimiserKind::langevin:
      return chunk_of_kind<OptimiserKind::langevin>(step, chunk, count);
    case OptimiserKind::sgld:
      return chunk_of_kind<OptimiserKind::sgld>(step, chunk, count);
  }
}

/// Adds the rule's increments to `count` parameters: to theta, or to D and then theta = theta_0 + D. A null gradient
/// or null draws are zeros.
template <class T>
void add_increments(const UpdateStep<T>& step, const ParameterBlock<T>& block, const T* gradient, const T* draws,
                    Index count) {
  const T zeros[kChunk] = {};
  T no_v[kChunk] = {}, no_s[kChunk] = {}, increments[kChunk];
  for (Index first = 0; first < count; first += kChunk) {
    const Index size = std::min(kChunk, count - first);
    const ParameterBlock<T> part = block.at(first);
    chunk_increments(step,
                     {part.theta, gradient ? gradient + first : zeros, draws ? draws + first : zeros,
                      part.v ? part.v : no_v, part.s ? part.s : no_s, increments},
                     size);
    if (part.displacement) {
      for (Index i = 0; i < size; ++i) part.displacement[i] += increments[i];
      for (Index i = 0; i < size; ++i) part.theta[i] = part.start[i] + part.displacement[i];
    } else {
      for (Index i = 0; i < size; ++i) part.theta[i] += increments[i];
    }
  }
}

/// Draws of `quads` groups of four weights of a row, 16 at a time in structures of arrays, so that loops vectorise.
WIDELAB_CLONES void row_draws(const NoiseSource& noise, Index row, Index cols, float* out) {
  constexpr Index kLanes = 16;
  const Index quads = ceil_div(cols, 4);
  float lanes[4][kLanes];
  for (Index q = 0; q < quads; q += kLanes) {
    for (Index i = 0; i < kLanes; ++i) {
      const Draw4 four = langevin_draw4(noise.id, noise.layer, row, cols, q + i, noise.step);
      for (Index k = 0; k < 4; ++k) lanes[k][i] = four.v[k];
    }
    for (Index i = 0; i < std::min(kLanes, quads - q); ++i)
      for (Index k = 0; k < std::min(Index(4), cols - 4 * (q + i)); ++k) out[4 * (q + i) + k] = lanes[k][i];
  }
}

/// c (rows [row, row + count) of the gradient) = alpha dz^T h + beta c.
template <class T>
void gradient_rows(const LayerGradient<T>& g, Index row, Index count, double alpha, T beta, T* c) {
  gemm(count, g.cols, g.batch, static_cast<T>(alpha), {g.dz + row, g.rows, Op::transposed}, {g.h, g.cols}, beta, c,
       g.cols);
}

template <class T>
void update_sgd_rows(const UpdateStep<T>& step, const ParameterBlock<T>& tile, const LayerGradient<T>& g, Index row,
                     Index count) {
  const double alpha = -static_cast<double>(step.rate) * g.multiplier;
  const T* no_gradient = nullptr;
  if (tile.displacement) {
    gradient_rows(g, row, count, alpha, T(1), tile.displacement);
    add_increments(step, tile, no_gradient, no_gradient, count * g.cols);
    return;
  }
  // Decay in a pass of its own: beta = 1 - eta lambda of a product would round away most digits of eta lambda.
  if (step.decay != T(0)) add_increments(step, tile, no_gradient, no_gradient, count * g.cols);
  gradient_rows(g, row, count, alpha, T(1), tile.theta);
}

/// v <- mu v + G by the product; then the rule with mu = 1 and no gradient adds what decay adds, and moves theta.
template <class T>
void update_heavy_ball_rows(const UpdateStep<T>& step, const ParameterBlock<T>& tile, const LayerGradient<T>& g,
                            Index row, Index count) {
  gradient_rows(g, row, count, g.multiplier, step.mu, tile.v);
  UpdateStep<T> move = step;
  move.mu = T(1);
  const T* no_gradient = nullptr;
  add_increments(move, tile, no_gradient, no_gradient, count * g.cols);
}

template <class T>
void update_any_rows(const UpdateStep<T>& step, const ParameterBlock<T>& tile, const LayerGradient<T>& g,
                     const NoiseSource& noise, Index row, Index count) {
  Buffer<T> gradient(static_cast<std::size_t>(count * g.cols));
  gradient_rows(g, row, count, g.multiplier, T(0), gradient.data());
  if (step.noise == T(0)) {
    add_increments(step, tile, gradient.data(), static_cast<const T*>(nullptr), count * g.cols);
    return;
  }
  Buffer<float> draws(static_cast<std::size_t>(g.cols));
  Buffer<T> wide(static_cast<std::size_t>(g.cols));
  for (Index i = 0; i < count; ++i) {
    row_draws(noise, row + i, g.cols, draws.data());
    std::copy(draws.begin(), draws.end(), wide.begin());
    add_increments(step, tile.at(i * g.cols), gradient.data() + i * g.cols, wide.data(), g.cols);
  }
}

}  // namespace

template <class T>
void update_weights(const UpdateStep<T>& step, const ParameterBlock<T>& weights, const LayerGradient<T>& gradient,
                    const NoiseSource& noise, bool parallel) {
  const bool product_alone = step.kind == OptimiserKind::sgd && step.decay == T(0) && !weights.displacement;
  const Index tile_rows = product_alone ? kTrainTile : pass_rows(gradient.cols);
  parallel_for(ceil_div(gradient.rows, tile_rows), parallel, [&](Index t) {
    const Index row = t * tile_rows, count = std::min(tile_rows, gradient.rows - row);
    const ParameterBlock<T> tile = weights.at(row * gradient.cols);
    if (step.kind == OptimiserKind::sgd)
      update_sgd_rows(step, tile, gradient, row, count);
    else if (step.kind == OptimiserKind::heavy_ball)
      update_heavy_ball_rows(step, tile, gradient, row, count);
    else
      update_any_rows(step, tile, gradient, noise, row, count);
  });
}

template <class T>
void update_biases(const UpdateStep<T>& step, const ParameterBlock<T>& biases, const LayerGradient<T>& gradient,
                   const NoiseSource& noise) {
  const Index units = gradient.rows;
  Buffer<T> sums(static_cast<std::size_t>(units)), draws(static_cast<std::size_t>(units));
  std::fill(sums.begin(), sums.end(), T(0));
  for (Index s = 0; s < gradient.batch; ++s)
    for (Index j = 0; j < units; ++j) sums[static_cast<std::size_t>(j)] += gradient.dz[s * units + j];
  const T multiplier = static_cast<T>(gradient.multiplier);
  for (T& sum : sums) sum *= multiplier;
  const bool noisy = step.noise != T(0);
  for (Index j = 0; noisy && j < units; ++j)
    draws[static_cast<std::size_t>(j)] = static_cast<T>(langevin_bias_draw(noise.id, noise.layer, j, noise.step));
  add_increments(step, biases, sums.data(), noisy ? draws.data() : nullptr, units);
}

template void update_weights(const UpdateStep<float>&, const ParameterBlock<float>&, const LayerGradient<float>&,
                             const NoiseSource&, bool);
template void update_weights(const UpdateStep<double>&, const ParameterBlock<double>&, const LayerGradient<double>&,
                             const NoiseSource&, bool);
template void update_biases(const UpdateStep<float>&, const ParameterBlock<float>&, const LayerGradient<float>&,
                            const NoiseSource&);
template void update_biases(const UpdateStep<double>&, const ParameterBlock<double>&, const LayerGradient<double>&,
                            const NoiseSource&);

}  // namespace widelab::cpu
