// Learning rates in physical units: the curvature of a member's objective at initialisation, and rates stated by it.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "host/engine/trainer.hpp"

namespace widelab::estimators {

/// The unit in which a learning rate c is stated:
///   per_step      eta = c
///   kernel_top    eta = c / lambda_max(Theta)
///   sharpness     eta = 2 c / lambda_max(H)
/// Theta: the member's empirical NTK on its data set at initialisation, (N k) x (N k), weighted by the relative
/// learning rates R and times the factor of the expected step, F = (B / N) reduction_factor(B), so that sum with B = N
/// gives 1, mean 1/N, dataset_sum 1; `squared` gets another 2. H: the Hessian at initialisation of the objective F
/// sum_i loss_i + (lambda / 2) |theta|^2 (coupled decay), in the metric of the rates: R^1/2 H R^1/2, whose product with
/// eta decides stability (eta lambda_max = 2). For a linear model and half-squared loss without decay both are the same
/// number. Dropout, label noise and the schedule are left out.
enum class RateUnit { per_step, kernel_top, sharpness };

/// Largest eigenvalue of one member.
struct TopEigenvalue {
  double value = 0;
  double residual = 0;  ///< |A x - value x| / |value| of the unit vector x found: bounds the relative error
  Index products = 0;   ///< applications of A
};

/// y_m = A_m v_m for every member m; v and y have one vector for each.
using BatchedOperator =
    std::function<void(const std::vector<std::vector<double>>& v, std::vector<std::vector<double>>& y)>;

/// Largest (not largest in magnitude) eigenvalues of symmetric operators of the given dimensions, side by side
/// (host/estimators/lanczos.hpp), until every residual is below `tolerance` of its value. DataError if that takes more
/// than `most` products; 0 instead of a negative one where dimensions differ.
std::vector<TopEigenvalue> top_eigenvalues(const std::vector<Index>& dimensions, const BatchedOperator& apply,
                                           double tolerance = 1e-4, Index most = 200);

/// lambda_max(Theta) or lambda_max(H) of every member of the task, in double, whatever the task's precision. No kernel
/// and no Hessian is formed: J^T v is a full-batch gradient with slopes v, J u and H u are central differences of
/// outputs and gradients along u, so one product costs two or three passes over the data. A gradient is one step of
/// `sgd` with eta = 1 in displacement storage, read off D without cancellation.
std::vector<TopEigenvalue> objective_curvature(runtime::Backend& backend, const engine::TrainTask& task, RateUnit unit);

/// Replaces each member's learning rate c, stated in `unit`, by the rate per step; returns the eigenvalues used (none
/// for per_step). RecipeError for a member whose largest eigenvalue is not positive.
std::vector<TopEigenvalue> to_rates_per_step(runtime::Backend& backend, engine::TrainTask& task, RateUnit unit);

}  // namespace widelab::estimators
