// Problems of the op hvp at awkward sizes: members, examples, targets of every loss, several vectors.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/reference/naive_network.hpp"
#include "tests/support/random_problem.hpp"
#include "widelab/ops/hvp.hpp"

namespace widelab::test {

constexpr LossKind kAllLosses[] = {LossKind::half_squared, LossKind::squared, LossKind::cross_entropy,
                                   LossKind::logistic, LossKind::hinge};
constexpr Curvature kAllCurvatures[] = {Curvature::hessian, Curvature::gauss_newton, Curvature::gradient_moment};

/// N x k targets in the form that the loss asks for; probabilities have total mass 0.75 + 0.5 u, u in (0, 1).
inline std::vector<double> loss_targets(LossKind loss, Index examples, Index outputs) {
  std::vector<double> y = normals<double>(examples, outputs, 77);
  for (Index i = 0; i < examples; ++i) {
    double* row = y.data() + i * outputs;
    if (loss == LossKind::logistic || loss == LossKind::hinge)
      for (Index o = 0; o < outputs; ++o) row[o] = row[o] < 0 ? -1 : 1;
    if (loss != LossKind::cross_entropy) continue;
    const double mass = 0.75 + 0.5 / (1 + row[0] * row[0]);
    double total = 0;
    for (Index o = 0; o < outputs; ++o) total += std::abs(row[o]);
    for (Index o = 0; o < outputs; ++o) row[o] = mass * std::abs(row[o]) / total;
  }
  return y;
}

/// Numbers of fp32, so that both precisions are given the same problem.
template <class T>
std::vector<T> through_float(const std::vector<double>& values) {
  std::vector<T> out(values.size());
  std::transform(values.begin(), values.end(), out.begin(),
                 [](double x) { return static_cast<T>(static_cast<float>(x)); });
  return out;
}

template <class T>
struct HvpCase {
  Network network;
  Index members, examples, vectors;
  LossKind loss;
  Curvature curvature = Curvature::hessian;
  ParameterSelection selection;
  DeviceLimits limits;
  std::vector<T> parameters, inputs, targets, v, products;
  std::vector<double> gradient, losses;

  HvpCase(const Network& network_in, LossKind loss_in, Index members_in = 2, Index examples_in = 13,
          Index vectors_in = 3)
      : network(network_in), members(members_in), examples(examples_in), vectors(vectors_in), loss(loss_in) {
    const std::vector<DrawId> ids = draw_ids(members, 1234);
    for (Index e = 0; e < members; ++e) {
      const std::vector<T> drawn =
          through_float<T>(reference::member_parameters(network, {members, ids.data(), nullptr}, e));
      parameters.insert(parameters.end(), drawn.begin(), drawn.end());
    }
    inputs = through_float<T>(normals<double>(examples, network.shape.input_dim, 5));
    targets = through_float<T>(loss_targets(loss, examples, network.shape.outputs));
    v = through_float<T>(normals<double>(members * vectors, size(), 6));
  }

  Index size() const { return ParamLayout(network.shape).size; }

  HvpProblem<T> problem() {
    products.assign(static_cast<std::size_t>(members * vectors * size()), static_cast<T>(NAN));
    gradient.assign(static_cast<std::size_t>(members * size()), NAN);
    losses.assign(static_cast<std::size_t>(members * examples), NAN);
    HvpProblem<T> out;
    out.network = &network;
    out.members = members;
    out.parameters = parameters.data();
    out.inputs = matrix_view<const T>(inputs.data(), examples, network.shape.input_dim);
    out.targets = targets.data();
    out.loss = loss;
    out.selection = selection;
    out.curvature = curvature;
    out.vectors = vectors;
    out.v = v.data();
    out.products = products.data();
    out.gradient = gradient.data();
    out.losses = losses.data();
    out.limits = limits;
    return out;
  }

  /// Runs `op` on the problem; results stand in products, gradient and losses.
  template <class Op>
  HvpCase& run(const Op& op) {
    op(problem());
    return *this;
  }
};

/// Every other layer's weights, and the biases of the others.
inline ParameterSelection checkered_selection(Index layers) {
  ParameterSelection out;
  for (Index l = 0; l < layers; ++l) {
    out.weights.push_back(l % 2 == 1);
    out.biases.push_back(l % 2 == 0 && l > 0);
  }
  return out;
}

}  // namespace widelab::test
