#include "host/experiments/sharpness_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>
#include <utility>

#include "host/estimators/lanczos.hpp"
#include "host/estimators/spectral_density.hpp"
#include "host/experiments/loss_curvature.hpp"
#include "host/experiments/recipe_seeds.hpp"
#include "host/experiments/trained_losses.hpp"
#include "host/experiments/trained_members.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::experiments {
namespace {

constexpr Index kTraceProbes = 16;
constexpr double kLanczosTolerance = 1e-5;

bool homogeneous(const Activation& activation) {
  return visit(activation, [](const auto& phi) {
    return phi.value(2.0) == 2 * phi.value(1.0) && phi.value(-2.0) == 2 * phi.value(-1.0);
  });
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
  return sum;
}

double mean_batch_sharpness(const SharpnessCell& cell, runtime::Backend& backend,
                            const std::vector<double>& parameters) {
  const Index size = cell.training.spec.member(0).batch, n = cell.training.data.train.examples;
  const Index batches = std::min(cell.batches, n / size);
  double sum = 0;
  for (Index b = 0; b < batches; ++b) {
    estimators::CurvatureOperator hessian(backend, training_loss_at(cell.training, parameters, b * size, size),
                                          estimators::CurvatureMatrix::hessian);
    const std::vector<double>& g = hessian.gradient(0);
    std::vector<double> image(g.size());
    hessian.apply(0, 1, g.data(), image.data());
    sum += dot(g, image) / dot(g, g) / static_cast<double>(batches);
  }
  return sum;
}

/// Mean rise of the training loss along random directions of weights.
double mean_rise(const SharpnessCell& cell, runtime::Backend& backend, const std::vector<double>& parameters,
                 bool by_unit, std::uint32_t replicate) {
  const RandomDirections directions{cell.directions, cell.radius, by_unit,
                                    DrawId{cell.training.init_key, replicate}.stream(Stream::trace_probe, 1)};
  const std::vector<double> rises = loss_rises(cell.training, backend, parameters, directions);
  return std::accumulate(rises.begin(), rises.end(), 0.0) / static_cast<double>(rises.size());
}

/// tr H, and the sum over layers of |W_l|^2 tr H_l, from the same probes.
std::pair<double, double> traces(const SharpnessCell& cell, runtime::Backend& backend,
                                 const std::vector<double>& parameters, DrawId start) {
  const Network& network = cell.training.network();
  const ParamLayout layout(network.shape);
  double all = 0, relative = 0;
  for (Index l = 0; l < network.shape.layers(); ++l) {
    estimators::CurvatureProblem problem = training_loss_at(cell.training, parameters);
    const auto at = static_cast<std::size_t>(l), layers = static_cast<std::size_t>(network.shape.layers());
    problem.selection.weights.assign(layers, false);
    problem.selection.biases.assign(layers, false);
    problem.selection.weights[at] = true;
    estimators::CurvatureOperator hessian(backend, problem, estimators::CurvatureMatrix::hessian);
    if (hessian.dimension() == 0) continue;
    const double trace = estimators::hutchinson_trace(hessian.dimension(), hessian.of(0), kTraceProbes, start).value;
    double square = 0;
    for (Index t = layout.weight_offset[at]; t < layout.bias_offset[at]; ++t)
      square += parameters[static_cast<std::size_t>(t)] * parameters[static_cast<std::size_t>(t)];
    all += trace;
    relative += square * trace;
  }
  return {all, relative};
}

void describe(const SharpnessCell& cell, runtime::Backend& backend, std::uint32_t replicate,
              const std::vector<double>& parameters, Index steps, double* row) {
  const data::Dataset &train = cell.training.data.train, &test = cell.training.data.test;
  const std::vector<double> other = rescaled(cell.training.network(), parameters, cell.layer, cell.rescaling);
  const std::vector<double> on_train = outputs_of(cell.training, backend, parameters, train),
                            on_other = outputs_of(cell.training, backend, other, train);
  double change = 0, largest = 0;
  for (std::size_t k = 0; k < on_train.size(); ++k) {
    change = std::max(change, std::fabs(on_train[k] - on_other[k]));
    largest = std::max(largest, std::fabs(on_train[k]));
  }
  const auto number = [&](TrainedNumber which) -> double& { return row[cell.number(which)]; };
  number(TrainedNumber::steps) = static_cast<double>(steps);
  const std::vector<double> on_test = outputs_of(cell.training, backend, parameters, test);
  number(TrainedNumber::train_loss) = mean_loss(cell.training.train.rule.loss, on_train.data(), train);
  number(TrainedNumber::test_loss) = mean_loss(cell.training.train.rule.loss, on_test.data(), test);
  number(TrainedNumber::train_error) = error_rate(on_train.data(), train);
  number(TrainedNumber::test_error) = error_rate(on_test.data(), test);
  number(TrainedNumber::output_change) = change / largest;
  for (const std::size_t variant : {0, 1}) {
    const auto measures = flatness_measures(cell, backend, variant == 0 ? parameters : other, replicate);
    std::copy(measures.begin(), measures.end(), row + cell.flatness(variant, Flatness::sharpness));
  }
}

}  // namespace

std::vector<double> rescaled(const Network& network, std::vector<double> parameters, Index layer, double alpha) {
  const ParamLayout layout(network.shape);
  const auto at = static_cast<std::size_t>(layer);
  const Index end = layout.bias_offset[at] + network.shape.fan_out(layer);
  for (Index t = layout.weight_offset[at]; t < end; ++t) parameters[static_cast<std::size_t>(t)] *= alpha;
  for (Index t = layout.weight_offset[at + 1]; t < layout.bias_offset[at + 1]; ++t)
    parameters[static_cast<std::size_t>(t)] /= alpha;
  return parameters;
}

std::array<double, kFlatnessMeasures> flatness_measures(const SharpnessCell& cell, runtime::Backend& backend,
                                                        const std::vector<double>& parameters,
                                                        std::uint32_t replicate) {
  const DrawId start{cell.training.init_key, replicate};
  estimators::CurvatureOperator hessian(backend, training_loss_at(cell.training, parameters),
                                        estimators::CurvatureMatrix::hessian);
  estimators::LanczosOptions options;
  options.tolerance = kLanczosTolerance;
  options.start = start;
  std::array<double, kFlatnessMeasures> out{};
  const auto number = [&](Flatness which) -> double& { return out[static_cast<std::size_t>(which)]; };
  number(Flatness::sharpness) = estimators::lanczos(hessian.dimension(), hessian.of(0), options).largest.front().value;
  std::tie(number(Flatness::trace), number(Flatness::relative_trace)) = traces(cell, backend, parameters, start);
  number(Flatness::batch_sharpness) = mean_batch_sharpness(cell, backend, parameters);
  number(Flatness::random_directions) = mean_rise(cell, backend, parameters, false, replicate);
  number(Flatness::row_normalised) = mean_rise(cell, backend, parameters, true, replicate);
  return out;
}

std::vector<io::KeySpec> sharpness_keys() {
  const auto whole = [](const char* path, const char* value, const char* doc, double lo, double hi) {
    return io::make_key(path, io::KeyType::integer, value, doc, lo, hi);
  };
  return {io::make_key("sharpness.rescaling", io::KeyType::real, "2.0",
                       "alpha of the negative control: a layer times alpha, the next one over it.", 1e-3, 1e3),
          whole("sharpness.layer", "0", "The layer that is rescaled, from 0.", 0, 249),
          io::make_key("sharpness.radius", io::KeyType::real, "0.05",
                       "rho: length of random directions over the norm of the weights.", 1e-9, 10),
          whole("sharpness.directions", "20", "Random directions of a network.", 1, 1000),
          whole("sharpness.batches", "20", "Batches over which batch sharpness is averaged, at most.", 1, 1e6)};
}

SharpnessCell make_sharpness_cell(const RunSetup& setup, const io::Cell& at) {
  const io::Recipe recipe = io::at_cell(*setup.recipe, at);
  SharpnessCell cell;
  cell.training = make_training_cell(setup, at);
  require_training_set(recipe, cell.training);
  const MlpShape& shape = cell.training.network().shape;
  cell.layer = recipe.integer("sharpness.layer");
  if (cell.layer >= shape.depth())
    throw RecipeError(fmt::format("sharpness.layer = {}: from 0 to {}, a layer with another above it", cell.layer,
                                  shape.depth() - 1));
  if (!homogeneous(shape.activation) || shape.layer_norm || shape.residual != 0)
    throw RecipeError(
        "model.activation, model.layer_norm, model.residual: the negative control rescales layers, which leaves the "
        "function as it is for relu, leaky-relu, ab-relu and identity without LayerNorm and residual branches");
  if (cell.training.data.test.examples == 0)
    throw RecipeError("data.test_examples = 0: flatness is held beside the test error; set at least 1");
  cell.rescaling = recipe.real("sharpness.rescaling");
  cell.radius = recipe.real("sharpness.radius");
  cell.directions = recipe.integer("sharpness.directions");
  cell.batches = recipe.integer("sharpness.batches");
  cell.fingerprint = cell.training.spec.identity;
  return cell;
}

SampleTask sharpness_task(const SharpnessCell& cell, runtime::Backend& backend) {
  return trained_task(cell, 4, [&backend](const SharpnessCell& own, Index first, Index count, double* rows) {
    train_members(
        own.training, backend, first, count, [&](Index m, const std::vector<double>& parameters, Index steps) {
          describe(own, backend, static_cast<std::uint32_t>(first + m), parameters, steps, rows + m * own.numbers());
        });
  });
}

CellPlan plan_sharpness_cell(const SharpnessCell& cell, const std::string& name) {
  const auto size = static_cast<double>(ParamLayout(cell.training.network().shape).size);
  CellPlan plan = plan_training_rows(cell.training, name, cell.numbers(),
                                     8 * size * static_cast<double>(110 + 2 * cell.directions));
  return plan;
}

}  // namespace widelab::experiments
