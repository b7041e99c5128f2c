// Slopes and e-fold widths along directions of a layer against the reference's products, closed forms, and losses of
// networks whose weights were really moved. A width is no property of the function.
#include "host/estimators/flatness.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "host/experiments/layer_features.hpp"
#include "tests/support/hvp_case.hpp"

namespace {

using namespace widelab;
using namespace widelab::estimators;
using Vector = std::vector<double>;
using Case = test::HvpCase<double>;

constexpr Index kExamples = 300;  // more than one tile

struct OfLayer {
  const Case& c;
  Index layer;
  Vector features =
      experiments::layer_features(c.network, c.parameters, layer,
                                  matrix_view<const double>(c.inputs.data(), c.examples, c.network.shape.input_dim));

  LayerLoss loss() const {
    return LayerLoss({&c.network, c.parameters.data(),
                      matrix_view<const double>(features.data(), c.examples, c.network.shape.fan_in(layer)),
                      c.targets.data(), c.loss, layer});
  }
  Index size() const { return c.network.shape.fan_in(layer) * c.network.shape.fan_out(layer); }
  Index offset() const { return ParamLayout(c.network.shape).weight_offset[static_cast<std::size_t>(layer)]; }
  Vector direction(std::uint64_t seed) const {
    Vector p = test::normals<double>(1, size(), seed);
    double square = 0;
    for (const double x : p) square += x * x;
    for (double& x : p) x /= std::sqrt(square);
    return p;
  }
};

/// Mean loss by the reference, with the layer's weights moved by x along p.
double loss_when_moved(const OfLayer& of, const Vector& p, double x) {
  Case moved = of.c;
  for (Index j = 0; j < of.size(); ++j)
    moved.parameters[static_cast<std::size_t>(of.offset() + j)] += x * p[static_cast<std::size_t>(j)];
  moved.run([](const HvpProblem<double>& problem) { reference::hvp(problem); });
  double sum = 0;
  for (const double l : moved.losses) sum += l / static_cast<double>(moved.examples);
  return sum;
}

/// p.A p, and p.g, from the reference.
std::pair<double, double> product_along(const OfLayer& of, const Vector& p, Curvature curvature) {
  Case one = of.c;
  one.curvature = curvature;
  one.vectors = 1;
  one.v.assign(static_cast<std::size_t>(one.size()), 0.0);
  std::copy(p.begin(), p.end(), one.v.begin() + of.offset());
  one.run([](const HvpProblem<double>& problem) { reference::hvp(problem); });
  double square = 0, slope = 0;
  for (Index j = 0; j < of.size(); ++j) {
    const auto at = static_cast<std::size_t>(of.offset() + j);
    square += p[static_cast<std::size_t>(j)] * one.products[at];
    slope += p[static_cast<std::size_t>(j)] * one.gradient[at];
  }
  return {square, slope};
}

std::vector<test::NetworkCase> networks() {
  return {test::NetworkCase{.widths = {6, 5}, .outputs = 3},
          test::NetworkCase{.activation = "ab-relu(-0.3,1.2)", .widths = {4, 5, 3}, .outputs = 2},
          test::NetworkCase{.widths = {4, 3}, .outputs = 2, .unit_multipliers = true}};
}

TEST(Flatness, SlopesEqualProductsOfTheReference) {
  for (const test::NetworkCase& spec : networks())
    for (const LossKind loss : test::kAllLosses) {
      const Case c(spec.network(), loss, 1, kExamples, 1);
      for (Index l = 1; l < c.network.shape.layers(); ++l) {
        const OfLayer of{c, l};
        const Vector p = of.direction(11);
        const LayerLine line = of.loss().slopes(p).front();
        const auto [curvature, slope] = product_along(of, p, Curvature::hessian);
        const double moment = product_along(of, p, Curvature::gradient_moment).first;
        EXPECT_NEAR(of.loss().loss(), loss_when_moved(of, p, 0), 1e-12 * of.loss().loss());
        EXPECT_NEAR(line.curvature, curvature, 1e-12 * std::fabs(moment + curvature)) << spec.activation << l;
        EXPECT_NEAR(line.gradient, slope, 1e-12 * std::sqrt(moment));
        EXPECT_NEAR(line.noise, moment - slope * slope, 1e-12 * moment);
        EXPECT_TRUE(std::isnan(line.width()));  // not asked for
      }
    }
}

TEST(Flatness, AtBothEndsTheLossOfTheMovedNetworkHasGrownEFold) {
  for (const test::NetworkCase& spec : networks())
    for (const LossKind loss : {LossKind::half_squared, LossKind::cross_entropy, LossKind::logistic}) {
      const Case c(spec.network(), loss, 1, kExamples, 1);
      const OfLayer of{c, 1};
      Vector directions = of.direction(12);
      const Vector second = of.direction(13);
      directions.insert(directions.end(), second.begin(), second.end());
      const std::vector<LayerLine> lines = of.loss().lines(directions);
      for (const double end : {lines[1].left, lines[1].right})
        // Cross-entropy targets of mass below 1 have losses that need not grow: no end is as right as an end.
        if (std::isfinite(end)) {
          EXPECT_NEAR(std::log(loss_when_moved(of, second, end) / of.loss().loss()), 1, 2e-5) << spec.activation;
        }
      EXPECT_EQ(of.loss().lines(second).front().right, lines[1].right);  // alone or among others
    }
}

/// A linear network moved to the minimum of its half-squared loss along p.
Case at_minimum(const Vector& p, const Case& from) {
  const OfLayer of{from, 1};
  const LayerLine line = of.loss().slopes(p).front();
  Case c = from;
  for (Index j = 0; j < of.size(); ++j)
    c.parameters[static_cast<std::size_t>(of.offset() + j)] -=
        line.gradient / line.curvature * p[static_cast<std::size_t>(j)];
  return c;
}

TEST(Flatness, OfAQuadraticMinimumIsItsClosedForm) {
  const Case c(test::NetworkCase{.activation = "identity", .widths = {6, 5}, .outputs = 3}.network(),
               LossKind::half_squared, 1, kExamples, 1);
  const Vector p = OfLayer{c, 1}.direction(14);
  const auto ratio = [&](const Case& at) {
    const OfLayer of{at, 1};
    const LayerLine line = of.loss().lines(p).front();
    return line.width() / (2 * std::sqrt(2 * (std::exp(1.0) - 1) * of.loss().loss() / line.curvature));
  };
  EXPECT_NEAR(ratio(at_minimum(p, c)), 1, 1e-5);
  EXPECT_GT(std::fabs(ratio(c) - 1), 1e-3);  // off the minimum the form is another one
}

// Dinh et al. 2017: the same function, and other widths.
TEST(Flatness, IsALengthOfWeightsAndNotOfTheFunction) {
  const Case c(test::NetworkCase{.widths = {6, 5}, .outputs = 3, .sigma_b = 0}.network(), LossKind::half_squared, 1,
               kExamples, 1);
  Case rescaled = c;
  const ParamLayout layout(c.network.shape);
  constexpr double kAlpha = 3;
  for (Index j = layout.weight_offset[1]; j < layout.bias_offset[1]; ++j)
    rescaled.parameters[static_cast<std::size_t>(j)] *= kAlpha;
  for (Index j = layout.weight_offset[2]; j < layout.bias_offset[2]; ++j)
    rescaled.parameters[static_cast<std::size_t>(j)] /= kAlpha;
  const OfLayer before{c, 1}, after{rescaled, 1};
  const Vector p = before.direction(15);
  EXPECT_NEAR(after.loss().loss(), before.loss().loss(), 1e-12 * before.loss().loss());
  EXPECT_NEAR(after.loss().lines(p).front().width() / before.loss().lines(p).front().width(), kAlpha, 1e-4);
}

TEST(Flatness, WithoutAnEndIsNoNumber) {
  Case c(test::NetworkCase{.widths = {6, 5}, .outputs = 3, .sigma_b = 0}.network(), LossKind::half_squared, 1, 20, 1);
  const OfLayer of{c, 1};
  Vector p(static_cast<std::size_t>(of.size()), 0.0);
  p[0] = 1;
  const ParamLayout layout(c.network.shape);
  for (Index o = 0; o < 3; ++o) c.parameters[static_cast<std::size_t>(layout.weight_offset[2] + o * 5)] = 0;
  const LayerLine line = of.loss().lines(p).front();  // into a unit that nothing leaves
  EXPECT_TRUE(std::isnan(line.left) && std::isnan(line.right));
  EXPECT_EQ(line.curvature, 0);
  const LayerLine near = OfLayer{c, 1}.loss().lines(of.direction(3), {.farthest = 1e-6}).front();
  EXPECT_TRUE(std::isnan(near.width()));
}

}  // namespace
