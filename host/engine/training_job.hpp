// A cell of a training experiment: batches of members trained through a list of observed steps, observers on the way.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "host/engine/segmented_job.hpp"
#include "host/engine/trainer.hpp"
#include "host/io/array_file.hpp"
#include "host/runtime/backend.hpp"

namespace widelab::engine {

/// What observers are given of one member at one observed step. Spans are empty where no observer needs them.
struct MemberView {
  Index member = 0;             ///< in its batch
  std::uint32_t replicate = 0;  ///< in the cell
  Index step = 0;
  std::size_t time = 0;                                     ///< position of `step` in the list of observed steps
  std::span<const double> outputs;                          ///< N x k on the evaluation inputs, now
  std::span<const double> first_outputs;                    ///< the same at step 0
  std::span<const double> train_outputs;                    ///< N x k on the member's own data set, now
  std::span<const double> train_targets;                    ///< N x k of the member's own data set, without label noise
  std::span<const double> ntk;                              ///< N x N trace kernel on the kernel inputs, now
  std::span<const double> first_ntk;                        ///< the same at step 0
  std::span<const double> parameters, start, displacement;  ///< ParamLayout's order; displacement = parameters - start
};

struct ObserverNeeds {
  bool outputs = false, train_outputs = false, ntk = false, parameters = false;
};

/// A measurement of `entries()` numbers of a member at every observed step. Stateless between members; called by
/// several threads at once. A number that is not finite counts the member as diverged at that step.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual std::string name() const = 0;
  virtual Index entries() const = 0;
  virtual ObserverNeeds needs() const = 0;
  virtual void observe(const MemberView& member, std::span<double> out) const = 0;
  /// What the entries are, one text each; empty = numbered.
  virtual std::vector<std::string> entry_labels() const { return {}; }
};

/// Samples first_example .. first_example + count - 1 of the stream of data set `dataset`; pure.
using OnlineSamples = std::function<TrainSet(Index dataset, Index first_example, Index count)>;

struct TrainingSpec {
  TrainTask task;  ///< without members. Order online: as many data sets as members name; their contents are not read
  Index replicates = 1;
  /// Pure. The engine is planned for the largest batch of all: keep it where replicates are added later.
  std::function<MemberSettings(std::uint32_t replicate)> member;
  std::vector<Index> observed;            ///< increasing absolute steps; the last one ends the training
  std::vector<double> evaluation_inputs;  ///< N x d: where outputs are taken
  Index evaluation_count = 0;
  std::vector<double> kernel_inputs;  ///< N x d: where the NTK is taken
  Index kernel_count = 0;
  std::vector<std::shared_ptr<const Observer>> observers;
  /// A member whose training loss (of its data set, reduced as the rule says with a batch of all examples) is below
  /// this at an observed step has converged: it is trained no further, and keeps the values of that step at all later
  /// observed steps. 0 = off. Not for order online, whose training set has no end.
  double converged_loss = 0;
  Index members_at_once = 0;  ///< 0: as many as fit in task.limits.workspace_bytes and take a moderate time
  Index steps_at_once = 0;    ///< most steps between two checkpoints; 0: as many as take a moderate time
  OnlineSamples online;       ///< order online
  std::string identity;       ///< of recipe and seed: a state with another one is refused
  io::Attributes attributes;  ///< of the cell's file, written with the state
};

/// Loss of a data set (outputs and targets N x k), reduced as the rule says with a batch of all its examples: what
/// TrainingSpec::converged_loss is held against.
double training_loss(const TrainRule& rule, std::span<const double> outputs, std::span<const double> targets, Index k);

/// What all observers need together, and the training loss where members may converge.
ObserverNeeds needs_of(const TrainingSpec& spec);

/// A member that is through, or that diverged on the way.
struct MemberRecord {
  std::uint32_t replicate = 0;
  MemberStatus status;             ///< running = reached the last step; converged and diverged with their step
  std::span<const double> values;  ///< times x entries of all observers one after another; NaN from divergence on
};

/// Where records go. Its state after replicate r is a pure function of the records up to r.
class RecordSink {
 public:
  virtual ~RecordSink() = default;
  virtual void add(const MemberRecord& record) = 0;  ///< replicates 0, 1, 2, ... without gaps
  virtual Index replicates() const = 0;
  virtual std::vector<io::NamedArray> state() const = 0;  ///< without empty arrays
  virtual void restore(const io::ArrayFile& file) = 0;    ///< DataError if it belongs to another problem
  virtual double bytes(Index replicates) const = 0;       ///< memory that so many replicates will take
};

/// What a cell will take; pure function of the spec.
struct TrainingCost {
  TrainPlan plan;           ///< for the largest batch of examples
  Index batch = 1;          ///< members trained at once
  Index steps_cut = 1;      ///< most steps between two checkpoints
  Index entries = 0;        ///< numbers a member at one observed step, all observers
  double member_bytes = 0;  ///< of a member in training: parameters, moments, evaluations, record, and their checkpoint
  double bytes = 0;         ///< of a batch, the data, and the workspace of its evaluation; without the sink's
  double flops = 0;         ///< of all members: matrix products of training, outputs and kernels
  double draws = 0;         ///< random numbers of all members: parameters, dropout and Langevin noise
};
/// Of the memory that may be used, what the members of a batch may take; the rest is workspace of the ops.
inline constexpr double kBatchShareOfMemory = 0.5;
/// Throws RecipeError and PlanError as TrainingJob does.
TrainingCost training_cost(const TrainingSpec& spec, bool on_gpu);

/// Trains replicates in batches [first, first + batch) in increasing order. One unit of work: one member through one
/// piece of its way, pieces ending at observed steps and at most `steps_cut` steps long; one segment: the batch at hand
/// through one piece. Neither the size of batches nor of pieces changes a bit of the sink, and a finished state knows
/// neither. Only the record of the batch at hand is in memory.
class TrainingJob : public SegmentedJob {
 public:
  /// Throws RecipeError where steps, data or convergence contradict each other, PlanError where one member does not
  /// fit, and what Trainer throws. Backend and sink outlive the job.
  TrainingJob(TrainingSpec spec, runtime::Backend& backend, RecordSink& sink);
  ~TrainingJob() override;

  Index done() const override;
  Index target() const override;
  Index segment() const override;
  Index units_per_replicate() const override;
  /// Whole segments: as many as it takes for `units`.
  void advance(Index units) override;
  io::ArrayFile state() const override;
  void restore(const io::ArrayFile& state) override;

  const TrainingCost& cost() const;

 private:
  struct Batch;
  struct Evaluation;
  /// Where training pauses: at the end of a piece.
  struct Stop {
    Index step = 0;
    bool observed = false;
  };

  std::size_t stops_passed() const;
  void begin_batch(Index count);
  void train_to(Index step);
  Evaluation evaluate(const Trainer& trainer) const;
  std::span<const double> part(const std::vector<double>& all, Index member) const;
  MemberView view(Index member, const Evaluation& now) const;
  std::span<double> row(Index member, std::size_t time) const;
  void observe();
  void observe_members(const std::vector<Index>& members, const Evaluation& now);
  void finish_batch();
  void append_batch(io::ArrayFile& file) const;
  void restore_batch(const io::ArrayFile& file);

  TrainingSpec spec_;
  runtime::Backend& backend_;
  RecordSink& sink_;
  TrainingCost cost_;
  ObserverNeeds needs_;
  std::vector<Stop> stops_;
  std::unique_ptr<Batch> batch_;  ///< null between batches
};

}  // namespace widelab::engine
