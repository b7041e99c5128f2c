#include "host/experiments/staircase_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>

#include "host/estimators/kernel_risk.hpp"
#include "host/estimators/tangent_risk.hpp"
#include "host/experiments/normal_rows.hpp"
#include "widelab/rng/normal.hpp"

namespace widelab::experiments {
namespace {

constexpr double kKernelBytes = 64e6;         // of kernel matrices that are solved in one call
constexpr double kSegmentFlops = 2e10;        // between two looks at Ctrl-C, some seconds
constexpr double kSmallestSeenRidge = 1e-10;  // over h(1): residuals, ridge times alpha, are lost in rounding below

/// Uniform on the unit sphere: count x dimension.
std::vector<double> unit_rows(const StreamId& id, Index count, Index dimension) {
  std::vector<double> rows = normal_rows(id, count, dimension);
  bring_to_length(rows, dimension, 1);
  return rows;
}

/// A batch of replicates: inputs and right-hand sides drawn, then solutions.
struct Batch {
  Index members = 0, rights = 0, points = 0;           ///< points: the largest size, all parameters
  std::vector<double> inputs, targets;                 ///< members x n x d, members x n x rights
  std::vector<double> coefficients, residuals, norms;  ///< members x sizes x rights x (points or rights)
  std::vector<RidgeReport> reports;                    ///< members x sizes
};

/// The target's harmonics, one right-hand side a degree, and label noise of variance 1.
Batch draw(const StaircaseCell& cell, Index first, Index count) {
  const Index n = cell.examples, d = cell.dimension, degrees = static_cast<Index>(cell.degrees());
  Batch batch;
  batch.members = count;
  batch.rights = degrees + (cell.noise_variance > 0 ? 1 : 0);
  batch.points = cell.sizes.back();
  for (Index m = 0; m < count; ++m) {
    const auto replicate = static_cast<std::uint32_t>(first + m);
    const std::vector<double> inputs = unit_rows(DrawId{cell.data_key, replicate}.stream(Stream::inputs), n, d);
    const std::vector<double> harmonics = estimators::zonal_harmonics(inputs, d, cell.spectrum.multiplicity, degrees);
    batch.inputs.insert(batch.inputs.end(), inputs.begin(), inputs.end());
    const StreamId noise = DrawId{cell.noise_key, replicate}.stream(Stream::label_noise);
    for (Index i = 0; i < n; ++i) {
      const auto row = harmonics.begin() + i * degrees;
      batch.targets.insert(batch.targets.end(), row, row + degrees);
      if (cell.noise_variance > 0) batch.targets.push_back(normal_at(noise, static_cast<std::uint32_t>(i), 0));
    }
  }
  const auto solutions = static_cast<std::size_t>(count) * cell.sizes.size();
  const auto rights = static_cast<std::size_t>(batch.rights);
  batch.coefficients.resize(solutions * rights * static_cast<std::size_t>(batch.points));
  batch.residuals.resize(solutions * rights * rights);
  batch.norms.resize(solutions * rights * rights);
  batch.reports.resize(solutions);
  return batch;
}

/// Copies rows of `width` numbers, one for each member, to size s of arrays with all sizes.
template <class T>
void place(const std::vector<T>& from, std::size_t members, std::size_t sizes, std::size_t s, std::vector<T>& to) {
  const std::size_t width = from.size() / members;
  for (std::size_t m = 0; m < members; ++m)
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(m * width), width,
                to.begin() + static_cast<std::ptrdiff_t>((m * sizes + s) * width));
}

/// One factorisation for the whole curve where the ridge is the same at every size, else one for each size.
void solve_kernels(const StaircaseCell& cell, const CurveSolver& solver, Batch& batch) {
  const Index n = cell.examples;
  const estimators::AngleTable table(cell.kernel.value);
  std::vector<double> kernels(static_cast<std::size_t>(batch.members * n * n));
#pragma omp parallel for schedule(dynamic, 16)
  for (Index row = 0; row < batch.members * n; ++row) {
    const Index m = row / n, i = row % n;
    double* out = kernels.data() + row * n;
    table.fill_row(batch.inputs.data() + m * n * cell.dimension, cell.dimension, i, i, out);
    out[i] = cell.kernel.value(0);
  }
  KernelRidgePathProblem problem;
  problem.members = batch.members;
  problem.examples = n;
  problem.targets_per_example = batch.rights;
  problem.kernels = kernels.data();
  problem.targets = batch.targets.data();
  problem.limits = cell.limits;
  const auto into = [&](Batch& out) {
    problem.coefficients = out.coefficients.data();
    problem.residuals = out.residuals.data();
    problem.norms = out.norms.data();
    problem.reports = out.reports.data();
  };
  if (cell.convention == theory::RidgeConvention::sum) {
    problem.sizes = cell.sizes;
    problem.filters = {{SpectralFilter::Kind::ridge, cell.ridge}};
    into(batch);
    solver.kernel(problem);
    return;
  }
  const std::size_t sizes = cell.sizes.size(), members = static_cast<std::size_t>(batch.members);
  Batch one;
  one.coefficients.resize(batch.coefficients.size() / sizes);
  one.residuals.resize(batch.residuals.size() / sizes);
  one.norms.resize(batch.norms.size() / sizes);
  one.reports.resize(members);
  into(one);
  for (std::size_t s = 0; s < sizes; ++s) {
    problem.sizes = {cell.sizes[s]};
    problem.filters = {{SpectralFilter::Kind::ridge, cell.sum_ridge(s)}};
    solver.kernel(problem);
    place(one.coefficients, members, sizes, s, batch.coefficients);
    place(one.residuals, members, sizes, s, batch.residuals);
    place(one.norms, members, sizes, s, batch.norms);
    place(one.reports, members, sizes, s, batch.reports);
  }
}

std::vector<Index> units_of(const StaircaseCell& cell) {
  std::vector<Index> units;
  for (std::size_t s = 0; s < cell.sizes.size(); ++s) units.push_back(cell.units(s));
  return units;
}

void solve_features(const StaircaseCell& cell, const CurveSolver& solver, const std::vector<DrawId>& weights,
                    Batch& batch) {
  RidgePathProblem problem;
  problem.features.kind = cell.kind == StaircaseCell::Kind::tangent ? FeatureKind::tangent : FeatureKind::random;
  problem.features.activation = cell.activation;
  problem.features.sphere = true;
  problem.features.weights = weights.data();
  problem.features.inputs = batch.inputs.data();
  problem.features.dimension = cell.dimension;
  problem.members = batch.members;
  problem.examples = cell.examples;
  problem.targets_per_example = batch.rights;
  problem.targets = batch.targets.data();
  problem.sizes = units_of(cell);
  problem.filters = {{SpectralFilter::Kind::ridge, cell.sum_ridge(0)}};  // n, and so lambda_u, is the same everywhere
  problem.coefficients = batch.coefficients.data();
  problem.residuals = batch.residuals.data();
  problem.norms = batch.norms.data();
  problem.reports = batch.reports.data();
  problem.limits = cell.limits;
  solver.features(problem);
}

/// w^T M w of the leading right-hand sides.
double quadratic(const double* matrix, std::size_t rights, const std::vector<double>& w) {
  double sum = 0;
  for (std::size_t r = 0; r < w.size(); ++r)
    for (std::size_t q = 0; q < w.size(); ++q) sum += w[r] * w[q] * matrix[r * rights + q];
  return sum;
}

/// The row of one member from its solutions' moments.
void write_row(const StaircaseCell& cell, const Batch& batch, Index member, const estimators::PrefixMoments& moments,
               double* row) {
  const std::size_t degrees = cell.degrees(), rights = static_cast<std::size_t>(batch.rights);
  std::vector<double> amplitudes;
  for (const double power : cell.target_power) amplitudes.push_back(std::sqrt(power));
  for (std::size_t s = 0; s < cell.sizes.size(); ++s) {
    const std::size_t at = static_cast<std::size_t>(member) * cell.sizes.size() + s;
    const double *residuals = batch.residuals.data() + at * rights * rights,
                 *norms = batch.norms.data() + at * rights * rights;
    const auto noise_of = [&](double along_noise) {
      return rights > degrees ? cell.noise_variance * along_noise : 0.0;
    };
    const Index size = static_cast<Index>(s), last = batch.rights - 1;
    const auto number = [&](StairNumber which) -> double& { return row[cell.number(s, which)]; };
    number(StairNumber::signal) = moments.excess(size, amplitudes, amplitudes);
    number(StairNumber::noise) = noise_of(moments.product(size, last, last));
    number(StairNumber::excess) = number(StairNumber::signal) + number(StairNumber::noise);
    number(StairNumber::train) = (quadratic(residuals, rights, amplitudes) + noise_of(residuals[rights * rights - 1])) /
                                 static_cast<double>(cell.examples_of(s));
    number(StairNumber::norm) = quadratic(norms, rights, amplitudes) + noise_of(norms[rights * rights - 1]);
    number(StairNumber::condition) = batch.reports[at].condition;
    for (std::size_t l = 0; l < degrees; ++l)
      row[cell.learned(s, l)] = moments.overlap(size, static_cast<Index>(l), static_cast<Index>(l));
  }
}

/// Exact moments over the population of the solutions of one member.
class PopulationMoments {
 public:
  explicit PopulationMoments(const StaircaseCell& cell) : cell_(cell) {
    // Beyond its degrees a kernel's K2 holds squares of negligible eigenvalues, features their whole tail.
    if (cell.kind == StaircaseCell::Kind::tangent)
      tangent_.emplace(cell.dimension, cell.coefficient, cell.spectrum.multiplicity);
    else
      zonal_.emplace(cell.dimension, cell.coefficient, cell.spectrum.multiplicity,
                     cell.by_kernel() ? 0.0 : cell.spectrum.tail);
  }

  estimators::PrefixMoments of(const Batch& batch, Index member, const DrawId& weights) const {
    estimators::PrefixSolutions solutions;
    solutions.rights = batch.rights;
    solutions.sizes = units_of(cell_);
    solutions.points = solutions.sizes.back();
    std::vector<double> drawn;
    if (!cell_.by_kernel()) drawn = unit_rows(weights.stream(Stream::weights), solutions.points, cell_.dimension);
    solutions.directions =
        cell_.by_kernel() ? batch.inputs.data() + member * cell_.examples * cell_.dimension : drawn.data();
    solutions.coefficients =
        batch.coefficients.data() + member * static_cast<Index>(cell_.sizes.size()) * batch.rights * batch.points;
    const auto degrees = static_cast<Index>(cell_.degrees());
    return tangent_ ? tangent_->moments(solutions, degrees) : zonal_->moments(solutions, degrees);
  }

 private:
  const StaircaseCell& cell_;
  std::optional<estimators::KernelRisk> zonal_;
  std::optional<estimators::TangentRisk> tangent_;
};

/// Operations of a replicate: the kernel or feature matrix, its factor, and the risk.
double replicate_flops(const StaircaseCell& cell) {
  const auto n = static_cast<double>(cell.examples), points = static_cast<double>(cell.sizes.back());
  const double pair = 100 + 4.0 * static_cast<double>(cell.dimension);
  if (!cell.by_kernel()) return n * points * (std::min(n, points) + pair) + points * points * pair;
  double factors = 0;
  for (const Index size : cell.sizes)
    if (cell.convention != theory::RidgeConvention::sum || size == cell.sizes.back())
      factors += std::pow(static_cast<double>(size), 3) / 3;
  return factors + n * n * pair;
}

Index batch_members(const StaircaseCell& cell) {
  const auto n = static_cast<double>(cell.examples), points = static_cast<double>(cell.sizes.back());
  return std::max<Index>(1, static_cast<Index>(kKernelBytes / (8 * std::max(n, points) * points)));
}

}  // namespace

CurveSolver curve_solver(runtime::Backend& backend) {
  return {[&backend](const KernelRidgePathProblem& problem) { backend.kernel_ridge_path(problem); },
          [&backend](const RidgePathProblem& problem) { backend.ridge_path(problem); }};
}

void measure_staircase(const StaircaseCell& cell, const CurveSolver& solver, Index first, Index count, double* rows) {
  const std::size_t numbers = cell.sizes.size() * cell.numbers_per_size();
  const PopulationMoments population(cell);
  for (Index done = 0; done < count;) {
    const Index members = std::min(count - done, batch_members(cell));
    Batch batch = draw(cell, first + done, members);
    std::vector<DrawId> weights;
    for (Index m = 0; m < members; ++m)
      weights.push_back({cell.init_key, static_cast<std::uint32_t>(first + done + m)});
    if (cell.by_kernel())
      solve_kernels(cell, solver, batch);
    else
      solve_features(cell, solver, weights, batch);
    for (Index m = 0; m < members; ++m)
      write_row(cell, batch, m, population.of(batch, m, weights[static_cast<std::size_t>(m)]),
                rows + static_cast<std::size_t>(done + m) * numbers);
    done += members;
  }
}

SampleTask staircase_task(const StaircaseCell& cell, CurveSolver solver) {
  SampleTask task;
  task.fingerprint = cell.fingerprint;
  task.replicates = cell.replicates;
  task.numbers = static_cast<Index>(cell.sizes.size() * cell.numbers_per_size());
  task.segment = std::clamp<Index>(static_cast<Index>(kSegmentFlops / replicate_flops(cell)), 1, 1024);
  task.measure = [cell, solver = std::move(solver)](Index first, Index count, double* rows) {
    measure_staircase(cell, solver, first, count, rows);
  };
  return task;
}

CellPlan plan_staircase_cell(const StaircaseCell& cell, const std::string& name) {
  const auto n = static_cast<double>(cell.examples), points = static_cast<double>(cell.sizes.back()),
             d = static_cast<double>(cell.dimension), members = static_cast<double>(batch_members(cell));
  const auto solutions = static_cast<double>(cell.sizes.size() * (cell.degrees() + 1));
  const auto numbers = static_cast<double>(cell.sizes.size() * cell.numbers_per_size());
  const auto replicates = static_cast<double>(cell.replicates);
  CellPlan plan;
  plan.cell = name;
  plan.engine = cell.by_kernel() ? "kernel ridge path" : "ridge path";
  plan.reason = cell.by_kernel() && cell.convention != theory::RidgeConvention::sum
                    ? "the ridge of the convention \"mean\" grows with n: a factorisation for each size"
                    : "the ridge is the same at every size: one factorisation a replicate";
  plan.replicates = cell.replicates;
  const double matrices = 8 * (members + 3.0 * std::max(1, cell.limits.workers)) * std::max(n, points) * points;
  plan.sampling_bytes =
      matrices + 8 * members * (n * (d + solutions) + 3 * solutions * points) + 8 * replicates * numbers;
  plan.writing_bytes = 4 * 8 * replicates * numbers;
  plan.bytes = std::max(plan.sampling_bytes, plan.writing_bytes);
  plan.summary_bytes = 3 * 8 * replicates * numbers;
  plan.result_bytes = 8 * 6 * numbers;
  plan.flops = replicates * replicate_flops(cell);
  plan.draws = replicates * (n * (d + 1) + (cell.by_kernel() ? 0 : static_cast<double>(units_of(cell).back()) * d));
  return plan;
}

StairPrediction predict_staircase(const StaircaseCell& cell, std::size_t size) {
  theory::FeatureRegression problem;
  problem.spectrum = theory::with_target(cell.spectrum, cell.target_power);
  problem.noise_variance = cell.noise_variance;
  problem.examples = static_cast<double>(cell.examples_of(size));
  problem.features = cell.by_kernel() ? theory::kInfinitelyManyFeatures : static_cast<double>(cell.sizes[size]);
  // The equivalent's kernel is a mean over the N units, so that its coefficients are sqrt(N) times larger.
  const double units = cell.by_kernel() ? 1 : static_cast<double>(cell.units(size));
  problem.ridge = cell.sum_ridge(size) / units;
  const theory::RegressionRisk risk = theory::regression_risk(problem);
  const bool seen = cell.sum_ridge(size) >= kSmallestSeenRidge * problem.spectrum.trace() * units;
  StairPrediction prediction;
  prediction.nu = risk.nu2;
  prediction.numbers.assign(cell.numbers_per_size(), std::numeric_limits<double>::quiet_NaN());
  const auto number = [&](StairNumber which) -> double& { return prediction.numbers[static_cast<std::size_t>(which)]; };
  number(StairNumber::excess) = risk.excess;
  number(StairNumber::signal) = risk.bias;
  number(StairNumber::noise) = risk.variance;
  if (seen) number(StairNumber::train) = risk.train;
  number(StairNumber::norm) = risk.norm2 / units;
  const std::vector<double> learned = theory::learned_fractions(cell.spectrum, risk.nu2);
  for (std::size_t l = 0; l < cell.degrees(); ++l) prediction.numbers[kStairNumbers + l] = learned[l];
  return prediction;
}

}  // namespace widelab::experiments
