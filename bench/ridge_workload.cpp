#include "bench/ridge_workload.hpp"

#include <cblas.h>
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cmath>

#include "bench/harness.hpp"
#include "bench/problems.hpp"

namespace widelab::bench {

std::string RidgeRow::text() const {
  return fmt::format("n={} d={} N={}..{} ({} sizes)", examples, dimension, sizes.front(), sizes.back(), sizes.size()) +
         (members > 1 ? fmt::format(" E={}", members) : "") + fmt::format(" relative ridge {:.0e} ", relative_ridge) + name;
}

/// The largest eigenvalue of Z^T Z for ReLU features of unit preactivations is that of their mean, 1 / sqrt(2 pi),
/// common to all.
double RidgeRow::ridge() const {
  return relative_ridge * static_cast<double>(examples) * static_cast<double>(sizes.back()) / (2 * M_PI);
}

std::vector<Index> multiples(Index step, Index count) {
  std::vector<Index> sizes;
  for (Index s = 1; s <= count; ++s) sizes.push_back(s * step);
  return sizes;
}

RidgeRun::RidgeRun(const RidgeRow& row)
    : inputs_(normal_inputs<double>({row.examples + row.tests(), 1, 1, row.dimension, 1})),
      targets_(normal_inputs<double>({row.examples * row.members, 1, 1, 1, 1})),
      ids_(draw_ids(row.members)) {
  problem_.features = {FeatureKind::random,
                       Relu{},
                       1 / std::sqrt(static_cast<double>(row.dimension)),
                       1.0,
                       false,
                       ids_.data(),
                       inputs_.data(),
                       true,
                       row.dimension};
  problem_.members = row.members;
  problem_.examples = row.examples;
  problem_.targets = targets_.data();
  problem_.sizes = row.sizes;
  problem_.filters = {{SpectralFilter::Kind::ridge, row.ridge()}};
  problem_.test_inputs = inputs_.data() + row.examples * row.dimension;
  problem_.test_examples = row.tests();
  const std::size_t curve = static_cast<std::size_t>(row.members) * row.sizes.size();
  predictions_.resize(curve * static_cast<std::size_t>(problem_.test_examples));
  residuals_.resize(curve);
  norms_.resize(curve);
  problem_.predictions = predictions_.data();
  problem_.residuals = residuals_.data();
  problem_.norms = norms_.data();
}

double product_seconds(double flops, Index order) {
  const Index m = std::min<Index>(order, 512), threads = omp_get_max_threads(), repeats = std::max<Index>(1, 4096 / m);
  const std::vector<double> a(static_cast<std::size_t>(m * m), 0.7);
  std::vector<std::vector<double>> c(static_cast<std::size_t>(threads), a);
  const double seconds = seconds_of([&] {
#pragma omp parallel for schedule(static, 1)
    for (Index t = 0; t < threads; ++t)
      for (Index k = 0; k < repeats; ++k)
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(m), static_cast<int>(m),
                    static_cast<int>(m), 1.0, a.data(), static_cast<int>(m), a.data(), static_cast<int>(m), 0.0,
                    c[static_cast<std::size_t>(t)].data(), static_cast<int>(m));
  });
  const double size = static_cast<double>(m);
  return seconds * flops / (2 * size * size * size * static_cast<double>(threads * repeats));
}

}  // namespace widelab::bench
