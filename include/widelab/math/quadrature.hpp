// Expectations under normal laws by the trapezoid rule, which converges geometrically in 1 / step for analytic
// integrands (Trefethen and Weideman 2014, SIAM Review 56, 385). Smooth integrands only: a kink ruins it. Host only.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "widelab/base/contract.hpp"

namespace widelab::quadrature {

/// Where the integrand lives: phi(scale * g) needs a step in proportion to 1 / scale; |g| > radius is left out.
struct Range {
  double scale = 1.0;
  double radius = 9.5;  ///< e^(-45) is left of the normal density
};

struct Node {
  double x;
  double weight;
};

/// A grid of more nodes on a line, or of more rows in the plane, has no end in sight.
inline constexpr double kMostNodes = 1e6, kMostRows = 3e4;

/// Trapezoid nodes for N(0,1) on [-radius, radius]. Throws ContractError if there are more than `most`.
inline std::vector<Node> normal_nodes(double step, double radius, double most = kMostNodes) {
  WIDELAB_REQUIRE(2 * radius / step < most, "the integrand is too steep for its grid: the kernel explodes");
  const int half = static_cast<int>(std::ceil(radius / step));
  std::vector<Node> nodes;
  nodes.reserve(2 * static_cast<std::size_t>(half) + 1);
  for (int i = -half; i <= half; ++i) {
    const double x = step * i;
    nodes.push_back({x, step * 0.39894228040143268 * std::exp(-0.5 * x * x)});
  }
  return nodes;
}

/// Halves the step until two grids agree to kAgreement of E|f|. For an analytic integrand a halved step squares the
/// relative error at least, so that the finer grid is then right to 1e-12 (measured for tanh: 1e-14).
/// `integrate(step, sums, magnitudes)` fills E f and E|f|; both are vectors or arrays of equal length.
template <class Values, class Integrate>
Values refined(Values coarse, const Range& range, Integrate&& integrate) {
  constexpr double kAgreement = 1e-6;
  constexpr int kMostHalvings = 6;
  double step = 0.4 / std::fmax(1.0, range.scale);
  Values fine = coarse, magnitudes = coarse;
  integrate(step, coarse, magnitudes);
  for (int halving = 0; halving < kMostHalvings; ++halving) {
    step *= 0.5;
    integrate(step, fine, magnitudes);
    bool agreed = true;
    for (std::size_t k = 0; k < fine.size(); ++k)
      agreed = agreed && std::fabs(fine[k] - coarse[k]) <= kAgreement * magnitudes[k];
    if (agreed) return fine;
    coarse = fine;
  }
  contract_failed("agreed", __func__,
                  "the trapezoid rule does not converge: the integrand is not smooth, not finite, "
                  "or varies on a scale far below 1 / " +
                      std::to_string(range.scale));
}

/// E f_k(g), k < count, for g ~ N(0,1); f(x, values) writes `count` numbers. Relative error about 1e-14 of E|f_k|.
template <class F>
std::vector<double> normal_expectations(std::size_t count, const Range& range, F&& f) {
  std::vector<double> values(count);
  const auto integrate = [&](double step, std::vector<double>& sums, std::vector<double>& magnitudes) {
    sums.assign(count, 0.0);
    magnitudes.assign(count, 0.0);
    for (const Node& node : normal_nodes(step, range.radius)) {
      f(node.x, values.data());
      for (std::size_t k = 0; k < count; ++k) {
        sums[k] += node.weight * values[k];
        magnitudes[k] += node.weight * std::fabs(values[k]);
      }
    }
  };
  return refined(std::vector<double>(count), range, integrate);
}

/// E f(g, g') for independent g, g' ~ N(0,1), over the disc |(g, g')| <= radius; f(x) returns the function of y, so
/// that work on x alone is done once a row, and that function returns std::array<double, M>.
template <std::size_t M, class F>
std::array<double, M> normal_pair_expectations(const Range& range, F&& f) {
  using Values = std::array<double, M>;
  const auto integrate = [&](double step, Values& sums, Values& magnitudes) {
    sums.fill(0.0);
    magnitudes.fill(0.0);
    const std::vector<Node> nodes = normal_nodes(step, range.radius, kMostRows);
    for (const Node& row : nodes) {
      const auto on_row = f(row.x);
      Values row_sums{}, row_magnitudes{};
      for (const Node& node : nodes) {
        if (row.x * row.x + node.x * node.x > range.radius * range.radius) continue;
        const Values values = on_row(node.x);
        for (std::size_t k = 0; k < M; ++k) {
          row_sums[k] += node.weight * values[k];
          row_magnitudes[k] += node.weight * std::fabs(values[k]);
        }
      }
      for (std::size_t k = 0; k < M; ++k) {
        sums[k] += row.weight * row_sums[k];
        magnitudes[k] += row.weight * row_magnitudes[k];
      }
    }
  };
  return refined(Values{}, range, integrate);
}

}  // namespace widelab::quadrature
