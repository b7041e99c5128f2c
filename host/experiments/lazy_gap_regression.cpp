#include "host/experiments/lazy_gap_regression.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <type_traits>
#include <utility>

#include "host/experiments/recipe_seeds.hpp"
#include "host/theory/mei_montanari.hpp"
#include "host/theory/sphere_spectrum.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kSegmentBytes = 2.5e8;
constexpr int kDegrees = 24;  // degrees beyond are the spectrum's tail

/// Standard deviation of first-layer pre-activations at |x|^2 = d, over the weights.
double gain(const GapCell& cell) {
  const double variance = cell.training.network().layers.front().weight_variance();
  return std::sqrt(variance * static_cast<double>(cell.test().dimension));
}

bool biased(const GapCell& cell) { return cell.training.network().layers.front().bias_multiplier != 0; }

/// Rows as the features see them. Biases are the weights of a last coordinate that makes them: <w, x> / sqrt(d) times
/// the gain, plus the bias.
std::vector<double> feature_inputs(const GapCell& cell, const std::vector<double>& inputs, Index rows) {
  if (!biased(cell)) return {inputs.begin(), inputs.begin() + rows * cell.test().dimension};
  const Index d = cell.test().dimension;
  const LayerScale& layer = cell.training.network().layers.front();
  const double constant = std::sqrt(layer.bias_variance() / layer.weight_variance());
  std::vector<double> out;
  for (Index i = 0; i < rows; ++i) {
    out.insert(out.end(), inputs.begin() + i * d, inputs.begin() + (i + 1) * d);
    out.push_back(constant);
  }
  return out;
}

/// Whether phi(g z) = g phi(z) for g > 0.
bool homogeneous(const Activation& activation) {
  return visit(activation, [](const auto& phi) {
    using Phi = std::decay_t<decltype(phi)>;
    return std::is_same_v<Phi, Relu> || std::is_same_v<Phi, AbRelu> || std::is_same_v<Phi, Identity>;
  });
}

/// The first examples of network r, for r < count, as the features see them.
std::vector<engine::TrainSet> own_examples(const RunSetup& setup, const io::Cell& at, const GapCell& cell,
                                           Index count) {
  std::vector<engine::TrainSet> sets;
  if (cell.online) {
    for (Index r = 0; r < count; ++r) sets.push_back(cell.training.spec.online(r, 0, cell.regression_examples));
  } else {
    sets.push_back(train_set(cell.training.data.train));
    for (const data::Dataset& set : more_training_sets(io::at_cell(*setup.recipe, at), setup.seed, count - 1))
      sets.push_back(train_set(set));
  }
  for (engine::TrainSet& set : sets) {
    set.inputs = feature_inputs(cell, set.inputs, cell.regression_examples);
    set.targets.resize(static_cast<std::size_t>(cell.regression_examples));
    set.examples = cell.regression_examples;
  }
  return sets;
}

void measure(const GapCell& cell, const std::vector<engine::TrainSet>& sets,
             const std::function<void(const RidgePathProblem&)>& solve, Index first, Index count, double* rows) {
  RidgePathProblem problem = regression_problem(cell, count);
  const std::vector<double> test_inputs = feature_inputs(cell, cell.test().inputs, cell.test().examples);
  std::vector<double> inputs, targets, residuals(static_cast<std::size_t>(count));
  std::vector<double> outputs(static_cast<std::size_t>(count * problem.test_examples));
  std::vector<DrawId> weights;
  for (Index r = first; r < first + count; ++r) {
    const engine::TrainSet& set = sets[static_cast<std::size_t>(r)];
    inputs.insert(inputs.end(), set.inputs.begin(), set.inputs.end());
    targets.insert(targets.end(), set.targets.begin(), set.targets.end());
    weights.push_back({cell.training.init_key, static_cast<std::uint32_t>(r)});
  }
  problem.features.weights = weights.data();
  problem.features.inputs = inputs.data();
  problem.targets = targets.data();
  problem.test_inputs = test_inputs.data();
  problem.predictions = outputs.data();
  problem.residuals = residuals.data();
  solve(problem);
  for (Index m = 0; m < count; ++m) {
    double* row = rows + m * (1 + problem.test_examples);
    row[0] = residuals[static_cast<std::size_t>(m)] / static_cast<double>(problem.examples);
    std::copy_n(outputs.begin() + m * problem.test_examples, problem.test_examples, row + 1);
  }
}

/// All that a replicate's row depends on.
std::string fingerprint_of(const RunSetup& setup, const io::Cell& at) {
  const io::Recipe recipe = io::at_cell(*setup.recipe, at);
  std::string text;
  for (const auto& [path, value] : recipe.content().values)
    if ((path.starts_with("data.") || path.starts_with("model.") || path.starts_with("train.") ||
         path.starts_with("gap.")) &&
        path != "gap.regressions")
      text += path + "=" + io::toml_literal(value) + "\n";
  const std::string name = drawn_name(with_shared_learners(setup), at);
  return fmt::format("{:016x}", role_key(setup.seed, "gap regression " + name, text));
}

double replicate_bytes(const GapCell& cell) {
  const auto n = static_cast<double>(cell.regression_examples), tests = static_cast<double>(cell.test().examples);
  const RidgePathProblem problem = regression_problem(cell, 1);
  return 8 * (2 * n * static_cast<double>(cell.test().dimension + 2) + 3 * static_cast<double>(problem.columns()) +
              3 * tests);
}

Index segment_of(const GapCell& cell) {
  return std::clamp<Index>(static_cast<Index>(kSegmentBytes / replicate_bytes(cell)), 1,
                           std::max(1, cell.training.spec.task.limits.workers));
}

}  // namespace

RidgePathProblem regression_problem(const GapCell& cell, Index members) {
  const Network& network = cell.training.network();
  const auto dimension = static_cast<double>(cell.test().dimension);
  RidgePathProblem problem;
  problem.members = members;
  problem.examples = cell.regression_examples;
  problem.sizes = {network.shape.widths.front()};
  problem.filters = {{SpectralFilter::Kind::ridge, cell.ridge}};
  problem.limits = cell.training.spec.task.limits;
  problem.test_inputs = cell.test().inputs.data();  // for the plan; with biases they get another coordinate
  problem.test_examples = cell.test().examples;
  FeatureSource& source = problem.features;
  const bool tangent = cell.learner == Learner::tangent;
  source.kind = tangent ? FeatureKind::tangent : FeatureKind::random;
  source.activation = network.shape.activation;
  source.weight_scale = gain(cell) / std::sqrt(dimension);
  source.scale = tangent ? 1 / std::sqrt(dimension) : 1;
  source.sphere = !biased(cell);
  source.dimension = cell.test().dimension + (biased(cell) ? 1 : 0);
  return problem;
}

SampleTask gap_regression_task(const RunSetup& setup, const io::Cell& at, const GapCell& cell,
                               std::function<void(const RidgePathProblem&)> solve) {
  SampleTask task;
  task.fingerprint = fingerprint_of(setup, at);
  task.replicates = cell.regressions;
  task.numbers = 1 + cell.test().examples;
  task.segment = segment_of(cell);
  const auto sets =
      std::make_shared<const std::vector<engine::TrainSet>>(own_examples(setup, at, cell, cell.regressions));
  task.measure = [cell, sets, solve = std::move(solve)](Index first, Index count, double* rows) {
    measure(cell, *sets, solve, first, count, rows);
  };
  return task;
}

CellPlan plan_gap_regression(const GapCell& cell, const std::string& name) {
  const Index segment = segment_of(cell);
  const RidgePlan path =
      make_ridge_plan(ridge_workload(regression_problem(cell, segment)), cell.training.spec.task.limits);
  const auto replicates = static_cast<double>(cell.regressions), n = static_cast<double>(cell.regression_examples),
             d = static_cast<double>(cell.test().dimension);
  const double rows = 8 * replicates * static_cast<double>(1 + cell.test().examples);
  CellPlan plan;
  plan.cell = name;
  plan.engine = ridge_method_name(path.segments.front().method);
  plan.reason = path.reason;
  plan.replicates = cell.regressions;
  plan.flops = path.flops / static_cast<double>(segment) * replicates;
  plan.draws = replicates * (n + static_cast<double>(cell.training.network().shape.widths.front())) * d;
  plan.sampling_bytes =
      path.total_bytes + static_cast<double>(segment) * replicate_bytes(cell) + 2 * 8 * replicates * n * (d + 1) + rows;
  plan.writing_bytes = 4 * rows;
  plan.bytes = std::max(plan.sampling_bytes, plan.writing_bytes);
  plan.summary_bytes = 4 * rows;
  plan.result_bytes = 8 * 6 * 4;
  return plan;
}

double predicted_regression_risk(const GapCell& cell) {
  const Network& network = cell.training.network();
  const Activation& activation = network.shape.activation;
  if (!cell.sphere_inputs || !cell.hidden.power || biased(cell)) return kNaN;
  const double g = gain(cell);
  const bool tangent = cell.learner == Learner::tangent;
  const auto neurons = static_cast<double>(network.shape.widths.front());
  // The equivalents' features are divided by sqrt(N), and those of homogeneous activations know the gain as a factor.
  theory::FeatureRegression problem;
  try {
    if (tangent) {
      if (!(activation == Activation(Relu{}))) return kNaN;
      problem = theory::neural_tangent_regression({cell.test().dimension, neurons,
                                                   static_cast<double>(cell.regression_examples), cell.ridge / neurons,
                                                   cell.noise_variance, *cell.hidden.power, kDegrees});
    } else {
      if (!homogeneous(activation) && std::fabs(g - 1) > 1e-12) return kNaN;
      const double factor = homogeneous(activation) ? g : 1;
      problem.spectrum = theory::features_spectrum(activation, cell.test().dimension, *cell.hidden.power, kDegrees);
      problem.examples = static_cast<double>(cell.regression_examples);
      problem.features = neurons;
      problem.ridge = cell.ridge / (neurons * factor * factor);
      problem.noise_variance = cell.noise_variance;
    }
    return (theory::regression_risk(problem).excess + cell.noise_variance) / cell.target_variance();
  } catch (const RecipeError&) {
    return kNaN;  // an infinite mean, or an activation too steep for the spectrum's grid
  }
}

}  // namespace widelab::experiments
