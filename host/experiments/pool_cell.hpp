// One cell of the experiment `pool-regression`: a curve of regressions on real data. The population is a pool of M
// examples, each equally likely; a training set is n draws from it with replacement, and the risk is the mean over the
// whole pool, exactly.
//
// Kinds, summed over outputs:
//   kernel           f = sum_i alpha_i K(x_i, x), |y - f|^2 + ridge alpha^T K alpha; the curve runs over examples n
//   random-features  f = sum_j a_j phi(z_j(x)), j < N units of the network's first layer at its initial weights,
//                    |y - f|^2 + ridge |a|^2; n is fixed and the curve runs over N
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "host/data/dataset.hpp"
#include "host/experiments/experiment.hpp"
#include "host/experiments/sample_job.hpp"
#include "host/experiments/staircase_cell.hpp"
#include "host/theory/deterministic_equivalent.hpp"

namespace widelab::experiments {

/// Numbers of a replicate at one size.
enum class PoolNumber : std::uint8_t {
  test,       ///< mean over the pool of |f - y|^2
  train,      ///< mean over the training set of |f - y|^2
  error,      ///< share of the pool in a wrong class; NaN without classes
  condition,  ///< of the matrix that was factored
  count_
};
inline constexpr std::size_t kPoolNumbers = static_cast<std::size_t>(PoolNumber::count_);

struct PoolCell {
  enum class Kind : std::uint8_t { kernel, random_features } kind = Kind::kernel;
  std::vector<Index> sizes;  ///< n, or N, ascending
  Index examples = 1;        ///< n of feature models; of kernels the largest size
  double ridge = 0;          ///< as a sum
  data::Dataset pool;
  Network network;             ///< of the kernel; of features: one hidden layer
  bool tangent_kernel = true;  ///< kernel: NTK, else NNGP
  std::uint64_t data_key = 0, init_key = 0;
  Index replicates = 0;
  DeviceLimits limits;
  std::string fingerprint;

  Index number(std::size_t size, PoolNumber which) const {
    return static_cast<Index>(size * kPoolNumbers + static_cast<std::size_t>(which));
  }
};

/// Keys of `[curve]`.
std::vector<io::KeySpec> pool_keys();

/// Reads the pool. Throws RecipeError.
PoolCell make_pool_cell(const RunSetup& setup, const io::Cell& cell);

/// The kernel on the pool, M x M, of the infinitely wide network (features: E phi phi, that of an infinite number).
std::vector<double> pool_kernel(const PoolCell& cell);

SampleTask pool_task(const PoolCell& cell, CurveSolver solver);
CellPlan plan_pool_cell(const PoolCell& cell, const std::string& name);

/// The deterministic equivalent with the eigen-system of the kernel on the pool (theory/empirical_spectrum.hpp).
class PoolPrediction {
 public:
  explicit PoolPrediction(const PoolCell& cell);
  theory::RegressionRisk at(std::size_t size) const;

 private:
  const PoolCell& cell_;
  theory::FeatureSpectrum spectrum_;
};

}  // namespace widelab::experiments
