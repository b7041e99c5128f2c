// An ensemble in training: parameters, moments and status of every member between two steps.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "host/io/array_file.hpp"
#include "host/runtime/backend.hpp"
#include "widelab/ops/train.hpp"
#include "widelab/plan/train_plan.hpp"

namespace widelab::engine {

/// N x d inputs and N x k targets, row-major.
struct TrainSet {
  std::vector<double> inputs, targets;
  Index examples = 0;
  Index origin = 0;  ///< online: number in the stream of the first example
  /// OrderKind::file: rows of the data, steps x order_batch (host/engine/export.hpp makes and checks it).
  std::vector<std::int32_t> order;
  Index order_batch = 0;
};

/// in_place: one number a parameter. displacement: theta = theta_0 + D, both stored, so that increments far below an
/// ulp of theta_0 add up.
enum class WeightStorage { in_place, displacement };

/// What is trained. All members have one network; members differ in MemberSettings.
struct TrainTask {
  Network network;
  TrainRule rule;
  Precision precision = Precision::fp32;
  WeightStorage storage = WeightStorage::in_place;
  TrainEngine engine = TrainEngine::automatic;
  Index window = 0;  ///< gemm: steps of the lazy window; 0 = the plan's
  std::vector<TrainSet> datasets;
  std::vector<MemberSettings> members;  ///< settings.ids.init draws theta_0
  DeviceLimits limits;
  /// InitKind::file: networks x P; member m starts from row ids.init.replicate. Null for laws that are drawn.
  std::shared_ptr<const std::vector<double>> file_weights;
};

/// The plan that a Trainer will follow; pure function. The machine enters through limits.fast_bytes alone: who wants
/// the machine's own cache counted says so (runtime::DeviceInfo::fast_bytes). Results belong to the plan's engine and
/// window, so both are part of a checkpoint and belong into a result. No lazy window for online samples and for rules
/// whose increments are not linear; RecipeError where one was asked for. PlanError if the engine cannot be had.
TrainPlan plan_training(const TrainTask& task, bool on_gpu);

/// Empirical kernels of the members on common inputs; see ops/ntk.hpp.
struct MemberKernelSet {
  std::vector<double> ntk;  ///< members x entries(blocks)
};

class Trainer {
 public:
  /// Draws theta_0. Throws what check_train and the plan throw.
  Trainer(runtime::Backend& backend, TrainTask task);
  ~Trainer();

  const TrainTask& task() const;
  const TrainPlan& plan() const;
  Index members() const;
  Index step() const;  ///< steps done so far

  /// Trains every running member up to absolute step `last`. Cutting the way there anywhere changes no bit. A cut
  /// inside a lazy window costs a copy of the members, and the steps of that window are done again by the next call.
  void run_to(Index last);
  /// Online: replaces a data set by the next part of its stream. RecipeError for any other order.
  void replace_dataset(Index dataset, TrainSet set);

  const std::vector<MemberStatus>& status() const;
  /// A member that converged is trained no further.
  void set_converged(Index member);

  /// theta and theta_0 of one member, widened, in ParamLayout's order.
  std::vector<double> parameters(Index member) const;
  std::vector<double> start(Index member) const;
  /// theta - theta_0, from D where it is stored.
  std::vector<double> displacement(Index member) const;
  /// Moments of the update rule (moment_count x P, v before s), widened; empty if it has none.
  std::vector<double> moments(Index member) const;

  /// f of every member on inputs (N x d): members x N x k. Unscaled dropout: hidden units times keep.
  std::vector<double> outputs(MatrixView<const double> inputs) const;
  /// Theta of every member on inputs, as the blocks say.
  MemberKernelSet kernels(MatrixView<const double> inputs, NtkBlocks blocks) const;

  /// Everything, bit for bit, in arrays "trainer_*"; restore() throws DataError if they belong to another task or plan
  /// (checked by a hash of network, rule, precision, storage, members' settings and, but for online orders, the data).
  std::vector<io::NamedArray> state() const;
  void restore(const io::ArrayFile& file);
  /// Parameters, moments and step of `other`'s members [first, first + members()), with this task's own ids and
  /// settings: a branch.
  void continue_from(const Trainer& other, Index first);
  /// The same with a source for each member, so that one call makes many replicas. Diverged sources stay diverged, all
  /// others run; moments are taken over only by the same rule; start() stays the source's theta_0.
  void continue_from(const Trainer& other, const std::vector<Index>& sources);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace widelab::engine
