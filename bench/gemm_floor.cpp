#include "bench/gemm_floor.hpp"

#include <cblas.h>
#include <omp.h>

#include <algorithm>

#include "bench/harness.hpp"
#include "widelab/plan/storage_plan.hpp"

namespace widelab::bench {
namespace {

/// Rows of a block of a Gram. The op may take smaller ones to keep its workers busy; that is its loss, not the
/// machine's.
constexpr Index kGramBlock = 128;

/// c (m x n) = a (m x k) op(b), b stored n x k if transposed, else k x n.
void sgemm(Index m, Index n, Index k, const float* a, Index lda, const float* b, Index ldb, bool transposed, float beta,
           float* c, Index ldc) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, transposed ? CblasTrans : CblasNoTrans, static_cast<int>(m),
              static_cast<int>(n), static_cast<int>(k), 1.0f, a, static_cast<int>(lda), b, static_cast<int>(ldb), beta,
              c, static_cast<int>(ldc));
}

void dgemm(Index m, Index n, Index k, const double* a, Index lda, const double* b, Index ldb, bool transposed,
           double beta, double* c, Index ldc) {
  cblas_dgemm(CblasRowMajor, CblasNoTrans, transposed ? CblasTrans : CblasNoTrans, static_cast<int>(m),
              static_cast<int>(n), static_cast<int>(k), 1.0, a, static_cast<int>(lda), b, static_cast<int>(ldb), beta,
              c, static_cast<int>(ldc));
}

template <class Body>
void on_all_threads(Index count, const Body& body) {
#pragma omp parallel for schedule(dynamic, 1)
  for (Index i = 0; i < count; ++i) body(i);
}

/// Numbers of ordinary size; products of zeros or of denormal numbers would run at another rate.
template <class T>
std::vector<T> numbers(Index count) {
  std::vector<T> out(static_cast<std::size_t>(count));
  for (Index i = 0; i < count; ++i) out[static_cast<std::size_t>(i)] = static_cast<T>((i * 7919 % 2003 - 1001) * 1e-3);
  return out;
}

}  // namespace

NtkGemms::NtkGemms(const Size& size)
    : size_(size),
      signals_(numbers<float>(size.inputs * std::max(size.width, size.input_dim))),
      products_(static_cast<std::size_t>(size.depth * size.inputs * size.width)) {
  for (Index i = 0; i < size.inputs; i += kGramBlock)
    for (Index j = 0; j <= i; j += kGramBlock)
      blocks_.push_back({i, std::min(kGramBlock, size.inputs - i), j, std::min(kGramBlock, size.inputs - j)});
  for (Index l = 0; l < size.depth; ++l)
    weights_.push_back(numbers<float>(size.width * (l == 0 ? size.input_dim : size.width)));
}

double NtkGemms::gram_flops(bool useful) const {
  const double units = static_cast<double>(2 * size_.depth * size_.width + size_.input_dim);
  double pairs = 0;
  for (const Block& b : blocks_)
    pairs += static_cast<double>(useful && b.i == b.j ? b.rows * (b.rows + 1) / 2 : b.rows * b.cols);
  return 2 * units * pairs;
}

double NtkGemms::flops() const {
  const double n = static_cast<double>(size_.width), rows = static_cast<double>(size_.inputs),
               hidden = static_cast<double>(size_.depth - 1);
  return 2 * rows * n * (static_cast<double>(size_.input_dim) + 2 * hidden * n) + gram_flops(true);
}

double NtkGemms::run() { return forward() + backward() + grams() * gram_flops(true) / gram_flops(false); }

double NtkGemms::forward() {
  const Index tiles = ceil_div(size_.width, kUnitTile), n = size_.width;
  return seconds_of([&] {
    on_all_threads(size_.depth * tiles, [&](Index task) {
      const Index l = task / tiles, row = task % tiles * kUnitTile, fan_in = l == 0 ? size_.input_dim : n;
      sgemm(size_.inputs, std::min(kUnitTile, n - row), fan_in, signals_.data(), fan_in,
            weights_[static_cast<std::size_t>(l)].data() + row * fan_in, fan_in, true, 0.0f, product(l) + row, n);
    });
  });
}

double NtkGemms::backward() {
  const Index tiles = ceil_div(size_.width, kUnitTile), n = size_.width;
  return seconds_of([&] {
    on_all_threads((size_.depth - 1) * tiles, [&](Index task) {
      const Index l = 1 + task / tiles, col = task % tiles * kUnitTile;
      for (Index row = 0; row < n; row += kUnitTile)
        sgemm(size_.inputs, std::min(kUnitTile, n - col), std::min(kUnitTile, n - row), signals_.data() + row, n,
              weights_[static_cast<std::size_t>(l)].data() + row * n + col, n, false, row == 0 ? 0.0f : 1.0f,
              product(l) + col, n);
    });
  });
}

double NtkGemms::grams() {
  const Index chunks = ceil_div(size_.width, kUnitTile), pairs = static_cast<Index>(blocks_.size()), n = size_.width;
  const Index layers = 2 * size_.depth + 1;  // features and backward signals of each hidden layer, and the inputs
  return seconds_of([&] {
    on_all_threads(layers * chunks * pairs, [&](Index task) {
      const Index layer = task / (chunks * pairs), at = task / pairs % chunks * kUnitTile;
      const Block& b = blocks_[static_cast<std::size_t>(task % pairs)];
      const Index units = layer == 0 ? size_.input_dim : n, stride = units;
      if (at >= units) return;
      thread_local std::vector<float> out(static_cast<std::size_t>(kGramBlock * kGramBlock));
      sgemm(b.rows, b.cols, std::min(kUnitTile, units - at), signals_.data() + b.i * stride + at, stride,
            signals_.data() + b.j * stride + at, stride, true, 0.0f, out.data(), b.cols);
    });
  });
}

double LawExactGemms::flops() const {
  // Eight products of 2 N^2 operations a unit; one output, so that N O = N.
  return 16.0 * static_cast<double>(size_.inputs * size_.inputs) * static_cast<double>(size_.width * size_.depth);
}

double LawExactGemms::run() const {
  const Index rows = size_.inputs, blocks = ceil_div(size_.width, kUnitTile);
  const std::vector<double> root = numbers<double>(rows * rows);
  return seconds_of([&] {
    on_all_threads(size_.depth * blocks, [&](Index task) {
      const Index units = std::min(kUnitTile, size_.width - task % blocks * kUnitTile);
      thread_local std::vector<double> noise, z, gram;
      if (static_cast<Index>(noise.size()) != rows * kUnitTile) {
        noise = numbers<double>(rows * kUnitTile);
        z = noise;
        gram = numbers<double>(rows * rows);
      }
      for (int pass = 0; pass < 4; ++pass) {
        dgemm(rows, units, rows, root.data(), rows, noise.data(), kUnitTile, false, 0.0, z.data(), kUnitTile);
        dgemm(rows, rows, units, noise.data(), kUnitTile, z.data(), kUnitTile, true, 0.0, gram.data(), rows);
      }
    });
  });
}

}  // namespace widelab::bench
