// The gradient implied by one step of the oracle, theta - theta' at eta = 1, against central differences of the loss:
// every loss, activation and structure. Two planted faults must break the same check.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/reference/jacobian.hpp"
#include "tests/support/random_problem.hpp"
#include "tests/support/small_training.hpp"

namespace {

using namespace widelab;
using test::SmallTraining;
using Vector = std::vector<double>;

constexpr LossKind kLosses[] = {LossKind::half_squared, LossKind::squared, LossKind::cross_entropy, LossKind::logistic,
                                LossKind::hinge};
constexpr const char* kActivations[] = {
    "identity", "relu",      "ab-relu(-0.3,0.8)",        "erf", "gelu", "tanh", "sin",
    "cos",      "quadratic", "hermite-series(0.1,1,0.5)"};
constexpr Index kExamples = 3, kOutputs = 2, kInputs = 2;
constexpr double kStep = 4e-6;

SmallTraining make(const test::NetworkCase& structure, LossKind loss, std::uint64_t seed) {
  const Network network = structure.network();
  const DrawId init{1234, static_cast<std::uint32_t>(seed)};
  const Vector theta = reference::member_parameters(network, {1, &init, nullptr}, 0);
  const Vector targets = loss == LossKind::cross_entropy ? Vector{0, 1, 1, 0, 0.25, 0.5}  // the last has mass 3/4
                         : loss == LossKind::logistic || loss == LossKind::hinge ? Vector{-1, 1, 1, 1, -1, -1}
                                                                                 : Vector{0.3, -1, 0.8, 2, 0, -0.5};
  SmallTraining t(network, test::normals<double>(kExamples, kInputs, seed), targets, theta);
  t.rule.loss = loss;
  t.rule.reduction = Reduction::mean_entries;
  t.settings[0].learning_rate = 1;
  return t;
}

/// Example i at step 0, where it is in slot i, under that step's dropout.
reference::Trace trace_of(const SmallTraining& t, const Vector& theta, Index i) {
  const MlpShape& shape = t.network.shape;
  const double keep = t.rule.dropout_keep;
  std::vector<Vector> masks;
  for (Index l = 0; keep < 1 && l < shape.depth(); ++l) {
    masks.emplace_back();
    for (Index unit = 0; unit < shape.fan_out(l); ++unit)
      masks.back().push_back(dropout_keeps(t.settings[0].ids.noise, keep, l, shape.fan_out(l), i, unit, 0) / keep);
  }
  return reference::run(t.network, theta, t.inputs.data() + i * kInputs, masks);
}

double objective(const SmallTraining& t, const Vector& theta) {
  double total = 0;
  for (Index i = 0; i < kExamples; ++i) {
    const Vector f = trace_of(t, theta, i).output();
    total += loss_value(t.rule.loss, f.data(), t.targets.data() + i * kOutputs, kOutputs);
  }
  return total / static_cast<double>(kExamples * kOutputs);
}

/// theta - theta' over one step of plain descent.
Vector implied_gradient(SmallTraining t) {
  Vector gradient = t.theta();
  t.run(0, 1);
  for (std::size_t p = 0; p < gradient.size(); ++p) gradient[p] -= t.parameters[p];
  return gradient;
}

/// How close the data come to a kink, of the activation or of the hinge.
double distance_to_kink(const SmallTraining& t) {
  double distance = 1;
  for (Index i = 0; i < kExamples; ++i) {
    const reference::Trace trace = trace_of(t, t.theta(), i);
    for (const Vector& y : trace.normalised)
      for (const double v : y) distance = std::min(distance, std::abs(v));
    for (std::size_t o = 0; t.rule.loss == LossKind::hinge && o < kOutputs; ++o)
      distance = std::min(distance, std::abs(1 - trace.output()[o] * t.targets[static_cast<std::size_t>(i) * 2 + o]));
  }
  return distance;
}

/// Largest |gradient - difference| / tolerance. The truncation error of D(h) is |D(2h) - D(h)| / 3; values of the
/// objective carry some tens of roundings of their own size and of their intermediate numbers, divided by h; theta -
/// theta' one of theta.
double disagreement(const SmallTraining& t, const Vector& gradient) {
  constexpr double eps = std::numeric_limits<double>::epsilon();
  const Vector theta = t.theta();
  double size = 1 + objective(t, theta), worst = 0;
  for (Index i = 0; i < kExamples; ++i)
    for (const Vector& z : trace_of(t, theta, i).preactivation)
      for (const double v : z) size = std::max(size, v * v);
  const auto difference = [&](std::size_t p, double step) {
    Vector moved = theta;
    moved[p] = theta[p] + step;
    const double up = objective(t, moved);
    moved[p] = theta[p] - step;
    return (up - objective(t, moved)) / (2 * step);
  };
  for (std::size_t p = 0; p < theta.size(); ++p) {
    const double near = difference(p, kStep), far = difference(p, 2 * kStep);
    const double tolerance = std::abs(far - near) + 32 * eps * size / kStep + 4 * eps * (1 + std::abs(theta[p]));
    worst = std::max(worst, std::abs(gradient[p] - near) / tolerance);
  }
  return worst;
}

test::NetworkCase structure(const char* activation, bool biases, bool layer_norm, bool residual) {
  test::NetworkCase c;
  c.activation = activation;
  c.input_dim = kInputs;
  c.outputs = kOutputs;
  c.widths = residual ? std::vector<Index>{4, 4, 4} : std::vector<Index>{3, 5, 4};
  c.sigma_b = biases ? 0.4 : 0.0;
  c.layer_norm = layer_norm;
  c.residual = residual ? 0.6 : 0.0;
  c.unit_multipliers = true;
  return c;
}

/// The first seed whose data stay away from kinks.
SmallTraining away_from_kinks(const test::NetworkCase& c, LossKind loss, double keep = 1.0) {
  for (std::uint64_t seed = 1;; ++seed) {
    SmallTraining t = make(c, loss, seed);
    t.rule.dropout_keep = keep;
    if (distance_to_kink(t) > 1e-3) return t;
  }
}

TEST(ReferenceTrainGradient, OneStepEqualsCentralDifferences) {
  for (const LossKind loss : kLosses)
    for (const char* activation : kActivations)
      for (const bool biases : {false, true})
        for (const bool layer_norm : {false, true})
          for (const bool residual : {false, true}) {
            const SmallTraining t = away_from_kinks(structure(activation, biases, layer_norm, residual), loss);
            EXPECT_LT(disagreement(t, implied_gradient(t)), 1.0)
                << activation << ", loss " << static_cast<int>(loss) << (biases ? ", biases" : "")
                << (layer_norm ? ", LayerNorm" : "") << (residual ? ", residual" : "");
          }
}

TEST(ReferenceTrainGradient, DropoutMasksTheBackwardPassAsTheForwardPass) {
  for (const LossKind loss : kLosses)
    for (const bool layer_norm : {false, true})
      for (const bool residual : {false, true}) {
        const SmallTraining t = away_from_kinks(structure("tanh", true, layer_norm, residual), loss, 0.6);
        SmallTraining without = t;
        without.rule.dropout_keep = 1;
        EXPECT_LT(disagreement(t, implied_gradient(t)), 1.0) << static_cast<int>(loss) << layer_norm << residual;
        EXPECT_GT(disagreement(t, implied_gradient(without)), 1e3);
      }
}

// A slope of 1 on both sides of zero: the backward pass reads the slope at trace.normalised, so that is where it is
// planted.
TEST(ReferenceTrainGradient, AWrongSlopeOfReluIsSeen) {
  for (const LossKind loss : kLosses) {
    const SmallTraining t = away_from_kinks(structure("relu", true, false, false), loss);
    Vector wrong(t.parameters.size(), 0.0), right = wrong;
    for (Index i = 0; i < kExamples; ++i) {
      reference::Trace trace = trace_of(t, t.theta(), i);
      Vector delta(kOutputs);
      loss_slope(loss, trace.output().data(), t.targets.data() + i * kOutputs, kOutputs, Index{1}, delta.data());
      for (double& d : delta) d /= static_cast<double>(kExamples * kOutputs);
      const Vector healthy = reference::pullback(t.network, t.theta(), trace, delta);
      for (Vector& y : trace.normalised) std::fill(y.begin(), y.end(), 1.0);
      const Vector faulty = reference::pullback(t.network, t.theta(), trace, delta);
      for (std::size_t p = 0; p < wrong.size(); ++p) {
        right[p] += healthy[p];
        wrong[p] += faulty[p];
      }
    }
    EXPECT_LT(disagreement(t, right), 1.0);
    EXPECT_GT(disagreement(t, wrong), 1e3) << "loss " << static_cast<int>(loss);
  }
}

TEST(ReferenceTrainGradient, ADoubleRateOfBiasesIsSeen) {
  for (const LossKind loss : kLosses) {
    SmallTraining t = away_from_kinks(structure("tanh", true, false, false), loss);
    SmallTraining faulty = t;
    for (LayerScale& scale : faulty.network.layers) scale.bias_rate *= 2;
    EXPECT_LT(disagreement(t, implied_gradient(t)), 1.0);
    EXPECT_GT(disagreement(t, implied_gradient(faulty)), 1e3) << "loss " << static_cast<int>(loss);
  }
}

}  // namespace
