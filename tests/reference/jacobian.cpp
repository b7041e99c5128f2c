// Backpropagated Jacobians against central differences of the forward pass, for every activation, parametrisation and
// structure; and the kernel's pieces against them.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kernels/reference/jacobian.hpp"
#include "widelab/model/param_layout.hpp"

namespace {

using namespace widelab;

constexpr double kX[] = {0.7, -0.4};

template <class... A>
std::vector<Activation> all_activations(ActivationList<A...>) {
  return {Activation(A{})...};
}

/// Every activation, those with parameters at values that are not their defaults.
std::vector<Activation> activations() {
  std::vector<Activation> list = all_activations(AllActivations{});
  HermiteSeries series;
  series.c[1] = 0.6;
  series.c[3] = -0.4;
  series.degree = 3;
  list.push_back(AbRelu{-0.3, 0.8});
  list[activation_list::kPosition<HermiteSeries>] = series;
  return list;
}

struct Variant {
  bool biases, layer_norm, residual;
};

Network make(const Activation& activation, Parametrization parametrization, const Variant& variant) {
  MlpShape shape;
  shape.input_dim = 2;
  shape.widths = {4, 4, 4};
  if (!variant.residual) shape.widths = {3, 5, 4};
  shape.outputs = 2;
  shape.activation = activation;
  shape.layer_norm = variant.layer_norm;
  shape.residual = variant.residual ? 0.6 : 0.0;
  for (const Index n : shape.widths) {
    std::vector<float> s(static_cast<std::size_t>(n), 1.0f);
    s[0] = 1.5f;
    s[1] = 0.25f;
    shape.unit_multipliers.push_back(s);
  }
  InitChoice choice;
  choice.parametrization = parametrization;
  choice.sigma_w = {1.3};
  choice.sigma_b = variant.biases ? 0.4 : 0.0;
  return make_network(shape, choice);
}

double output(const Network& network, const std::vector<double>& parameters, Index o) {
  return reference::run(network, parameters, kX).output()[static_cast<std::size_t>(o)];
}

double central_difference(const Network& network, std::vector<double> parameters, Index o, std::size_t t, double step) {
  const double centre = parameters[t];
  parameters[t] = centre + step;
  const double up = output(network, parameters, o);
  parameters[t] = centre - step;
  return (up - output(network, parameters, o)) / (2 * step);
}

/// Compares row `o`. The truncation error of D(h) is |D(2h) - D(h)| / 3; values of f carry some tens of roundings of
/// their intermediate size, divided by h. Returns the largest tolerance used, relative to the largest derivative.
double check_row(const Network& network, const std::vector<double>& parameters, Index o, const std::string& label) {
  const reference::Trace trace = reference::run(network, parameters, kX);
  const std::vector<double> row = reference::jacobian_row(network, parameters, trace, o);
  double largest = 1e-12, used = 0, size = 1;
  for (const std::vector<double>& z : trace.preactivation)
    for (const double v : z) size = std::max(size, std::abs(v));
  for (const double v : row) largest = std::max(largest, std::abs(v));
  const double step = 4e-6;
  for (std::size_t t = 0; t < row.size(); ++t) {
    const double near = central_difference(network, parameters, o, t, step);
    const double far = central_difference(network, parameters, o, t, 2 * step);
    const double tolerance = std::abs(far - near) + 32 * std::numeric_limits<double>::epsilon() * size / step;
    EXPECT_NEAR(row[t], near, tolerance) << label << ", output " << o << ", parameter " << t;
    used = std::max(used, tolerance / largest);
  }
  return used;
}

TEST(ReferenceJacobian, EqualsCentralDifferences) {
  for (const Activation& activation : activations())
    for (const Parametrization p :
         {Parametrization::ntk, Parametrization::standard, Parametrization::mup, Parametrization::mean_field})
      for (const bool biases : {false, true})
        for (const bool layer_norm : {false, true})
          for (const bool residual : {false, true}) {
            const Network network = make(activation, p, {biases, layer_norm, residual});
            const DrawId id{1234, 7};
            const std::vector<double> parameters = reference::member_parameters(network, {1, &id, nullptr}, 0);
            const std::string label = std::string("activation ") + std::to_string(activation.kind()) + ", " +
                                      scaling_table(p).name + (biases ? ", biases" : "") +
                                      (layer_norm ? ", LayerNorm" : "") + (residual ? ", residual" : "");
            for (Index o = 0; o < 2; ++o) EXPECT_LT(check_row(network, parameters, o, label), 1e-3) << label;
          }
}

TEST(ReferenceJacobian, MeanFieldWithOneHiddenLayerEqualsCentralDifferences) {
  Network network = make(Tanh{}, Parametrization::mean_field, {true, false, false});
  MlpShape shape = network.shape;
  shape.widths = {5};
  shape.unit_multipliers.clear();
  InitChoice choice;
  choice.parametrization = Parametrization::mean_field;
  choice.sigma_b = 0.4;
  network = make_network(shape, choice);
  const DrawId id{1234, 8};
  const std::vector<double> parameters = reference::member_parameters(network, {1, &id, nullptr}, 0);
  EXPECT_LT(check_row(network, parameters, 1, "mean-field"), 1e-3);
}

// The check must be able to fail: a backward pass that forgets the branch factor differs by far more than its
// tolerance.
TEST(ReferenceJacobian, CentralDifferencesSeeAForgottenBranchFactor) {
  const Network network = make(Erf{}, Parametrization::ntk, {true, false, true});
  Network forgetful = network;
  forgetful.shape.residual = 1.0;
  const DrawId id{1234, 7};
  const std::vector<double> parameters = reference::member_parameters(network, {1, &id, nullptr}, 0);
  const std::vector<double> wrong =
      reference::jacobian_row(forgetful, parameters, reference::run(network, parameters, kX), 0);
  const auto t = static_cast<std::size_t>(ParamLayout(network.shape).weight_offset[1]);
  EXPECT_GT(std::abs(wrong[t] - central_difference(network, parameters, 0, t, 4e-6)), 1e-3 * std::abs(wrong[t]));
}

TEST(ReferenceJacobian, RatesFollowTheLayout) {
  InitChoice choice;
  choice.sigma_b = 1.0;
  choice.train_bias = false;
  choice.train_weights = {true, false, true};
  MlpShape shape;
  shape.input_dim = 2;
  shape.widths = {1, 1};
  const std::vector<double> expected{1, 1, 0, 0, 0, 1, 0};
  EXPECT_EQ(reference::parameter_rates(make_network(shape, choice)), expected);
}

}  // namespace
