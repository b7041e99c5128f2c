#include "host/experiments/regression_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>

#include "host/experiments/normal_rows.hpp"
#include "host/experiments/recipe_seeds.hpp"
#include "host/experiments/regression_population.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/rng/normal.hpp"

namespace widelab::experiments {
namespace {

using estimators::ProductBlock;

constexpr Index kDataDraws = 2, kRightHandSides = 2;   // signal, noise
constexpr Index kFits = kDataDraws * kRightHandSides;  // of one draw of features
constexpr Index kMostReplicates = 2000000000;
constexpr double kSegmentBytes = 2.5e8;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Sizes [first, last) that share their filters.
struct SizeGroup {
  std::size_t first, last;
  std::vector<SpectralFilter> filters;
};

std::vector<SizeGroup> size_groups(const RegressionRecipe& recipe) {
  std::vector<SizeGroup> groups;
  for (std::size_t s = 0; s < recipe.sizes.size(); ++s) {
    std::vector<SpectralFilter> filters;
    for (std::size_t f = 0; f < recipe.filters(); ++f) filters.push_back(recipe.filter(s, f));
    const bool same = !groups.empty() &&
                      std::equal(filters.begin(), filters.end(), groups.back().filters.begin(),
                                 [](const SpectralFilter& a, const SpectralFilter& b) { return a.value == b.value; });
    if (same)
      groups.back().last = s + 1;
    else
      groups.push_back({s, s + 1, filters});
  }
  return groups;
}

/// Inputs, targets and ids of members (replicate, features, data), data fastest.
struct Members {
  std::vector<double> inputs, targets;
  std::vector<DrawId> weights;
};

Members draw_members(const RegressionCell& cell, const RegressionPopulation& population, Index first, Index count) {
  const RegressionRecipe& recipe = cell.recipe;
  const Index n = recipe.examples, d = recipe.dimension, draws = recipe.feature_draws();
  const auto members = static_cast<std::size_t>(count * draws * kDataDraws);
  Members out;
  out.inputs.resize(members * static_cast<std::size_t>(n * d));
  out.targets.resize(members * static_cast<std::size_t>(n * kRightHandSides));
  out.weights.resize(members);
#pragma omp parallel for schedule(dynamic, 1)
  for (Index m = 0; m < count * draws * kDataDraws; ++m) {
    const Index replicate = first + m / (draws * kDataDraws), features = m / kDataDraws % draws, set = m % kDataDraws;
    const auto id = [&](std::uint64_t key, Index draw) {
      return DrawId{key, static_cast<std::uint32_t>(2 * replicate + draw)};
    };
    out.weights[static_cast<std::size_t>(m)] = id(cell.init_key, features);
    std::vector<double> inputs = normal_rows(id(cell.data_key, set).stream(Stream::inputs), n, d);
    if (recipe.sphere_inputs) bring_to_length(inputs, d, std::sqrt(static_cast<double>(d)));
    const StreamId noise = id(cell.noise_key, set).stream(Stream::label_noise);
    for (Index i = 0; i < n; ++i) {
      double* x = out.inputs.data() + (m * n + i) * d;
      double* y = out.targets.data() + (m * n + i) * kRightHandSides;
      std::copy_n(inputs.begin() + i * d, d, x);
      y[0] = population.target(x);
      y[1] = std::sqrt(recipe.noise_variance) * static_cast<double>(normal_at(noise, static_cast<std::uint32_t>(i), 0));
      if (recipe.on_coordinates()) {
        Index c = 0;
        for (std::size_t g = 0; g < recipe.counts.size(); ++g)
          for (Index k = 0; k < recipe.counts[g]; ++k) x[c++] *= std::sqrt(recipe.eigenvalues[g]);
      }
    }
  }
  return out;
}

FeatureSource feature_source(const RegressionRecipe& recipe, const Members& members) {
  FeatureSource source;
  const bool projections = recipe.kind == RegressionKind::projections;
  const double root = std::sqrt(static_cast<double>(recipe.dimension));
  source.kind = recipe.linear()                          ? FeatureKind::given
                : recipe.kind == RegressionKind::tangent ? FeatureKind::tangent
                                                         : FeatureKind::random;
  source.activation = projections ? Activation{Identity{}} : recipe.activation;
  source.weight_scale = projections ? 1.0 : 1 / root;
  source.scale = recipe.kind == RegressionKind::tangent ? 1 / root : 1.0;
  source.sphere = recipe.sphere_weights;
  source.weights = recipe.linear() ? nullptr : members.weights.data();
  source.inputs = members.inputs.data();
  source.dimension = recipe.dimension;
  return source;
}

/// A ridge path over one group of sizes, with its outputs.
struct Path {
  RidgePathProblem problem;
  std::vector<double> coefficients, residuals, norms;
  std::vector<RidgeReport> reports;
};

RidgePathProblem path_problem(const RegressionCell& cell, const SizeGroup& group, Index members) {
  RidgePathProblem problem;
  problem.members = members;
  problem.examples = cell.recipe.examples;
  problem.targets_per_example = kRightHandSides;
  problem.sizes.assign(cell.recipe.sizes.begin() + static_cast<std::ptrdiff_t>(group.first),
                       cell.recipe.sizes.begin() + static_cast<std::ptrdiff_t>(group.last));
  problem.filters = group.filters;
  problem.limits = cell.limits;
  return problem;
}

Path solve_path(const RegressionCell& cell, const RidgeSolver& solve, const SizeGroup& group, const Members& members) {
  Path path;
  RidgePathProblem& problem = path.problem;
  problem = path_problem(cell, group, static_cast<Index>(members.weights.size()));
  problem.features = feature_source(cell.recipe, members);
  problem.targets = members.targets.data();
  const std::size_t solutions = members.weights.size() * problem.sizes.size() * problem.filters.size();
  path.coefficients.resize(solutions * kRightHandSides * static_cast<std::size_t>(problem.columns()));
  path.residuals.resize(solutions * kRightHandSides * kRightHandSides);
  path.norms.resize(path.residuals.size());
  path.reports.resize(solutions);
  problem.coefficients = path.coefficients.data();
  problem.residuals = path.residuals.data();
  problem.norms = path.norms.data();
  problem.reports = path.reports.data();
  solve(problem);
  return path;
}

/// Coefficients of one draw of features at one size: filters x (data, right-hand side) x columns.
std::vector<double> gather(const Path& path, std::size_t size, Index first_member) {
  const RidgePathProblem& p = path.problem;
  const Index columns = p.sizes[size] * p.features.columns_per_unit();
  const auto filters = static_cast<Index>(p.filters.size()), sizes = static_cast<Index>(p.sizes.size());
  std::vector<double> out;
  out.reserve(static_cast<std::size_t>(filters * kFits * columns));
  for (Index f = 0; f < filters; ++f)
    for (Index set = 0; set < kDataDraws; ++set)
      for (Index r = 0; r < kRightHandSides; ++r) {
        const Index solution = ((first_member + set) * sizes + static_cast<Index>(size)) * filters + f;
        const double* from = path.coefficients.data() + (solution * kRightHandSides + r) * p.columns();
        out.insert(out.end(), from, from + columns);
      }
  return out;
}

/// Products at one size: of features A with A, A with B, B with B (the last two only where features are drawn).
struct SizeProducts {
  std::vector<double> coefficients[2];  ///< of A, B
  std::vector<double> with_target[2];   ///< filters x data: a . v of the signal's fit
  std::vector<double> values[3];        ///< filters x kFits x kFits
};

constexpr int kOwnPair[2] = {0, 2};
constexpr int kCrossPair = 1;

/// Numbers of a replicate that the population gives, at one size and filter.
class RiskReader {
 public:
  RiskReader(const SizeProducts& products, std::size_t filter, Index draws, double power)
      : products_(products), filter_(static_cast<Index>(filter)), draws_(draws), power_(power) {}

  void write(double* row) const {
    const auto put = [row](RiskNumber which, double value) { row[static_cast<std::size_t>(which)] = value; };
    double signal = 0, noise = 0, same_features = 0, same_data = 0, same_data_noise = 0;
    for (int x = 0; x < draws_; ++x) {
      for (int set = 0; set < 2; ++set) {
        signal += signal_error(x, x, set, set) / static_cast<double>(2 * draws_);
        noise += product(x, x, 2 * set + 1, 2 * set + 1) / static_cast<double>(2 * draws_);
      }
      same_features += signal_error(x, x, 0, 1) / static_cast<double>(draws_);
    }
    for (int set = 0; set < 2 && draws_ == 2; ++set) {
      same_data += 0.5 * signal_error(0, 1, set, set);
      same_data_noise += 0.5 * product(0, 1, 2 * set + 1, 2 * set + 1);
    }
    put(RiskNumber::signal, signal);
    put(RiskNumber::noise, noise);
    put(RiskNumber::same_data, draws_ == 2 ? same_data : signal);
    put(RiskNumber::same_data_noise, draws_ == 2 ? same_data_noise : noise);
    put(RiskNumber::same_features, same_features);
    put(RiskNumber::independent,
        draws_ == 2 ? 0.5 * (signal_error(0, 1, 0, 1) + signal_error(0, 1, 1, 0)) : same_features);
  }

 private:
  double product(int x, int y, int left, int right) const {
    const int pair = x == y ? kOwnPair[x] : kCrossPair;
    return products_.values[pair][static_cast<std::size_t>((filter_ * kFits + left) * kFits + right)];
  }
  /// E (f - f*)(g - f*), f of features x on data i, g of features y on data j.
  double signal_error(int x, int y, int i, int j) const {
    const auto target = [&](int features, int set) {
      return products_.with_target[features][static_cast<std::size_t>(filter_ * kDataDraws + set)];
    };
    return product(x, y, 2 * i, 2 * j) - target(x, i) - target(y, j) + power_;
  }

  const SizeProducts& products_;
  Index filter_, draws_;
  double power_;
};

/// What the solver itself reports: training error, norm, condition.
void write_fit_numbers(const RegressionCell& cell, const Path& path, std::size_t size_in_path, std::size_t size,
                       std::size_t filter, Index first_member, double* row) {
  const RidgePathProblem& p = path.problem;
  const Index members = cell.recipe.feature_draws() * kDataDraws;
  const SpectralFilter& ridge = p.filters[filter];
  double train = 0, norm = 0, trace = 0, condition = 0;
  for (Index m = first_member; m < first_member + members; ++m) {
    const auto solution = (static_cast<std::size_t>(m) * p.sizes.size() + size_in_path) * p.filters.size() + filter;
    train += path.residuals[4 * solution] + path.residuals[4 * solution + 3];
    norm += path.norms[4 * solution] + path.norms[4 * solution + 3];
    // ridge e^T (Z Z^T + ridge)^-1 e is the objective at its minimum for targets e. Over |e|^2 its mean is exact, since
    // the direction of normal noise knows nothing of its length.
    const double* target = p.targets + m * p.examples * kRightHandSides;
    double square = 0;
    for (Index i = 0; i < p.examples; ++i) square += target[2 * i + 1] * target[2 * i + 1];
    trace += (path.residuals[4 * solution + 3] + ridge.value * path.norms[4 * solution + 3]) / square;
    condition = std::max(condition, path.reports[solution].condition);
  }
  const auto count = static_cast<double>(members);
  row[static_cast<std::size_t>(RiskNumber::train)] = train / count / static_cast<double>(p.examples);
  row[static_cast<std::size_t>(RiskNumber::norm)] = norm / count * cell.recipe.normalisation(size);
  const bool known = ridge.kind == SpectralFilter::Kind::ridge && ridge.value > 0 && cell.recipe.noise_variance > 0;
  row[static_cast<std::size_t>(RiskNumber::resolvent)] = known ? trace / count : kNaN;
  row[static_cast<std::size_t>(RiskNumber::condition)] = condition;
}

/// One replicate's row; `local` is its place among the members of the paths.
void write_row(const RegressionCell& cell, const RegressionPopulation& population, const std::vector<Path>& paths,
               const std::vector<SizeGroup>& groups, const Members& members, Index local, double* row) {
  const RegressionRecipe& recipe = cell.recipe;
  const Index draws = recipe.feature_draws(), first_member = local * draws * kDataDraws;
  const Index filters = static_cast<Index>(recipe.filters());
  std::vector<RegressionPopulation::Features> features;
  for (Index x = 0; x < draws; ++x)
    features.push_back(population.draw(members.weights[static_cast<std::size_t>(first_member + x * kDataDraws)]));
  std::vector<SizeProducts> sizes(recipe.sizes.size());
  for (std::size_t g = 0; g < groups.size(); ++g)
    for (std::size_t s = groups[g].first; s < groups[g].last; ++s) {
      const Index columns = recipe.columns(s);
      for (Index x = 0; x < draws; ++x) {
        sizes[s].coefficients[x] = gather(paths[g], s - groups[g].first, first_member + x * kDataDraws);
        for (Index fit = 0; fit < filters * kFits; fit += kRightHandSides) {
          const double* a = sizes[s].coefficients[x].data() + fit * columns;
          double sum = 0;
          for (Index k = 0; k < columns; ++k)
            sum += a[k] * features[static_cast<std::size_t>(x)].target[static_cast<std::size_t>(k)];
          sizes[s].with_target[x].push_back(sum);
        }
      }
      for (std::size_t f = 0; f < recipe.filters(); ++f)
        write_fit_numbers(cell, paths[g], s - groups[g].first, s, f, first_member,
                          row + cell.number(s, f, RiskNumber::signal));
    }
  for (Index x = 0; x < draws; ++x)
    for (Index y = x; y < draws; ++y) {
      std::vector<ProductBlock> blocks;
      for (std::size_t s = 0; s < sizes.size(); ++s) {
        std::vector<double>& out = sizes[s].values[x + y];
        out.resize(static_cast<std::size_t>(filters * kFits * kFits));
        blocks.push_back({recipe.sizes[s], filters, kFits, kFits, sizes[s].coefficients[x].data(),
                          sizes[s].coefficients[y].data(), out.data()});
      }
      population.products(features[static_cast<std::size_t>(x)], features[static_cast<std::size_t>(y)], blocks);
    }
  for (std::size_t s = 0; s < sizes.size(); ++s)
    for (std::size_t f = 0; f < recipe.filters(); ++f)
      RiskReader(sizes[s], f, draws, recipe.signal_power()).write(row + cell.number(s, f, RiskNumber::signal));
}

/// All that the fits of a replicate depend on, but the number of replicates and what is only shown.
std::string fingerprint_of(const RunSetup& setup, const io::Cell& cell) {
  const io::Recipe recipe = io::at_cell(*setup.recipe, cell);
  std::string text;
  for (const auto& [path, value] : recipe.content().values)
    if (path.starts_with("regression.") && path != "regression.ensembles")
      text += path + "=" + io::toml_literal(value) + "\n";
  return fmt::format("{:016x}", role_key(setup.seed, "regression " + drawn_name(*setup.recipe, cell), text));
}

double replicate_bytes(const RegressionRecipe& recipe) {
  const auto columns = static_cast<double>(recipe.columns(recipe.sizes.size() - 1));
  double sum = 0;  // coefficients: as the op returns them, and gathered
  for (std::size_t s = 0; s < recipe.sizes.size(); ++s) sum += 2 * static_cast<double>(recipe.columns(s));
  sum *= static_cast<double>(recipe.filters()) * kFits;
  const auto n = static_cast<double>(recipe.examples), d = static_cast<double>(recipe.dimension);
  const double panels = recipe.linear() ? 0 : 6 * 128 * static_cast<double>(recipe.sizes.back()) + columns * d;
  return 8 * static_cast<double>(recipe.feature_draws()) * (sum + kDataDraws * n * (d + 2) + panels + 2 * columns);
}

}  // namespace

RegressionCell make_regression_cell(const RunSetup& setup, const io::Cell& at) {
  check_shared(*setup.recipe, setup.sweep);
  const io::Recipe recipe = io::at_cell(*setup.recipe, at);
  RegressionCell cell;
  cell.recipe = regression_from(recipe);
  const std::string name = drawn_name(*setup.recipe, at);
  cell.init_key = role_key(setup.seed, "init", name);
  cell.data_key = role_key(setup.seed, "data", name);
  cell.noise_key = role_key(setup.seed, "label_noise", name);
  cell.replicates = recipe.integer("seeds.replicates");
  if (cell.replicates > kMostReplicates)
    throw RecipeError(fmt::format("seeds.replicates = {}: must be at most {}, since a replicate takes two ids a role",
                                  cell.replicates, kMostReplicates));
  cell.limits = setup.limits;
  cell.fingerprint = fingerprint_of(setup, at);
  return cell;
}

void measure_regressions(const RegressionCell& cell, const RidgeSolver& solve, Index first, Index count, double* rows) {
  const RegressionPopulation population(cell.recipe);
  const Members members = draw_members(cell, population, first, count);
  const std::vector<SizeGroup> groups = size_groups(cell.recipe);
  std::vector<Path> paths;
  for (const SizeGroup& group : groups) paths.push_back(solve_path(cell, solve, group, members));
  const auto numbers = static_cast<Index>(cell.entries() * kRiskNumbers);
#pragma omp parallel for schedule(dynamic, 1)
  for (Index r = 0; r < count; ++r) write_row(cell, population, paths, groups, members, r, rows + r * numbers);
}

SampleTask regression_task(const RegressionCell& cell, RidgeSolver solve) {
  SampleTask task;
  task.fingerprint = cell.fingerprint;
  task.replicates = cell.replicates;
  task.numbers = static_cast<Index>(cell.entries() * kRiskNumbers);
  const auto most = static_cast<Index>(kSegmentBytes / replicate_bytes(cell.recipe));
  task.segment = std::clamp<Index>(most, 1, std::max(1, cell.limits.workers));
  task.measure = [cell, solve = std::move(solve)](Index first, Index count, double* rows) {
    measure_regressions(cell, solve, first, count, rows);
  };
  return task;
}

CellPlan plan_regression_cell(const RegressionCell& cell, const std::string& name) {
  const RegressionRecipe& recipe = cell.recipe;
  const RegressionPopulation population(recipe);  // refuses before the run what has no closed population risk
  const SampleTask task = regression_task(cell, {});
  CellPlan plan;
  plan.cell = name;
  plan.replicates = cell.replicates;
  const auto replicates = static_cast<double>(cell.replicates), segment = static_cast<double>(task.segment);
  const double fits = static_cast<double>(recipe.feature_draws() * kDataDraws);
  double workspace = 0;
  for (const SizeGroup& group : size_groups(recipe)) {
    RidgePathProblem problem = path_problem(cell, group, static_cast<Index>(segment * fits));
    Members none;
    problem.features = feature_source(recipe, none);
    const RidgePlan path = make_ridge_plan(ridge_workload(problem), cell.limits);
    workspace = std::max(workspace, path.total_bytes);
    plan.flops += path.flops / segment * replicates;
    plan.reason = path.reason;
    plan.engine = ridge_method_name(path.segments.front().method);
  }
  const double units = recipe.linear() ? 0 : static_cast<double>(recipe.sizes.back()),
               d = static_cast<double>(recipe.dimension);
  plan.flops += replicates * 3 * units * units * (2 * d + 50);  // products over the population
  plan.draws = replicates * (2 * units * d + kDataDraws * static_cast<double>(recipe.examples) * (d + 1));
  const double rows = 8 * replicates * static_cast<double>(task.numbers);
  plan.sampling_bytes = workspace + segment * replicate_bytes(recipe) + rows;
  plan.writing_bytes = 4 * rows;
  plan.bytes = std::max(plan.sampling_bytes, plan.writing_bytes);
  plan.summary_bytes = 6 * rows;
  plan.result_bytes = 8 * static_cast<double>(cell.entries()) * 150;
  return plan;
}

}  // namespace widelab::experiments
