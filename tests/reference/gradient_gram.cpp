// The reference Gram of loss gradients, by hand and by differences of the loss.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/support/random_problem.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/ops/gradient_gram.hpp"
#include "widelab/ops/init.hpp"

namespace widelab {
namespace {

struct Result {
  std::vector<double> gram, squares, outputs;

  /// Of two examples with two outputs each.
  double loss(LossKind kind, Index example, const std::vector<double>& y) const {
    const auto k = static_cast<Index>(outputs.size()) / 2;
    return loss_value(kind, outputs.data() + example * k, y.data() + example * k, k);
  }
};

Result gram_of(const Network& network, const std::vector<double>& parameters, const std::vector<double>& x,
               const std::vector<double>& y, LossKind loss) {
  const auto n = static_cast<Index>(x.size()) / network.shape.input_dim;
  Result out{std::vector<double>(static_cast<std::size_t>(n * n)), std::vector<double>(static_cast<std::size_t>(n)),
             std::vector<double>(static_cast<std::size_t>(n * network.shape.outputs))};
  GradientGramProblem<double> problem;
  problem.network = &network;
  problem.weights = {1, nullptr, parameters.data()};
  problem.inputs = matrix_view(x.data(), n, network.shape.input_dim);
  problem.targets = y.data();
  problem.loss = loss;
  problem.gram = out.gram.data();
  problem.squares = out.squares.data();
  problem.outputs = out.outputs.data();
  reference::gradient_gram(problem);
  return out;
}

TEST(GradientGram, TwoWeightsByHand) {
  // f = a w x with w = 2, a = 3, x = 1 and 4: df/dw = a x, df/da = w x; residuals f - y = 6 - 5 = 1 and 24 - 26 = -2.
  // g = (3, 2) and -2 (12, 8): <g1, g1> = 13, <g1, g2> = -104, <g2, g2> = 832.
  const Network network =
      test::NetworkCase{.activation = "identity", .widths = {1}, .input_dim = 1, .sigma_w = 1, .sigma_b = 0}.network();
  const std::vector<double> parameters{2, 0, 3, 0};
  const Result result = gram_of(network, parameters, {1, 4}, {5, 26}, LossKind::half_squared);
  EXPECT_EQ(result.gram, (std::vector<double>{13, -104, -104, 832}));
  EXPECT_EQ(result.squares, (std::vector<double>{13, 832}));
  EXPECT_EQ(result.outputs, (std::vector<double>{6, 24}));
}

TEST(GradientGram, EqualsDifferencesOfTheLoss) {
  const Network network = test::NetworkCase{.activation = "tanh", .widths = {4, 3}, .outputs = 2}.network();
  const Index size = ParamLayout(network.shape).size;
  const std::vector<DrawId> ids = test::draw_ids(1);
  std::vector<double> parameters(static_cast<std::size_t>(size));
  reference::init(InitProblem<double>{&network, ids.data(), 1, parameters.data()});
  const std::vector<double> x = test::normals<double>(2, 3, 1), y{1, 0, 0, 1};
  const Result result = gram_of(network, parameters, x, y, LossKind::cross_entropy);
  const double step = 1e-5;
  double products[3] = {0, 0, 0};
  for (std::size_t t = 0; t < parameters.size(); ++t) {
    std::vector<double> above = parameters, below = parameters;
    above[t] += step;
    below[t] -= step;
    const Result up = gram_of(network, above, x, y, LossKind::cross_entropy),
                 down = gram_of(network, below, x, y, LossKind::cross_entropy);
    const auto slope = [&](Index example) {
      return (up.loss(LossKind::cross_entropy, example, y) - down.loss(LossKind::cross_entropy, example, y)) /
             (2 * step);
    };
    const double first = slope(0), second = slope(1);
    products[0] += first * first;
    products[1] += first * second;
    products[2] += second * second;
  }
  // Differences of order step^2 and rounding / step: both near 1e-10 of numbers of order 1.
  EXPECT_NEAR(result.gram[0], products[0], 1e-8);
  EXPECT_NEAR(result.gram[1], products[1], 1e-8);
  EXPECT_NEAR(result.gram[2], products[1], 1e-8);
  EXPECT_NEAR(result.gram[3], products[2], 1e-8);
}

}  // namespace
}  // namespace widelab
