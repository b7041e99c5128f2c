// Gaussian moments of activations against golden numbers, against an independent quadrature that splits the plane at
// the kinks, and exactly in the edge cases.
#include "widelab/math/gaussian_moments.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <boost/math/quadrature/gauss.hpp>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <vector>

#include "widelab/base/errors.hpp"
#include "widelab/math/activation_names.hpp"

namespace widelab {
namespace {

const std::vector<std::string> kNames = {"relu", "ab-relu(0.2,1)", "ab-relu(-0.7,1.3)", "identity", "erf", "gelu",
                                         "tanh", "sin", "cos", "quadratic", "hermite(3)",
                                         "hermite-series(0.3,1,-0.5,0.25,0,0.1)"};

nlohmann::json golden(const std::string& name) {
  static const nlohmann::json all = nlohmann::json::parse(std::ifstream(WIDELAB_GOLDEN_DIR "/infinite_width.json"));
  for (const auto& entry : all)
    if (entry.at("name") == name) return entry.at("values");
  throw std::runtime_error("no golden entry " + name);
}

double number(const nlohmann::json& text) { return std::stod(text.get<std::string>()); }

// ---- the independent algorithm: composite Gauss-Legendre, split at the kinks ----

constexpr double kEdge = 10.0;

double density(double x) { return std::exp(-0.5 * x * x) / std::sqrt(2.0 * M_PI); }

template <std::size_t M, class F>
void add_panel(F&& f, double a, double b, std::array<double, M>& sums) {
  using Rule = boost::math::quadrature::gauss<double, 20>;
  for (std::size_t i = 0; i < Rule::abscissa().size(); ++i)
    for (const double side : {-1.0, 1.0}) {
      const double x = 0.5 * (a + b) + side * 0.5 * (b - a) * Rule::abscissa()[i];
      const double weight = 0.5 * (b - a) * Rule::weights()[i] * density(x);
      const std::array<double, M> values = f(x);
      for (std::size_t k = 0; k < M; ++k) sums[k] += weight * values[k];
    }
}

/// E f(g), g ~ N(0, 1), f smooth on either side of `split`.
template <std::size_t M, class F>
std::array<double, M> split_expectation(F&& f, double split) {
  std::array<double, M> sums{};
  const double middle = std::clamp(split, -kEdge, kEdge);
  for (const auto& [from, to] : {std::pair{-kEdge, middle}, std::pair{middle, kEdge}}) {
    const int panels = static_cast<int>(std::ceil((to - from) / 2.0));
    for (int p = 0; p < panels; ++p)
      add_panel<M>(f, from + (to - from) * p / panels, from + (to - from) * (p + 1) / panels, sums);
  }
  return sums;
}

/// E f(u, v): outer panels shrink geometrically towards u = 0, where the inner integral turns within a width of
/// sqrt(1 - c^2); inner panels are split at v = 0.
template <std::size_t M, class F>
std::array<double, M> pair_expectation(F&& f, const KernelTriple& k) {
  const double sigma = std::sqrt(k.k11), along = k.k12 / sigma;
  const double across = std::sqrt(k.k22 - along * along);
  const auto inner = [&](double x) {
    return split_expectation<M>([&](double y) { return f(sigma * x, along * x + across * y); }, -along * x / across);
  };
  std::array<double, M> sums{};
  for (const double side : {-1.0, 1.0}) {
    double far = kEdge;
    for (int panel = 0; panel < 24; ++panel) {
      const double near = panel == 23 ? 0.0 : 0.55 * far;
      add_panel<M>(inner, std::min(side * near, side * far), std::max(side * near, side * far), sums);
      far = near;
    }
  }
  return sums;
}

/// E of pp', ee', (pp')^2, (ee')^2, pp'ee'.
template <class A>
std::array<double, 5> reference_moments(const A& a, const KernelTriple& k) {
  return pair_expectation<5>(
      [&a](double u, double v) {
        const double pp = a.value(u) * a.value(v), ee = a.first(u) * a.first(v);
        return std::array<double, 5>{pp, ee, pp * pp, ee * ee, pp * ee};
      },
      k);
}

void expect_close(double got, double expected, double scale, const std::string& what) {
  EXPECT_NEAR(got, expected, 2e-12 * (std::fabs(expected) + scale)) << what;
}

const std::vector<KernelTriple> kTriples = {{1.2, 0.5, 0.8},   {0.3, -0.25, 1.7}, {1.0, 0.999, 1.0},
                                            {1.0, -0.999, 1.0}, {0.9, 0.0, 0.4},  {1.0, 1.0 - 1e-8, 1.0}};

TEST(DualMoments, EqualTheKinkSplitQuadratureForEveryActivation) {
  for (const std::string& name : kNames) {
    const Activation activation = parse_activation(name);
    for (const KernelTriple& k : kTriples) {
      const auto expected = visit(activation, [&](const auto& a) { return reference_moments(a, k); });
      const DualMoments dual = dual_moments(activation, k);
      const QuarticMoments quartic = quartic_moments(activation, k);
      const std::string where = name + " at k12 = " + std::to_string(k.k12);
      expect_close(dual.value, expected[0], 1.0, where);
      expect_close(dual.slope, expected[1], 1.0, where);
      expect_close(quartic.pp, expected[2], 1.0, where);
      expect_close(quartic.ee, expected[3], 1.0, where);
      expect_close(quartic.ppee, expected[4], 1.0, where);
    }
  }
}

TEST(DualMoments, EqualTheGoldenNumbers) {
  const KernelTriple k{1.2, 0.5, 0.8};
  for (const auto& [name, activation] : {std::pair{"dual_gelu", Activation(Gelu{})}, {"dual_tanh", Tanh{}}}) {
    const DualMoments dual = dual_moments(activation, k);
    EXPECT_NEAR(dual.value, number(golden(name)["E_phi_phi"]), 1e-13) << name;
    EXPECT_NEAR(dual.slope, number(golden(name)["E_dphi_dphi"]), 1e-13) << name;
  }
}

TEST(DualMoments, QuadratureFallbackEqualsEveryClosedForm) {
  for (const std::string& name : kNames) {
    visit(parse_activation(name), [&](const auto& a) {
      using A = std::decay_t<decltype(a)>;
      if constexpr (!A::kKinked) {
        for (const KernelTriple& k : {kTriples[0], kTriples[3], KernelTriple{0.0, 0.0, 0.7}, KernelTriple{1, 1, 1}}) {
          const auto pair = moments::gaussian_pair(k);
          const DualMoments closed = moments::dual(a, pair), sums = moments::dual<A>(a, pair);
          expect_close(sums.value, closed.value, 1.0, name);
          expect_close(sums.slope, closed.slope, 1.0, name);
        }
      }
    });
  }
}

struct Sigmoid {
  static constexpr bool kKinked = false;
  double value(double z) const { return 1.0 / (1.0 + std::exp(-z)); }
  double first(double z) const { return value(z) * value(-z); }
};
struct KinkedWithoutFormula {
  static constexpr bool kKinked = true;
  double value(double z) const { return z > 0.0 ? z * z + z : 0.0; }
  double first(double z) const { return z > 0.0 ? 2.0 * z + 1.0 : 0.0; }
};
template <class A>
concept HasDual = requires(A a, moments::GaussianPair k) { moments::dual(a, k); };

TEST(DualMoments, ANewSmoothFunctorIsIntegratedAndANewKinkedOneIsRefused) {
  static_assert(HasDual<Sigmoid> && !HasDual<KinkedWithoutFormula>);
  for (const KernelTriple& k : kTriples) {
    const auto expected = reference_moments(Sigmoid{}, k);
    const DualMoments dual = moments::dual(Sigmoid{}, moments::gaussian_pair(k));
    expect_close(dual.value, expected[0], 0.0, "sigmoid");
    expect_close(dual.slope, expected[1], 0.0, "sigmoid");
  }
}

TEST(DualMoments, SmoothQuadratureRefusesAKink) {
  const auto relu = [](double x, double* out) { out[0] = Relu{}.value(x - 0.1); };
  EXPECT_THROW(quadrature::normal_expectations(1, {}, relu), ContractError);
}

TEST(DualMoments, ReluIsExactForEqualAndOppositeInputs) {
  for (const double k : {0.3, 1.0, 1.7, 12345.678, 1e-12}) {
    const DualMoments same = dual_moments(Relu{}, {k, k, k}), opposite = dual_moments(Relu{}, {k, -k, k});
    EXPECT_EQ(same.value, 0.5 * k);
    EXPECT_EQ(same.slope, 0.5);
    EXPECT_EQ(opposite.value, 0.0);
    EXPECT_EQ(opposite.slope, 0.0);
    const DualMoments leaky = dual_moments(AbRelu{0.5, 1.0}, {k, -k, k});
    EXPECT_EQ(leaky.value, -0.5 * k);
    EXPECT_EQ(leaky.slope, 0.5);
  }
}

TEST(DualMoments, ReluKeepsItsDigitsNearEqualInputs) {
  // slope = 1/2 - theta / (2 pi) with cos theta = 1 - d; 1 - d is exact, the slope's own rounding is 1e-16.
  for (const double d : {0x1p-20, 0x1p-30, 0x1p-40, 0x1p-50}) {
    const double theta = 2.0 * std::asin(std::sqrt(0.5 * d));
    const DualMoments near_equal = dual_moments(Relu{}, {1.0, 1.0 - d, 1.0});
    const DualMoments near_opposite = dual_moments(Relu{}, {1.0, d - 1.0, 1.0});
    EXPECT_NEAR(near_equal.slope, 0.5 - theta / (2.0 * M_PI), 1.2e-16);
    EXPECT_NEAR(near_opposite.slope, theta / (2.0 * M_PI), 1e-15 * theta);
  }
}

TEST(DualMoments, ReluAngleDoesNotPassThroughARoundedCorrelation) {
  // Unequal variances: acos of a rounded correlation would be wrong by 1e-16 / theta = 1e-10.
  const double k11 = 1.3, k22 = 0.7, k12 = std::sqrt(k11 * k22) * (1.0 - 1e-12);
  const long double det = static_cast<long double>(k11) * k22 - static_cast<long double>(k12) * k12;
  const double theta = static_cast<double>(std::atan2(std::sqrt(det), static_cast<long double>(k12)));
  const double slope = dual_moments(Relu{}, {k11, k12, k22}).slope;
  const double rounded = 0.5 - std::acos(k12 / std::sqrt(k11 * k22)) / (2.0 * M_PI);
  EXPECT_NEAR(slope, 0.5 - theta / (2.0 * M_PI), 1e-13);
  EXPECT_GT(std::fabs(rounded - slope), 1e-12);
}

TEST(DualMoments, ZeroInputsAreExact) {
  for (const KernelTriple& k : {KernelTriple{0, 0, 0}, KernelTriple{0, 0, 1.3}, KernelTriple{1.3, 0, 0}}) {
    for (const char* name : {"relu", "ab-relu(0.2,1)"}) {
      const DualMoments kinked = dual_moments(parse_activation(name), k);
      EXPECT_EQ(kinked.value, 0.0) << name;
      EXPECT_EQ(kinked.slope, 0.0) << name;
    }
    for (const char* name : {"identity", "erf", "gelu", "sin"})
      EXPECT_EQ(dual_moments(parse_activation(name), k).value, 0.0) << name;
    EXPECT_EQ(dual_moments(Identity{}, k).slope, 1.0);
    EXPECT_EQ(dual_moments(Gelu{}, k).slope, 0.25);
    EXPECT_NEAR(dual_moments(Tanh{}, k).value, 0.0, 1e-16);
  }
  EXPECT_EQ(dual_moments(Cos{}, {0, 0, 0}).value, 1.0);
}

TEST(DualMoments, CorrelationsBeyondOneAreClipped) {
  for (const std::string& name : kNames) {
    if (name == "tanh") continue;  // quadrature: equal to rounding only
    const Activation activation = parse_activation(name);
    const DualMoments clipped = dual_moments(activation, {1.7, 1.7 * (1 + 1e-12), 1.7});
    const DualMoments exact = dual_moments(activation, {1.7, 1.7, 1.7});
    EXPECT_EQ(clipped.value, exact.value) << name;
    EXPECT_EQ(clipped.slope, exact.slope) << name;
  }
}

TEST(DualMoments, BadCovariancesAreRefused) {
  EXPECT_THROW(dual_moments(Relu{}, {-1e-3, 0.0, 1.0}), ContractError);
  EXPECT_THROW(dual_moments(Relu{}, {1.0, std::nan(""), 1.0}), ContractError);
  EXPECT_THROW(single_moments(Tanh{}, -1.0), ContractError);
}

TEST(DualMoments, WavesDoNotOverflowAtLargeVariance) {
  const DualMoments dual = dual_moments(Sin{}, {5000.0, 5000.0, 5000.0});
  EXPECT_DOUBLE_EQ(dual.value, 0.5);
  EXPECT_DOUBLE_EQ(dual.slope, 0.5);
}

TEST(SingleMoments, EqualTheKinkSplitQuadratureForEveryActivation) {
  for (const std::string& name : kNames) {
    const Activation activation = parse_activation(name);
    for (const double variance : {0.2, 1.0, 1.9}) {
      const double sigma = std::sqrt(variance);
      const auto expected = visit(activation, [&](const auto& a) {
        return split_expectation<5>(
            [&](double g) {
              const double p = a.value(sigma * g), e = a.first(sigma * g);
              return std::array<double, 5>{p, p * p, p * p * p * p, e * e, p * p * variance * (g * g - 1.0)};
            },
            0.0);
      });
      const SingleMoments single = single_moments(activation, variance);
      const std::array<double, 5> got = {single.mean, single.square, single.fourth, single.slope_square, single.chi};
      for (std::size_t i = 0; i < got.size(); ++i) expect_close(got[i], expected[i], 1.0, name);
    }
  }
}

TEST(SingleMoments, ZeroVarianceIsExactForRelu) {
  const SingleMoments single = single_moments(Relu{}, 0.0);
  for (const double value : {single.mean, single.square, single.fourth, single.slope_square, single.chi})
    EXPECT_EQ(value, 0.0);
}

// K' = E phi^2, V' = E phi^4 - (E phi^2)^2 + (chi / (2 K^2))^2 V: Roberts, Yaida and Hanin 2022, chapter 4, Cw = 1.
TEST(SingleMoments, GiveTheGoldenTanhVertexRecursion) {
  const nlohmann::json values = golden("pdlt_tanh_V");
  double kernel = 1.0, vertex = 0.0;
  for (std::size_t layer = 0; layer < values["K"].size(); ++layer) {
    const SingleMoments single = single_moments(Tanh{}, kernel);
    const double susceptibility = single.chi / (2.0 * kernel * kernel);
    vertex = single.fourth - single.square * single.square + susceptibility * susceptibility * vertex;
    kernel = single.square;
    EXPECT_NEAR(kernel, number(values["K"][layer]), 1e-13);
    EXPECT_NEAR(vertex, number(values["V"][layer]), 1e-13);
  }
}

// E Theta = F + k12 D, n Var Theta = pp + 3 k12^2 ee + 2 k12 ppee - (E Theta)^2 for one hidden layer without biases.
TEST(QuarticMoments, GiveTheGoldenVarianceOfOneHiddenLayer) {
  const double q = 1.3, r = 0.7, k12 = 0.6 * std::sqrt(q * r);
  const DualMoments dual = dual_moments(Relu{}, {q, k12, r});
  const QuarticMoments quartic = quartic_moments(Relu{}, {q, k12, r});
  const double mean = dual.value + k12 * dual.slope;
  const nlohmann::json values = golden("onehidden_ntk_var");
  EXPECT_NEAR(mean, number(values["mean"]), 1e-13);
  EXPECT_NEAR(quartic.pp + 3.0 * k12 * k12 * quartic.ee + 2.0 * k12 * quartic.ppee - mean * mean,
              number(values["n_times_var"]), 1e-13);
}

TEST(HermiteCoefficients, EqualTheKinkSplitQuadratureForEveryActivation) {
  constexpr std::size_t kCount = 13;
  for (const std::string& name : kNames) {
    const Activation activation = parse_activation(name);
    for (const double variance : {0.2, 1.0, 1.9}) {
      const double sigma = std::sqrt(variance);
      const auto expected = visit(activation, [&](const auto& a) {
        return split_expectation<kCount>(
            [&](double g) {
              std::array<double, kCount> out;
              for (std::size_t k = 0; k < kCount; ++k)
                out[k] = a.value(sigma * g) * hermite(static_cast<int>(k)).value(g);
              return out;
            },
            0.0);
      });
      const std::vector<double> got = hermite_coefficients(activation, variance, kCount - 1);
      ASSERT_EQ(got.size(), kCount);
      for (std::size_t k = 0; k < kCount; ++k) expect_close(got[k], expected[k], 1.0, name + " " + std::to_string(k));
    }
  }
}

TEST(HermiteCoefficients, SumToTheDualAtEveryCorrelation) {
  for (const std::string& name : kNames) {
    const Activation activation = parse_activation(name);
    const std::vector<double> a = hermite_coefficients(activation, 1.2, 200);
    const std::vector<double> b = hermite_coefficients(activation, 0.8, 200);
    for (const double rho : {0.7, -0.6}) {
      double sum = 0.0;
      for (std::size_t k = a.size(); k-- > 0;) sum = sum * rho + a[k] * b[k];
      const double dual = dual_moments(activation, {1.2, rho * std::sqrt(1.2 * 0.8), 0.8}).value;
      EXPECT_NEAR(sum, dual, 1e-13 * (1.0 + std::fabs(dual))) << name;
    }
  }
}

TEST(HermiteCoefficients, ZeroVarianceLeavesTheValueAtZero) {
  for (const std::string& name : kNames) {
    const Activation activation = parse_activation(name);
    const std::vector<double> c = hermite_coefficients(activation, 0.0, 4);
    const double at_zero = visit(activation, [](const auto& a) { return a.value(0.0); });
    EXPECT_NEAR(c[0], at_zero, 1e-15) << name;
    for (std::size_t k = 1; k < c.size(); ++k) EXPECT_NEAR(c[k], 0.0, 1e-15) << name;
  }
}

}  // namespace
}  // namespace widelab
