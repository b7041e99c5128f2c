// The map of E[Theta^2]/E[Theta]^2 over depth and width, n = 10 .. 1e5, from the law-exact sampler: absolute moments
// against the closed form where plain moments can be estimated, log-moments of the forward kernel everywhere. All |z|
// of the map stay below the Sidak threshold of kFamily; a network with sigma_w^2 off by 2 % is rejected in every cell
// by the same function at the same number of networks.
#include <gtest/gtest.h>

#include "host/estimators/heavy_tail.hpp"
#include "tests/validation/deep_relu_draws.hpp"

namespace widelab {
namespace {

using test::Fault;
using test::KernelMethod;
using test::Pair;

constexpr Index kDepths[] = {1, 4, 16};
constexpr Index kWidths[] = {10, 30, 100, 1000, 10000, 100000};
constexpr Index kCells = std::size(kDepths) * std::size(kWidths);
/// Networks of a cell: about 4e7 units in all, between 400 and 100000.
Index networks_of(Pair pair) { return std::clamp<Index>(37'500'000 / (pair.depth * pair.width), 400, 100'000); }

struct CellVerdict {
  double plain_z = 0, log_z = 0;  // plain_z is 0 where plain moments are out of reach
  bool reliable = false;
};

CellVerdict judge_cell(Pair pair, Fault fault) {
  const Index count = networks_of(pair);
  const test::Samples samples = test::draw(pair, count, false, KernelMethod::law_exact, fault);
  const theory::SecondMoment law = test::ntk_law(pair);
  CellVerdict v;
  v.reliable = estimators::lognormal_moment_is_reliable(std::log(law.ratio()), static_cast<double>(count));
  double mean = 0, second = 0;
  for (const double theta : samples.ntk) {
    mean += theta / static_cast<double>(count);
    second += theta * theta / static_cast<double>(count);
  }
  if (v.reliable) v.plain_z = test::moment_scores(samples, pair, false).largest();
  v.log_z = test::log_scores(samples, pair).largest();
  std::printf("  L %2ld n %6ld networks %6ld: ratio %.6g, law %.6g (%s), |z| plain %.2f log %.2f\n",
              static_cast<long>(pair.depth), static_cast<long>(pair.width), static_cast<long>(count),
              second / (mean * mean), law.ratio(), v.reliable ? "reliable" : "out of reach", v.plain_z, v.log_z);
  return v;
}

const double kLimit = estimators::z_threshold(test::kFamily, 4 * kCells);

TEST(Map, EveryCellAgreesWithTheExactLaws) {
  for (const Index depth : kDepths)
    for (const Index width : kWidths) {
      const CellVerdict v = judge_cell({depth, width}, Fault::none);
      EXPECT_LT(v.plain_z, kLimit);
      EXPECT_LT(v.log_z, kLimit);
      EXPECT_TRUE(v.reliable || 2 * depth >= width) << "plain moments are within reach at L/n < 1/2";
    }
}

TEST(Map, SigmaWOffByTwoPercentIsRejectedInEveryCell) {
  for (const Index depth : kDepths)
    for (const Index width : kWidths) {
      const CellVerdict v = judge_cell({depth, width}, Fault::sigma_w);
      EXPECT_GT(std::max(v.plain_z, v.log_z), kLimit);
    }
}

}  // namespace
}  // namespace widelab
