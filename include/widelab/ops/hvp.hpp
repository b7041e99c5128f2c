// Op `hvp`: products of an ensemble's curvature matrices with vectors.
#pragma once

#include <cstdint>

#include "widelab/base/contract.hpp"
#include "widelab/base/types.hpp"
#include "widelab/base/view.hpp"
#include "widelab/math/losses.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/model/parameter_selection.hpp"
#include "widelab/model/parametrization.hpp"
#include "widelab/plan/device_limits.hpp"

namespace widelab {

/// Which matrix multiplies, with L = (1/N) sum_n loss(f(x_n), y_n), J_n = df(x_n)/d theta and g_n = d loss_n/d theta.
enum class Curvature : std::uint8_t {
  hessian,          ///< H = d^2 L / d theta^2
  gauss_newton,     ///< (1/N) sum_n J_n^T (d^2 loss_n/df^2) J_n; for cross-entropy and half-squared loss the Fisher
                    ///< matrix of the model's own labels
  gradient_moment,  ///< (1/N) sum_n g_n g_n^T, the empirical Fisher matrix; minus g g^T, g the gradient of L, it is the
                    ///< covariance C of per-sample gradients: C v = product - g (g . v)
};

/// Products are exact: the derivative of the gradient's own computation along v (R-operator: Pearlmutter 1994, Neural
/// Computation 6, 147; Gauss-Newton: Schraudolph 2002). Coordinates are the counted parameters as they are stored
/// (ParameterSelection). Second derivatives of kinked activations and of the hinge are 0. Sums over tiles of examples
/// are in fp64.
/// Errors: ContractError for missing arrays or sizes that do not fit the network, PlanError if one example does not fit
/// into the workspace.
template <class T>
struct HvpProblem {
  const Network* network = nullptr;
  Index members = 0;
  const T* parameters = nullptr;  ///< members x P, each in the layout of ParamLayout
  MatrixView<const T> inputs;     ///< N x d, the same for all members
  const T* targets = nullptr;     ///< N x k, the same for all members, in the form that the loss asks for
  LossKind loss = LossKind::half_squared;
  ParameterSelection selection;
  Curvature curvature = Curvature::hessian;
  Index vectors = 1;           ///< for each member
  const T* v = nullptr;        ///< members x vectors x P; entries of parameters that do not count are ignored
  T* products = nullptr;       ///< out: members x vectors x P; 0 where parameters do not count
  double* gradient = nullptr;  ///< out, or null: members x P, of L; 0 where parameters do not count
  double* losses = nullptr;    ///< out, or null: members x N
  DeviceLimits limits;         ///< workspace and workers; the default takes what there is
};

/// What every device asks first.
template <class T>
void check_hvp(const HvpProblem<T>& problem) {
  WIDELAB_REQUIRE(problem.network && problem.parameters && problem.targets && problem.v && problem.products,
                  "hvp needs a network, parameters, targets, vectors and room for the products");
  WIDELAB_REQUIRE(problem.members >= 1 && problem.vectors >= 1 && problem.inputs.rows >= 1,
                  "hvp needs at least one member, one vector and one example");
  WIDELAB_REQUIRE(problem.inputs.cols == problem.network->shape.input_dim,
                  "inputs have another dimension than the network");
}

namespace reference {
/// Hessian: the R-operator example by example; Gauss-Newton and gradient moment: explicit Jacobians and gradients.
void hvp(const HvpProblem<double>& problem);
}  // namespace reference
namespace cpu {
void hvp(const HvpProblem<float>& problem);
void hvp(const HvpProblem<double>& problem);
}  // namespace cpu

}  // namespace widelab
