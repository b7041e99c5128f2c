// Exponents of the coordinate check against one step of explicit networks. The scales are written out here as
// multiplier n^-a, std n^-b and rate n^c of (input, hidden, output, hidden bias, output bias); nothing is read from the
// library's table. The loss is linear (slope 1 by the output), so that the step does not depend on f_0.
//
// Each movement is a root mean square over units and networks; its slope between the two largest widths is within
// kTolerance of the exponent. Exponents of different rows differ by at least 1/2.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdio>

#include "host/theory/coordinate_check.hpp"
#include "tests/statistical/theory_monte_carlo.hpp"

namespace widelab {
namespace {

using test::Vector;
using theory::CoordinateExponents;
using theory::StepKind;

constexpr double kTolerance = 0.15;
constexpr std::size_t kInputs = 4, kNets = 12;

struct Scales {
  Parametrization parametrization;
  std::array<double, 5> a, b, sgd;
};

// Standard at fixed learning rate; -1 is added below.
const Scales kNtk{Parametrization::ntk, {0, .5, .5, 0, 0}, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}};
const Scales kStandard{Parametrization::standard, {0, 0, 0, 0, 0}, {0, .5, .5, 0, 0}, {0, 0, 0, 0, 0}};
const Scales kMup{Parametrization::mup, {0, 0, 0, 0, 0}, {0, .5, 1, 0, 0}, {1, 0, -1, 1, 0}};
// Adam's rates, from the condition that the entries of a layer, all moved by their rate, move its sums by order 1.
constexpr std::array<double, 5> kMupAdam{0, -1, -1, 0, 0}, kNtkAdam{-.5, -1, -.5, -.5, 0};

/// z1, z2 and f of a network with two hidden tanh layers, and the affine sums' derivatives.
struct Pass {
  Vector z1, h1, z2, h2;
  double f = 0;
};

class TwoLayers {
 public:
  TwoLayers(const Scales& scales, std::size_t n, test::NormalSource& normal) : s_(scales), n_(n) {
    fill(w1_, n * kInputs, std_of(0) / std::sqrt(static_cast<double>(kInputs)), normal);
    fill(w2_, n * n, std_of(1), normal);
    fill(w3_, n, std_of(2), normal);
    fill(b1_, n, 0.3 * std_of(3), normal);
    fill(b2_, n, 0.3 * std_of(3), normal);
  }

  Pass forward(const Vector& x) const {
    Pass p;
    affine(w1_, b1_, x, power(-s_.a[0]), p.z1, p.h1);
    affine(w2_, b2_, p.h1, power(-s_.a[1]), p.z2, p.h2);
    p.f = b3_;
    for (std::size_t i = 0; i < n_; ++i) p.f += power(-s_.a[2]) * w3_[i] * p.h2[i];
    return p;
  }

  /// One step of rate 0.1 n^rates[role]; `sign`: of the gradients' signs.
  void step(const Vector& x, const std::array<double, 5>& rates, bool sign) {
    const Pass p = forward(x);
    Vector d2(n_), d1(n_, 0.0);
    for (std::size_t i = 0; i < n_; ++i) d2[i] = power(-s_.a[2]) * w3_[i] * (1 - p.h2[i] * p.h2[i]);
    for (std::size_t i = 0; i < n_; ++i)
      for (std::size_t j = 0; j < n_; ++j) d1[j] += power(-s_.a[1]) * w2_[i * n_ + j] * d2[i];
    for (std::size_t j = 0; j < n_; ++j) d1[j] *= 1 - p.h1[j] * p.h1[j];
    const auto move = [&](double& parameter, std::size_t role, double gradient) {
      parameter -= 0.1 * power(rates[role]) * (sign ? (gradient > 0 ? 1.0 : -1.0) : gradient);
    };
    for (std::size_t i = 0; i < n_; ++i) {
      for (std::size_t j = 0; j < kInputs; ++j) move(w1_[i * kInputs + j], 0, power(-s_.a[0]) * d1[i] * x[j]);
      for (std::size_t j = 0; j < n_; ++j) move(w2_[i * n_ + j], 1, power(-s_.a[1]) * d2[i] * p.h1[j]);
      move(w3_[i], 2, power(-s_.a[2]) * p.h2[i]);
      move(b1_[i], 3, d1[i]);
      move(b2_[i], 3, d2[i]);
    }
    move(b3_, 4, 1.0);
  }

 private:
  double power(double exponent) const { return exponent == 0.0 ? 1.0 : std::pow(static_cast<double>(n_), exponent); }
  double std_of(std::size_t role) const { return power(-s_.b[role]); }
  static void fill(Vector& out, std::size_t size, double std, test::NormalSource& normal) {
    out.resize(size);
    for (double& entry : out) entry = std * normal();
  }
  void affine(const Vector& w, const Vector& b, const Vector& h, double multiplier, Vector& z, Vector& next) const {
    z = b;
    next.resize(n_);
    for (std::size_t i = 0; i < n_; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < h.size(); ++j) sum += w[i * h.size() + j] * h[j];
      z[i] += multiplier * sum;
      next[i] = std::tanh(z[i]);
    }
  }

  Scales s_;
  std::size_t n_;
  Vector w1_, w2_, w3_, b1_, b2_;
  double b3_ = 0;
};

/// Root mean squares of the movements of z1, z2, f at one width.
std::array<double, 3> movements(const Scales& scales, const std::array<double, 5>& rates, bool sign, std::size_t n) {
  const Vector x{0.8, -1.1, 0.5, 1.3};
  test::NormalSource normal(90 + n);
  std::array<double, 3> square{};
  for (std::size_t net = 0; net < kNets; ++net) {
    TwoLayers network(scales, n, normal);
    const Pass before = network.forward(x);
    network.step(x, rates, sign);
    const Pass after = network.forward(x);
    for (std::size_t i = 0; i < n; ++i) {
      square[0] += std::pow(after.z1[i] - before.z1[i], 2) / static_cast<double>(n);
      square[1] += std::pow(after.z2[i] - before.z2[i], 2) / static_cast<double>(n);
    }
    square[2] += std::pow(after.f - before.f, 2);
  }
  return {std::sqrt(square[0]), std::sqrt(square[1]), std::sqrt(square[2])};
}

/// Slopes of (dz1, dz2, df) between widths 128 and 512.
std::array<double, 3> slopes(const Scales& scales, std::array<double, 5> rates, bool sign, double rate_power) {
  for (double& rate : rates) rate += rate_power;
  const auto narrow = movements(scales, rates, sign, 128), wide = movements(scales, rates, sign, 512);
  std::array<double, 3> out{};
  for (std::size_t k = 0; k < 3; ++k) out[k] = std::log(wide[k] / narrow[k]) / std::log(4.0);
  std::printf("  slopes %.3f %.3f %.3f\n", out[0], out[1], out[2]);
  return out;
}

CoordinateExponents expected(Parametrization p, StepKind step, bool table, double rate_power) {
  theory::CoordinateCase setting;
  setting.parametrization = p;
  setting.step = step;
  setting.table_rates = table;
  setting.rate_power = rate_power;
  return theory::coordinate_exponents(setting);
}

bool agrees(const std::array<double, 3>& slope, const CoordinateExponents& e) {
  return std::abs(slope[0] - e.first_layer) < kTolerance && std::abs(slope[1] - e.hidden_layers) < kTolerance &&
         std::abs(slope[2] - e.output) < kTolerance;
}

TEST(CoordinateCheck, GradientStepsHaveTheirExponentsAndNoOthers) {
  const auto ntk = slopes(kNtk, kNtk.sgd, false, 0);
  const auto standard = slopes(kStandard, kStandard.sgd, false, -1);
  const auto fixed = slopes(kStandard, kStandard.sgd, false, 0);
  const auto mup = slopes(kMup, kMup.sgd, false, 0);
  const auto theory_of = [](Parametrization p, double power) { return expected(p, StepKind::sgd, true, power); };
  EXPECT_TRUE(agrees(ntk, theory_of(Parametrization::ntk, 0)));
  EXPECT_TRUE(agrees(standard, theory_of(Parametrization::standard, -1)));
  EXPECT_TRUE(agrees(fixed, theory_of(Parametrization::standard, 0)));
  EXPECT_TRUE(agrees(mup, theory_of(Parametrization::mup, 0)));
  EXPECT_FALSE(agrees(mup, theory_of(Parametrization::ntk, 0)));
  EXPECT_FALSE(agrees(ntk, theory_of(Parametrization::standard, -1)));
  EXPECT_FALSE(agrees(standard, theory_of(Parametrization::ntk, 0)));
  Scales wrong = kMup;  // the readout's rate forgotten
  wrong.sgd[2] = 0;
  EXPECT_FALSE(agrees(slopes(wrong, wrong.sgd, false, 0), theory_of(Parametrization::mup, 0)));
}

TEST(CoordinateCheck, SignStepsHaveTheirExponentsAndNoOthers) {
  const auto mup = slopes(kMup, kMupAdam, true, 0);
  const std::array<double, 5> plain{};
  const auto standard = slopes(kStandard, plain, true, -1), ntk = slopes(kNtk, kNtkAdam, true, 0);
  EXPECT_TRUE(agrees(mup, expected(Parametrization::mup, StepKind::adam, true, 0)));
  EXPECT_TRUE(agrees(standard, expected(Parametrization::standard, StepKind::adam, false, -1)));
  EXPECT_TRUE(agrees(ntk, expected(Parametrization::ntk, StepKind::adam, true, 0)));
  EXPECT_FALSE(agrees(standard, expected(Parametrization::mup, StepKind::adam, true, 0)));
  EXPECT_FALSE(agrees(mup, expected(Parametrization::mup, StepKind::sgd, false, 0)));
}

}  // namespace
}  // namespace widelab
