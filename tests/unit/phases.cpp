// Separability of two kinds of losses, and the epochs at which phases change.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "host/experiments/phases_cell.hpp"

namespace widelab::experiments {
namespace {

TEST(Separability, CountsPairsAndHalvesTies) {
  // Second kind 3, 1; first kind 1, 2: 3 > 1, 3 > 2, 1 = 1, 1 < 2: 2.5 of 4 pairs.
  EXPECT_DOUBLE_EQ(separability({3, 1, 1, 2}, {true, true, false, false}), 2.5 / 4);
  EXPECT_DOUBLE_EQ(separability({5, 4, 1}, {true, true, false}), 1);
  EXPECT_DOUBLE_EQ(separability({1, 1, 1}, {true, false, false}), 0.5);
  EXPECT_TRUE(std::isnan(separability({1, 2}, {false, false})));
}

/// Numbers of epochs from (alignment, wrong labels fitted, test error).
std::vector<double> numbers(const std::vector<std::array<double, 3>>& epochs) {
  std::vector<double> out(epochs.size() * kPhaseNumbers, 0.0);
  for (std::size_t e = 0; e < epochs.size(); ++e) {
    out[e * kPhaseNumbers + static_cast<std::size_t>(PhaseNumber::alignment)] = epochs[e][0];
    out[e * kPhaseNumbers + static_cast<std::size_t>(PhaseNumber::wrong_fitted)] = epochs[e][1];
    out[e * kPhaseNumbers + static_cast<std::size_t>(PhaseNumber::test_error)] = epochs[e][2];
  }
  return out;
}

TEST(PhaseBoundaries, FollowTheCriteria) {
  const std::vector<Index> epochs{0, 1, 5, 10, 20, 40, 80};
  // All gradients agree at the start, which is not phase III.
  const std::vector<double> row = numbers({{{0.9, 0.1, 0.9}},
                                           {{-0.2, 0.1, 0.4}},
                                           {{-0.5, 0.1, 0.2}},
                                           {{0.3, 0.4, 0.3}},
                                           {{0.5, 0.97, 0.35}},
                                           {{-0.6, 0.94, 0.4}},
                                           {{-0.9, 0.99, 0.4}}});
  EXPECT_EQ(phase_boundaries(epochs, row.data()), (std::vector<double>{5, 10, 20, 80}));
  const std::vector<double> never = numbers({{{-0.1, 0, 0.5}}, {{-0.2, 0, 0.4}}});
  const std::vector<double> found = phase_boundaries({0, 3}, never.data());
  EXPECT_EQ(found[0], 3);
  for (std::size_t k = 1; k < kPhaseBoundaries; ++k) EXPECT_TRUE(std::isnan(found[k]));
}

}  // namespace
}  // namespace widelab::experiments
