#include "kernels/cpu/train_gemm_window.hpp"

#include <algorithm>

#include "kernels/cpu/blas.hpp"
#include "kernels/cpu/parallel.hpp"

namespace widelab::cpu {

template <class T>
LazyWindow<T>::LazyWindow(const ParameterBlock<T>& weights, Index rows, Index cols, Index batch, Index steps,
                          double multiplier)
    : weights_(weights), rows_(rows), cols_(cols), batch_(batch), multiplier_(multiplier) {
  deltas_.resize(static_cast<std::size_t>(steps * batch * rows));
  inputs_.resize(static_cast<std::size_t>(steps * batch * cols));
  projection_.resize(static_cast<std::size_t>(steps * batch * batch));
  restart();
}

template <class T>
void LazyWindow<T>::restart() {
  shares_ = {first_share(kTermOfWeights), first_share(kTermOfVelocity)};
}

template <class T>
void LazyWindow<T>::project(const T* x, const Buffer<T>& factors, Index width, bool parallel) {
  const Index columns = rank();
  parallel_for(ceil_div(columns, kTrainTile), parallel, [&](Index t) {
    const Index first = t * kTrainTile, count = std::min(kTrainTile, columns - first);
    gemm(batch_, count, width, static_cast<T>(multiplier_), {x, width},
         {factors.data() + first * width, width, Op::transposed}, T(0), projection_.data() + first, columns);
    for (Index slot = 0; slot < batch_; ++slot)
      for (Index r = first; r < first + count; ++r)
        projection_[static_cast<std::size_t>(slot * columns + r)] *= static_cast<T>(share_of_row(r).weight);
  });
}

template <class T>
void LazyWindow<T>::project_inputs(const T* h, bool parallel) {
  project(h, inputs_, cols_, parallel);
}

template <class T>
void LazyWindow<T>::project_signals(const T* dz, bool parallel) {
  project(dz, deltas_, rows_, parallel);
}

template <class T>
void LazyWindow<T>::multiply_forward(const T* h, Index first, Index count, T* z) const {
  const auto add = [&](double share, const T* w, T beta) {
    gemm(batch_, count, cols_, static_cast<T>(multiplier_ * share), {h, cols_},
         {w + first * cols_, cols_, Op::transposed}, beta, z + first, rows_);
  };
  add(share(kTermOfWeights).weight, weights_.theta, T(0));
  if (share(kTermOfVelocity).weight != 0) add(share(kTermOfVelocity).weight, weights_.v, T(1));
  if (rank() > 0)
    gemm(batch_, count, rank(), static_cast<T>(multiplier_), {projection_.data(), rank()},
         {deltas_.data() + first, rows_}, T(1), z + first, rows_);
}

template <class T>
void LazyWindow<T>::multiply_backward(const T* dz, Index first, Index count, T* g) const {
  const auto add = [&](double share, const T* w, T beta) {
    gemm(batch_, count, rows_, static_cast<T>(multiplier_ * share), {dz, rows_}, {w + first, cols_}, beta, g + first,
         cols_);
  };
  add(share(kTermOfWeights).weight, weights_.theta, T(0));
  if (share(kTermOfVelocity).weight != 0) add(share(kTermOfVelocity).weight, weights_.v, T(1));
  if (rank() > 0)
    gemm(batch_, count, rank(), static_cast<T>(multiplier_), {projection_.data(), rank()},
         {inputs_.data() + first, cols_}, T(1), g + first, cols_);
}

template <class T>
void LazyWindow<T>::push(const UpdateStep<double>& step, const T* dz, const T* h) {
  std::copy_n(dz, batch_ * rows_, deltas_.data() + rank() * rows_);
  std::copy_n(h, batch_ * cols_, inputs_.data() + rank() * cols_);
  for (WindowShare& share : shares_) share = moved_share(step, share, 0);
  shares_.push_back(moved_share(step, first_share(static_cast<Index>(shares_.size())), 1));
}

/// c (rows [row, row + count) of a matrix) += sum_s coefficient_s G_s.
template <class T>
void LazyWindow<T>::add_factors(double WindowShare::*coefficient, Index row, Index count, T* c) const {
  Buffer<T> scaled(static_cast<std::size_t>(rank() * count));
  for (Index r = 0; r < rank(); ++r) {
    const T factor = static_cast<T>(share_of_row(r).*coefficient * multiplier_);
    const T* delta = deltas_.data() + r * rows_ + row;
    T* out = scaled.data() + r * count;
    for (Index j = 0; j < count; ++j) out[j] = factor * delta[j];
  }
  gemm(count, cols_, rank(), T(1), {scaled.data(), count, Op::transposed}, {inputs_.data(), cols_}, T(1), c, cols_);
}

template <class T>
void LazyWindow<T>::merge_rows(Index row, Index count) {
  const ParameterBlock<T> tile = weights_.at(row * cols_);
  const Index size = count * cols_;
  const WindowStart<T> start(share(kTermOfWeights), share(kTermOfVelocity));
  if (tile.v) {
    T* __restrict w = tile.theta, * __restrict v = tile.v;
    for (Index i = 0; i < size; ++i) {
      const T weight = w[i], velocity = v[i];
      w[i] = start.weight(weight, velocity);
      v[i] = start.velocity(weight, velocity);
    }
  } else if (start.change != T(0)) {
    for (Index i = 0; i < size; ++i) tile.theta[i] = start.weight(tile.theta[i]);
  }
  add_factors(&WindowShare::weight, row, count, tile.theta);
  if (tile.v) add_factors(&WindowShare::velocity, row, count, tile.v);
}

template <class T>
void LazyWindow<T>::merge(bool parallel) {
  if (steps_made() == 0) return;
  parallel_for(ceil_div(rows_, kTrainTile), parallel, [&](Index t) {
    const Index row = t * kTrainTile;
    merge_rows(row, std::min(kTrainTile, rows_ - row));
  });
  restart();
}

template class LazyWindow<float>;
template class LazyWindow<double>;

}  // namespace widelab::cpu
