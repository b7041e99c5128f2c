// Ten handwritten digits, two hidden ReLU layers: the diagonal of the NTK and of the feature kernel against their exact
// laws at widths 64, 128 and 256, and all entries, extrapolated in 1/n, against the limit kernels. Judged jointly;
// chance fails a correct program in at most kFamily of the choices of seeds, shared by the verdicts. A network whose
// sigma_w^2 is off by 2 % goes through the same functions at the same number of networks and must be rejected.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "host/data/make_dataset.hpp"
#include "tests/validation/exact_laws.hpp"
#include "tests/validation/extrapolation.hpp"

namespace widelab {
namespace {

using estimators::JointVerdict;

constexpr double kFamily = 0.01;
constexpr Index kImages = 10, kNetworks = 1024, kGroups = 128;
constexpr Index kWidths[] = {64, 128, 256};
constexpr double kShare = kFamily / (std::size(kWidths) + 1);

class Mnist : public testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("WIDELAB_DATA");
    if (folder == nullptr || !std::filesystem::exists(std::filesystem::path(folder) / "mnist"))
      GTEST_SKIP() << "WIDELAB_DATA does not name a folder that holds mnist/";
    data::DataSpec spec;
    spec.law = "mnist";
    spec.examples = kImages;
    spec.preprocessing = {"pixel/255"};
    const data::Dataset images = data::make_dataset(spec, {70, 0});
    inputs_ = images.inputs;
    dimension_ = images.dimension;
  }

  Network network(Index width, double sigma_w2 = 2.0) const {
    MlpShape shape;
    shape.input_dim = dimension_;
    shape.widths = {width, width};
    InitChoice choice;
    choice.sigma_w = {std::sqrt(sigma_w2)};
    return make_network(shape, choice);
  }

  /// First and second moments of the diagonals, in units of the exact ones, against 1.
  JointVerdict diagonal_verdict(const Network& drawn, Index width) const {
    std::vector<theory::SecondMoment> ntk, forward;
    for (Index i = 0; i < kImages; ++i) {
      const double norm = test::inner_product(inputs_, dimension_, i, i);
      ntk.push_back(theory::deep_relu_ntk_diagonal(network(width), norm));
      forward.push_back(theory::deep_relu_forward_kernel(network(width), norm).moments);
    }
    const std::vector<double> ones(4 * kImages, 1.0);
    estimators::GroupedMoments moments(ones, 1, kGroups);
    const test::Ensemble ensemble{drawn, inputs_, kNetworks, static_cast<std::uint64_t>(71 + width),
                                  test::KernelMethod::weights};
    test::draw(ensemble, [&](const engine::MemberKernels& m) {
      std::vector<double> row;
      for (std::size_t i = 0; i < kImages; ++i) {
        const double theta = m.ntk[i * kImages + i], g = m.nngp[i * kImages + i];
        row.insert(row.end(), {theta / ntk[i].mean, theta * theta / ntk[i].second, g / forward[i].mean,
                               g * g / forward[i].second});
      }
      moments.add(m.replicate, row);
    });
    return report(test::judge(moments.group_sample(test::Statistic::mean), ones), width);
  }

  JointVerdict limit_verdict(double sigma_w2) const {
    const auto drawn = [&](Index width) { return network(width, sigma_w2); };
    const auto assumed = [&](Index width) { return network(width); };
    const auto sample = test::extrapolated_deviations(
        {drawn, assumed, inputs_, kWidths[0], kNetworks, 75, test::KernelMethod::weights, kGroups});
    return report(test::judge(sample, std::vector<double>(static_cast<std::size_t>(sample.entries), 0.0)), 0);
  }

  static JointVerdict report(const JointVerdict& v, Index width) {
    std::printf("  n = %ld (0: extrapolated): %s\n", static_cast<long>(width), test::describe(v).c_str());
    return v;
  }

  std::vector<double> inputs_;
  Index dimension_ = 0;
};

TEST_F(Mnist, DiagonalsHaveTheirExactMoments) {
  for (const Index width : kWidths) EXPECT_TRUE(diagonal_verdict(network(width), width).consistent(kShare));
}

TEST_F(Mnist, DiagonalsRejectSigmaWOffByTwoPercent) {
  for (const Index width : kWidths) {
    const JointVerdict v = diagonal_verdict(network(width, 2.04), width);
    EXPECT_EQ(v.status, "");
    EXPECT_FALSE(v.consistent(kShare));
  }
}

TEST_F(Mnist, ExtrapolatedMeansAgreeWithTheLimitKernels) { EXPECT_TRUE(limit_verdict(2.0).consistent(kShare)); }

TEST_F(Mnist, ExtrapolatedMeansRejectSigmaWOffByTwoPercent) {
  const JointVerdict v = limit_verdict(2.04);
  EXPECT_EQ(v.status, "");
  EXPECT_FALSE(v.consistent(kShare));
}

}  // namespace
}  // namespace widelab
