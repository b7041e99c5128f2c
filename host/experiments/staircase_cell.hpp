// One cell of the experiment `staircase`: a learning curve of a regression on the unit sphere of R^d, degree by degree.
//
// Kinds, with x uniform on the sphere, y = sum_l F_l f_l(x) + noise, f_l = sqrt(B(d, l)) Q_l(<u, x>), E f_l^2 = 1:
//   kernel           f = sum_i alpha_i h(<x_i, x>), |y - f|^2 + ridge alpha^T K alpha; the curve runs over examples n
//   random-features  f = sum_j a_j phi(sqrt(d) <w_j, x>), |w_j| = 1, |y - f|^2 + ridge |a|^2; n is fixed and the curve
//                    runs over features N
//   tangent          f = sum_j <a_j, x> 1[<w_j, x> > 0], |w_j| = 1: the gradient of the former's relu(sqrt(d) <w_j, x>)
//                    by sqrt(d) w_j; ridge and n as there, and the curve runs over parameters N d
// A size is the number of parameters that are fitted: n, N or N d. Replicates draw inputs, label noise and weights
// afresh. No law knows a direction: u is the first coordinate.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "host/experiments/experiment.hpp"
#include "host/experiments/sample_job.hpp"
#include "host/theory/ridge_convention.hpp"
#include "host/theory/sphere_spectrum.hpp"
#include "widelab/ops/kernel_ridge_path.hpp"
#include "widelab/ops/ridge_path.hpp"

namespace widelab::experiments {

/// Numbers of a replicate at one size, ahead of the learned coefficients. "signal": the fit to the target's values;
/// "noise": the fit to label noise; their product has mean 0 and is left out of the sums.
enum class StairNumber : std::uint8_t {
  excess,     ///< signal + noise
  signal,     ///< E (f - f*)^2
  noise,      ///< E f^2
  train,      ///< (1/n) sum_i residual^2
  norm,       ///< alpha^T K alpha, |a|^2 of features as they are
  condition,  ///< of the matrix that was factored
  count_
};
inline constexpr std::size_t kStairNumbers = static_cast<std::size_t>(StairNumber::count_);

struct StaircaseCell {
  enum class Kind : std::uint8_t { kernel, random_features, tangent } kind = Kind::kernel;
  Index dimension = 3;
  std::vector<Index> sizes;  ///< n, N, or N d, ascending
  Index examples = 1;        ///< n of feature models; of kernels the largest size
  theory::SphereKernel kernel;
  Activation activation = Relu{};
  theory::SphereSpectrum spectrum;  ///< of the kernel, of the features, or of infinitely many tangent features
  std::vector<double> coefficient;  ///< of the kernel or the activation on B(d, l) Q_l
  double ridge = 0;
  theory::RidgeConvention convention = theory::RidgeConvention::sum;
  std::vector<double> target_power;  ///< F_l^2 of degree l
  double noise_variance = 0;
  std::uint64_t data_key = 0, noise_key = 0, init_key = 0;
  Index replicates = 0;
  DeviceLimits limits;
  std::string fingerprint;

  bool by_kernel() const { return kind == Kind::kernel; }
  /// Parameters of a unit: d of a tangent feature's.
  Index columns_per_unit() const { return kind == Kind::tangent ? dimension : 1; }
  Index units(std::size_t size) const { return sizes[size] / columns_per_unit(); }  ///< n or N
  Index examples_of(std::size_t size) const { return by_kernel() ? sizes[size] : examples; }
  /// Whether the prediction is a conjecture: shown, and not held against the measurement.
  bool conjecture() const { return kind == Kind::tangent; }

  std::size_t degrees() const { return target_power.size(); }
  std::size_t numbers_per_size() const { return kStairNumbers + degrees(); }
  /// Columns of a row.
  Index number(std::size_t size, StairNumber which) const {
    return static_cast<Index>(size * numbers_per_size() + static_cast<std::size_t>(which));
  }
  Index learned(std::size_t size, std::size_t degree) const {
    return static_cast<Index>(size * numbers_per_size() + kStairNumbers + degree);
  }
  double sum_ridge(std::size_t size) const;  ///< lambda_u
};

/// Keys of `[curve]`, `[kernel]`, `[target]` and `[ridge]`.
std::vector<io::KeySpec> staircase_keys();

/// Throws RecipeError.
StaircaseCell make_staircase_cell(const RunSetup& setup, const io::Cell& cell);
/// The same without keys and limits, from the recipe of one cell.
StaircaseCell staircase_from(const io::Recipe& recipe);

/// Solves ridge paths: those of a backend.
struct CurveSolver {
  std::function<void(const KernelRidgePathProblem&)> kernel;
  std::function<void(const RidgePathProblem&)> features;
};
CurveSolver curve_solver(runtime::Backend& backend);

/// Rows of replicates first .. first + count - 1: count x (sizes x numbers_per_size). A row does not depend on others.
void measure_staircase(const StaircaseCell& cell, const CurveSolver& solver, Index first, Index count, double* rows);

SampleTask staircase_task(const StaircaseCell& cell, CurveSolver solver);
CellPlan plan_staircase_cell(const StaircaseCell& cell, const std::string& name);

/// What the deterministic equivalent at finite d expects at a size: a row's numbers in the same order (NaN: condition),
/// and the effective ridge nu, at which a degree of eigenvalue nu is half learned. Tangent features: that of N d random
/// features with the spectrum of the infinitely wide kernel, as in theory::neural_tangent_regression, a conjecture.
struct StairPrediction {
  std::vector<double> numbers;
  double nu = 0;
};
StairPrediction predict_staircase(const StaircaseCell& cell, std::size_t size);

}  // namespace widelab::experiments
