// The CPU's curvature products against the reference: every network, loss and matrix, both precisions, selections of
// parameters, several chunks and tiles; and faults that the tolerance must see.
#include <gtest/gtest.h>

#include "tests/support/hvp_case.hpp"
#include "widelab/plan/hvp_plan.hpp"

namespace {

using namespace widelab;
using test::HvpCase;

template <class T>
void on_cpu(const HvpProblem<T>& problem) {
  cpu::hvp(problem);
}
void by_reference(const HvpProblem<double>& problem) { reference::hvp(problem); }

/// Rounding of sums of k products, sqrt(k) eps, through two passes over the layers and their derivatives.
double tolerance(const HvpCase<float>& c) {
  double longest = static_cast<double>(std::max(c.network.shape.input_dim, c.examples));
  for (const Index n : c.network.shape.widths) longest = std::max(longest, static_cast<double>(n));
  return 100 * static_cast<double>(c.network.shape.layers()) * std::sqrt(longest) * 0x1p-24;
}

std::string label(const test::NetworkCase& spec, LossKind loss, Curvature curvature) {
  return spec.name + ", loss " + std::to_string(static_cast<int>(loss)) + ", matrix " +
         std::to_string(static_cast<int>(curvature));
}

/// body(spec, loss, curvature): every loss for narrow networks, one loss each for wide ones.
template <class Body>
void for_each_case(const Body& body) {
  for (const test::NetworkCase& spec : test::network_cases())
    for (const LossKind loss : test::kAllLosses)
      for (const Curvature curvature : test::kAllCurvatures)
        if (spec.widths[0] < 100 || loss == LossKind::logistic) body(spec, loss, curvature);
}

TEST(Hvp, EqualsTheReference) {
  for_each_case([](const test::NetworkCase& spec, LossKind loss, Curvature curvature) {
    const bool narrow = spec.widths[0] < 100;
    HvpCase<double> fast(spec.network(), loss, narrow ? 3 : 1, narrow ? 13 : 5, narrow ? 3 : 2);
    fast.curvature = curvature;
    HvpCase<double> exact = fast;
    fast.run(on_cpu<double>);
    exact.run(by_reference);
    EXPECT_LT(test::relative_distance(fast.products, exact.products), 1e-12) << label(spec, loss, curvature);
    EXPECT_LT(test::relative_distance(fast.gradient, exact.gradient), 1e-12) << label(spec, loss, curvature);
    EXPECT_LT(test::relative_distance(fast.losses, exact.losses), 1e-12) << label(spec, loss, curvature);
  });
}

TEST(Hvp, SinglePrecisionIsWithinItsRounding) {
  for_each_case([](const test::NetworkCase& spec, LossKind loss, Curvature curvature) {
    const bool narrow = spec.widths[0] < 100;
    HvpCase<float> fast(spec.network(), loss, 1, narrow ? 13 : 5, 2);
    HvpCase<double> exact(spec.network(), loss, 1, narrow ? 13 : 5, 2);
    fast.curvature = exact.curvature = curvature;
    fast.run(on_cpu<float>);
    exact.run(by_reference);
    EXPECT_LT(test::relative_distance(fast.products, exact.products), tolerance(fast)) << label(spec, loss, curvature);
    EXPECT_LT(test::relative_distance(fast.gradient, exact.gradient), tolerance(fast)) << label(spec, loss, curvature);
    EXPECT_LT(test::relative_distance(fast.losses, exact.losses), tolerance(fast)) << label(spec, loss, curvature);
  });
}

TEST(Hvp, ParametersThatDoNotCountAreLeftOut) {
  for (const test::NetworkCase& spec : test::network_cases())
    for (const Curvature curvature : test::kAllCurvatures)
      for (int choice = 0; choice < 3; ++choice) {
        if (spec.widths[0] > 100) continue;
        HvpCase<double> fast(spec.network(), LossKind::cross_entropy, 2, 5, 2);
        const auto layers = static_cast<std::size_t>(fast.network.shape.layers());
        fast.curvature = curvature;
        fast.selection = test::checkered_selection(static_cast<Index>(layers));
        if (choice > 0) fast.selection.weights.assign(layers, false);  // biases alone, then nothing at all
        if (choice > 1) fast.selection.biases.assign(layers, false);
        HvpCase<double> exact = fast;
        fast.run(on_cpu<double>);
        exact.run(by_reference);
        EXPECT_LT(test::relative_distance(fast.products, exact.products), 1e-12) << spec.name << choice;
        EXPECT_LT(test::relative_distance(fast.gradient, exact.gradient), 1e-12) << spec.name << choice;
        EXPECT_LT(test::relative_distance(fast.losses, exact.losses), 1e-12) << spec.name << choice;
      }
}

TEST(Hvp, ManyExamplesAndLargeMatricesAreDoneInPieces) {
  for (const Index vectors : {1, 70}) {  // one: pieces of both matrices; seventy: tiles of 64 examples
    const Index width = vectors == 1 ? 200 : 23, inputs = vectors == 1 ? 900 : 5, examples = vectors == 1 ? 157 : 67;
    const test::NetworkCase spec{.activation = "tanh",
                                 .widths = {width, width},
                                 .input_dim = inputs,
                                 .outputs = 3,
                                 .layer_norm = true,
                                 .residual = 0.5};
    HvpCase<double> fast(spec.network(), LossKind::cross_entropy, 1, examples, vectors);
    HvpCase<double> exact = fast;
    fast.run(on_cpu<double>);
    exact.run(by_reference);
    EXPECT_LT(test::relative_distance(fast.products, exact.products), 1e-12);
    HvpCase<float> single(spec.network(), LossKind::cross_entropy, 1, examples, vectors);
    single.run(on_cpu<float>);
    EXPECT_LT(test::relative_distance(single.products, exact.products), tolerance(single));
  }
}

TEST(Hvp, WorkspaceLimitsChangeTilesNotResults) {
  const test::NetworkCase spec{.activation = "erf", .widths = {31, 17}, .outputs = 2};
  HvpCase<double> whole(spec.network(), LossKind::half_squared, 3, 101, 2);
  whole.run(on_cpu<double>);
  const HvpWorkload work{3, 101, 2, true, 8};
  Index smallest = 101;
  for (double bytes = make_hvp_plan(whole.network.shape, work, {0, 2}).total_bytes;; bytes *= 0.6) {
    HvpCase<double> limited = whole;
    limited.limits = {bytes, 2};
    try {
      const HvpPlan plan = make_hvp_plan(whole.network.shape, work, limited.limits);
      EXPECT_LE(plan.total_bytes, bytes) << plan.reason;
      smallest = plan.tile;
    } catch (const PlanError&) {
      EXPECT_THROW(limited.run(on_cpu<double>), PlanError);
      break;
    }
    limited.run(on_cpu<double>);
    EXPECT_LT(test::relative_distance(limited.products, whole.products), 1e-13) << bytes;
    EXPECT_LT(test::relative_distance(limited.gradient, whole.gradient), 1e-13) << bytes;
    EXPECT_EQ(limited.losses.size(), whole.losses.size());
  }
  EXPECT_EQ(smallest, 1);
}

TEST(Hvp, StridedInputsAndAbsentResultsAreTheSame) {
  const test::NetworkCase spec{.activation = "gelu", .outputs = 2};
  HvpCase<double> c(spec.network(), LossKind::squared, 2, 7, 2);
  c.run(on_cpu<double>);
  const std::vector<double> expected = c.products;
  std::vector<double> wide;
  for (Index i = 0; i < 7; ++i)
    for (Index j = 0; j < 5; ++j) wide.push_back(j < 3 ? c.inputs[static_cast<std::size_t>(3 * i + j)] : NAN);
  HvpProblem<double> problem = c.problem();
  problem.inputs = {wide.data(), 7, 3, 5};
  problem.gradient = nullptr;
  problem.losses = nullptr;
  cpu::hvp(problem);
  EXPECT_LT(test::relative_distance(c.products, expected), 1e-14);
}

/// Faults in one multiplier, in the loss, in the matrix, in one example's share.
TEST(Hvp, SmallMistakesAreSeen) {
  const test::NetworkCase spec{
      .activation = "gelu", .widths = {11, 11, 11}, .outputs = 2, .layer_norm = true, .residual = 0.7};
  HvpCase<double> exact(spec.network(), LossKind::cross_entropy, 1, 13, 1);
  exact.run(by_reference);
  const auto seen = [&](HvpCase<double> faulty) {
    return test::relative_distance(faulty.run(on_cpu<double>).products, exact.products) > 1e-7;
  };
  HvpCase<double> faulty = exact;
  faulty.network.layers[2].bias_multiplier *= 1 + 1e-5;
  EXPECT_TRUE(seen(faulty));
  faulty = exact;
  faulty.network.shape.residual *= 1 + 1e-5;
  EXPECT_TRUE(seen(faulty));
  faulty = exact;
  faulty.curvature = Curvature::gauss_newton;
  EXPECT_TRUE(seen(faulty));
  faulty = exact;
  faulty.targets[5] += 1e-5;
  EXPECT_TRUE(seen(faulty));
  faulty = exact;
  faulty.examples = 12;
  EXPECT_TRUE(seen(faulty));
  EXPECT_FALSE(seen(exact));
}

}  // namespace
