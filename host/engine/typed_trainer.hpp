// The arrays of an ensemble in training, in one arithmetic; what Trainer (host/engine/trainer.hpp) is made of.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "host/engine/trainer.hpp"

namespace widelab::engine {

/// Members between two steps; arrays are members x P or empty.
template <class T>
struct MemberArrays {
  Index step = 0;
  std::vector<MemberStatus> status;
  std::vector<T> parameters;
  std::vector<T> start;  ///< theta_0, where it is needed or cannot be drawn again
  std::vector<T> displacement;
  std::vector<T> moments;  ///< members x moments x P
};

/// theta_0 of these ids (ids x P), drawn, or rows of the task's stored weights. DataError if there is no such row.
template <class T>
std::vector<T> draw_parameters(runtime::Backend& backend, const TrainTask& task, const std::vector<DrawId>& ids);

/// The set as ops take it; `inputs` and `targets` are its numbers in the arithmetic of the op.
template <class T>
TrainData<T> view_of(const TrainSet& set, const std::vector<T>& inputs, const std::vector<T>& targets);
TrainData<double> view_of(const TrainSet& set);

/// T: float or double. Task and plan must outlive it; the task's data sets may be replaced if use_dataset follows.
template <class T>
class TypedTrainer {
 public:
  TypedTrainer(runtime::Backend& backend, const TrainTask& task, const TrainPlan& plan);

  Index step() const { return now_.step; }
  const std::vector<MemberStatus>& status() const { return now_.status; }
  void run_to(Index last);
  void set_converged(Index member);
  /// Takes the task's data set of that number.
  void use_dataset(Index dataset);

  std::vector<double> parameters(Index member) const;
  std::vector<double> start(Index member) const;
  std::vector<double> displacement(Index member) const;
  std::vector<double> moments(Index member) const;
  std::vector<double> outputs(MatrixView<const double> inputs) const;
  std::vector<double> kernels(MatrixView<const double> inputs, NtkBlocks blocks) const;

  void save(std::vector<io::NamedArray>& arrays) const;
  void load(const io::ArrayFile& file);
  void branch(const TypedTrainer& other, const std::vector<Index>& sources);

 private:
  Index members() const { return static_cast<Index>(task_.members.size()); }
  TrainProblem<T> problem(MemberArrays<T>& arrays) const;
  void advance(MemberArrays<T>& arrays, Index last, Index window) const;
  MemberWeights<T> weights() const;

  runtime::Backend& backend_;
  const TrainTask& task_;
  const TrainPlan& plan_;
  Index size_;                   // P
  Index moments_;                // of a parameter
  Network evaluation_;           // the network with the factor keep of unscaled dropout
  std::vector<DrawId> origins_;  // whose draws theta_0 are
  std::vector<std::vector<T>> inputs_, targets_;
  MemberArrays<T> now_;
  // Inside a lazy window: the members at its beginning. The window is begun again from there, so that a cut in it
  // rounds nothing that a run in one piece does not round.
  std::optional<MemberArrays<T>> held_;
};

}  // namespace widelab::engine
