// The training rows of the benchmarks: ensembles of ReLU networks, NTK parametrisation, sigma_w^2 = 2, no biases, half
// squared error, mean over the batch, shuffled epochs, every member with its own order and learning rate.
#pragma once

#include <string>
#include <vector>

#include "host/runtime/backend.hpp"
#include "widelab/model/parametrization.hpp"
#include "widelab/ops/train.hpp"

namespace widelab::bench {

struct TrainRow {
  struct Group {
    Index width = 64, members = 1;
  };
  std::string name;           ///< of the row of goals: S1, ...
  std::vector<Group> groups;  ///< members of several widths are one ensemble
  Index input_dim = 16, square = 2, outputs = 1, batch = 32, examples = 1024;  ///< square: H, matrices n x n
  OptimiserKind optimiser = OptimiserKind::sgd;
  TrainEngine engine = TrainEngine::automatic;
  Index window = 1;  ///< steps of the lazy low-rank window

  Index members() const;
  std::string text() const;
};

/// A row with its arrays, ready to run on a device.
template <class T>
class TrainRun {
 public:
  TrainRun(runtime::Backend& backend, const TrainRow& row);

  /// Back to the initial parameters.
  void reset();
  /// Trains all members through steps 0 .. steps - 1 from where they are.
  void run(Index steps);

  double flops_per_step() const { return flops_; }
  /// Parameters of member 0 of a group.
  std::vector<double> first_member(std::size_t group) const;
  const TrainProblem<T>& problem() const { return problem_; }
  const std::vector<T>& initial(std::size_t group) const { return initial_[group]; }
  const std::vector<T>& inputs() const { return inputs_; }
  const std::vector<T>& targets() const { return targets_; }
  const std::string& plan_text() const { return plan_text_; }

 private:
  runtime::Backend& backend_;
  std::vector<Network> networks_;
  std::vector<std::vector<MemberSettings>> settings_;
  std::vector<std::vector<MemberStatus>> status_;
  std::vector<std::vector<T>> initial_, parameters_, moments_;
  std::vector<T> inputs_, targets_;
  TrainProblem<T> problem_;
  double flops_ = 0;
  std::string plan_text_;
};

extern template class TrainRun<float>;
extern template class TrainRun<double>;

/// Seconds that `flops` operations take at the machine's rate of large fp32 matrix products: all threads at work, each
/// on a product of its own.
class GemmRate {
 public:
  GemmRate();
  double seconds_for(double flops);  ///< measured now
 private:
  std::vector<float> a_, b_;
  std::vector<std::vector<float>> c_;
};

}  // namespace widelab::bench
