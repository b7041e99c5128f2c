#include "host/experiments/duality_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "host/estimators/power_fit.hpp"
#include "host/experiments/layer_features.hpp"
#include "host/experiments/loss_curvature.hpp"
#include "host/experiments/trained_members.hpp"
#include "host/theory/eigenbasis.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr Index kMostParameters = 4096;  // of the layer, whose Hessian is dense
constexpr Index kVectorsAtOnce = 64;

/// Network and data seen from one layer.
class LayerView {
 public:
  LayerView(const DualityCell& cell, const std::vector<double>& parameters)
      : network_(cell.training.network()), layout_(network_.shape), layer_(cell.layer), parameters_(parameters) {}

  Index in() const { return network_.shape.fan_in(layer_); }
  Index out() const { return network_.shape.fan_out(layer_); }
  const double* weights() const { return weights_of(layer_); }
  const double* weights_of(Index l) const {
    return parameters_.data() + layout_.weight_offset[static_cast<std::size_t>(l)];
  }

  /// Outputs from the layer's input a, with `change` (out x in) added to its weights, or null.
  std::vector<double> outputs(const double* a, const double* change) const {
    std::vector<double> h(a, a + in());
    for (Index l = layer_; l <= network_.shape.depth(); ++l) {
      h = affine(l, h, l == layer_ ? change : nullptr);
      if (l < network_.shape.depth()) activate(l, h);
    }
    return h;
  }

 private:
  std::vector<double> affine(Index l, const std::vector<double>& h, const double* change) const {
    const LayerScale& scale = network_.layers[static_cast<std::size_t>(l)];
    const Index rows = network_.shape.fan_out(l), cols = network_.shape.fan_in(l);
    const double *w = weights_of(l), *b = parameters_.data() + layout_.bias_offset[static_cast<std::size_t>(l)];
    std::vector<double> z;
    for (Index i = 0; i < rows; ++i) {
      double sum = 0;
      for (Index j = 0; j < cols; ++j)
        sum += (w[i * cols + j] + (change ? change[i * cols + j] : 0.0)) * h[static_cast<std::size_t>(j)];
      z.push_back(scale.weight_multiplier * sum + scale.bias_multiplier * b[i]);
    }
    return z;
  }

  void activate(Index l, std::vector<double>& z) const {
    const float* s = network_.shape.multipliers(l);
    visit(network_.shape.activation, [&](const auto& phi) {
      for (std::size_t i = 0; i < z.size(); ++i) z[i] = (s ? static_cast<double>(s[i]) : 1.0) * phi.value(z[i]);
    });
  }

  const Network& network_;
  ParamLayout layout_;
  Index layer_;
  const std::vector<double>& parameters_;
};

Index label_of(const data::Dataset& set, Index i) {
  const double* y = set.targets.data() + i * set.outputs;
  return std::max_element(y, y + set.outputs) - y;
}

/// The nearest training example of the same label; -1 where the label has none.
Index nearest_partner(const data::Dataset& train, const data::Dataset& test, Index k) {
  const double* x = test.inputs.data() + k * test.dimension;
  const Index label = label_of(test, k);
  Index best = -1;
  double least = 0;
  for (Index i = 0; i < train.examples; ++i) {
    if (label_of(train, i) != label) continue;
    const double* other = train.inputs.data() + i * train.dimension;
    double distance = 0;
    for (Index j = 0; j < train.dimension; ++j) distance += (x[j] - other[j]) * (x[j] - other[j]);
    if (best < 0 || distance < least) best = i, least = distance;
  }
  return best;
}

/// dW_k (rows of pairs x out in) and dl_k, with the largest error of the identity.
struct Pairs {
  std::vector<double> changes, differences;
  double identity_error = 0;
};

Pairs make_pairs(const DualityCell& cell, const LayerView& view, const std::vector<double>& parameters) {
  const data::Dataset &train = cell.training.data.train, &test = cell.training.data.test;
  const Network& network = cell.training.network();
  const std::vector<double> from = layer_features(network, parameters, cell.layer, train.input_view()),
                            to = layer_features(network, parameters, cell.layer, test.input_view());
  const LossKind loss = cell.training.train.rule.loss;
  const Index in = view.in(), out = view.out(), outputs = test.outputs;
  Pairs pairs;
  for (Index k = 0; k < test.examples; ++k) {
    const Index partner = nearest_partner(train, test, k);
    if (partner < 0) continue;
    const double *a = from.data() + partner * in, *b = to.data() + k * in;
    double square = 0;
    for (Index j = 0; j < in; ++j) square += a[j] * a[j];
    if (square == 0) continue;  // nothing enters the layer: no change of its weights does anything
    std::vector<double> change(static_cast<std::size_t>(in * out));
    for (Index i = 0; i < out; ++i) {
      double along = 0;
      for (Index j = 0; j < in; ++j) along += view.weights()[i * in + j] * (b[j] - a[j]);
      for (Index j = 0; j < in; ++j) change[static_cast<std::size_t>(i * in + j)] = along * a[j] / square;
    }
    const double* y = test.targets.data() + k * outputs;
    const auto loss_of = [&](const std::vector<double>& f) { return loss_value(loss, f.data(), y, outputs); };
    const double there = loss_of(view.outputs(b, nullptr)), here = loss_of(view.outputs(a, nullptr));
    pairs.identity_error = std::max(pairs.identity_error, std::fabs(there - loss_of(view.outputs(a, change.data()))));
    pairs.differences.push_back(there - here);
    pairs.changes.insert(pairs.changes.end(), change.begin(), change.end());
  }
  return pairs;
}

/// The layer's Hessian of the mean training loss, and its eigenvectors.
theory::Eigenbasis layer_hessian(const DualityCell& cell, runtime::Backend& backend,
                                 const std::vector<double>& parameters) {
  estimators::CurvatureProblem problem = training_loss_at(cell.training, parameters);
  const auto layers = static_cast<std::size_t>(problem.network->shape.layers());
  problem.selection.biases.assign(layers, false);
  problem.selection.weights.assign(layers, false);
  problem.selection.weights[static_cast<std::size_t>(cell.layer)] = true;
  estimators::CurvatureOperator hessian(backend, problem, estimators::CurvatureMatrix::hessian);
  const Index d = hessian.dimension();
  std::vector<double> matrix(static_cast<std::size_t>(d * d));
  for (Index first = 0; first < d; first += kVectorsAtOnce) {
    const Index count = std::min(kVectorsAtOnce, d - first);
    std::vector<double> units(static_cast<std::size_t>(count * d), 0.0);
    for (Index k = 0; k < count; ++k) units[static_cast<std::size_t>(k * d + first + k)] = 1;
    hessian.apply(0, count, units.data(), matrix.data() + first * d);
  }
  return theory::Eigenbasis(matrix_view<const double>(matrix.data(), d, d));
}

/// The split of the gap along one direction.
struct Direction {
  double curvature = 0, sharpness = 0, size = 0, correlation = 0, product = 0;  ///< product = <g w>
};

Direction split_along(const std::vector<double>& w, const std::vector<double>& factor, std::size_t pairs,
                      std::size_t columns, std::size_t n) {
  double mg = 0, mw = 0, gg = 0, ww = 0, gw = 0;
  const auto count = static_cast<double>(pairs);
  for (std::size_t k = 0; k < pairs; ++k) {
    const double size = w[k * columns + n], g = factor[k] * size;
    mg += g / count, mw += size / count;
    gg += g * g / count, ww += size * size / count, gw += g * size / count;
  }
  Direction out;
  out.sharpness = std::sqrt(std::max(0.0, gg - mg * mg));
  out.size = std::sqrt(std::max(0.0, ww - mw * mw));
  const double scale = out.sharpness * out.size;
  out.correlation = scale > 0 ? (gw - mg * mw) / scale : 0;
  out.product = gw;
  return out;
}

/// Losses of the whole sets, mean over examples.
double mean_loss(const DualityCell& cell, const LayerView& view, const std::vector<double>& parameters,
                 const data::Dataset& set) {
  const std::vector<double> a = layer_features(cell.training.network(), parameters, cell.layer, set.input_view());
  double sum = 0;
  for (Index i = 0; i < set.examples; ++i)
    sum += loss_value(cell.training.train.rule.loss, view.outputs(a.data() + i * view.in(), nullptr).data(),
                      set.targets.data() + i * set.outputs, set.outputs);
  return sum / static_cast<double>(set.examples);
}

}  // namespace

std::vector<double> duality_row(const DualityCell& cell, runtime::Backend& backend,
                                const std::vector<double>& parameters, Index steps) {
  const LayerView view(cell, parameters);
  const Pairs pairs = make_pairs(cell, view, parameters);
  const theory::Eigenbasis basis = layer_hessian(cell, backend, parameters);
  const std::size_t columns = basis.values().size(), count = pairs.differences.size();
  std::vector<double> row(static_cast<std::size_t>(cell.numbers()), kNaN);
  const auto number = [&](DualityNumber which) -> double& { return row[static_cast<std::size_t>(cell.number(which))]; };
  number(DualityNumber::steps) = static_cast<double>(steps);
  number(DualityNumber::train_loss) = mean_loss(cell, view, parameters, cell.training.data.train);
  number(DualityNumber::test_loss) = mean_loss(cell, view, parameters, cell.training.data.test);
  double square = 0;
  for (Index k = 0; k < view.in() * view.out(); ++k) square += view.weights()[k] * view.weights()[k];
  number(DualityNumber::weight_norm) = std::sqrt(square);
  if (count == 0) return row;

  const std::vector<double> w = basis.rows_into(
      matrix_view<const double>(pairs.changes.data(), static_cast<Index>(count), static_cast<Index>(columns)));
  std::vector<double> factor(count, 0.0);  // g_k = factor dW_k
  double gap = 0;
  for (std::size_t k = 0; k < count; ++k) {
    double norm = 0;
    for (std::size_t n = 0; n < columns; ++n) norm += w[k * columns + n] * w[k * columns + n];
    if (norm > 0) factor[k] = pairs.differences[k] / norm;
    gap += pairs.differences[k] / static_cast<double>(count);
  }
  number(DualityNumber::gap) = gap;
  number(DualityNumber::identity_error) = pairs.identity_error;
  double all = 0, factors = 0, correlations = 0;
  std::vector<double> curvature, sharpness, size;
  for (std::size_t n = 0; n < columns; ++n) {
    const std::size_t at = columns - 1 - n;  // eigenvalues ascend
    Direction one = split_along(w, factor, count, columns, at);
    one.curvature = basis.values()[at];
    all += one.product;
    factors += one.correlation * one.sharpness * one.size;
    if (n + 1 == 10) number(DualityNumber::share_10) = all / gap;
    if (n + 1 == 50) number(DualityNumber::share_50) = all / gap;
    if (n + 1 == 200) number(DualityNumber::share_200) = all / gap;
    if (static_cast<Index>(n) >= cell.shown) continue;
    const double values[] = {one.curvature, one.sharpness, one.size, one.correlation,
                             one.correlation * one.sharpness * one.size};
    std::copy(std::begin(values), std::end(values),
              row.begin() + cell.direction(static_cast<Index>(n), DirectionNumber::curvature));
    curvature.push_back(one.curvature), sharpness.push_back(one.sharpness), size.push_back(one.size);
    correlations += one.correlation / static_cast<double>(cell.shown);
  }
  number(DualityNumber::factors) = factors;
  number(DualityNumber::split_error) = std::fabs(all - gap);
  number(DualityNumber::sharpness_exponent) = estimators::log_slope(curvature, sharpness);
  number(DualityNumber::size_exponent) = estimators::log_slope(curvature, size);
  number(DualityNumber::mean_correlation) = correlations;
  return row;
}

std::vector<io::KeySpec> duality_keys() {
  return {
      io::make_key("duality.layer", io::KeyType::integer, "1",
                   "The layer whose weights change, from 0 = that of the inputs; L = the readout.", 1, 250),
      io::make_key("duality.directions", io::KeyType::integer, "100",
                   "Leading eigenvectors of the layer's Hessian that are reported, and that exponents are fitted to.",
                   2, static_cast<double>(kMostParameters))};
}

DualityCell make_duality_cell(const RunSetup& setup, const io::Cell& at) {
  const io::Recipe recipe = io::at_cell(*setup.recipe, at);
  DualityCell cell;
  cell.training = make_training_cell(setup, at);
  require_training_set(recipe, cell.training);
  const MlpShape& shape = cell.training.network().shape;
  cell.layer = recipe.integer("duality.layer");
  if (cell.layer > shape.depth())
    throw RecipeError(fmt::format("duality.layer = {}: from 1 to {}, the readout", cell.layer, shape.depth()));
  if (shape.layer_norm || shape.residual != 0)
    throw RecipeError("model.layer_norm, model.residual: the duality is that of plain layers; set them to false and 0");
  if (!(cell.training.network().layers[static_cast<std::size_t>(cell.layer)].weight_rate > 0))
    throw RecipeError(fmt::format("model.train_layers: layer {} of duality.layer is not trained", cell.layer));
  if (recipe.text("data.target.kind") != "classes")
    throw RecipeError(fmt::format("data.target.kind = \"{}\": examples are paired within their class; take \"classes\"",
                                  recipe.text("data.target.kind")));
  if (cell.training.data.test.examples < 2)
    throw RecipeError(fmt::format("data.test_examples = {}: each is half of a pair; set at least 2",
                                  cell.training.data.test.examples));
  const Index size = shape.fan_in(cell.layer) * shape.fan_out(cell.layer);
  if (size > kMostParameters)
    throw RecipeError(fmt::format("duality.layer = {}: it has {} weights, at most {}, whose Hessian is a dense matrix",
                                  cell.layer, size, kMostParameters));
  cell.shown = std::min<Index>(recipe.integer("duality.directions"), size);
  cell.fingerprint = cell.training.spec.identity;
  return cell;
}

SampleTask duality_task(const DualityCell& cell, runtime::Backend& backend) {
  return trained_task(cell, 4, [&backend](const DualityCell& own, Index first, Index count, double* rows) {
    train_members(own.training, backend, first, count,
                  [&](Index m, const std::vector<double>& parameters, Index steps) {
                    const std::vector<double> row = duality_row(own, backend, parameters, steps);
                    std::copy(row.begin(), row.end(), rows + m * own.numbers());
                  });
  });
}

CellPlan plan_duality_cell(const DualityCell& cell, const std::string& name) {
  const MlpShape& shape = cell.training.network().shape;
  const auto size = static_cast<double>(shape.fan_in(cell.layer) * shape.fan_out(cell.layer));
  const auto pairs = static_cast<double>(cell.training.data.test.examples);
  CellPlan plan = plan_training_rows(cell.training, name, cell.numbers(), 8 * (3 * size * size + 2 * pairs * size));
  const auto networks = static_cast<double>(cell.training.spec.replicates);
  // The Hessian's columns, about six products a layer each, and its eigenvectors.
  plan.flops += networks * (size * 12 * static_cast<double>(ParamLayout(shape).size) *
                                static_cast<double>(cell.training.data.train.examples) +
                            10 * size * size * size);
  return plan;
}

}  // namespace widelab::experiments
