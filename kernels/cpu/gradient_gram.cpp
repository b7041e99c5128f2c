#include "widelab/ops/gradient_gram.hpp"

#include <algorithm>

#include "kernels/cpu/kernel_pass.hpp"
#include "widelab/ops/ntk.hpp"

namespace widelab::cpu {
namespace {

template <class T>
double row_square(const T* row, Index n) {
  double sum = 0;
  for (Index j = 0; j < n; ++j) sum += static_cast<double>(row[j]) * static_cast<double>(row[j]);
  return sum;
}

/// |g_i|^2 = sum_l (m_l^2 |h_{l-1,i}|^2 + M_l^2) |delta_{l,i}|^2 of a tile's inputs; rates say what counts.
template <class T>
void gradient_squares(const Network& network, const Signals<T>& signals, double* squares) {
  const MlpShape& shape = network.shape;
  for (Index i = 0; i < signals.inputs.rows; ++i) {
    double sum = 0;
    for (Index l = 0; l < shape.layers(); ++l) {
      const auto at = static_cast<std::size_t>(l);
      const Index in = shape.fan_in(l), out = shape.fan_out(l);
      const T* h = l == 0 ? signals.inputs.row(i) : signals.h[at - 1].data() + i * in;
      const T* delta = (l == shape.depth() ? signals.df : signals.b[at]).data() + i * out;
      const double branch = shape.is_residual(l) ? shape.residual * shape.residual : 1.0;
      const LayerScale& scale = network.layers[at];
      sum += branch * (scale.weight_kernel() * row_square(h, in) + scale.bias_kernel()) * row_square(delta, out);
    }
    squares[i] = sum;
  }
}

template <class T>
void run(const GradientGramProblem<T>& problem) {
  const Network network = with_unit_rates(*problem.network, problem.parameters);
  const Index n = problem.inputs.rows, outputs = network.shape.outputs;
  NtkProblem<T> kernel;
  kernel.network = &network;
  kernel.weights = problem.weights;
  kernel.x1 = problem.inputs;
  kernel.ntk = problem.gram;
  kernel.limits = problem.limits;
  kernel_pass<T>(kernel, BackwardSignals::of_loss, {problem.loss, problem.targets},
                 [&](Index e, Index row, const Signals<T>& signals) {
                   if (problem.squares) gradient_squares(network, signals, problem.squares + e * n + row);
                   if (problem.outputs)
                     std::copy(signals.f.begin(), signals.f.end(), problem.outputs + (e * n + row) * outputs);
                 });
}

}  // namespace

void gradient_gram(const GradientGramProblem<float>& problem) { run(problem); }
void gradient_gram(const GradientGramProblem<double>& problem) { run(problem); }

}  // namespace widelab::cpu
