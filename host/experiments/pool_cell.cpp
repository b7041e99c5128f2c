#include "host/experiments/pool_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "host/experiments/curve_sizes.hpp"
#include "host/experiments/recipe_model.hpp"
#include "host/experiments/recipe_seeds.hpp"
#include "host/experiments/recipe_target.hpp"
#include "host/theory/empirical_spectrum.hpp"
#include "host/theory/infinite_width.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/math/losses.hpp"
#include "widelab/rng/distributions.hpp"

namespace widelab::experiments {
namespace {

constexpr double kSegmentFlops = 2e10;  // between two looks at Ctrl-C, some seconds

/// Numbers of the pool's examples in a replicate's training set.
std::vector<Index> drawn_examples(const PoolCell& cell, std::uint32_t replicate) {
  const StreamId id = DrawId{cell.data_key, replicate}.stream(Stream::pool_choice);
  std::vector<Index> rows;
  for (Index i = 0; i < cell.examples; ++i)
    rows.push_back(uniform_index_at(id, 0, static_cast<std::uint32_t>(i), cell.pool.examples));
  return rows;
}

std::vector<double> rows_of(const std::vector<double>& matrix, Index columns, const std::vector<Index>& rows) {
  std::vector<double> out;
  for (const Index row : rows)
    out.insert(out.end(), matrix.begin() + row * columns, matrix.begin() + (row + 1) * columns);
  return out;
}

/// Outputs of one replicate's curve.
struct Curve {
  std::vector<double> predictions, residuals;  ///< sizes x M x k, sizes x k x k
  std::vector<RidgeReport> reports;
};

template <class Problem>
Curve solved(const PoolCell& cell, const std::vector<double>& targets, Problem& problem,
             const std::function<void(const Problem&)>& solve) {
  Curve curve;
  const auto sizes = static_cast<std::size_t>(cell.sizes.size()), outputs = static_cast<std::size_t>(cell.pool.outputs);
  curve.predictions.resize(sizes * static_cast<std::size_t>(cell.pool.examples) * outputs);
  curve.residuals.resize(sizes * outputs * outputs);
  curve.reports.resize(sizes);
  problem.members = 1;
  problem.examples = cell.examples;
  problem.targets_per_example = cell.pool.outputs;
  problem.targets = targets.data();
  problem.sizes = cell.sizes;
  problem.filters = {{SpectralFilter::Kind::ridge, cell.ridge}};
  problem.test_examples = cell.pool.examples;
  problem.predictions = curve.predictions.data();
  problem.residuals = curve.residuals.data();
  problem.reports = curve.reports.data();
  problem.limits = cell.limits;
  solve(problem);
  return curve;
}

Curve kernel_curve(const PoolCell& cell, const CurveSolver& solver, const std::vector<double>& kernel,
                   const std::vector<Index>& rows) {
  const Index n = cell.examples, pool = cell.pool.examples;
  std::vector<double> own(static_cast<std::size_t>(n * n)), cross(static_cast<std::size_t>(pool * n));
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j)
      own[static_cast<std::size_t>(i * n + j)] = kernel[static_cast<std::size_t>(
          rows[static_cast<std::size_t>(i)] * pool + rows[static_cast<std::size_t>(j)])];
#pragma omp parallel for schedule(static)
  for (Index m = 0; m < pool; ++m)
    for (Index j = 0; j < n; ++j)
      cross[static_cast<std::size_t>(m * n + j)] =
          kernel[static_cast<std::size_t>(m * pool + rows[static_cast<std::size_t>(j)])];
  KernelRidgePathProblem problem;
  problem.kernels = own.data();
  problem.cross = cross.data();
  return solved(cell, rows_of(cell.pool.targets, cell.pool.outputs, rows), problem, solver.kernel);
}

Curve feature_curve(const PoolCell& cell, const CurveSolver& solver, const std::vector<Index>& rows,
                    std::uint32_t replicate) {
  const std::vector<double> inputs = rows_of(cell.pool.inputs, cell.pool.dimension, rows);
  const DrawId weights{cell.init_key, replicate};
  RidgePathProblem problem;
  problem.features.kind = FeatureKind::random;
  problem.features.activation = cell.network.shape.activation;
  problem.features.weight_scale = std::sqrt(cell.network.layers[0].weight_variance());
  problem.features.weights = &weights;
  problem.features.inputs = inputs.data();
  problem.features.dimension = cell.pool.dimension;
  problem.test_inputs = cell.pool.inputs.data();
  return solved(cell, rows_of(cell.pool.targets, cell.pool.outputs, rows), problem, solver.features);
}

void write_row(const PoolCell& cell, const Curve& curve, double* row) {
  const Index outputs = cell.pool.outputs, pool = cell.pool.examples;
  for (std::size_t s = 0; s < cell.sizes.size(); ++s) {
    const double* f = curve.predictions.data() + static_cast<Index>(s) * pool * outputs;
    double squares = 0, residuals = 0;
    Index wrong = 0;
    for (Index i = 0; i < pool; ++i) {
      const double* y = cell.pool.targets.data() + i * outputs;
      for (Index o = 0; o < outputs; ++o) squares += (f[i * outputs + o] - y[o]) * (f[i * outputs + o] - y[o]);
      wrong += misclassified(f + i * outputs, y, outputs) ? 1 : 0;
    }
    for (Index o = 0; o < outputs; ++o)
      residuals +=
          curve
              .residuals[s * static_cast<std::size_t>(outputs * outputs) + static_cast<std::size_t>(o * (outputs + 1))];
    const Index examples = cell.kind == PoolCell::Kind::kernel ? cell.sizes[s] : cell.examples;
    const auto put = [&](PoolNumber which, double value) { row[cell.number(s, which)] = value; };
    put(PoolNumber::test, squares / static_cast<double>(pool));
    put(PoolNumber::train, residuals / static_cast<double>(examples));
    put(PoolNumber::error, cell.pool.classes.empty() ? std::numeric_limits<double>::quiet_NaN()
                                                     : static_cast<double>(wrong) / static_cast<double>(pool));
    put(PoolNumber::condition, curve.reports[s].condition);
  }
}

double replicate_flops(const PoolCell& cell) {
  const auto n = static_cast<double>(cell.examples), points = static_cast<double>(cell.sizes.back()),
             pool = static_cast<double>(cell.pool.examples), d = static_cast<double>(cell.pool.dimension);
  const double predictions =
      2 * pool * points * static_cast<double>(cell.pool.outputs) * static_cast<double>(cell.sizes.size());
  if (cell.kind == PoolCell::Kind::kernel) return n * n * n / 3 + predictions;
  return n * points * std::min(n, points) + 2 * (n + pool) * points * d + predictions;
}

void check(const io::Recipe& recipe, const PoolCell& cell) {
  if (const std::int64_t tests = recipe.integer("data.test_examples"); tests != 0)
    throw RecipeError(
        fmt::format("data.test_examples = {}: must be 0 here, since the whole pool of data.examples is "
                    "tested on",
                    tests));
  if (cell.pool.examples < cell.examples)
    throw RecipeError(
        fmt::format("data.examples = {}: a pool smaller than the largest training set of {} hardly has a "
                    "test error; give more examples, or a smaller curve.last",
                    cell.pool.examples, cell.examples));
  if (cell.kind == PoolCell::Kind::random_features &&
      (cell.network.shape.depth() != 1 || cell.network.layers[0].bias_variance() > 0 || cell.network.shape.layer_norm))
    throw RecipeError(
        "curve.kind = \"random-features\" takes networks of one hidden layer without biases and "
        "LayerNorm: set model.depth = 1, model.sigma_b = 0 and model.layer_norm = false");
}

std::string fingerprint_of(const RunSetup& setup, const io::Cell& at) {
  const io::Recipe recipe = io::at_cell(*setup.recipe, at);
  std::string text;
  for (const auto& [path, value] : recipe.content().values)
    if (path != "seeds.replicates") text += path + "=" + io::toml_literal(value) + "\n";
  return fmt::format("{:016x}", role_key(setup.seed, "pool " + drawn_name(*setup.recipe, at), text));
}

}  // namespace

std::vector<io::KeySpec> pool_keys() {
  const auto choice = [](const char* path, const char* value, const char* doc, std::vector<std::string> choices) {
    io::KeySpec spec = io::make_key(path, io::KeyType::text, fmt::format("\"{}\"", value), doc);
    spec.choices = std::move(choices);
    return spec;
  };
  io::KeySpec ridge =
      io::make_key("curve.ridge", io::KeyType::real, "1e-2",
                   "lambda in |y - f|^2 + lambda alpha^T K alpha (features: lambda |a|^2). Training sets "
                   "are drawn with\nreplacement, so that it must be positive.",
                   1e-12, 1e12);
  io::KeySpec kernel =
      choice("curve.kernel", "ntk", "ntk or nngp of the infinitely wide network of [model].", {"ntk", "nngp"});
  ridge.sweepable = kernel.sweepable = true;
  std::vector<io::KeySpec> keys{
      choice(
          "curve.kind", "kernel",
          "kernel: kernel ridge regression over the number of examples. random-features: the hidden layer of [model] "
          "at its\ninitial weights, over the number of units at curve.examples examples.",
          {"kernel", "random-features"}),
      kernel,
      io::make_key("curve.examples", io::KeyType::integer, "300", "random-features: number of examples n.", 1, 100000),
      ridge,
  };
  const std::vector<io::KeySpec> sizes = curve_size_keys(10, 300, 10);
  keys.insert(keys.end(), sizes.begin(), sizes.end());
  return keys;
}

PoolCell make_pool_cell(const RunSetup& setup, const io::Cell& at) {
  check_shared(*setup.recipe, setup.sweep);
  const io::Recipe recipe = io::at_cell(*setup.recipe, at);
  PoolCell cell;
  cell.kind = recipe.text("curve.kind") == "kernel" ? PoolCell::Kind::kernel : PoolCell::Kind::random_features;
  cell.sizes = curve_sizes(recipe);
  cell.examples = cell.kind == PoolCell::Kind::kernel ? cell.sizes.back() : recipe.integer("curve.examples");
  cell.ridge = recipe.real("curve.ridge");
  cell.tangent_kernel = recipe.text("curve.kernel") == "ntk";
  cell.pool = setup.data->get(recipe, setup.seed)->train;
  cell.network = network_from(recipe, cell.pool.dimension);
  check(recipe, cell);
  const std::string name = drawn_name(*setup.recipe, at);
  cell.data_key = role_key(setup.seed, "data", name);
  cell.init_key = role_key(setup.seed, "init", name);
  cell.replicates = recipe.integer("seeds.replicates");
  cell.limits = setup.limits;
  cell.fingerprint = fingerprint_of(setup, at);
  return cell;
}

std::vector<double> pool_kernel(const PoolCell& cell) {
  theory::KernelPair kernels = theory::infinite_width_kernels(cell.network, cell.pool.input_view());
  if (cell.kind == PoolCell::Kind::kernel) return std::move(cell.tangent_kernel ? kernels.ntk : kernels.nngp);
  // Without biases the output's NNGP is E phi phi times the readout's variance of all units.
  const double readout = cell.network.layers[1].weight_variance() * static_cast<double>(cell.network.shape.fan_in(1));
  for (double& entry : kernels.nngp) entry /= readout;
  return std::move(kernels.nngp);
}

SampleTask pool_task(const PoolCell& cell, CurveSolver solver) {
  SampleTask task;
  task.fingerprint = cell.fingerprint;
  task.replicates = cell.replicates;
  task.numbers = static_cast<Index>(cell.sizes.size() * kPoolNumbers);
  task.segment = std::clamp<Index>(static_cast<Index>(kSegmentFlops / replicate_flops(cell)), 1, 1024);
  const bool by_kernel = cell.kind == PoolCell::Kind::kernel;
  auto kernel = std::make_shared<std::vector<double>>();  // made by the first call
  task.measure = [cell, kernel, by_kernel, solver = std::move(solver), numbers = task.numbers](Index first, Index count,
                                                                                               double* rows) {
    if (by_kernel && kernel->empty()) *kernel = pool_kernel(cell);
    for (Index r = 0; r < count; ++r) {
      const auto replicate = static_cast<std::uint32_t>(first + r);
      const std::vector<Index> examples = drawn_examples(cell, replicate);
      write_row(
          cell,
          by_kernel ? kernel_curve(cell, solver, *kernel, examples) : feature_curve(cell, solver, examples, replicate),
          rows + r * numbers);
    }
  };
  return task;
}

CellPlan plan_pool_cell(const PoolCell& cell, const std::string& name) {
  const auto n = static_cast<double>(cell.examples), points = static_cast<double>(cell.sizes.back()),
             pool = static_cast<double>(cell.pool.examples), d = static_cast<double>(cell.pool.dimension),
             k = static_cast<double>(cell.pool.outputs), sizes = static_cast<double>(cell.sizes.size()),
             replicates = static_cast<double>(cell.replicates);
  const bool by_kernel = cell.kind == PoolCell::Kind::kernel;
  CellPlan plan;
  plan.cell = name;
  plan.engine = by_kernel ? "kernel ridge path" : "ridge path";
  plan.reason = "the ridge is the same at every size: one factorisation a replicate";
  plan.replicates = cell.replicates;
  const double data = pool * (d + k) + n * (d + k), outputs = sizes * (pool * k + k * k),
               matrices = by_kernel ? 2 * pool * pool + 4 * n * n + pool * n
                                    : (n + pool) * std::min(points, 512.0) + 3 * std::min(n, points) * points,
               rows = replicates * sizes * static_cast<double>(kPoolNumbers);
  plan.sampling_bytes = 8 * (2 * data + outputs + matrices + rows);
  plan.writing_bytes = 8 * (data + 4 * rows);
  plan.bytes = std::max(plan.sampling_bytes, plan.writing_bytes);
  plan.summary_bytes = 8 * (data + 5 * pool * pool + 3 * rows);  // eigenvectors of the pool's kernel
  plan.result_bytes = 8 * 30 * sizes;
  plan.flops = replicates * replicate_flops(cell) + 9 * pool * pool * pool;
  plan.draws = replicates * (n + (by_kernel ? 0 : points * d));
  return plan;
}

PoolPrediction::PoolPrediction(const PoolCell& cell)
    : cell_(cell), spectrum_(theory::empirical_spectrum(pool_kernel(cell), cell.pool.targets, cell.pool.examples)) {}

theory::RegressionRisk PoolPrediction::at(std::size_t size) const {
  const auto points = static_cast<double>(cell_.sizes[size]);
  const bool by_kernel = cell_.kind == PoolCell::Kind::kernel;
  theory::FeatureRegression problem;
  problem.spectrum = spectrum_;
  problem.examples = by_kernel ? points : static_cast<double>(cell_.examples);
  problem.features = by_kernel ? theory::kInfinitelyManyFeatures : points;
  problem.ridge = cell_.ridge / (by_kernel ? 1 : points);
  return theory::regression_risk(problem);
}

}  // namespace widelab::experiments
