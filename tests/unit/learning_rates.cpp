// Curvature units of the learning rate against eigenvalues of explicit matrices, and against what they are for: the
// edge of stability.
#include <gtest/gtest.h>
#include <lapacke.h>

#include <cmath>

#include "host/estimators/learning_rates.hpp"
#include "tests/support/training_task.hpp"
#include "widelab/base/errors.hpp"

namespace {

using namespace widelab;
using engine::Trainer;
using estimators::RateUnit;
using estimators::TopEigenvalue;
using test::cpu_backend;

constexpr double kTolerance = 1e-4;  // what objective_curvature promises

double largest_eigenvalue(std::vector<double> matrix, Index n) {
  std::vector<double> values(static_cast<std::size_t>(n));
  const auto size = static_cast<lapack_int>(n);
  EXPECT_EQ(LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'N', 'U', size, matrix.data(), size, values.data()), 0);
  return values.back();
}

/// lambda_max of each member's (N k) x (N k) empirical NTK, from the op that forms it.
std::vector<double> ntk_tops(const engine::TrainTask& task) {
  engine::TrainTask plain = task;
  plain.rule.order = OrderKind::iid;
  const Trainer trainer(cpu_backend(), plain);
  const engine::TrainSet& set = task.datasets[0];
  const Index n = set.examples * task.network.shape.outputs;
  const std::vector<double> all =
      trainer
          .kernels(matrix_view<const double>(set.inputs.data(), set.examples, task.network.shape.input_dim),
                   NtkBlocks::full)
          .ntk;
  std::vector<double> tops;
  for (auto begin = all.begin(); begin != all.end(); begin += n * n)
    tops.push_back(largest_eigenvalue({begin, begin + n * n}, n));
  return tops;
}

/// f = m2 W2 m1 W1 x with W2 frozen: linear in W1, so the objective of a squared loss is quadratic. Layers have
/// different relative rates.
test::TrainingCase linear_case() {
  test::TrainingCase from;
  from.network.activation = "identity";
  from.network.widths = {7};
  from.network.outputs = 2;
  from.network.sigma_b = 0.3;
  from.order = OrderKind::fixed;
  from.batch = from.examples;
  return from;
}

engine::TrainTask linear_task() {
  engine::TrainTask task = test::training_task(linear_case());
  task.network.layers[0].weight_rate = 3;
  task.network.layers[0].bias_rate = 0.25;
  task.network.layers[1].weight_rate = 0;
  return task;
}

TEST(Rates, LanczosFindsTheLargestAndNotTheLargestInMagnitude) {
  const Index n = 30;
  std::vector<std::vector<double>> matrices;
  for (const double shift : {0.0, -20.0, 5.0}) {
    const std::vector<double> half = test::normals<double>(n, n, 17);
    std::vector<double> matrix(half.size());
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < n; ++j) matrix[i * n + j] = half[i * n + j] + half[j * n + i] + (i == j ? shift : 0.0);
    matrices.push_back(matrix);
  }
  const auto apply = [&](const std::vector<std::vector<double>>& v, std::vector<std::vector<double>>& y) {
    for (std::size_t m = 0; m < v.size(); ++m) {
      y[m].assign(n, 0.0);
      for (Index i = 0; i < n; ++i)
        for (Index j = 0; j < n; ++j) y[m][i] += matrices[m][i * n + j] * v[m][j];
    }
  };
  const std::vector<TopEigenvalue> tops = estimators::top_eigenvalues({n, n, n}, apply, 1e-6);
  for (std::size_t m = 0; m < tops.size(); ++m) {
    const double exact = largest_eigenvalue(matrices[m], n);
    EXPECT_NEAR(tops[m].value, exact, 1e-6 * std::abs(exact)) << m;
    EXPECT_LE(tops[m].residual, 1e-6);
    EXPECT_LE(tops[m].products, n);
  }
  EXPECT_THROW(estimators::top_eigenvalues({n, n, n}, apply, 1e-12, 3), DataError);
}

TEST(Rates, KernelTopIsTheEigenvalueOfTheFormedKernel) {
  for (const std::string activation : {"erf", "relu"}) {
    test::TrainingCase from;
    from.network.activation = activation;
    from.network.outputs = 2;
    engine::TrainTask task = test::training_task(from);
    task.network.layers[1].weight_rate = 2;
    const std::vector<double> exact = ntk_tops(task);
    const std::vector<TopEigenvalue> found = estimators::objective_curvature(cpu_backend(), task, RateUnit::kernel_top);
    for (std::size_t m = 0; m < exact.size(); ++m) {
      // mean over a batch: F = (B / N) (1 / B) = 1 / N.
      const double value = exact[m] / static_cast<double>(from.examples);
      EXPECT_NEAR(found[m].value, value, kTolerance * value) << activation;
      EXPECT_LE(found[m].residual, kTolerance);
    }
  }
}

TEST(Rates, SharpnessOfALinearModelIsItsKernelsEigenvalue) {
  engine::TrainTask task = linear_task();
  const std::vector<double> exact = ntk_tops(task);
  struct Convention {
    LossKind loss;
    Reduction reduction;
    double factor;
  };
  const double n = static_cast<double>(task.datasets[0].examples);
  for (const Convention& c : {Convention{LossKind::half_squared, Reduction::sum, 1},
                              Convention{LossKind::half_squared, Reduction::mean, 1 / n},
                              Convention{LossKind::squared, Reduction::mean_entries, 2 / (2 * n)},
                              Convention{LossKind::half_squared, Reduction::dataset_sum, 1}}) {
    task.rule.loss = c.loss;
    task.rule.reduction = c.reduction;
    for (const RateUnit unit : {RateUnit::kernel_top, RateUnit::sharpness}) {
      const std::vector<TopEigenvalue> found = estimators::objective_curvature(cpu_backend(), task, unit);
      for (std::size_t m = 0; m < exact.size(); ++m)
        EXPECT_NEAR(found[m].value, c.factor * exact[m], kTolerance * c.factor * exact[m]);
    }
  }
}

TEST(Rates, CoupledDecayAddsToTheSharpness) {
  engine::TrainTask task = linear_task();
  // Equal rates, so that decay adds lambda to every eigenvalue of trained parameters.
  task.network.layers[0].weight_rate = task.network.layers[0].bias_rate = 1;
  const std::vector<TopEigenvalue> without = estimators::objective_curvature(cpu_backend(), task, RateUnit::sharpness);
  for (MemberSettings& member : task.members) member.weight_decay = 0.5;
  const std::vector<TopEigenvalue> with = estimators::objective_curvature(cpu_backend(), task, RateUnit::sharpness);
  for (std::size_t m = 0; m < with.size(); ++m)
    EXPECT_NEAR(with[m].value, without[m].value + 0.5, 2 * kTolerance * with[m].value);
}

TEST(Rates, TwoOverSharpnessIsTheEdgeOfStability) {
  for (const double c : {0.98, 1.02}) {
    engine::TrainTask task = linear_task();
    for (MemberSettings& member : task.members) member.learning_rate = c;
    const std::vector<TopEigenvalue> tops = estimators::to_rates_per_step(cpu_backend(), task, RateUnit::sharpness);
    for (std::size_t m = 0; m < tops.size(); ++m)
      EXPECT_DOUBLE_EQ(task.members[m].learning_rate, c * 2 / tops[m].value);
    Trainer trainer(cpu_backend(), task);
    // The top mode grows as |1 - 2 c|^t: 1.04^600 = 1.7e10, 0.96^600 = 2e-11.
    trainer.run_to(600);
    const std::vector<double> early = trainer.displacement(0);
    double size = 0;
    for (const double x : early) size = std::max(size, std::abs(x));
    if (c < 1)
      EXPECT_LT(size, 100) << c;
    else
      EXPECT_GT(size, 1e6) << c;
  }
}

TEST(Rates, ANetworkWithoutCurvatureIsRefused) {
  engine::TrainTask task = test::training_task(linear_case());
  task.network.layers[0].weight_rate = task.network.layers[0].bias_rate = 0;
  task.network.layers[1].weight_rate = task.network.layers[1].bias_rate = 0;
  EXPECT_THROW(estimators::to_rates_per_step(cpu_backend(), task, RateUnit::kernel_top), RecipeError);
  const std::vector<MemberSettings> before = task.members;
  EXPECT_TRUE(estimators::to_rates_per_step(cpu_backend(), task, RateUnit::per_step).empty());
  EXPECT_EQ(task.members[1].learning_rate, before[1].learning_rate);
}

}  // namespace
