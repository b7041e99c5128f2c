// Regressions on a pool of examples against the deterministic equivalent fed with the pool's own eigen-system. Test and
// training error of all sizes are judged jointly; chance fails a correct program in at most kAlpha of the choices of
// seeds. Training sets are small beside the pool, because examples that are drawn twice break the equivalence.
#include <gtest/gtest.h>

#include <cmath>

#include "host/experiments/normal_rows.hpp"
#include "host/experiments/pool_cell.hpp"
#include "host/runtime/backend.hpp"
#include "tests/support/random_problem.hpp"
#include "tests/validation/regression_draws.hpp"

namespace widelab::experiments {
namespace {

constexpr double kAlpha = 1e-3;
constexpr Index kPool = 1500, kDimension = 20, kReplicates = 150;

/// Correlated inputs of one length, which no law of this program knows, and a quadratic target. Where lengths differ,
/// K(x, x) does, and the equivalent fails: DEVIATIONS.md.
PoolCell pool_cell(PoolCell::Kind kind) {
  PoolCell cell;
  cell.kind = kind;
  cell.pool.examples = kPool;
  cell.pool.dimension = kDimension;
  cell.pool.outputs = 1;
  cell.pool.inputs = widelab::test::normals<double>(kPool, kDimension, 7);
  for (Index i = 0; i < kPool; ++i) {
    double* x = cell.pool.inputs.data() + i * kDimension;
    for (Index c = 1; c < kDimension; ++c) x[c] = 0.3 * x[c - 1] + std::sqrt(1 - 0.3 * 0.3) * x[c];
  }
  bring_to_length(cell.pool.inputs, kDimension, std::sqrt(static_cast<double>(kDimension)));
  for (Index i = 0; i < kPool; ++i) {
    const double* x = cell.pool.inputs.data() + i * kDimension;
    cell.pool.targets.push_back(x[3] + 0.5 * x[0] * x[10]);
  }
  cell.sizes = kind == PoolCell::Kind::kernel ? std::vector<Index>{15, 30, 60} : std::vector<Index>{20, 60, 150};
  cell.examples = 60;
  cell.ridge = kind == PoolCell::Kind::kernel ? 2.0 : 20.0;
  cell.network = test::relu_network(1, 0.0, kDimension);
  cell.data_key = 1;
  cell.init_key = 2;
  cell.limits.workers = 2;
  return cell;
}

Samples draw(const PoolCell& cell) {
  const auto backend = runtime::make_backend("cpu");
  const SampleTask task = pool_task(cell, curve_solver(*backend));
  Samples samples = test::empty_samples(kReplicates, static_cast<std::size_t>(task.numbers));
  task.measure(0, kReplicates, samples.values.data());
  return samples;
}

std::vector<double> predictions(const PoolCell& cell) {
  std::vector<double> out(cell.sizes.size() * kPoolNumbers, std::numeric_limits<double>::quiet_NaN());
  const PoolPrediction prediction(cell);
  for (std::size_t s = 0; s < cell.sizes.size(); ++s) {
    const theory::RegressionRisk risk = prediction.at(s);
    out[static_cast<std::size_t>(cell.number(s, PoolNumber::test))] = risk.excess;
    out[static_cast<std::size_t>(cell.number(s, PoolNumber::train))] = risk.train;
  }
  return out;
}

void expect_agreement_and_faults(PoolCell::Kind kind) {
  const PoolCell cell = pool_cell(kind);
  const Samples samples = draw(cell);
  const auto verdict = [&](const PoolCell& assumed) { return test::judge_together(samples, predictions(assumed), 3); };
  const estimators::JointVerdict right = verdict(cell);
  std::printf("  max|z| = %.2f (p = %.2g), chi^2/dof = %.2f (p = %.2g)\n", right.max_z, right.max_z_p,
              right.chi2 / right.dof, right.chi2_p);
  EXPECT_TRUE(right.consistent(kAlpha)) << right.status;
  PoolCell ridge = cell, wide = cell, target = cell;
  ridge.ridge *= 2;
  EXPECT_FALSE(verdict(ridge).consistent(kAlpha)) << "ridge doubled";
  wide.network = test::relu_network(1, 1.0, kDimension);
  EXPECT_FALSE(verdict(wide).consistent(kAlpha)) << "the kernel of a network with biases";
  for (double& y : target.pool.targets) y *= 1.1;
  EXPECT_FALSE(verdict(target).consistent(kAlpha)) << "targets of 1.21 times the power";
}

TEST(PoolRegression, KernelsAgreeWithTheEquivalentOfThePool) { expect_agreement_and_faults(PoolCell::Kind::kernel); }

TEST(PoolRegression, RandomFeaturesAgreeWithTheEquivalentOfThePool) {
  expect_agreement_and_faults(PoolCell::Kind::random_features);
}

}  // namespace
}  // namespace widelab::experiments
