// The specification of `hvp`: against central differences of backpropagated gradients for every activation, structure
// and loss; symmetry; matrices small enough to write down. A Hessian without its second term must be seen.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "kernels/reference/jacobian.hpp"
#include "tests/support/hvp_case.hpp"

namespace {

using namespace widelab;
using Vector = std::vector<double>;
using Case = test::HvpCase<double>;
using Op = void (*)(const HvpProblem<double>&);

constexpr Op kReference = reference::hvp;
constexpr double kStep = 4e-6;

/// Gradient of L at `theta` over the counted parameters, by the older backward pass.
Vector mean_gradient(const Case& c, const Vector& theta) {
  const Vector mask = reference::parameter_rates(with_unit_rates(c.network, c.selection));
  Vector sum(theta.size(), 0.0), slope(static_cast<std::size_t>(c.network.shape.outputs));
  for (Index i = 0; i < c.examples; ++i) {
    const reference::Trace trace = reference::run(c.network, theta, c.inputs.data() + i * c.network.shape.input_dim);
    loss_slope(c.loss, trace.output().data(), c.targets.data() + i * c.network.shape.outputs, c.network.shape.outputs,
               Index{1}, slope.data());
    const Vector g = reference::pullback(c.network, theta, trace, slope);
    for (std::size_t t = 0; t < sum.size(); ++t) sum[t] += mask[t] * g[t] / static_cast<double>(c.examples);
  }
  return sum;
}

/// Largest |product - (g(theta + h v) - g(theta - h v)) / 2h| / tolerance over the parameters of member 0, vector 0.
/// The truncation error of D(h) is |D(2h) - D(h)| / 3; gradients carry some tens of roundings of the largest of their
/// intermediate numbers, divided by h.
double disagreement(const Case& c, const Vector& product) {
  const auto size = static_cast<std::size_t>(c.size());
  const Vector theta(c.parameters.begin(), c.parameters.begin() + static_cast<std::ptrdiff_t>(size));
  const Vector mask = reference::parameter_rates(with_unit_rates(c.network, c.selection));
  const auto difference = [&](double h) {
    Vector up = theta, down = theta;
    for (std::size_t t = 0; t < size; ++t) {
      up[t] += h * mask[t] * c.v[t];
      down[t] -= h * mask[t] * c.v[t];
    }
    Vector out = mean_gradient(c, up);
    const Vector below = mean_gradient(c, down);
    for (std::size_t t = 0; t < size; ++t) out[t] = (out[t] - below[t]) / (2 * h);
    return out;
  };
  const Vector near = difference(kStep), far = difference(2 * kStep), g = mean_gradient(c, theta);
  double largest = 1, worst = 0;
  for (const double x : g) largest = std::max(largest, std::abs(x));
  for (std::size_t t = 0; t < size; ++t) {
    const double tolerance = std::abs(far[t] - near[t]) + 64 * std::numeric_limits<double>::epsilon() * largest / kStep;
    worst = std::max(worst, std::abs(product[t] - near[t]) / tolerance);
  }
  return worst;
}

test::NetworkCase structure(const std::string& activation, bool layer_norm, bool residual) {
  test::NetworkCase c;
  c.activation = activation;
  c.input_dim = 2;
  c.outputs = 2;
  c.widths = residual ? std::vector<Index>{4, 4, 4} : std::vector<Index>{3, 5, 4};
  c.layer_norm = layer_norm;
  c.residual = residual ? 0.6 : 0.0;
  c.unit_multipliers = true;
  return c;
}

double dot(const double* a, const double* b, Index size) {
  double sum = 0;
  for (Index t = 0; t < size; ++t) sum += a[t] * b[t];
  return sum;
}

TEST(ReferenceHvp, HessianEqualsCentralDifferencesOfTheGradient) {
  for (const char* activation : {"identity", "relu", "ab-relu(-0.3,0.8)", "erf", "gelu", "tanh", "sin", "cos",
                                 "quadratic", "hermite-series(0.1,1,0.5)"})
    for (const bool layer_norm : {false, true})
      for (const bool residual : {false, true})
        for (const LossKind loss : test::kAllLosses) {
          Case c(structure(activation, layer_norm, residual).network(), loss, 1, 3, 1);
          c.run(kReference);
          EXPECT_LT(disagreement(c, c.products), 1.0)
              << activation << (layer_norm ? ", LayerNorm" : "") << (residual ? ", residual" : "") << ", loss "
              << static_cast<int>(loss);
          EXPECT_LT(test::relative_distance(c.gradient, mean_gradient(c, c.parameters)), 1e-14);
        }
}

TEST(ReferenceHvp, EveryParametrizationAndSelectionIsDifferentiated) {
  for (const test::NetworkCase& spec : test::network_cases()) {
    if (spec.widths[0] > 100) continue;
    Case c(spec.network(), LossKind::logistic, 1, 3, 1);
    c.run(kReference);
    EXPECT_LT(disagreement(c, c.products), 1.0) << spec.name;
    c.selection = test::checkered_selection(c.network.shape.layers());
    c.run(kReference);
    EXPECT_LT(disagreement(c, c.products), 1.0) << spec.name << ", selection";
  }
}

TEST(ReferenceHvp, AMissingSecondTermIsSeen) {
  for (const bool layer_norm : {false, true}) {
    Case c(structure("tanh", layer_norm, true).network(), LossKind::cross_entropy, 1, 3, 1);
    c.curvature = Curvature::gauss_newton;
    c.run(kReference);
    EXPECT_GT(disagreement(c, c.products), 1e3);
  }
}

TEST(ReferenceHvp, IsSymmetricAndFisherMatricesAreNotNegative) {
  for (const test::NetworkCase& spec : test::network_cases()) {
    if (spec.widths[0] > 100) continue;
    for (const LossKind loss : test::kAllLosses)
      for (const Curvature curvature : test::kAllCurvatures) {
        Case c(spec.network(), loss, 2, 4, 3);
        c.curvature = curvature;
        c.run(kReference);
        const Index p = c.size();
        for (Index e = 0; e < c.members; ++e)
          for (Index a = 0; a < c.vectors; ++a)
            for (Index b = 0; b <= a; ++b) {
              const double *va = c.v.data() + (e * c.vectors + a) * p, *vb = c.v.data() + (e * c.vectors + b) * p;
              const double *ha = c.products.data() + (e * c.vectors + a) * p,
                           *hb = c.products.data() + (e * c.vectors + b) * p;
              const double size =
                  std::sqrt(dot(va, va, p) * dot(hb, hb, p)) + std::sqrt(dot(vb, vb, p) * dot(ha, ha, p));
              EXPECT_NEAR(dot(va, hb, p), dot(vb, ha, p), 1e-13 * size) << spec.name;
              if (a == b && curvature != Curvature::hessian) {
                EXPECT_GE(dot(va, ha, p), -1e-14 * size) << spec.name;
              }
            }
      }
  }
}

/// One hidden unit, f = c_2 w_2 phi(c_1 w_1 x), phi(z) = z^2, without biases.
Case scalar_case(LossKind loss, Curvature curvature) {
  MlpShape shape;
  shape.widths = {1};
  shape.activation = Quadratic{};
  Network network{shape, {LayerScale{}, LayerScale{}}};
  network.layers[0].weight_multiplier = 0.5;
  network.layers[1].weight_multiplier = 2;
  for (LayerScale& layer : network.layers) layer.bias_rate = 0;
  Case c(network, loss, 1, 2, 1);
  c.curvature = curvature;
  c.parameters = {3, 99, -2, 99};  // w_1, (bias), w_2, (bias); bias multipliers are 0
  c.inputs = {2, 1};
  c.targets = {1, 0.5};
  c.v = {1, NAN, 0.5, NAN};
  return c;
}

// z = w_1 x / 2 = 3, 1.5; f = 2 w_2 z^2 = -36, -9; df = (2 w_2 w_1 x^2 / 2 dw_1, 2 z^2 dw_2): J = (-24, 18), (-6, 4.5).
// d^2 f/dw_1^2 = w_2 x^2 = -8, -2; d^2 f/dw_1 dw_2 = w_1 x^2 = 12, 3; d^2 f/dw_2^2 = 0. J v = -15, -3.75.
TEST(ReferenceHvp, ByHand) {
  const double r0 = -37, r1 = -9.5;  // residuals f - y
  Case gauss = scalar_case(LossKind::half_squared, Curvature::gauss_newton).run(kReference);
  EXPECT_NEAR(gauss.products[0], 0.5 * (-24 * -15.0 + -6 * -3.75), 1e-12);
  EXPECT_NEAR(gauss.products[2], 0.5 * (18 * -15.0 + 4.5 * -3.75), 1e-12);
  Case hessian = scalar_case(LossKind::half_squared, Curvature::hessian).run(kReference);
  EXPECT_NEAR(hessian.products[0], gauss.products[0] + 0.5 * (r0 * (-8 + 6) + r1 * (-2 + 1.5)), 1e-12);
  EXPECT_NEAR(hessian.products[2], gauss.products[2] + 0.5 * (r0 * 12 + r1 * 3), 1e-12);
  Case moment = scalar_case(LossKind::half_squared, Curvature::gradient_moment).run(kReference);
  EXPECT_NEAR(moment.products[0], 0.5 * (r0 * r0 * -24 * -15 + r1 * r1 * -6 * -3.75), 1e-9);
  EXPECT_NEAR(moment.products[2], 0.5 * (r0 * r0 * 18 * -15 + r1 * r1 * 4.5 * -3.75), 1e-9);
  for (const Case& c : {gauss, hessian, moment}) {
    EXPECT_EQ(c.products[1], 0);
    EXPECT_EQ(c.products[3], 0);
    EXPECT_NEAR(c.gradient[0], 0.5 * (r0 * -24 + r1 * -6), 1e-12);
    EXPECT_EQ(c.losses, (Vector{0.5 * r0 * r0, 0.5 * r1 * r1}));
  }
  // Twice the loss has twice the Hessian and four times the gradient moment.
  EXPECT_NEAR(scalar_case(LossKind::squared, Curvature::hessian).run(kReference).products[0], 2 * hessian.products[0],
              1e-12);
  EXPECT_NEAR(scalar_case(LossKind::squared, Curvature::gradient_moment).run(kReference).products[0],
              4 * moment.products[0], 1e-9);
}

TEST(ReferenceHvp, RefusesWhatDoesNotFit) {
  Case c = scalar_case(LossKind::half_squared, Curvature::hessian);
  HvpProblem<double> problem = c.problem();
  problem.inputs.cols = 2;
  EXPECT_THROW(reference::hvp(problem), ContractError);
  problem = c.problem();
  problem.v = nullptr;
  EXPECT_THROW(reference::hvp(problem), ContractError);
  problem = c.problem();
  problem.selection.weights = {true};
  EXPECT_THROW(reference::hvp(problem), ContractError);
}

}  // namespace
