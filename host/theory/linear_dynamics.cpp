#include "host/theory/linear_dynamics.hpp"

#include <cblas.h>
#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "widelab/base/contract.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::theory {
namespace {

bool has_momentum(LinearRule rule) { return rule == LinearRule::heavy_ball || rule == LinearRule::nesterov; }

void check_training(const LinearTraining& training) {
  if (!(training.learning_rate >= 0.0 && std::isfinite(training.effective_rate())))
    throw RecipeError("train.learning_rate = " + std::to_string(training.learning_rate) +
                      ": must be a finite number, 0 or larger");
  WIDELAB_REQUIRE(training.curvature > 0.0, "the loss has no positive curvature");
  if (has_momentum(training.rule) && !(training.momentum >= 0.0 && training.momentum < 1.0))
    throw RecipeError("train.momentum = " + std::to_string(training.momentum) +
                      ": must be at least 0 and below 1; outside, linearised training does not converge");
}

void check_time(const LinearTraining& training, double t) {
  if (t >= 0.0 && (training.rule == LinearRule::gradient_flow || t == std::floor(t))) return;
  throw RecipeError("t = " + std::to_string(t) +
                    ": must be a number of steps, an integer of at least 0; only gradient flow has times in between");
}

ModeResponse limit_response(const LinearTraining& training, double lambda) {
  const double step = training.effective_rate() * lambda;
  if (step == 0.0) return {0.0, 1.0};
  if (step < training.stability_limit()) return {1.0 / lambda, 0.0};
  throw RecipeError("train.learning_rate = " + std::to_string(training.learning_rate) + " diverges on eigenvalue " +
                    std::to_string(lambda) + " of the kernel: there is no limit t -> infinity. Way out: a learning " +
                    "rate below " + std::to_string(training.stability_limit() / (training.curvature * lambda)));
}

/// The update rule on the weight of one mode, whose gradient is minus the residual.
ModeResponse momentum_response(const LinearTraining& training, double lambda, double t) {
  const double rate = training.effective_rate(), mu = training.momentum;
  ModeResponse mode;
  double velocity = 0.0;
  for (double step = 0.0; step < t; step += 1.0) {
    velocity = mu * velocity + mode.residual;
    const double increment = rate * (training.rule == LinearRule::nesterov ? mode.residual + mu * velocity : velocity);
    mode.weight += increment;
    mode.residual -= lambda * increment;  // not 1 - lambda w: small residuals keep their digits
  }
  return mode;
}

/// Row-major product op(a) op(b) of shape rows x cols with `inner` summands.
std::vector<double> product(CBLAS_TRANSPOSE op_a, MatrixView<const double> a, CBLAS_TRANSPOSE op_b,
                            MatrixView<const double> b) {
  const Index rows = op_a == CblasNoTrans ? a.rows : a.cols, inner = op_a == CblasNoTrans ? a.cols : a.rows;
  const Index cols = op_b == CblasNoTrans ? b.cols : b.rows;
  WIDELAB_REQUIRE(inner == (op_b == CblasNoTrans ? b.rows : b.cols), "matrices of a product do not fit");
  std::vector<double> out(static_cast<std::size_t>(rows * cols));
  if (rows > 0 && cols > 0 && inner > 0)
    cblas_dgemm(CblasRowMajor, op_a, op_b, static_cast<int>(rows), static_cast<int>(cols), static_cast<int>(inner), 1.0,
                a.data, static_cast<int>(a.stride), b.data, static_cast<int>(b.stride), 0.0, out.data(),
                static_cast<int>(cols));
  return out;
}

MatrixView<const double> view(const std::vector<double>& data, Index rows, Index cols) {
  return matrix_view(data.data(), rows, cols);
}

}  // namespace

double LinearTraining::stability_limit() const {
  if (rule == LinearRule::heavy_ball) return 2.0 * (1.0 + momentum);
  if (rule == LinearRule::nesterov) return 2.0 * (1.0 + momentum) / (1.0 + 2.0 * momentum);
  return rule == LinearRule::gradient_flow ? kForever : 2.0;
}

double output_curvature(LossKind loss, Reduction reduction, Index examples, Index outputs) {
  if (loss != LossKind::half_squared && loss != LossKind::squared)
    throw RecipeError(
        "train.loss: linearised training has a closed form for half_squared and squared only; with another loss, "
        "compare networks with each other");
  return (loss == LossKind::squared ? 2.0 : 1.0) * reduction_factor(reduction, examples, examples, outputs);
}

ModeResponse mode_response(const LinearTraining& training, double lambda, double t) {
  check_training(training);
  check_time(training, t);
  WIDELAB_REQUIRE(lambda >= 0.0, "kernels have no negative eigenvalues");
  if (t == kForever) return limit_response(training, lambda);
  if (has_momentum(training.rule)) return momentum_response(training, lambda, t);
  const double rate = training.effective_rate(), step = rate * lambda;
  if (lambda == 0.0 || t == 0.0) return {rate * t, 1.0};
  if (training.rule == LinearRule::gradient_flow) return {-std::expm1(-step * t) / lambda, std::exp(-step * t)};
  const double residual = std::pow(1.0 - step, t);
  // 1 - residual without cancellation where step t is small
  return {step < 1.0 ? -std::expm1(t * std::log1p(-step)) / lambda : (1.0 - residual) / lambda, residual};
}

LinearDynamics::LinearDynamics(MatrixView<const double> theta, const LinearTraining& training) : training_(training) {
  check_training(training);
  const Index n = theta.rows;
  WIDELAB_REQUIRE(n >= 1 && theta.cols == n, "the kernel of the training set must be square");
  for (Index i = 0; i < n; ++i) vectors_.insert(vectors_.end(), theta.row(i), theta.row(i) + n);
  for (const double entry : vectors_)
    if (!std::isfinite(entry)) throw RecipeError("the kernel of the training set has an entry that is not finite");
  eigenvalues_.resize(static_cast<std::size_t>(n));
  const auto order = static_cast<lapack_int>(n);
  const lapack_int info =
      LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'V', 'U', order, vectors_.data(), order, eigenvalues_.data());
  WIDELAB_REQUIRE(info == 0, "eigenvalues of a kernel did not converge");
  const double largest = std::max(std::abs(eigenvalues_.front()), std::abs(eigenvalues_.back()));
  const double rounding = static_cast<double>(n) * std::numeric_limits<double>::epsilon() * largest;
  for (double& lambda : eigenvalues_) {
    if (lambda < -rounding)
      throw RecipeError("the kernel of the training set has the eigenvalue " + std::to_string(lambda) +
                        ", below its rounding error: kernels must be positive semidefinite and symmetric");
    if (lambda <= rounding) lambda = 0.0;
  }
}

bool LinearDynamics::stable() const {
  return training_.effective_rate() * eigenvalues_.back() < training_.stability_limit();
}

double LinearDynamics::largest_stable_rate() const {
  return training_.stability_limit() / (training_.curvature * eigenvalues_.back());
}

std::vector<double> LinearDynamics::from_modes(std::vector<double>& left, Index rows,
                                               const std::vector<double>& factor) const {
  const Index n = examples();
  for (Index i = 0; i < rows; ++i)
    for (Index k = 0; k < n; ++k) left[static_cast<std::size_t>(i * n + k)] *= factor[static_cast<std::size_t>(k)];
  return product(CblasNoTrans, view(left, rows, n), CblasTrans, view(vectors_, n, n));
}

std::vector<double> LinearDynamics::train_response(double t) const {
  std::vector<double> factor;
  for (const double lambda : eigenvalues_) factor.push_back(lambda * mode_response(training_, lambda, t).weight);
  std::vector<double> left = vectors_;
  return from_modes(left, examples(), factor);
}

std::vector<double> LinearDynamics::response(MatrixView<const double> cross, double t) const {
  const Index n = examples();
  std::vector<double> left = product(CblasNoTrans, cross, CblasNoTrans, view(vectors_, n, n)), factor;
  for (const double lambda : eigenvalues_) factor.push_back(mode_response(training_, lambda, t).weight);
  return from_modes(left, cross.rows, factor);
}

double LinearDynamics::residual_norm(double t) const {
  double norm = 0.0;
  for (const double lambda : eigenvalues_)
    norm = std::max(norm, std::abs(mode_response(training_, lambda, t).residual));
  return norm;
}

double LinearDynamics::exponential_bound(double t) const {
  const double rate = training_.effective_rate() * eigenvalues_.front();
  return rate == 0.0 ? 1.0 : std::exp(-rate * t);
}

double LinearDynamics::expected_train_loss(MatrixView<const double> nngp, MatrixView<const double> targets,
                                           double t) const {
  const Index n = examples(), outputs = targets.cols;
  WIDELAB_REQUIRE(nngp.rows == n && nngp.cols == n && targets.rows == n, "kernel, targets and examples do not fit");
  const auto modes = view(vectors_, n, n);
  const std::vector<double> rotated = product(CblasNoTrans, nngp, CblasNoTrans, modes);
  const std::vector<double> aligned = product(CblasTrans, modes, CblasNoTrans, targets);
  double total = 0.0;
  for (Index k = 0; k < n; ++k) {
    double square = 0.0;
    for (Index i = 0; i < n; ++i)
      square += static_cast<double>(outputs) * modes(i, k) * rotated[static_cast<std::size_t>(i * n + k)];
    for (Index o = 0; o < outputs; ++o) {
      const double overlap = aligned[static_cast<std::size_t>(k * outputs + o)];
      square += overlap * overlap;
    }
    const double residual = mode_response(training_, eigenvalues_[static_cast<std::size_t>(k)], t).residual;
    total += residual * residual * square;
  }
  return 0.5 * training_.curvature * total;
}

EnsembleMoments ensemble_moments(MatrixView<const double> response, const NngpBlocks& nngp,
                                 MatrixView<const double> targets) {
  const Index m = response.rows, n = response.cols;
  WIDELAB_REQUIRE(nngp.test.rows == m && nngp.test.cols == m && nngp.cross.rows == m && nngp.cross.cols == n &&
                      nngp.train.rows == n && nngp.train.cols == n,
                  "kernel blocks and points do not fit");
  EnsembleMoments out;
  out.points = m;
  out.outputs = targets.cols;
  out.mean = product(CblasNoTrans, response, CblasNoTrans, targets);
  const std::vector<double> mixed = product(CblasNoTrans, response, CblasTrans, nngp.cross);  // A K(X, x)
  const std::vector<double> spread = product(CblasNoTrans, response, CblasNoTrans, nngp.train);
  out.covariance = product(CblasNoTrans, view(spread, m, n), CblasTrans, response);
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < m; ++j)
      out.covariance[static_cast<std::size_t>(i * m + j)] +=
          nngp.test(i, j) - mixed[static_cast<std::size_t>(i * m + j)] - mixed[static_cast<std::size_t>(j * m + i)];
  return out;
}

std::vector<double> linearised_outputs(MatrixView<const double> response, const InitialOutputs& initial,
                                       MatrixView<const double> targets) {
  const Index m = response.rows, n = response.cols, k = targets.cols;
  WIDELAB_REQUIRE(targets.rows == n, "targets and examples do not fit");
  std::vector<double> out(initial.test, initial.test + initial.members * m * k);
  std::vector<double> gap(static_cast<std::size_t>(n * k));
  for (Index member = 0; member < initial.members; ++member) {
    const double* start = initial.train + member * n * k;
    for (Index i = 0; i < n; ++i)
      for (Index o = 0; o < k; ++o) gap[static_cast<std::size_t>(i * k + o)] = start[i * k + o] - targets(i, o);
    const std::vector<double> moved = product(CblasNoTrans, response, CblasNoTrans, view(gap, n, k));
    for (Index e = 0; e < m * k; ++e)
      out[static_cast<std::size_t>(member * m * k + e)] -= moved[static_cast<std::size_t>(e)];
  }
  return out;
}

}  // namespace widelab::theory
