// Op `ridge_path`: least squares on nested random features, for whole curves in the number of features, in the ridge
// and in time, over an ensemble of independent problems. In fp64: near N = n the condition of the Gram matrix is beyond
// fp32.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "widelab/base/types.hpp"
#include "widelab/math/activations.hpp"
#include "widelab/plan/device_limits.hpp"
#include "widelab/plan/ridge_plan.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab {

/// Where the columns of a feature matrix Z come from. Unit j < units has the columns
///   given     Z_ij, column j of a stored matrix
///   random    Z_ij = scale phi(<w_j, x_i>)
///   tangent   Z_i(j,c) = scale x_ic phi'(<w_j, x_i>), c < d: d columns a unit (first layer of a two-layer network)
/// w_jc are draws of stream `weights` (layer 0, row j, column c), so that fewer units are the leading part of more,
/// times `weight_scale`; with `sphere` each w_j is first brought to the length sqrt(d).
enum class FeatureKind : std::uint8_t { given, random, tangent };

struct FeatureSource {
  FeatureKind kind = FeatureKind::random;
  Activation activation = Relu{};
  double weight_scale = 1, scale = 1;
  bool sphere = false;
  const DrawId* weights = nullptr;  ///< one a member: the init role; null for `given`
  const double* inputs = nullptr;   ///< members x n x d, or n x d if `shared_inputs`; for `given` members x n x units
  bool shared_inputs = false;       ///< all members have the same inputs (`given`: n x units, and M x units)
  Index dimension = 1;              ///< d; for `given` the number of units

  Index columns_per_unit() const { return kind == FeatureKind::tangent ? dimension : 1; }
};

/// Diagnosis of a solve. `smallest` and `condition` belong to the Gram matrix plus ridge that was factored: exact for
/// `spectral` and over the directions that were kept, else estimated by a few steps of (inverse) power iteration: never
/// below the smallest eigenvalue, and within a factor of about three of it. A matrix that is not positive definite in
/// fp64, or at ridge 0 one beyond kRidgeConditionLimit, is solved again by `spectral`, which drops directions below
/// ridge_rank_tolerance at ridge 0; the result never holds NaN.
struct RidgeReport {
  RidgeMethod method = RidgeMethod::dual;
  double smallest = 0, condition = 0;
  double jitter = 0;  ///< ridge that a solver added by itself; the CPU and the reference add none
  Index rank = 0;     ///< directions in use: min(n, columns) less those dropped at ridge 0
};

/// At ridge 0 a direction of Z is rounding where its squared singular value is at most this times the largest one: what
/// the eigenvalues of a Gram matrix of `examples` x `columns` features resolve in fp64.
inline double ridge_rank_tolerance(Index examples, Index columns) {
  return static_cast<double>(examples > columns ? examples : columns) * std::numeric_limits<double>::epsilon();
}
/// Condition up to which a Cholesky factor is trusted at ridge 0.
inline constexpr double kRidgeConditionLimit = 1e12;

/// min_a |y - Z_N a|^2 + ridge |a|^2 for every member, every N of `sizes` and every filter, for R right-hand sides at
/// once (signal and label noise apart, say). Layouts are row-major, in the order of the extents given.
/// Residuals are y - Z a for sizes with at most n columns, and ridge times alpha beyond (a = Z^T alpha): accurate where
/// the residual itself is below the rounding of y.
/// On one device the bits of a member depend neither on the number of threads nor on the other members or filters, as
/// long as the plan names the same methods; another list of sizes may change rounding.
struct RidgePathProblem {
  FeatureSource features;
  Index members = 0, examples = 0, targets_per_example = 1;  ///< E, n, R
  const double* targets = nullptr;                           ///< members x n x R
  std::vector<Index> sizes;                                  ///< numbers of units, ascending, >= 1
  std::vector<SpectralFilter> filters;
  std::optional<RidgeMethod> method;    ///< asked for; none = make_ridge_plan's choice
  const double* test_inputs = nullptr;  ///< M x d (for `given`: members x M x units, or M x units if shared), or null
  Index test_examples = 0;              ///< M

  // Out; null = not wanted. F filters, S sizes, C = columns of the largest size.
  double* coefficients = nullptr;  ///< members x S x F x R x C; 0 beyond the columns of that size
  double* predictions = nullptr;   ///< members x S x F x M x R
  double* residuals = nullptr;     ///< members x S x F x R x R: inner products of the residuals y - Z a
  double* norms = nullptr;         ///< members x S x F x R x R: inner products of the coefficients
  RidgeReport* reports = nullptr;  ///< members x S x F
  DeviceLimits limits;

  Index columns() const { return sizes.empty() ? 0 : sizes.back() * features.columns_per_unit(); }
};

/// What make_ridge_plan needs to know of a problem.
inline RidgeWorkload ridge_workload(const RidgePathProblem& problem) {
  RidgeWorkload work;
  work.members = problem.members;
  work.examples = problem.examples;
  work.targets_per_example = problem.targets_per_example;
  work.test_examples = problem.test_inputs ? problem.test_examples : 0;
  work.dimension = problem.features.kind == FeatureKind::given ? 0 : problem.features.dimension;
  work.columns_per_unit = problem.features.columns_per_unit();
  work.sizes = problem.sizes;
  work.filters = problem.filters;
  work.method = problem.method;
  return work;
}

namespace reference {
/// Each N and each filter alone, by a singular value decomposition of Z itself.
void ridge_path(const RidgePathProblem& problem);
}  // namespace reference
namespace cpu {
void ridge_path(const RidgePathProblem& problem);
}
namespace cuda {
struct Context;
/// Inputs, targets and results but reports are device memory; ids, sizes, filters and reports are the host's.
/// PlanError where a member does not fit in the workspace.
void ridge_path(Context& context, const RidgePathProblem& problem);
}  // namespace cuda

}  // namespace widelab
