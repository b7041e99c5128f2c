#include "host/theory/quadratic_samples.hpp"

#include <lapacke.h>

#include <numeric>

#include "widelab/base/contract.hpp"

namespace widelab::theory {
namespace {

/// Mean of N rows.
std::vector<double> row_mean(const std::vector<double>& rows, Index count) {
  std::vector<double> mean(rows.size() / static_cast<std::size_t>(count));
  for (std::size_t e = 0; e < rows.size(); ++e) mean[e % mean.size()] += rows[e] / static_cast<double>(count);
  return mean;
}

}  // namespace

QuadraticSamples regression_samples(MatrixView<const double> inputs, const std::vector<double>& targets,
                                    double weight_decay, const std::vector<double>& origin) {
  const auto n = static_cast<std::size_t>(inputs.rows), d = static_cast<std::size_t>(inputs.cols);
  WIDELAB_REQUIRE(targets.size() == n && origin.size() == d, "inputs, targets and origin do not fit");
  QuadraticSamples samples{inputs.rows, inputs.cols, {}, {}};
  for (Index k = 0; k < inputs.rows; ++k) {
    const double* x = inputs.row(k);
    const double error = std::inner_product(x, x + d, origin.begin(), 0.0) - targets[static_cast<std::size_t>(k)];
    for (std::size_t i = 0; i < d; ++i) {
      samples.gradients.push_back(error * x[i] + weight_decay * origin[i]);
      for (std::size_t j = 0; j < d; ++j) samples.curvatures.push_back(x[i] * x[j] + (i == j ? weight_decay : 0.0));
    }
  }
  return samples;
}

QuadraticSamples with_mean_curvature(QuadraticSamples samples) {
  const std::vector<double> mean = row_mean(samples.curvatures, samples.examples);
  for (std::size_t e = 0; e < samples.curvatures.size(); ++e) samples.curvatures[e] = mean[e % mean.size()];
  return samples;
}

std::vector<double> epoch_bias(const QuadraticSamples& samples, double rate, Index batch) {
  const auto d = static_cast<std::size_t>(samples.dim);
  const auto n = static_cast<double>(samples.examples), b = static_cast<double>(batch);
  WIDELAB_REQUIRE(samples.examples >= 2 && batch >= 1, "an epoch needs examples");
  std::vector<double> bias(d), curvature = row_mean(samples.curvatures, samples.examples);
  const double factor = -rate / (2.0 * b) * (n - b) / (n - 1.0) / n;
  for (std::size_t k = 0; k < static_cast<std::size_t>(samples.examples); ++k)
    for (std::size_t i = 0; i < d; ++i)
      bias[i] += factor * std::inner_product(samples.gradients.data() + k * d, samples.gradients.data() + (k + 1) * d,
                                             samples.curvatures.data() + (k * d + i) * d, 0.0);
  std::vector<lapack_int> pivots(d);
  const auto order = static_cast<lapack_int>(d);
  if (LAPACKE_dgesv(LAPACK_ROW_MAJOR, order, 1, curvature.data(), order, pivots.data(), bias.data(), 1) != 0)
    throw RecipeError("the mean curvature is singular, so that nothing fixes the mean at epoch boundaries");
  return bias;
}

}  // namespace widelab::theory
