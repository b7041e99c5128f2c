#include "host/engine/training_job.hpp"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>
#include <map>

#include "host/engine/online_feed.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::engine {
namespace {

const io::NamedArray& find_array(const io::ArrayFile& file, const std::string& name) {
  for (const io::NamedArray& array : file.arrays)
    if (array.name == name) return array;
  throw DataError("checkpoint lacks the array '" + name + "'");
}

template <class V>
const std::vector<V>& find_values(const io::ArrayFile& file, const std::string& name, std::size_t size) {
  const auto* found = std::get_if<std::vector<V>>(&find_array(file, name).values);
  if (!found || found->size() != size) throw DataError("checkpoint: array '" + name + "' has another type or length");
  return *found;
}

template <class V>
void append(io::ArrayFile& file, const std::string& name, const std::string& description, std::vector<V> values) {
  if (values.empty()) return;
  const std::size_t size = values.size();
  file.arrays.push_back({name, "1", description, {name + "_place"}, {size}, std::move(values), {}});
}

}  // namespace

double training_loss(const TrainRule& rule, std::span<const double> outputs, std::span<const double> targets, Index k) {
  const Index examples = static_cast<Index>(outputs.size()) / k;
  double total = 0;
  for (Index i = 0; i < examples; ++i)
    total += loss_value(rule.loss, outputs.data() + i * k, targets.data() + i * k, k);
  return total * reduction_factor(rule.reduction, examples, examples, k);
}

/// What observers need of all members of a batch.
struct TrainingJob::Evaluation {
  std::vector<double> outputs, ntk;            ///< members x N x k, members x N x N
  std::map<Index, std::vector<double>> train;  ///< data set -> members x N x k
};

/// Members [first_replicate, first_replicate + count) on their way.
struct TrainingJob::Batch {
  Index first_replicate = 0, count = 0;
  std::vector<MemberSettings> settings;
  std::unique_ptr<Trainer> trainer;
  std::unique_ptr<OnlineFeed> feed;  ///< order online
  std::size_t times = 0;             ///< observed steps recorded
  std::vector<double> record;        ///< count x times x entries
  std::vector<MemberStatus> status;  ///< as reported: the trainer's, or what an observer found
  Evaluation first;                  ///< at step 0

  bool running(Index m) const { return status[static_cast<std::size_t>(m)].status == TrainStatus::running; }
  /// A diverged member that its trainer takes for healthy would be trained on.
  void stop(Index m, TrainStatus why, double quantity) {
    status[static_cast<std::size_t>(m)] = {why, trainer->step(), quantity};
    trainer->set_converged(m);
  }
};

TrainingJob::TrainingJob(TrainingSpec spec, runtime::Backend& backend, RecordSink& sink)
    : spec_(std::move(spec)),
      backend_(backend),
      sink_(sink),
      cost_(training_cost(spec_, backend.info().kind == "cuda")),
      needs_(needs_of(spec_)) {
  // Cuts at multiples of the lazy window's length, within which a cut costs work.
  const Index window = std::max<Index>(1, cost_.plan.window);
  const Index cut = window * ceil_div(cost_.steps_cut, window);
  Index step = 0;
  for (const Index observed : spec_.observed) {
    for (Index next = (step / cut + 1) * cut; next < observed; next += cut) stops_.push_back({next, false});
    step = observed;
    stops_.push_back({step, true});
  }
}

TrainingJob::~TrainingJob() = default;

const TrainingCost& TrainingJob::cost() const { return cost_; }

/// By step, not by count: a checkpoint may come from pieces of another length.
std::size_t TrainingJob::stops_passed() const {
  if (!batch_) return 0;
  std::size_t passed = 0, observed = 0;
  for (const Stop& stop : stops_) {
    if (stop.step > batch_->trainer->step() || (stop.observed && observed == batch_->times)) break;
    observed += stop.observed ? 1 : 0;
    ++passed;
  }
  return passed;
}

Index TrainingJob::units_per_replicate() const { return static_cast<Index>(stops_.size()); }

Index TrainingJob::done() const {
  const Index under_way = batch_ ? batch_->count * static_cast<Index>(stops_passed()) : 0;
  return sink_.replicates() * units_per_replicate() + under_way;
}

Index TrainingJob::target() const {
  const Index begun = sink_.replicates() + (batch_ ? batch_->count : 0);
  return std::max(spec_.replicates, begun) * units_per_replicate();
}

Index TrainingJob::segment() const {
  return batch_ ? batch_->count : std::clamp<Index>(spec_.replicates - sink_.replicates(), 1, cost_.batch);
}

void TrainingJob::advance(Index units) {
  const Index goal = std::min(done() + units, target());
  while (done() < goal) {
    if (!batch_) begin_batch(segment());
    const Stop& stop = stops_[stops_passed()];
    train_to(stop.step);
    if (!stop.observed) continue;
    observe();
    if (batch_->times == spec_.observed.size()) finish_batch();
  }
}

void TrainingJob::begin_batch(Index count) {
  auto batch = std::make_unique<Batch>();
  batch->first_replicate = sink_.replicates();
  batch->count = count;
  for (Index m = 0; m < count; ++m)
    batch->settings.push_back(spec_.member(static_cast<std::uint32_t>(batch->first_replicate + m)));
  TrainTask task = spec_.task;
  task.members = batch->settings;
  // One engine for all batches: what it is must not depend on who else is in a batch.
  task.engine = cost_.plan.engine;
  task.window = cost_.plan.window;
  task.limits.workspace_bytes *= 1 - kBatchShareOfMemory;
  if (spec_.online) {
    batch->feed = std::make_unique<OnlineFeed>(spec_.online, batch->settings, spec_.observed.back());
    batch->feed->begin(task);
  }
  batch->trainer = std::make_unique<Trainer>(backend_, std::move(task));
  batch->status.resize(static_cast<std::size_t>(count));
  batch->record.resize(static_cast<std::size_t>(count * cost_.entries) * spec_.observed.size());
  batch->first = evaluate(*batch->trainer);
  batch_ = std::move(batch);
}

void TrainingJob::train_to(Index step) {
  Trainer& trainer = *batch_->trainer;
  if (batch_->feed)
    batch_->feed->run_to(trainer, step);
  else
    trainer.run_to(step);
  for (Index m = 0; m < batch_->count; ++m)
    if (batch_->running(m)) batch_->status[static_cast<std::size_t>(m)] = trainer.status()[static_cast<std::size_t>(m)];
}

TrainingJob::Evaluation TrainingJob::evaluate(const Trainer& trainer) const {
  const Index d = spec_.task.network.shape.input_dim;
  Evaluation out;
  if (needs_.outputs)
    out.outputs = trainer.outputs(matrix_view(spec_.evaluation_inputs.data(), spec_.evaluation_count, d));
  if (needs_.ntk)
    out.ntk = trainer.kernels(matrix_view(spec_.kernel_inputs.data(), spec_.kernel_count, d), NtkBlocks::trace).ntk;
  if (!needs_.train_outputs) return out;
  for (const MemberSettings& member : trainer.task().members) {
    const TrainSet& set = spec_.task.datasets[static_cast<std::size_t>(member.dataset)];
    std::vector<double>& outputs = out.train[member.dataset];
    if (outputs.empty()) outputs = trainer.outputs(matrix_view(set.inputs.data(), set.examples, d));
  }
  return out;
}

/// Member m's part of an array over members.
std::span<const double> TrainingJob::part(const std::vector<double>& all, Index m) const {
  const std::size_t size = all.size() / static_cast<std::size_t>(batch_->count);
  return std::span<const double>(all).subspan(static_cast<std::size_t>(m) * size, size);
}

MemberView TrainingJob::view(Index m, const Evaluation& now) const {
  MemberView view;
  view.member = m;
  view.replicate = static_cast<std::uint32_t>(batch_->first_replicate + m);
  view.step = batch_->trainer->step();
  view.time = batch_->times;
  view.outputs = part(now.outputs, m);
  view.first_outputs = part(batch_->first.outputs, m);
  view.ntk = part(now.ntk, m);
  view.first_ntk = part(batch_->first.ntk, m);
  if (needs_.train_outputs) {
    const Index dataset = batch_->settings[static_cast<std::size_t>(m)].dataset;
    view.train_outputs = part(now.train.at(dataset), m);
    view.train_targets = spec_.task.datasets[static_cast<std::size_t>(dataset)].targets;
  }
  return view;
}

std::span<double> TrainingJob::row(Index m, std::size_t time) const {
  const auto entries = static_cast<std::size_t>(cost_.entries);
  const std::size_t at = (static_cast<std::size_t>(m) * spec_.observed.size() + time) * entries;
  return std::span<double>(batch_->record).subspan(at, entries);
}

void TrainingJob::observe() {
  Batch& batch = *batch_;
  std::vector<Index> running;
  for (Index m = 0; m < batch.count; ++m)
    if (batch.running(m)) running.push_back(m);
  if (!running.empty()) {
    const bool at_start = batch.trainer->step() == 0;
    observe_members(running, at_start ? batch.first : evaluate(*batch.trainer));
  }
  for (Index m = 0; m < batch.count; ++m) {
    const std::span<double> now = row(m, batch.times);
    const MemberStatus& status = batch.status[static_cast<std::size_t>(m)];
    const bool before = !std::binary_search(running.begin(), running.end(), m);
    if (status.status == TrainStatus::diverged)
      std::fill(now.begin(), now.end(), std::numeric_limits<double>::quiet_NaN());
    else if (before)
      std::ranges::copy(row(m, batch.times - 1), now.begin());
  }
  ++batch.times;
  batch.first.train.clear();  // only the first observation can be at step 0
}

void TrainingJob::observe_members(const std::vector<Index>& members, const Evaluation& now) {
  const int workers = spec_.task.limits.workers > 0 ? spec_.task.limits.workers : omp_get_max_threads();
  const Index count = static_cast<Index>(members.size());
  std::vector<double> loss(members.size(), 0.0);
  for (Index begin = 0; begin < count; begin += workers) {
    const Index end = std::min(count, begin + workers);
    // The trainer belongs to one thread at a time.
    std::vector<std::vector<double>> parameters, start, displacement;
    for (Index i = begin; i < end && needs_.parameters; ++i) {
      parameters.push_back(batch_->trainer->parameters(members[static_cast<std::size_t>(i)]));
      start.push_back(batch_->trainer->start(members[static_cast<std::size_t>(i)]));
      displacement.push_back(batch_->trainer->displacement(members[static_cast<std::size_t>(i)]));
    }
    std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic, 1) num_threads(workers)
    for (Index i = begin; i < end; ++i) {
      try {
        const Index m = members[static_cast<std::size_t>(i)];
        MemberView member = view(m, now);
        if (needs_.parameters) {
          const auto at = static_cast<std::size_t>(i - begin);
          member.parameters = parameters[at];
          member.start = start[at];
          member.displacement = displacement[at];
        }
        std::span<double> out = row(m, batch_->times);
        for (const auto& observer : spec_.observers) {
          const auto entries = static_cast<std::size_t>(observer->entries());
          observer->observe(member, out.first(entries));
          out = out.subspan(entries);
        }
        if (spec_.converged_loss > 0)
          loss[static_cast<std::size_t>(i)] = training_loss(spec_.task.rule, member.train_outputs, member.train_targets,
                                                            spec_.task.network.shape.outputs);
      } catch (...) {
#pragma omp critical(widelab_observer_failure)
        failure = std::current_exception();
      }
    }
    if (failure) std::rethrow_exception(failure);
  }
  for (std::size_t i = 0; i < members.size(); ++i) {
    const std::span<double> values = row(members[i], batch_->times);
    const auto bad = std::ranges::find_if_not(values, [](double x) { return std::isfinite(x); });
    if (bad != values.end())
      batch_->stop(members[i], TrainStatus::diverged, *bad);
    else if (spec_.converged_loss > 0 && loss[i] < spec_.converged_loss)
      batch_->stop(members[i], TrainStatus::converged, loss[i]);
  }
}

void TrainingJob::finish_batch() {
  const std::size_t numbers = static_cast<std::size_t>(cost_.entries) * spec_.observed.size();
  for (Index m = 0; m < batch_->count; ++m) {
    const auto member = static_cast<std::size_t>(m);
    sink_.add({static_cast<std::uint32_t>(batch_->first_replicate + m), batch_->status[member],
               std::span<const double>(batch_->record.data() + member * numbers, numbers)});
  }
  batch_.reset();
}

io::ArrayFile TrainingJob::state() const {
  io::ArrayFile file;
  file.attributes = spec_.attributes;
  file.attributes.emplace_back("identity", spec_.identity);
  file.arrays = sink_.state();
  if (batch_) append_batch(file);
  return file;
}

void TrainingJob::append_batch(io::ArrayFile& file) const {
  std::vector<std::int64_t> status, step;
  std::vector<double> quantity;
  for (const MemberStatus& member : batch_->status) {
    status.push_back(static_cast<std::int64_t>(member.status));
    step.push_back(member.step);
    quantity.push_back(member.quantity);
  }
  append(file, "batch_size", "members in training, observed steps recorded",
         std::vector<std::int64_t>{batch_->count, static_cast<std::int64_t>(batch_->times)});
  append(file, "batch_status", "0 running, 1 converged, 2 diverged", status);
  append(file, "batch_step", "of convergence or divergence", step);
  append(file, "batch_quantity", "that showed it", quantity);
  append(file, "batch_record", "members x observed steps x entries of all observers", batch_->record);
  std::vector<io::NamedArray> trainer_state = batch_->trainer->state();
  for (io::NamedArray& array : trainer_state) file.arrays.push_back(std::move(array));
}

void TrainingJob::restore(const io::ArrayFile& state) {
  if (io::attribute(state.attributes, "identity") != spec_.identity)
    throw DataError("the file of this cell was made with another seed or recipe: use --overwrite, or another --out");
  batch_.reset();
  sink_.restore(state);
  const bool under_way =
      std::ranges::any_of(state.arrays, [](const auto& array) { return array.name == "batch_size"; });
  if (!under_way) return;
  try {
    restore_batch(state);
  } catch (...) {
    batch_.reset();
    throw;
  }
}

void TrainingJob::restore_batch(const io::ArrayFile& file) {
  const std::vector<std::int64_t>& size = find_values<std::int64_t>(file, "batch_size", 2);
  if (size[0] < 1 || size[1] < 0 || size[1] >= static_cast<std::int64_t>(spec_.observed.size()))
    throw DataError("checkpoint: array 'batch_size' has impossible numbers");
  begin_batch(size[0]);
  Batch& batch = *batch_;
  const auto count = static_cast<std::size_t>(batch.count);
  const auto& status = find_values<std::int64_t>(file, "batch_status", count);
  const auto& step = find_values<std::int64_t>(file, "batch_step", count);
  const auto& quantity = find_values<double>(file, "batch_quantity", count);
  for (std::size_t m = 0; m < count; ++m) batch.status[m] = {static_cast<TrainStatus>(status[m]), step[m], quantity[m]};
  batch.times = static_cast<std::size_t>(size[1]);
  if (!batch.record.empty()) batch.record = find_values<double>(file, "batch_record", batch.record.size());
  batch.trainer->restore(file);
}

}  // namespace widelab::engine
