#include "host/estimators/flatness.hpp"

#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/runtime/backend.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::estimators {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr Index kTile = 256;      // examples at once
constexpr int kMostSecants = 40;  // then the bracket is halved

/// rows x units = factor h W^T, W units x fan_in.
std::vector<double> product(Index rows, Index units, Index fan_in, double factor, const double* h, const double* w) {
  std::vector<double> out(static_cast<std::size_t>(rows * units));
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(rows), static_cast<int>(units),
              static_cast<int>(fan_in), factor, h, static_cast<int>(fan_in), w, static_cast<int>(fan_in), 0.0,
              out.data(), static_cast<int>(units));
  return out;
}

}  // namespace

LayerLoss::LayerLoss(const LayerLossProblem& problem) : problem_(problem) {
  const MlpShape& shape = problem.network->shape;
  WIDELAB_REQUIRE(problem.layer >= 1 && problem.layer < shape.layers(), "a network has no such layer");
  WIDELAB_REQUIRE(!shape.layer_norm && shape.residual == 0, "a layer's loss is that of plain layers");
  WIDELAB_REQUIRE(problem.features.cols == shape.fan_in(problem.layer) && problem.features.rows >= 1 &&
                      problem.features.stride == problem.features.cols,
                  "features do not fit the layer");
  runtime::fix_blas_threads();
  pre_activation_.assign(problem.features.data, problem.features.data + problem.features.size());
  affine(problem.layer, problem.features.rows, true, pre_activation_);
  loss_ = loss_at(Vector(pre_activation_.size(), 0.0), 0);
}

/// h <- m W h (+ bias) of that layer.
void LayerLoss::affine(Index layer, Index rows, bool with_bias, Vector& h) const {
  const MlpShape& shape = problem_.network->shape;
  const LayerScale& scale = problem_.network->layers[static_cast<std::size_t>(layer)];
  const ParamLayout layout(shape);
  const Index n = shape.fan_out(layer);
  h = product(rows, n, shape.fan_in(layer), scale.weight_multiplier, h.data(),
              problem_.parameters + layout.weight_offset[static_cast<std::size_t>(layer)]);
  if (!with_bias || scale.bias_multiplier == 0) return;
  const double* bias = problem_.parameters + layout.bias_offset[static_cast<std::size_t>(layer)];
  for (Index i = 0; i < rows * n; ++i) h[static_cast<std::size_t>(i)] += scale.bias_multiplier * bias[i % n];
}

/// Outputs from the layer's pre-activations z (rows x fan_out), and the image J t of a tangent t of them.
void LayerLoss::finish(Index rows, Vector& z, Vector* tangent) const {
  const MlpShape& shape = problem_.network->shape;
  for (Index l = problem_.layer; l < shape.depth(); ++l) {
    const Index n = shape.fan_out(l);
    const float* s = shape.multipliers(l);
    visit(shape.activation, [&](const auto& phi) {
      for (std::size_t i = 0; tangent && i < z.size(); ++i) (*tangent)[i] *= phi.first(z[i]);
      for (double& x : z) x = phi.value(x);
    });
    for (std::size_t i = 0; s && i < z.size(); ++i) {
      const auto scale = static_cast<double>(s[static_cast<Index>(i) % n]);
      z[i] *= scale;
      if (tangent) (*tangent)[i] *= scale;
    }
    affine(l + 1, rows, true, z);
    if (tangent) affine(l + 1, rows, false, *tangent);
  }
}

double LayerLoss::loss_at(const Vector& change, double x) const {
  const MlpShape& shape = problem_.network->shape;
  const Index n = shape.fan_out(problem_.layer), examples = problem_.features.rows, k = shape.outputs;
  double sum = 0;
  for (Index first = 0; first < examples; first += kTile) {
    const Index rows = std::min(kTile, examples - first);
    Vector z(static_cast<std::size_t>(rows * n));
    for (std::size_t i = 0; i < z.size(); ++i) {
      const std::size_t at = static_cast<std::size_t>(first * n) + i;
      z[i] = pre_activation_[at] + x * change[at];
    }
    finish(rows, z, nullptr);
    for (Index i = 0; i < rows; ++i)
      sum += loss_value(problem_.loss, z.data() + i * k, problem_.targets + (first + i) * k, k);
  }
  return sum / static_cast<double>(examples);
}

/// d: N x fan_out.
std::vector<double> LayerLoss::pre_activation_change(const double* direction) const {
  const MlpShape& shape = problem_.network->shape;
  return product(problem_.features.rows, shape.fan_out(problem_.layer), shape.fan_in(problem_.layer),
                 problem_.network->layers[static_cast<std::size_t>(problem_.layer)].weight_multiplier,
                 problem_.features.data, direction);
}

LayerLine LayerLoss::slopes_along(const Vector& change) const {
  const MlpShape& shape = problem_.network->shape;
  const Index n = shape.fan_out(problem_.layer), examples = problem_.features.rows, k = shape.outputs;
  const auto count = static_cast<double>(examples);
  LayerLine out;
  double squares = 0;
  Vector slope(static_cast<std::size_t>(k)), curved(static_cast<std::size_t>(k));
  for (Index first = 0; first < examples; first += kTile) {
    const Index rows = std::min(kTile, examples - first);
    Vector z(pre_activation_.begin() + first * n, pre_activation_.begin() + (first + rows) * n),
        u(change.begin() + first * n, change.begin() + (first + rows) * n);
    finish(rows, z, &u);
    for (Index i = 0; i < rows; ++i) {
      const double *f = z.data() + i * k, *y = problem_.targets + (first + i) * k, *along = u.data() + i * k;
      loss_slope(problem_.loss, f, y, k, Index{1}, slope.data());
      loss_curvature(problem_.loss, f, y, k, Index{1}, along, curved.data());
      double g = 0;
      for (Index o = 0; o < k; ++o) {
        g += slope[static_cast<std::size_t>(o)] * along[o];
        out.curvature += curved[static_cast<std::size_t>(o)] * along[o] / count;
      }
      out.gradient += g / count;
      squares += g * g / count;
    }
  }
  out.noise = squares - out.gradient * out.gradient;
  out.left = out.right = kNaN;
  return out;
}

/// The x > 0 with ln(L(W + sign x P) / L(W)) = 1: the bracket doubles, then secants that never keep the same end twice
/// at full weight (the Illinois method).
double LayerLoss::end(const Vector& change, double sign, double guess, const WidthSearch& search) const {
  const auto rise = [&](double x) { return std::log(loss_at(change, sign * x) / loss_) - 1; };
  double low = 0, at_low = -1, high = std::min(guess, search.farthest), at_high = rise(high);
  while (at_high < 0 && high < search.farthest) {
    low = high;
    at_low = at_high;
    high = std::min(2 * high, search.farthest);
    at_high = rise(high);
  }
  if (!(at_high >= 0)) return kNaN;
  int last = 0;
  for (int step = 0; high - low > search.tolerance * high; ++step) {
    double x = (low * at_high - high * at_low) / (at_high - at_low);
    if (!(x > low && x < high) || step > kMostSecants) x = low + (high - low) / 2;
    const double here = rise(x);
    if (std::fabs(here) <= search.tolerance) return x;
    if (here >= 0) {
      high = x;
      at_high = here;
      if (last > 0) at_low /= 2;
      last = 1;
    } else {
      low = x;
      at_low = here;
      if (last < 0) at_high /= 2;
      last = -1;
    }
  }
  return low + (high - low) / 2;
}

std::vector<LayerLine> LayerLoss::slopes(const std::vector<double>& directions) const {
  const MlpShape& shape = problem_.network->shape;
  const Index size = shape.fan_in(problem_.layer) * shape.fan_out(problem_.layer);
  const Index count = static_cast<Index>(directions.size()) / size;
  WIDELAB_REQUIRE(count * size == static_cast<Index>(directions.size()), "directions do not fit the layer");
  std::vector<LayerLine> out(static_cast<std::size_t>(count));
#pragma omp parallel for schedule(dynamic, 1)
  for (Index i = 0; i < count; ++i)
    out[static_cast<std::size_t>(i)] = slopes_along(pre_activation_change(directions.data() + i * size));
  return out;
}

std::vector<LayerLine> LayerLoss::lines(const std::vector<double>& directions, const WidthSearch& search) const {
  const MlpShape& shape = problem_.network->shape;
  const Index size = shape.fan_in(problem_.layer) * shape.fan_out(problem_.layer);
  std::vector<LayerLine> out = slopes(directions);
  if (!(loss_ > 0)) return out;
#pragma omp parallel for schedule(dynamic, 1)
  for (Index i = 0; i < static_cast<Index>(out.size()); ++i) {
    LayerLine& line = out[static_cast<std::size_t>(i)];
    const Vector change = pre_activation_change(directions.data() + i * size);
    // Profiles of classifiers rise faster than their parabola, so that its end is a little too far.
    const double guess = line.curvature > 0 ? 0.6 * std::sqrt(2 * (std::exp(1.0) - 1) * loss_ / line.curvature) : 1;
    line.left = -end(change, -1, guess, search);
    line.right = end(change, 1, guess, search);
  }
  return out;
}

}  // namespace widelab::estimators
