// Curvature matrices of an ensemble as operators on the counted parameters: what Lanczos and traces multiply with.
#pragma once

#include <vector>

#include "host/estimators/krylov_basis.hpp"
#include "host/estimators/lanczos.hpp"
#include "host/runtime/backend.hpp"

namespace widelab::estimators {

/// The matrices of the op hvp, and C = E_n[g_n g_n^T] - g g^T, the covariance of per-sample gradients (the noise of one
/// example; a minibatch of B drawn with replacement has C / B).
enum class CurvatureMatrix { hessian, gauss_newton, gradient_moment, gradient_covariance };

/// Members of one network and the data of their loss L = (1/N) sum_n loss. Nothing is copied: arrays outlive the
/// operator.
struct CurvatureProblem {
  const Network* network = nullptr;
  Index members = 1;
  const double* parameters = nullptr;  ///< members x P, ParamLayout
  MatrixView<const double> inputs;     ///< N x d
  const double* targets = nullptr;     ///< N x k
  LossKind loss = LossKind::half_squared;
  ParameterSelection selection;
  Precision precision = Precision::fp64;  ///< of products; sums over tiles of examples are in fp64 in both
  DeviceLimits limits;
};

class CurvatureOperator {
 public:
  CurvatureOperator(runtime::Backend& backend, const CurvatureProblem& problem, CurvatureMatrix matrix);

  /// Parameters that count; vectors have this many entries, in the order of ParamLayout.
  Index dimension() const { return static_cast<Index>(coordinates_.size()); }
  /// Place of each entry among a member's P parameters.
  const std::vector<Index>& coordinates() const { return coordinates_; }

  /// images = A_member v: vectors x dimension, all in one pass over the data.
  void apply(Index member, Index vectors, const double* v, double* images);
  /// One vector for each member named, in one call of the op: ManyOperators of lanczos_side_by_side.
  void apply_each(const std::vector<Index>& which, const std::vector<const double*>& v,
                  const std::vector<double*>& images);
  /// A member's matrix as lanczos, sample_spectrum and hutchinson_trace take it; lives as long as the operator.
  SymmetricOperator of(Index member);
  ManyOperators side_by_side();

  /// dL/dtheta of a member (dimension entries), and its loss of every example (N entries).
  const std::vector<double>& gradient(Index member);
  const std::vector<double>& losses(Index member);

 private:
  struct GradientArrays {
    double *gradient = nullptr, *losses = nullptr;  ///< out, or null; as in HvpProblem
  };
  template <class T>
  void multiply(const std::vector<Index>& which, Index vectors, const std::vector<const double*>& v,
                const std::vector<double*>& images, const GradientArrays& also);
  void multiply_in_precision(const std::vector<Index>& which, Index vectors, const std::vector<const double*>& v,
                             const std::vector<double*>& images, const GradientArrays& also);
  void find_gradients();
  void subtract_mean(Index member, Index vectors, const double* v, double* images);

  runtime::Backend& backend_;
  CurvatureProblem problem_;
  CurvatureMatrix matrix_;
  Index size_;  ///< P
  std::vector<Index> coordinates_;
  std::vector<float> inputs_, targets_;                  ///< where products are in fp32
  std::vector<std::vector<double>> gradients_, losses_;  ///< of every member, once they were asked for
};

}  // namespace widelab::estimators
