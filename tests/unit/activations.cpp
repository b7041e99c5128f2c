// Values, derivatives, precision, dispatch and names of every activation.
#include "widelab/math/activations.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "widelab/base/errors.hpp"
#include "widelab/math/activation_names.hpp"

namespace widelab {
namespace {

HermiteSeries series(std::vector<double> coefficients) {
  HermiteSeries out;
  std::copy(coefficients.begin(), coefficients.end(), out.c);
  out.degree = static_cast<Index>(coefficients.size()) - 1;
  return out;
}

/// At least one of every entry of AllActivations.
std::vector<Activation> samples() {
  return {Relu{}, Identity{}, AbRelu{0.1, 1.0}, AbRelu{-0.7, 1.3}, Erf{}, Gelu{}, Tanh{}, Sin{}, Cos{}, Quadratic{},
          hermite(0), hermite(3), hermite(HermiteSeries::kMaxDegree), series({0.3, 1.0, -0.5, 0.25, 0.0, 0.1})};
}

std::vector<double> grid(bool without_zero) {
  std::vector<double> points;
  for (int i = -240; i <= 240; ++i)
    if (i != 0 || !without_zero) points.push_back(i / 40.0);
  return points;
}

TEST(Activations, SamplesCoverTheWholeList) {
  std::vector<bool> seen(AllActivations::kSize, false);
  for (const Activation& a : samples()) seen[static_cast<std::size_t>(a.kind())] = true;
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), AllActivations::kSize);
}

// Fourth-order differences with step h: truncation h^4 |f^(5)| / 30, rounding 2 eps max|f| / h; both are below 1e-9
// of the size of phi, phi', phi'' nearby.
template <class F>
double difference(const F& f, double z) {
  constexpr double kStep = 0x1p-9;
  return (8.0 * (f(z + kStep) - f(z - kStep)) - (f(z + 2.0 * kStep) - f(z - 2.0 * kStep))) / (12.0 * kStep);
}

template <class F>
double size_near(const F& f, double z) {
  double size = 1.0;
  for (const double x : {z - 0.5, z, z + 0.5})
    size = std::max({size, std::fabs(f.value(x)), std::fabs(f.first(x)), std::fabs(f.second(x))});
  return size;
}

TEST(Activations, DerivativesAgreeWithDifferences) {
  for (const Activation& activation : samples()) {
    visit(activation, [&](const auto& f) {
      for (const double z : grid(f.kKinked)) {
        const double tolerance = 1e-9 * size_near(f, z);
        const double slope = difference([&](double x) { return f.value(x); }, z);
        const double curvature = difference([&](double x) { return f.first(x); }, z);
        EXPECT_NEAR(f.first(z), slope, tolerance) << to_string(activation) << " at " << z;
        EXPECT_NEAR(f.second(z), curvature, tolerance) << to_string(activation) << " at " << z;
      }
    });
  }
}

TEST(Activations, DifferencesRejectAWrongDerivative) {
  const Gelu f;
  const double slope = difference([&](double x) { return f.value(x); }, 0.5);
  const double tanh_approximation = 0.5 * (1.0 + std::tanh(0.7978845608 * (0.5 + 0.044715 * 0.125)));
  EXPECT_GT(std::fabs(tanh_approximation + 0.5 * portable::normal_density(0.5) - slope), 1e-5);
}

TEST(Activations, KinkedOnesHaveZeroDerivativeAtZero) {
  EXPECT_EQ(Relu{}.first(0.0), 0.0);
  EXPECT_EQ(Relu{}.first(-0.0f), 0.0f);
  EXPECT_EQ((AbRelu{0.3, 2.0}.first(0.0)), 0.0);
  EXPECT_EQ((AbRelu{0.3, 2.0}.first(1e-300)), 2.0);
  EXPECT_EQ((AbRelu{0.3, 2.0}.first(-1e-300)), 0.3);
}

TEST(Activations, DivergenceIsNotHidden) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Activation& activation : samples()) {
    if (activation == Activation(hermite(0))) continue;  // a constant
    visit(activation, [&](const auto& f) {
      EXPECT_TRUE(std::isnan(f.value(nan))) << to_string(activation);
      EXPECT_TRUE(std::isnan(f.value(static_cast<float>(nan)))) << to_string(activation);
    });
  }
}

// Tolerance in units of eps: the bounds of portable.hpp, plus, where terms cancel, their size (GELU' = Phi + z density;
// the oscillating Hermite series, whose recurrence takes three roundings a degree).
TEST(Activations, FloatAgreesWithDouble) {
  constexpr double kEps = 0x1p-23;
  for (const Activation& activation : samples()) {
    visit(activation, [&](const auto& f) {
      using F = std::decay_t<decltype(f)>;
      double worst = 0.0;
      for (int i = -60000; i <= 60000; ++i) {
        const float z = static_cast<float>(i) * 1.0001e-4f;
        double scale = 0.0;
        if constexpr (std::is_same_v<F, Gelu>) scale = 0.2;
        if constexpr (std::is_same_v<F, HermiteSeries>) scale = size_near(f, static_cast<double>(z));
        const auto error = [&](float got, double truth) {
          const double unit = kEps * (std::fabs(truth) + scale);
          return unit > 0.0 ? std::fabs(got - truth) / unit : (got == 0.0f ? 0.0 : 1e9);
        };
        const double at = static_cast<double>(z);
        worst = std::max({worst, error(f.value(z), f.value(at)), error(f.first(z), f.first(at)),
                          error(f.second(z), f.second(at))});
      }
      EXPECT_LE(worst, 8.0) << to_string(activation);
    });
  }
}

TEST(Activations, HermiteSeriesIsOrthonormal) {
  // Trapezoid sums of polynomials times the normal density converge faster than any power of the step.
  for (int j = 0; j <= 6; ++j)
    for (int k = 0; k <= 6; ++k) {
      double sum = 0.0;
      for (int i = -120; i <= 120; ++i) {
        const double z = i / 10.0;
        sum += 0.1 * portable::normal_density(z) * hermite(j).value(z) * hermite(k).value(z);
      }
      EXPECT_NEAR(sum, j == k ? 1.0 : 0.0, 1e-13) << j << " " << k;
    }
}

TEST(Activation, IsATriviallyCopyableBoxWithReluAsDefault) {
  static_assert(std::is_trivially_copyable_v<Activation>);
  EXPECT_EQ(Activation{}, Activation(Relu{}));
  EXPECT_FALSE(Activation(AbRelu{0.1, 1.0}) == Activation(AbRelu{0.2, 1.0}));
  EXPECT_FALSE(Activation(Sin{}) == Activation(Cos{}));
}

TEST(Activation, VisitCallsTheConcreteFunctorWithItsParameters) {
  const Activation boxed = AbRelu{0.25, 3.0};
  EXPECT_EQ(visit(boxed, [](const auto& f) { return f.value(-2.0); }), -0.5);
  EXPECT_EQ(visit(boxed, [](const auto& f) { return f.value(2.0f); }), 6.0f);
  EXPECT_EQ(boxed.as<AbRelu>().b, 3.0);
  for (const Activation& a : samples())
    EXPECT_EQ(visit(a, [](const auto& f) { return activation_list::kPosition<std::decay_t<decltype(f)>>; }), a.kind());
}

TEST(ActivationNames, RoundTrip) {
  for (const Activation& a : samples()) EXPECT_EQ(parse_activation(to_string(a)), a) << to_string(a);
  const AbRelu awkward{0.1 + 0.2, -1.0 / 3.0};
  EXPECT_EQ(parse_activation(to_string(awkward)), Activation(awkward));
}

TEST(ActivationNames, AliasesAndSpacesAreUnderstood) {
  EXPECT_EQ(parse_activation("leaky-relu(0.1)"), Activation(AbRelu{0.1, 1.0}));
  EXPECT_EQ(parse_activation(" ab-relu( 0.2 , 1 ) "), Activation(AbRelu{0.2, 1.0}));
  EXPECT_EQ(parse_activation("hermite(3)"), Activation(hermite(3)));
  EXPECT_EQ(parse_activation("hermite-series(0,1,0.5)"), Activation(series({0.0, 1.0, 0.5})));
  EXPECT_EQ(parse_activation("relu()"), Activation(Relu{}));
  EXPECT_EQ(to_string(hermite(3)), "hermite(3)");
  EXPECT_EQ(to_string(Activation(AbRelu{0.1, 1.0})), "ab-relu(0.1,1)");
}

/// The text of the RecipeError that `name` causes.
std::string refusal(const std::string& name) {
  try {
    parse_activation(name);
  } catch (const RecipeError& error) {
    return error.what();
  }
  return "accepted";
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(ActivationNames, UnknownNamesAreRefusedWithTheNearestOne) {
  const std::string message = refusal("rleu");
  EXPECT_TRUE(contains(message, "did you mean \"relu\"")) << message;
  for (const std::string& name : activation_names()) EXPECT_TRUE(contains(message, name)) << name;
  EXPECT_TRUE(contains(refusal("leaky_relu(0.1)"), "did you mean \"leaky-relu\""));
  EXPECT_TRUE(contains(refusal(""), "unknown"));
}

TEST(ActivationNames, WrongParametersAreRefused) {
  EXPECT_TRUE(contains(refusal("relu(1)"), "takes 0 parameters, got 1"));
  EXPECT_TRUE(contains(refusal("ab-relu(1)"), "takes 2 parameters, got 1"));
  EXPECT_TRUE(contains(refusal("leaky-relu"), "takes 1 parameters, got 0"));
  EXPECT_TRUE(contains(refusal("hermite(16)"), "integer from 0 to 15"));
  EXPECT_TRUE(contains(refusal("hermite(1.5)"), "integer from 0 to 15"));
  EXPECT_TRUE(contains(refusal("hermite-series()"), "takes 1 to 16 parameters, got 0"));
  EXPECT_TRUE(contains(refusal("leaky-relu(x)"), "not a finite number"));
  EXPECT_TRUE(contains(refusal("leaky-relu(nan)"), "not a finite number"));
  EXPECT_TRUE(contains(refusal("leaky-relu(0.1"), "must end with"));
}

TEST(ActivationNames, EveryActivationHasAName) {
  EXPECT_EQ(static_cast<int>(activation_names().size()), AllActivations::kSize + 2);
}

}  // namespace
}  // namespace widelab
