// Gram matrices of loss gradients on inputs of random_problem.hpp, by any op.
#pragma once

#include <cmath>
#include <vector>

#include "tests/support/random_problem.hpp"
#include "widelab/ops/gradient_gram.hpp"

namespace widelab::test {

template <class T>
struct Grams {
  std::vector<double> gram, squares;
  std::vector<T> outputs;
};

/// Targets in the form that a loss asks for: numbers, signs, or one label an example.
template <class T>
std::vector<T> targets_for(LossKind loss, Index n, Index outputs) {
  std::vector<T> y = normals<T>(n, outputs, 5);
  if (loss == LossKind::logistic || loss == LossKind::hinge)
    for (T& v : y) v = v > 0 ? T(1) : T(-1);
  if (loss == LossKind::cross_entropy)
    for (Index i = 0; i < n; ++i)
      for (Index o = 0; o < outputs; ++o) y[static_cast<std::size_t>(i * outputs + o)] = o == i % outputs ? T(1) : T(0);
  return y;
}

struct GramRequest {
  Index examples = 5;
  LossKind loss = LossKind::half_squared;
  ParameterSelection parameters = {};
  DeviceLimits limits = {};
  bool pairs = true;
  Index members = 2;
};

/// op(problem) on `request`; results are poisoned with NaN first.
template <class T, class Op>
Grams<T> gradient_grams(Op op, const Network& network, const GramRequest& request) {
  const Index n = request.examples, members = request.members;
  const std::vector<DrawId> ids = draw_ids(members);
  const std::vector<T> x = normals<T>(n, network.shape.input_dim, 1),
                       y = targets_for<T>(request.loss, n, network.shape.outputs);
  Grams<T> out;
  out.gram.assign(static_cast<std::size_t>(members * n * n), NAN);
  out.squares.assign(static_cast<std::size_t>(members * n), NAN);
  out.outputs.assign(static_cast<std::size_t>(members * n * network.shape.outputs), T(NAN));
  GradientGramProblem<T> problem;
  problem.network = &network;
  problem.weights = {members, ids.data(), nullptr};
  problem.inputs = matrix_view(x.data(), n, network.shape.input_dim);
  problem.targets = y.data();
  problem.loss = request.loss;
  problem.parameters = request.parameters;
  problem.gram = request.pairs ? out.gram.data() : nullptr;
  problem.squares = out.squares.data();
  problem.outputs = out.outputs.data();
  problem.limits = request.limits;
  op(problem);
  return out;
}

}  // namespace widelab::test
