#include "host/estimators/gradient_noise.hpp"

#include <cmath>
#include <limits>
#include <numeric>

#include "host/estimators/spectra.hpp"
#include "widelab/base/contract.hpp"

namespace widelab::estimators {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double at(std::span<const double> gram, Index n, Index i, Index j) { return gram[static_cast<std::size_t>(i * n + j)]; }

/// (1/N) sum_j G_ij, row by row.
std::vector<double> row_means(std::span<const double> gram, Index n) {
  std::vector<double> means(static_cast<std::size_t>(n), 0.0);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) means[static_cast<std::size_t>(i)] += at(gram, n, i, j) / static_cast<double>(n);
  return means;
}

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// visit(entry) for all of J G J / N, row by row.
template <class Visit>
void visit_centred(std::span<const double> gram, Index n, const Visit& visit) {
  const std::vector<double> rows = row_means(gram, n);
  const double all = mean(rows);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j)
      visit((at(gram, n, i, j) - rows[static_cast<std::size_t>(i)] - rows[static_cast<std::size_t>(j)] + all) /
            static_cast<double>(n));
}

/// A ratio of means over pairs, with the jackknife's bias correction and error.
Estimate ratio(const std::vector<double>& numerators, const std::vector<double>& denominators) {
  const auto n = static_cast<double>(numerators.size());
  const double a = n * mean(numerators), b = n * mean(denominators), whole = a / b;
  std::vector<double> without;
  for (std::size_t k = 0; k < numerators.size(); ++k) without.push_back((a - numerators[k]) / (b - denominators[k]));
  const double centre = mean(without);
  double spread = 0;
  for (const double w : without) spread += (w - centre) * (w - centre);
  return {n * whole - (n - 1) * centre, std::sqrt((n - 1) / n * spread), n};
}

Estimate mean_estimate(const std::vector<double>& values) {
  return ratio(values, std::vector<double>(values.size(), 1.0));
}

}  // namespace

double GradientNoise::participation() const { return trace_of_square > 0 ? trace * trace / trace_of_square : 0; }
double GradientNoise::noise_scale() const { return trace / gradient_square; }

GradientNoise gradient_noise(std::span<const double> gram, Index n) {
  WIDELAB_REQUIRE(n >= 1 && static_cast<Index>(gram.size()) == n * n, "a Gram matrix is n x n numbers");
  GradientNoise out;
  out.gradient_square = mean(row_means(gram, n));
  Index entry = 0;
  visit_centred(gram, n, [&](double c) {
    if (entry++ % (n + 1) == 0) out.trace += c;
    out.trace_of_square += c * c;
  });
  return out;
}

std::vector<double> noise_spectrum(std::span<const double> gram, Index n) {
  WIDELAB_REQUIRE(n >= 1 && static_cast<Index>(gram.size()) == n * n, "a Gram matrix is n x n numbers");
  std::vector<double> covariance;
  covariance.reserve(gram.size());
  visit_centred(gram, n, [&](double c) { covariance.push_back(c); });
  return symmetric_eigenvalues(covariance, n);
}

KindAlignment kind_alignment(std::span<const double> gram, const std::vector<bool>& second_kind) {
  const auto n = static_cast<Index>(second_kind.size());
  WIDELAB_REQUIRE(static_cast<Index>(gram.size()) == n * n, "a Gram matrix is n x n numbers");
  // <sum of kind a, sum of kind b>: counts cancel in the cosine and are wanted in the strength.
  double products[2][2] = {{0, 0}, {0, 0}};
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j)
      products[second_kind[static_cast<std::size_t>(i)] ? 1 : 0][second_kind[static_cast<std::size_t>(j)] ? 1 : 0] +=
          at(gram, n, i, j);
  if (!(products[0][0] > 0) || !(products[1][1] > 0)) return {kNaN, kNaN};
  return {products[0][1] / std::sqrt(products[0][0] * products[1][1]), std::sqrt(products[1][1] / products[0][0])};
}

BatchAlignment batch_alignment(std::span<const double> gram, Index n, Index batch) {
  WIDELAB_REQUIRE(batch >= 1 && static_cast<Index>(gram.size()) == n * n, "a Gram matrix is n x n numbers");
  const Index batches = n / batch;
  if (batches < 2) return {kNaN, kNaN};
  std::vector<double> products(static_cast<std::size_t>(batches * batches), 0.0);
  const double scale = 1.0 / static_cast<double>(batch * batch);
  for (Index i = 0; i < batches * batch; ++i)
    for (Index j = 0; j < batches * batch; ++j)
      products[static_cast<std::size_t>(i / batch * batches + j / batch)] += scale * at(gram, n, i, j);
  BatchAlignment out;
  const auto count = static_cast<double>(batches);
  for (Index a = 0; a < batches; ++a) {
    const double norm = std::sqrt(at(products, batches, a, a));
    out.amplitude += norm / count;
    for (Index b = 0; b < a; ++b)
      out.cosine +=
          at(products, batches, a, b) / (norm * std::sqrt(at(products, batches, b, b))) / (count * (count - 1) / 2);
  }
  if (!std::isfinite(out.cosine)) return {kNaN, kNaN};
  return out;
}

BatchNoise batch_noise(const BatchSquares& small, const BatchSquares& large) {
  WIDELAB_REQUIRE(small.batch >= 1 && small.batch < large.batch, "the large batch is larger than the small one");
  WIDELAB_REQUIRE(small.squares.size() == large.squares.size() && small.squares.size() >= 2,
                  "pairs of batches: two lists of one length, at least 2");
  const auto a = static_cast<double>(small.batch), b = static_cast<double>(large.batch);
  std::vector<double> squares, traces;
  for (std::size_t k = 0; k < small.squares.size(); ++k) {
    squares.push_back((b * large.squares[k] - a * small.squares[k]) / (b - a));
    traces.push_back((small.squares[k] - large.squares[k]) / (1 / a - 1 / b));
  }
  return {mean_estimate(squares), mean_estimate(traces), ratio(traces, squares)};
}

}  // namespace widelab::estimators
