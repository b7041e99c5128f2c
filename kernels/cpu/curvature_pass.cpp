#include "kernels/cpu/curvature_pass.hpp"

#include <algorithm>

#include "kernels/cpu/parallel.hpp"
#include "kernels/cpu/tangent_rows.hpp"

namespace widelab::cpu {
namespace {

template <class T>
void add(const T* from, Index count, T* to) {
  for (Index j = 0; j < count; ++j) to[j] += from[j];
}

}  // namespace

template <class T>
CurvaturePass<T>::CurvaturePass(const HvpProblem<T>& problem, const HvpPlan& plan)
    : problem_(problem),
      shape_(problem.network->shape),
      layout_(shape_),
      vectors_(problem.vectors),
      chunk_(plan.chunk),
      lowest_(shape_.layers()),
      layers_(static_cast<std::size_t>(shape_.layers())) {
  const Network counted = with_unit_rates(*problem.network, problem.selection);
  for (const LayerScale& layer : counted.layers) {
    weights_.push_back(layer.weight_rate > 0);
    biases_.push_back(layer.bias_rate > 0);
  }
  for (Index l = shape_.depth(); l >= 0; --l)
    if (weights_moved(l) || biases_moved(l)) lowest_ = l;
  for (Index l = 0; l < shape_.layers(); ++l) {
    const bool hidden = l < shape_.depth(), moves = l >= lowest_, norm = hidden && shape_.layer_norm;
    const auto size = static_cast<std::size_t>(plan.tile * shape_.fan_out(l));
    const auto tangents = moves ? size * static_cast<std::size_t>(vectors_) : 0;
    Layer& layer = at(l);
    layer.z.resize(size);
    layer.y.resize(norm ? size : 0);
    layer.inverse_sd.resize(static_cast<std::size_t>(norm ? plan.tile : 0));
    layer.h.resize(hidden ? size : 0);
    layer.slope.resize(hidden ? size : 0);
    layer.bend.resize(hidden && hessian() ? size : 0);
    layer.dz.resize(!hidden || (moves && has_signal()) ? size : 0);
    layer.z_tangent.resize(tangents);
    layer.y_tangent.resize(norm ? tangents : 0);
    layer.rate.resize(norm && moves ? static_cast<std::size_t>(plan.tile * vectors_) : 0);
    layer.h_tangent.resize(hidden ? tangents : 0);
    layer.dz_tangent.resize(tangents);
  }
}

template <class T>
Operand<T> CurvaturePass<T>::input(Index l) const {
  if (l == 0) return {tile_.inputs.data, tile_.inputs.stride};
  return {at(l - 1).h.data(), shape_.fan_in(l)};
}

template <class T>
Operand<T> CurvaturePass<T>::input_tangent(Index l, Index vector) const {
  const Index n = shape_.fan_in(l);
  return {at(l - 1).h_tangent.data() + vector * n, vectors_ * n};
}

template <class T>
Operand<T> CurvaturePass<T>::signal(Index l) const {
  return {at(l).dz.data(), shape_.fan_out(l)};
}

template <class T>
Operand<T> CurvaturePass<T>::signal_tangent(Index l, Index vector) const {
  const Index n = shape_.fan_out(l);
  return {at(l).dz_tangent.data() + vector * n, vectors_ * n};
}

template <class T>
void CurvaturePass<T>::run(const CurvatureTile<T>& tile, bool parallel) {
  tile_ = tile;
  parallel_for(ceil_div(rows(), chunk_), parallel, [&](Index c) {
    run_chunk({c * chunk_, std::min(chunk_, rows() - c * chunk_)});
  });
}

template <class T>
void CurvaturePass<T>::run_chunk(Chunk chunk) {
  for (Index l = 0; l < shape_.layers(); ++l) {
    forward(l, chunk);
    if (l < shape_.depth()) features(l, chunk);
    if (l < lowest_) continue;
    forward_tangent(l, chunk);
    if (l < shape_.depth()) features_tangent(l, chunk);
  }
  loss(chunk);
  for (Index l = shape_.depth(); l > lowest_; --l) {
    if (has_signal()) backward(l, chunk);
    backward_tangent(l, chunk);
    through_features(l - 1, chunk);
  }
}

/// z = [stream +] m W h + M b.
template <class T>
void CurvaturePass<T>::forward(Index l, Chunk chunk) {
  const Index n = shape_.fan_out(l);
  const Operand<T> h = input(l);
  T* z = at(l).z.data() + chunk.first * n;
  gemm(chunk.count, n, shape_.fan_in(l), static_cast<T>(weight_multiplier(l)),
       {h.data + chunk.first * h.stride, h.stride}, {weights(tile_.parameters, l), shape_.fan_in(l), Op::transposed},
       T(0), z, n);
  const T multiplier = static_cast<T>(bias_multiplier(l));
  const T* b = biases(tile_.parameters, l);
  const T* stream = shape_.is_residual(l) ? at(l - 1).z.data() + chunk.first * n : nullptr;
  for (Index i = 0; i < chunk.count; ++i) {
    if (multiplier != T(0))
      for (Index j = 0; j < n; ++j) z[i * n + j] += multiplier * b[j];
    if (stream) add(stream + i * n, n, z + i * n);
  }
}

/// R{z} = [R{stream} +] m (W R{h} + V h) + M v_b.
template <class T>
void CurvaturePass<T>::forward_tangent(Index l, Chunk chunk) {
  const Index n = shape_.fan_out(l), fan_in = shape_.fan_in(l), rows = chunk.count * vectors_;
  const T multiplier = static_cast<T>(weight_multiplier(l)), bias = static_cast<T>(bias_multiplier(l));
  T* rz = at(l).z_tangent.data() + chunk.first * vectors_ * n;
  if (l > lowest_)
    gemm(rows, n, fan_in, multiplier, {at(l - 1).h_tangent.data() + chunk.first * vectors_ * fan_in, fan_in},
         {weights(tile_.parameters, l), fan_in, Op::transposed}, T(0), rz, n);
  else
    std::fill_n(rz, rows * n, T(0));
  const Operand<T> h = input(l);
  for (Index k = 0; k < vectors_; ++k) {
    if (weights_moved(l))
      gemm(chunk.count, n, fan_in, multiplier, {h.data + chunk.first * h.stride, h.stride},
           {weights(direction(k), l), fan_in, Op::transposed}, T(1), rz + k * n, vectors_ * n);
    const T* b = biases(direction(k), l);
    for (Index i = k; biases_moved(l) && i < rows; i += vectors_)
      for (Index j = 0; j < n; ++j) rz[i * n + j] += bias * b[j];
  }
  if (!shape_.is_residual(l) || l == lowest_) return;
  add(at(l - 1).z_tangent.data() + chunk.first * vectors_ * n, rows * n, rz);
}

/// h = s phi(y), its slope s phi'(y), for the Hessian its bend s phi''(y); y = LN(z) or z.
template <class T>
void CurvaturePass<T>::features(Index l, Chunk chunk) {
  Layer& layer = at(l);
  const Index n = shape_.fan_out(l);
  for (Index i = chunk.first; i < chunk.first + chunk.count; ++i) {
    const T* y = layer.z.data() + i * n;
    if (shape_.layer_norm) {
      layer.inverse_sd[static_cast<std::size_t>(i)] = normalise_row(y, n, layer.y.data() + i * n);
      y = layer.y.data() + i * n;
    }
    activate_row(shape_.activation, y, shape_.multipliers(l), n, layer.h.data() + i * n, layer.slope.data() + i * n);
    if (hessian()) bend_row(shape_.activation, y, shape_.multipliers(l), n, layer.bend.data() + i * n);
  }
}

/// R{h} = s phi'(y) R{y}.
template <class T>
void CurvaturePass<T>::features_tangent(Index l, Chunk chunk) {
  Layer& layer = at(l);
  const Index n = shape_.fan_out(l);
  for (Index r = chunk.first * vectors_; r < (chunk.first + chunk.count) * vectors_; ++r) {
    const Index i = r / vectors_;
    const T* ry = layer.z_tangent.data() + r * n;
    if (shape_.layer_norm) {
      T* row = layer.y_tangent.data() + r * n;
      std::copy_n(ry, n, row);
      layer.rate[static_cast<std::size_t>(r)] =
          normalise_row_tangent(layer.y.data() + i * n, layer.inverse_sd[static_cast<std::size_t>(i)], n, row);
      ry = row;
    }
    const T* slope = layer.slope.data() + i * n;
    T* rh = layer.h_tangent.data() + r * n;
    for (Index j = 0; j < n; ++j) rh[j] = slope[j] * ry[j];
  }
}

/// dL_n/df and its R: (d^2 loss/df^2) R{f}, for the gradient moment (dL_n/df)(dL_n/df . R{f}).
template <class T>
void CurvaturePass<T>::loss(Chunk chunk) {
  Layer& top = at(shape_.depth());
  const Index k = shape_.outputs;
  std::vector<double> f(static_cast<std::size_t>(k)), y(f.size());
  for (Index i = chunk.first; i < chunk.first + chunk.count; ++i) {
    const T *outputs = top.z.data() + i * k, *targets = tile_.targets + i * k;
    T* slope = top.dz.data() + i * k;
    if (tile_.losses) {
      std::copy_n(outputs, k, f.begin());
      std::copy_n(targets, k, y.begin());
      tile_.losses[i] = loss_value(problem_.loss, f.data(), y.data(), k);
    }
    loss_slope(problem_.loss, outputs, targets, k, Index{1}, slope);
    if (lowest_ == shape_.layers()) continue;
    for (Index r = i * vectors_; r < (i + 1) * vectors_; ++r) {
      const T* rf = top.z_tangent.data() + r * k;
      T* out = top.dz_tangent.data() + r * k;
      if (problem_.curvature != Curvature::gradient_moment) {
        loss_curvature(problem_.loss, outputs, targets, k, Index{1}, rf, out);
        continue;
      }
      T along = 0;
      for (Index o = 0; o < k; ++o) along += slope[o] * rf[o];
      for (Index o = 0; o < k; ++o) out[o] = slope[o] * along;
    }
  }
}

/// dL/dh of the layer below, left in that layer's dz: m W^T dz.
template <class T>
void CurvaturePass<T>::backward(Index l, Chunk chunk) {
  const Index n = shape_.fan_out(l), fan_in = shape_.fan_in(l);
  gemm(chunk.count, fan_in, n, static_cast<T>(weight_multiplier(l)), {at(l).dz.data() + chunk.first * n, n},
       {weights(tile_.parameters, l), fan_in}, T(0), at(l - 1).dz.data() + chunk.first * fan_in, fan_in);
}

/// R{dL/dh} = m (W^T R{dz} + V^T dz), the second term for the Hessian only.
template <class T>
void CurvaturePass<T>::backward_tangent(Index l, Chunk chunk) {
  const Index n = shape_.fan_out(l), fan_in = shape_.fan_in(l);
  const T multiplier = static_cast<T>(weight_multiplier(l));
  T* out = at(l - 1).dz_tangent.data() + chunk.first * vectors_ * fan_in;
  gemm(chunk.count * vectors_, fan_in, n, multiplier, {at(l).dz_tangent.data() + chunk.first * vectors_ * n, n},
       {weights(tile_.parameters, l), fan_in}, T(0), out, fan_in);
  for (Index k = 0; hessian() && weights_moved(l) && k < vectors_; ++k)
    gemm(chunk.count, fan_in, n, multiplier, {at(l).dz.data() + chunk.first * n, n}, {weights(direction(k), l), fan_in},
         T(1), out + k * fan_in, vectors_ * fan_in);
}

/// From dL/dh to dL/dz and from R{dL/dh} to R{dL/dz}, in place; then the residual stream's share.
template <class T>
void CurvaturePass<T>::through_features(Index hidden, Chunk chunk) {
  Layer& layer = at(hidden);
  Buffer<T> row(static_cast<std::size_t>(shape_.layer_norm ? shape_.fan_out(hidden) : 0));
  for (Index i = chunk.first; i < chunk.first + chunk.count; ++i) {
    through_activation(hidden, i);
    if (shape_.layer_norm) through_normalisation(hidden, i, row.data());
  }
  if (!shape_.is_residual(hidden + 1)) return;
  const Layer& above = at(hidden + 1);
  const Index first = chunk.first * shape_.fan_out(hidden), count = chunk.count * shape_.fan_out(hidden);
  if (has_signal()) add(above.dz.data() + first, count, layer.dz.data() + first);
  add(above.dz_tangent.data() + first * vectors_, count * vectors_, layer.dz_tangent.data() + first * vectors_);
}

/// g = dL/dh becomes s phi' g; R{g} becomes s phi' R{g} + s phi'' R{y} g.
template <class T>
void CurvaturePass<T>::through_activation(Index hidden, Index i) {
  Layer& layer = at(hidden);
  const Index n = shape_.fan_out(hidden);
  const T* slope = layer.slope.data() + i * n;
  T* rg = layer.dz_tangent.data() + i * vectors_ * n;
  for (Index k = 0; k < vectors_; ++k)
    for (Index j = 0; j < n; ++j) rg[k * n + j] *= slope[j];
  if (!has_signal()) return;
  T* g = layer.dz.data() + i * n;
  if (hessian()) {
    const T* ry = (shape_.layer_norm ? layer.y_tangent : layer.z_tangent).data() + i * vectors_ * n;
    const T* bend = layer.bend.data() + i * n;
    for (Index k = 0; k < vectors_; ++k)
      for (Index j = 0; j < n; ++j) rg[k * n + j] += bend[j] * g[j] * ry[k * n + j];
  }
  for (Index j = 0; j < n; ++j) g[j] *= slope[j];
}

/// g = dL/dy becomes dL/dz, and R{g} follows; `row`: room for one row.
template <class T>
void CurvaturePass<T>::through_normalisation(Index hidden, Index i, T* row) {
  Layer& layer = at(hidden);
  const Index n = shape_.fan_out(hidden);
  const T* y = layer.y.data() + i * n;
  const T inverse_sd = layer.inverse_sd[static_cast<std::size_t>(i)];
  T *rg = layer.dz_tangent.data() + i * vectors_ * n, *g = has_signal() ? layer.dz.data() + i * n : nullptr;
  for (Index k = 0; k < vectors_; ++k) normalise_row_backward(y, inverse_sd, n, rg + k * n);
  if (!g) return;
  std::copy_n(g, n, row);
  normalise_row_backward(y, inverse_sd, n, g);
  for (Index r = i * vectors_; hessian() && r < (i + 1) * vectors_; ++r)
    NormalisedRow<T>{y, layer.y_tangent.data() + r * n, inverse_sd, layer.rate[static_cast<std::size_t>(r)], n}
        .add_second_order(row, g, layer.dz_tangent.data() + r * n);
}

template class CurvaturePass<float>;
template class CurvaturePass<double>;

}  // namespace widelab::cpu
