// The observed steps of a training.
#include "host/engine/observation_steps.hpp"

#include <gtest/gtest.h>

#include "widelab/base/errors.hpp"

namespace {

using namespace widelab;
using engine::observation_steps;
using Steps = std::vector<Index>;

TEST(ObservationSteps, LinearStepsAreEvenlySpaced) {
  EXPECT_EQ(observation_steps({"linear", 5, {}}, 100), (Steps{0, 25, 50, 75, 100}));
  EXPECT_EQ(observation_steps({"linear", 4, {}}, 10), (Steps{0, 3, 7, 10}));
  EXPECT_EQ(observation_steps({"linear", 11, {}}, 10), (Steps{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
  const Index far = Index{1} << 60;
  EXPECT_EQ(observation_steps({"linear", 3, {}}, far), (Steps{0, far / 2, far}));
}

TEST(ObservationSteps, LogarithmicStepsAreDifferentAndEndAtTheLast) {
  EXPECT_EQ(observation_steps({"logarithmic", 5, {}}, 1000), (Steps{0, 1, 10, 100, 1000}));
  EXPECT_EQ(observation_steps({"logarithmic", 2, {}}, 7), (Steps{0, 7}));
  EXPECT_EQ(observation_steps({"logarithmic", 3, {}}, 7), (Steps{0, 1, 7}));
  for (const Index last : {1, 2, 5, 17, 100, 1000})
    for (Index count = 2; count <= std::min<Index>(last + 1, 200); ++count) {
      const Steps steps = observation_steps({"logarithmic", count, {}}, last);
      ASSERT_EQ(static_cast<Index>(steps.size()), count);
      EXPECT_EQ(steps.front(), 0);
      EXPECT_EQ(steps.back(), last);
      for (std::size_t i = 1; i < steps.size(); ++i) ASSERT_LT(steps[i - 1], steps[i]) << last << " " << count;
    }
}

TEST(ObservationSteps, AListIsTakenAsItIs) {
  EXPECT_EQ(observation_steps({"list", 0, {3, 8}}, 10), (Steps{3, 8}));
  EXPECT_EQ(observation_steps({"linear", 9, {}}, 0), Steps{0});
}

TEST(ObservationSteps, WhatCannotBeIsRefusedByName) {
  EXPECT_THROW(observation_steps({"cubic", 3, {}}, 10), RecipeError);
  EXPECT_THROW(observation_steps({"linear", 1, {}}, 10), RecipeError);
  EXPECT_THROW(observation_steps({"logarithmic", 12, {}}, 10), RecipeError);
  EXPECT_THROW(observation_steps({"list", 0, {}}, 10), RecipeError);
  EXPECT_THROW(observation_steps({"list", 0, {3, 3}}, 10), RecipeError);
  EXPECT_THROW(observation_steps({"list", 0, {11}}, 10), RecipeError);
  EXPECT_THROW(observation_steps({"list", 0, {-1, 4}}, 10), RecipeError);
}

}  // namespace
