// The ridge-path rows of the benchmarks: one right-hand side on random ReLU features, a curve of evenly spaced numbers
// of features, all at one ridge as a sum.
#pragma once

#include <string>
#include <vector>

#include "widelab/ops/ridge_path.hpp"

namespace widelab::bench {

struct RidgeRow {
  std::string name;
  Index members = 1, examples = 1, dimension = 1;
  std::vector<Index> sizes;
  double relative_ridge = 1e-8;  ///< over the largest eigenvalue of Z^T Z at the largest size

  std::string text() const;
  double ridge() const;
  Index tests() const { return examples < 1000 ? examples : 1000; }
};

/// step, 2 step, ..., count step.
std::vector<Index> multiples(Index step, Index count);

/// The op with its arrays: predictions at tests() further inputs.
class RidgeRun {
 public:
  explicit RidgeRun(const RidgeRow& row);
  RidgePathProblem& problem() { return problem_; }
  const std::vector<double>& predictions() const { return predictions_; }
  const std::vector<double>& inputs() const { return inputs_; }  ///< (examples + tests) x d
  const std::vector<double>& targets() const { return targets_; }
  const DrawId& id(std::size_t member) const { return ids_[member]; }

 private:
  std::vector<double> inputs_, targets_;
  std::vector<DrawId> ids_;
  std::vector<double> predictions_, residuals_, norms_;
  RidgePathProblem problem_;
};

/// Seconds of `flops` operations of fp64 products of order 512 (of `order`, if that is less), a product a thread.
double product_seconds(double flops, Index order);

}  // namespace widelab::bench
