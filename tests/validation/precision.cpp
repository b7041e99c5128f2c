// Steps below half an ulp: what plain fp32 loses near the gradient-flow limit, and that displacement storage keeps it.
#include <gtest/gtest.h>

#include <cmath>

#include "host/engine/precision_report.hpp"
#include "tests/support/training_task.hpp"

namespace {

using namespace widelab;
using engine::PrecisionReport;
using engine::Trainer;
using engine::WeightStorage;
using test::cpu_backend;

constexpr Index kWidth = 512, kExamples = 8, kDimension = 16, kSteps = 200;
constexpr double kRate = 2e-6;

/// Three weight layers, tanh, NTK parametrisation, full-batch gradient descent on (1/2) sum (f - y)^2.
engine::TrainTask small_step_task(Precision precision, WeightStorage storage, double rate = kRate) {
  test::TrainingCase from;
  from.network.activation = "tanh";
  from.network.widths = {kWidth, kWidth};
  from.network.input_dim = kDimension;
  from.network.sigma_w = 1.0;
  from.network.sigma_b = 0;
  from.examples = from.batch = kExamples;
  from.members = 2;
  from.order = OrderKind::fixed;
  from.precision = precision;
  from.storage = storage;
  from.engine = TrainEngine::gemm;
  engine::TrainTask task = test::training_task(from);
  task.rule.reduction = Reduction::sum;
  for (MemberSettings& member : task.members) member.learning_rate = rate;
  return task;
}

/// (1/2) sum (f - y)^2 of theta, in fp64.
double loss(const engine::TrainTask& task, const std::vector<double>& theta) {
  std::vector<double> f(kExamples);
  cpu_backend().forward(
      ForwardProblem<double>{&task.network,
                             {1, nullptr, theta.data()},
                             matrix_view<const double>(task.datasets[0].inputs.data(), kExamples, kDimension),
                             f.data(),
                             {}});
  double sum = 0;
  for (std::size_t i = 0; i < f.size(); ++i) sum += 0.5 * std::pow(f[i] - task.datasets[0].targets[i], 2);
  return sum;
}

struct TrainedPair {
  double decrease = 0;  ///< of the loss, mean of the members
  PrecisionReport report;
};

TrainedPair train(const engine::TrainTask& task) {
  Trainer trainer(cpu_backend(), task);
  TrainedPair run;
  trainer.run_to(kSteps);
  for (Index m = 0; m < trainer.members(); ++m)
    run.decrease += (loss(task, trainer.start(m)) - loss(task, trainer.parameters(m))) / 2;
  run.report = engine::report_precision(cpu_backend(), trainer, 0);
  return run;
}

TEST(SmallSteps, InPlaceFp32LosesTheDecreaseThatDisplacementStorageKeeps) {
  const TrainedPair exact = train(small_step_task(Precision::fp64, WeightStorage::in_place));
  const TrainedPair in_place = train(small_step_task(Precision::fp32, WeightStorage::in_place));
  const TrainedPair displacement = train(small_step_task(Precision::fp32, WeightStorage::displacement));
  ASSERT_GT(exact.decrease, 0);
  std::printf("loss decrease: fp64 %.5e, fp32 in place %.5e, fp32 displacement %.5e\n", exact.decrease,
              in_place.decrease, displacement.decrease);
  std::printf("fp32 in place: %.3f of |update| lost, %.3f of increments, |update| / ulp = %.3f\n",
              in_place.report.lost_update_share, in_place.report.lost_count_share, in_place.report.update_to_ulp);
  EXPECT_LT(in_place.decrease, 0.9 * exact.decrease);
  EXPECT_NEAR(displacement.decrease, exact.decrease, 0.005 * exact.decrease);

  EXPECT_GT(in_place.report.lost_update_share, 0.1);
  EXPECT_GT(in_place.report.lost_count_share, in_place.report.lost_update_share);
  EXPECT_LT(displacement.report.lost_update_share, 0.01);
  EXPECT_LT(exact.report.lost_update_share, 1e-6);
  const std::string warning = engine::precision_warning(in_place.report);
  EXPECT_NE(warning.find("train.storage = \"displacement\""), std::string::npos) << warning;
  EXPECT_EQ(warning.find('\n'), std::string::npos);
  EXPECT_EQ(engine::precision_warning(displacement.report), "");
  EXPECT_EQ(engine::precision_warning(exact.report), "");
}

TEST(SmallSteps, AReportOfHealthyStepsIsSilent) {
  // Five thousand times the rate: increments of many ulps.
  Trainer trainer(cpu_backend(), small_step_task(Precision::fp32, WeightStorage::in_place, 1e-2));
  const PrecisionReport report = engine::report_precision(cpu_backend(), trainer, 1);
  EXPECT_LT(report.lost_update_share, engine::kLostUpdateWarning);
  EXPECT_GT(report.update_to_ulp, 1);
  EXPECT_EQ(engine::precision_warning(report), "");
  EXPECT_EQ(trainer.parameters(1), trainer.start(1)) << "the shadow step touched the member";
}

}  // namespace
