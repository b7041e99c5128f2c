// Learning-rate schedules against their formulas.
#include <gtest/gtest.h>

#include <cmath>

#include "widelab/model/schedule.hpp"

namespace {

using widelab::Index;
using widelab::Schedule;
using widelab::ScheduleKind;

constexpr double kTolerance = 1e-15;

TEST(Schedule, ConstantIsOne) {
  const Schedule s;
  for (const Index t : {Index{0}, Index{1}, Index{1} << 40}) EXPECT_EQ(s.factor(t), 1);
}

TEST(Schedule, WarmUpRisesToOneAndMultiplies) {
  Schedule s;
  s.warmup = 4;
  for (Index t = 0; t < 8; ++t) EXPECT_NEAR(s.factor(t), t < 4 ? static_cast<double>(t + 1) / 5 : 1.0, kTolerance);
  s.kind = ScheduleKind::step;
  s.period = 2;
  s.drop = 0.5;
  const double expected[] = {0.2, 0.4, 0.3, 0.4, 0.25, 0.25, 0.125};
  for (Index t = 0; t < 7; ++t) EXPECT_NEAR(s.factor(t), expected[t], kTolerance) << t;
}

TEST(Schedule, CosineFallsFromOneToItsFinalFraction) {
  Schedule s;
  s.kind = ScheduleKind::cosine;
  s.horizon = 6;
  s.final_fraction = 0.2;
  const double root = std::sqrt(3.0) / 2;
  const double half_turns[] = {1, root, 0.5, 0, -0.5, -root, -1, -1, -1};
  for (Index t = 0; t < 9; ++t) EXPECT_NEAR(s.factor(t), 0.2 + 0.8 * 0.5 * (1 + half_turns[t]), kTolerance) << t;
  EXPECT_EQ(s.factor(Index{1} << 40), 0.2);
}

TEST(Schedule, CosineNeverRises) {
  Schedule s;
  s.kind = ScheduleKind::cosine;
  s.horizon = 1000;
  for (Index t = 0; t < 1100; ++t) EXPECT_LE(s.factor(t + 1), s.factor(t));
}

TEST(Schedule, StepDropsAtMultiplesOfItsPeriod) {
  Schedule s;
  s.kind = ScheduleKind::step;
  s.period = 3;
  s.drop = 0.1;
  for (Index t = 0; t < 12; ++t) EXPECT_NEAR(s.factor(t), std::pow(0.1, static_cast<double>(t / 3)), kTolerance) << t;
}

}  // namespace
