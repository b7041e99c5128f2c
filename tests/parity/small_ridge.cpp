// The body that a block of a GPU runs for a small ridge path, by one worker of the CPU and by a team of threads,
// against singular values of every feature matrix alone.
#include "kernels/shared/small_ridge.hpp"

#include <gtest/gtest.h>

#include <barrier>
#include <cmath>
#include <thread>

#include "kernels/cpu/cpu_block.hpp"
#include "kernels/cuda/ridge/small_plan.hpp"
#include "tests/support/nan_memory.hpp"
#include "tests/support/ridge_case.hpp"

namespace widelab {
namespace {

using test::flow;
using test::ridge;
using test::RidgeCase;
using test::RidgeResult;

struct ThreadTeam {
  std::barrier<>* meeting;
  int rank_, size_;
  int rank() const { return rank_; }
  int size() const { return size_; }
  void sync() const { meeting->arrive_and_wait(); }
};

constexpr double kMark = -77;

/// Runs the body as the device does, by `workers` threads, or by the CPU's block if 0. Memory is of exactly the size
/// that the plan states, followed by a mark that nothing may overwrite.
void run_block(const least_squares::SmallRidge& problem, int workers) {
  const Index order = problem.order(), scratch = cuda::block_scratch(std::max(workers, 1));
  const Index size = scratch + least_squares::small_ridge_scalars(order, problem.targets);
  std::vector<double> memory(static_cast<std::size_t>(size + 64), kMark);
  const auto place = least_squares::small_ridge_memory(memory.data() + scratch, order, problem.targets);
  if (workers == 0) {
    cpu::CpuBlock<double> block(cpu::plain::kTiles<double>);
    least_squares::solve_small_ridge(block, problem, place);
  } else {
    std::barrier meeting(workers);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < workers; ++rank)
      threads.emplace_back([&, rank] {
        cuda::TileBlock<double, ThreadTeam> block({&meeting, rank, workers}, memory.data());
        least_squares::solve_small_ridge(block, problem, place);
      });
    for (std::thread& thread : threads) thread.join();
  }
  for (Index i = size; i < size + 64; ++i) EXPECT_EQ(memory[static_cast<std::size_t>(i)], kMark);
}

struct Outcome {
  std::vector<double> rows, residuals;  ///< (filter, size, right-hand side) x columns in use or n
  std::vector<least_squares::Extremes> extremes;
  int failed = 0;
};

/// One segment of a problem with one member and given features.
Outcome solve_segment(const RidgePathProblem& p, const RidgeSegment& segment, int workers) {
  const RidgeWorkload work = ridge_workload(p);
  const least_squares::SegmentRows layout(work, segment);
  const bool in_features = least_squares::by_features(segment, work);
  const Index n = p.examples, width = in_features ? layout.columns : n;
  std::vector<double> z, y, ridges;
  for (Index c = 0; c < layout.columns; ++c)
    for (Index i = 0; i < n; ++i) z.push_back(p.features.inputs[i * p.features.dimension + c]);
  for (Index r = 0; r < p.targets_per_example; ++r)
    for (Index i = 0; i < n; ++i) y.push_back(p.targets[i * p.targets_per_example + r]);
  for (const SpectralFilter& filter : p.filters) ridges.push_back(filter.value);
  const std::vector<Index> columns = lengths_of(work, layout);
  Outcome out;
  out.rows.assign(static_cast<std::size_t>(layout.rows() * width), NAN);
  out.residuals = out.rows;
  out.extremes.resize(layout.cases());
  std::vector<double> vectors(2 * layout.sizes() * static_cast<std::size_t>(width), NAN);
  least_squares::SmallRidge problem;
  problem.examples = n;
  problem.targets = p.targets_per_example;
  problem.z = z.data();
  problem.y = y.data();
  problem.columns = columns.data();
  problem.ridges = ridges.data();
  problem.sizes = static_cast<Index>(columns.size());
  problem.filters = static_cast<Index>(ridges.size());
  problem.in_features = in_features;
  problem.solution = out.rows.data();
  problem.residuals = out.residuals.data();
  problem.width = width;
  problem.filter_stride = layout.rows_of_filter() * width;
  problem.extremes = p.reports ? out.extremes.data() : nullptr;
  problem.vectors = vectors.data();
  problem.failed = &out.failed;
  run_block(problem, workers);
  return out;
}

/// Coefficients and reports of both segments, and residuals from what the body says of them; a = Z^T alpha and products
/// by plain loops.
void small_ridge_path(const RidgePathProblem& p, int workers) {
  const RidgeWorkload work = ridge_workload(p);
  const Index n = p.examples, each = p.targets_per_example, filters = static_cast<Index>(p.filters.size());
  for (const RidgeSegment& segment : cuda::small_segments(work)) {
    const least_squares::SegmentRows layout(work, segment);
    const bool in_features = least_squares::by_features(segment, work);
    const Outcome solved = solve_segment(p, segment, workers);
    ASSERT_EQ(solved.failed, 0);
    for (std::size_t s = segment.first; s < segment.last; ++s)
      for (std::size_t f = 0; f < layout.filters; ++f) {
        const Index at = static_cast<Index>(s) * filters + static_cast<Index>(f);
        const auto e = solved.extremes[layout.case_of(s, f)];
        p.reports[at] = least_squares::factor_report(segment.method, e, std::min(n, work.columns(s)));
        std::vector<std::vector<double>> left;
        for (Index r = 0; r < each; ++r) {
          double* a = p.coefficients + (at * each + r) * p.columns();
          const Index width = in_features ? layout.columns : n, row = layout.row(s, f) + r;
          const double* x = solved.rows.data() + row * width;
          for (Index c = 0; c < p.columns(); ++c) {
            a[c] = in_features && c < width ? x[c] : 0.0;
            for (Index i = 0; !in_features && c < work.columns(s) && i < n; ++i)
              a[c] += p.features.inputs[i * p.features.dimension + c] * x[i];
          }
          left.emplace_back();
          for (Index i = 0; i < n; ++i) {
            left.back().push_back(in_features ? p.targets[i * each + r]
                                              : solved.residuals[static_cast<std::size_t>(row * n + i)]);
            for (Index c = 0; in_features && c < layout.columns; ++c)
              left.back().back() -= p.features.inputs[i * p.features.dimension + c] * a[c];
          }
        }
        for (Index r = 0; r < each; ++r)
          for (Index q = 0; q < each; ++q) {
            double sum = 0;
            for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i)
              sum += left[static_cast<std::size_t>(r)][i] * left[static_cast<std::size_t>(q)][i];
            p.residuals[(at * each + r) * each + q] = sum;
          }
      }
  }
}

RidgeCase given_case(Index examples) {
  RidgeCase c;
  c.kind = FeatureKind::given;
  c.examples = examples;
  c.targets = 2;
  c.tests = 1;
  c.filters = {ridge(0.3), ridge(1e-2)};
  c.sizes = {1, 2, examples, examples + 1, examples + 9, 3 * examples + 11};
  c.sizes.erase(std::unique(c.sizes.begin(), c.sizes.end()), c.sizes.end());
  return c;
}

/// Whether results of `fast` pass for those of singular values: as many roundings as a Gram matrix has terms, times the
/// condition.
bool passes(const RidgeCase& c, const RidgeResult& fast, const RidgeResult& slow) {
  const std::size_t cases = slow.reports.size();
  bool good = true;
  for (std::size_t k = 0; k < cases; ++k) {
    const RidgeReport &report = fast.reports[k], &exact = slow.reports[k];
    const double length = static_cast<double>(c.examples + c.sizes.back());
    const double limit = 16 * length * std::numeric_limits<double>::epsilon() * exact.condition;
    EXPECT_LT(limit, 1e-4) << "too ill-conditioned to be a test";
    good =
        good &&
        test::distance(test::part(fast.coefficients, k, cases), test::part(slow.coefficients, k, cases), 0) < limit &&
        test::distance(test::part(fast.residuals, k, cases), test::part(slow.residuals, k, cases),
                       static_cast<double>(c.examples)) < limit;
    good = good && report.rank == exact.rank && report.smallest >= exact.smallest * (1 - 1e-6) &&
           report.smallest <= 4 * exact.smallest && report.condition <= exact.condition * (1 + 1e-6) &&
           report.condition >= exact.condition / 6;
  }
  return good;
}

RidgeResult by_workers(const RidgeCase& c, int workers) {
  return c.solve([workers](const RidgePathProblem& p) { small_ridge_path(p, workers); });
}

TEST(SmallRidge, EqualsSingularValuesAtAwkwardSizes) {
  for (const Index n : {2, 7, 8, 9, 17, 40}) {
    const RidgeCase c = given_case(n);
    EXPECT_TRUE(passes(c, by_workers(c, 0), c.by_reference())) << n;
  }
}

TEST(SmallRidge, OneExampleAndOneTarget) {
  RidgeCase c = given_case(2);
  c.targets = 1;
  c.examples = 1;
  c.sizes = {1, 2, 5};
  EXPECT_TRUE(passes(c, by_workers(c, 0), c.by_reference()));
}

TEST(SmallRidge, ATeamHasTheBitsOfOneWorker) {
  for (const Index n : {2, 9}) {
    const RidgeCase c = given_case(n);
    const RidgeResult one = by_workers(c, 0);
    for (const int workers : {1, 4}) {
      const RidgeResult team = by_workers(c, workers);
      EXPECT_EQ(team.coefficients, one.coefficients) << n << " examples, " << workers << " workers";
      EXPECT_EQ(team.residuals, one.residuals);
      for (std::size_t k = 0; k < one.reports.size(); ++k) {
        EXPECT_EQ(team.reports[k].smallest, one.reports[k].smallest);
        EXPECT_EQ(team.reports[k].condition, one.reports[k].condition);
      }
    }
  }
}

TEST(SmallRidge, PlantedFaultsAreFound) {
  const RidgeCase c = given_case(17);
  const RidgeResult exact = c.by_reference();
  EXPECT_TRUE(passes(c, by_workers(c, 0), exact));
  RidgeCase other = c;
  other.filters = {ridge(0.3 * 17), ridge(1e-2 * 17)};  // of a loss that is a mean over examples
  EXPECT_FALSE(passes(c, by_workers(other, 0), exact));
  RidgeResult swapped = by_workers(c, 0);  // an estimate that calls a matrix better than it is
  swapped.reports.front().smallest *= 10;
  EXPECT_FALSE(passes(c, swapped, exact));
}

TEST(SmallRidge, AMatrixWithoutAFactorIsReported) {
  // Twice the same example, and a ridge below the rounding of the diagonal: the second pivot is exactly 0.
  const std::vector<double> z{3, 0, 0, 3, 0, 0}, y{1, 2};
  const DrawId id{};
  RidgePathProblem p;
  p.features = {FeatureKind::given, Relu{}, 1, 1, false, &id, z.data(), true, 3};
  p.members = 1;
  p.examples = 2;
  p.targets = y.data();
  p.sizes = {3};
  p.filters = {ridge(1e-20)};
  const RidgeSegment segment = cuda::small_segments(ridge_workload(p)).front();
  for (const int workers : {0, 3}) EXPECT_EQ(solve_segment(p, segment, workers).failed, 1);
  p.filters = {ridge(1e-3)};
  EXPECT_EQ(solve_segment(p, segment, 0).failed, 0);
}

TEST(SmallRidgePlan, TakesWhatFitsABlocksMemory) {
  RidgeWorkload work;
  work.examples = 160;
  work.sizes = {1, 100, 160, 161, 5000};
  work.filters = {ridge(0.1)};
  EXPECT_TRUE(cuda::solved_by_blocks(work));
  work.examples = 170;
  work.sizes = {1, 20};
  EXPECT_TRUE(cuda::solved_by_blocks(work));  // matrices of 20 columns
  work.sizes = {1, 171};
  EXPECT_FALSE(cuda::solved_by_blocks(work));
  work.examples = 100;
  for (const SpectralFilter& filter : {ridge(0), flow(1)}) {
    work.filters = {ridge(0.1), filter};
    EXPECT_FALSE(cuda::solved_by_blocks(work));
  }
  work.filters = {ridge(0.1)};
  work.method = RidgeMethod::dual;
  EXPECT_FALSE(cuda::solved_by_blocks(work));
}

}  // namespace
}  // namespace widelab
