#include "host/experiments/training_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "host/engine/precision_report.hpp"
#include "host/estimators/learning_rates.hpp"
#include "host/experiments/kernel_job.hpp"
#include "host/experiments/member_files.hpp"
#include "host/experiments/recipe_data.hpp"
#include "host/experiments/recipe_model.hpp"
#include "host/experiments/recipe_seeds.hpp"
#include "host/theory/infinite_width.hpp"
#include "host/theory/linear_dynamics.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::experiments {

std::vector<io::KeySpec> all_training_keys(const TrainingKeyDefaults& defaults) {
  std::vector<io::KeySpec> all;
  for (const auto& keys : {model_keys(), data_keys(defaults.examples, defaults.dimension),
                           target_keys(defaults.target, defaults.test_examples), training_keys(defaults.train),
                           seed_keys(defaults.replicates)})
    all.insert(all.end(), keys.begin(), keys.end());
  return all;
}

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Classification losses want labels of their own kind.
void check_targets(LossKind loss, const data::Dataset& set) {
  const bool signs = loss == LossKind::logistic || loss == LossKind::hinge;
  if (!signs && loss != LossKind::cross_entropy) return;
  for (Index i = 0; i < set.examples; ++i) {
    double sum = 0;
    for (Index o = 0; o < set.outputs; ++o) {
      const double y = set.targets[static_cast<std::size_t>(i * set.outputs + o)];
      sum += y;
      if (signs && std::fabs(y) != 1)
        throw RecipeError(
            fmt::format("train.loss = \"logistic\" or \"hinge\" needs targets -1 and 1, but example {} has "
                        "{:g}: take data.target.label_coding = \"plus-minus\", or a squared loss",
                        i, y));
      if (!signs && !(y >= 0))
        throw RecipeError(
            fmt::format("train.loss = \"cross-entropy\" needs probabilities as targets, but example {} has "
                        "{:g}: take data.target.label_coding = \"one-hot\"",
                        i, y));
    }
    if (!signs && std::fabs(sum - 1) > 1e-6)
      throw RecipeError(
          fmt::format("train.loss = \"cross-entropy\" needs targets that add up to 1, but those of example "
                      "{} add up to {:g}: take data.target.label_coding = \"one-hot\"",
                      i, sum));
  }
}

double largest_eigenvalue(const std::vector<double>& kernel, Index examples) {
  const theory::LinearDynamics dynamics({kernel.data(), examples, examples, examples}, {});
  return dynamics.eigenvalues().back();
}

bool own_rate(RateUnit unit) { return unit == RateUnit::own_kernel || unit == RateUnit::sharpness; }

/// eta from a number in units of 1 / (curvature lambda_max).
double resolved_rate(double rate, double curvature, double eigenvalue) {
  if (!(eigenvalue > 0))
    throw RecipeError(
        "train.rate_unit: the tangent kernel on the training set is 0, so that no learning rate follows from it: train "
        "some layer, or take \"per-step\"");
  return rate / (curvature * eigenvalue);
}

/// Learning rates in units of each network's own curvature; asked for in increasing order, computed in blocks.
class OwnRates {
 public:
  OwnRates(const TrainingCell& cell, runtime::Backend& backend)
      : backend_(backend), spec_(cell.spec), rate_(cell.train.learning_rate) {
    unit_ = cell.train.unit == RateUnit::sharpness ? estimators::RateUnit::sharpness : estimators::RateUnit::kernel_top;
  }

  double at(std::uint32_t replicate) {
    if (!known_.count(replicate)) compute_from(replicate);
    return known_.at(replicate);
  }

 private:
  void compute_from(std::uint32_t first) {
    // Parameters of a block are all in memory, some vectors of them at a time.
    constexpr double kBlockParameters = 2e7;
    const auto parameters = static_cast<double>(ParamLayout(spec_.task.network.shape).size);
    const Index most = std::clamp<Index>(static_cast<Index>(kBlockParameters / parameters), 1, 64);
    const Index count = std::clamp<Index>(spec_.replicates - static_cast<Index>(first), 1, most);
    engine::TrainTask task = spec_.task;
    for (Index m = 0; m < count; ++m) {
      task.members.push_back(spec_.member(first + static_cast<std::uint32_t>(m)));
      task.members.back().learning_rate = rate_;
    }
    estimators::to_rates_per_step(backend_, task, unit_);
    known_.clear();
    for (Index m = 0; m < count; ++m)
      known_[first + static_cast<std::uint32_t>(m)] = task.members[static_cast<std::size_t>(m)].learning_rate;
  }

  runtime::Backend& backend_;
  engine::TrainingSpec spec_;
  double rate_;
  estimators::RateUnit unit_;
  std::map<std::uint32_t, double> known_;
};

/// A TrainingJob together with its sink.
class SinkJob : public engine::SegmentedJob {
 public:
  SinkJob(engine::TrainingSpec spec, runtime::Backend& backend, std::unique_ptr<engine::RecordSink> sink)
      : sink_(std::move(sink)), job_(std::move(spec), backend, *sink_) {}

  Index done() const override { return job_.done(); }
  Index target() const override { return job_.target(); }
  Index segment() const override { return job_.segment(); }
  Index units_per_replicate() const override { return job_.units_per_replicate(); }
  void advance(Index units) override { job_.advance(units); }
  io::ArrayFile state() const override { return job_.state(); }
  void restore(const io::ArrayFile& state) override { job_.restore(state); }

 private:
  std::unique_ptr<engine::RecordSink> sink_;
  engine::TrainingJob job_;
};

/// How far the first step's increments of the first network are from being lost in rounding, for the cell's file.
void add_precision_report(engine::TrainingSpec& spec, runtime::Backend& backend) {
  if (spec.task.rule.order == OrderKind::online) return;  // its samples come only as training goes on
  engine::TrainTask task = spec.task;
  task.members = {spec.member(0)};
  const engine::Trainer trainer(backend, task);
  const engine::PrecisionReport report = engine::report_precision(backend, trainer, 0);
  spec.attributes.emplace_back("update_to_ulp", fmt::format("{:.6g}", report.update_to_ulp));
  spec.attributes.emplace_back("lost_update_share", fmt::format("{:.6g}", report.lost_update_share));
  spec.attributes.emplace_back("precision_warning", engine::precision_warning(report));
}

/// Settings of a replicate: ids from keys that know no position in any list.
struct MemberMaker {
  DrawId init, order, noise, label_noise;
  MemberSettings settings;

  MemberSettings operator()(std::uint32_t replicate) const {
    MemberSettings out = settings;
    const auto with = [replicate](DrawId id) { return DrawId{id.key, replicate}; };
    out.ids = {with(init), {}, with(label_noise), with(order), with(noise)};
    return out;
  }
};

}  // namespace

io::Attributes training_attributes(const RunSetup& setup, const TrainingCell& first, const std::string& counted,
                                   const std::string& conventions) {
  return {{"experiment", setup.recipe->schema().experiment},
          {"counted", counted},
          {"title", describe_network(*setup.recipe)},
          {"data", first.data.train.description},
          {"conventions", describe_training(*setup.recipe) + conventions}};
}

void require_room(const io::Recipe& recipe, const DeviceLimits& limits, double bytes, const std::string& what) {
  if (limits.workspace_bytes > 0 && bytes > limits.workspace_bytes)
    throw PlanError(fmt::format(
        "data.examples = {}, data.test_examples = {}, data.dimension = {}, model.outputs = {}: {} take "
        "{:.3g} GB, more than the {:.3g} GB that may be used. Way out: less of these, or a larger --memory",
        recipe.integer("data.examples"), recipe.integer("data.test_examples"), recipe.integer("data.dimension"),
        recipe.integer("model.outputs"), what, bytes * 1e-9, limits.workspace_bytes * 1e-9));
}

TrainingCell make_training_cell(const RunSetup& setup, const io::Cell& cell) {
  check_shared(*setup.recipe, setup.sweep);
  const io::Recipe recipe = io::at_cell(*setup.recipe, cell);
  TrainingCell out;
  out.train = training_from(recipe);
  const double train_examples = static_cast<double>(recipe.integer("data.examples")),
               examples = train_examples + static_cast<double>(recipe.integer("data.test_examples")),
               numbers = static_cast<double>(recipe.integer("data.dimension") + recipe.integer("model.outputs"));
  // As drawn or kept for other cells, in this one, and in the trainer.
  require_room(recipe, setup.limits, 3 * 8 * examples * numbers, "the examples");
  if (out.train.unit == RateUnit::limit_kernel)  // both kernels, the one to decompose, its eigenvectors
    require_room(recipe, setup.limits, 4 * 8 * train_examples * train_examples, "kernels on the training examples");
  out.data = *setup.data->get(recipe, setup.seed);
  check_targets(out.train.rule.loss, out.data.train);
  out.on_gpu = setup.on_gpu;
  out.keep = estimators::parse_keep("observe.keep", recipe.text("observe.keep"));
  const data::Dataset& train = out.data.train;

  engine::TrainTask& task = out.spec.task;
  task.network = network_from(recipe, train.dimension, out.train.rates);
  task.rule = out.train.rule;
  task.precision = out.train.precision;
  task.storage = out.train.storage;
  task.engine = out.train.engine;
  task.window = out.train.window;
  task.limits = setup.limits;
  task.datasets = {train_set(train)};
  if (recipe.text("model.init") == "file") task.file_weights = read_weights(recipe, task.network.shape);

  if (task.rule.order == OrderKind::file) read_order(recipe.text("train.order_path"), task.datasets.front());

  const bool repeats = task.rule.order == OrderKind::iid || task.rule.order == OrderKind::online;
  if (out.train.batch > train.examples && !repeats)
    throw RecipeError(
        fmt::format("train.batch = {}: at most data.examples = {} for train.order = \"{}\", or take \"iid\"",
                    out.train.batch, train.examples, recipe.text("train.order")));
  const bool squared = task.rule.loss == LossKind::half_squared || task.rule.loss == LossKind::squared;
  if (squared)
    out.curvature = theory::output_curvature(task.rule.loss, task.rule.reduction, train.examples, train.outputs);
  out.learning_rate = out.train.learning_rate;
  if (own_rate(out.train.unit)) out.learning_rate = kNaN;
  if (out.train.unit == RateUnit::limit_kernel) {
    const theory::KernelPair limit = theory::infinite_width_kernels(task.network, train.input_view());
    out.learning_rate =
        resolved_rate(out.train.learning_rate, out.curvature, largest_eigenvalue(limit.ntk, train.examples));
  }

  const std::string name = drawn_name(*setup.recipe, cell);
  out.init_key = role_key(setup.seed, "init", name);
  MemberMaker maker;
  maker.init = {out.init_key, 0};
  maker.order = {role_key(setup.seed, "order", name), 0};
  maker.noise = {role_key(setup.seed, "noise", name), 0};
  maker.label_noise = {role_key(setup.seed, "label_noise", name), 0};
  maker.settings.learning_rate = own_rate(out.train.unit) ? 0.0 : out.learning_rate;
  maker.settings.batch = out.train.batch == 0 ? train.examples : out.train.batch;
  maker.settings.weight_decay = out.train.weight_decay;
  maker.settings.temperature = out.train.temperature;
  maker.settings.label_noise = out.train.label_noise;
  out.spec.member = maker;
  out.spec.replicates = recipe.integer("seeds.replicates");
  out.spec.observed = observed_steps(recipe);
  out.spec.converged_loss = out.train.converged_loss;
  if (task.rule.order == OrderKind::online)
    out.spec.online = [recipe, seed = setup.seed](Index, Index first, Index count) {
      engine::TrainSet part = train_set(make_stream_part(recipe, seed, first, count));
      part.origin = first;
      return part;
    };
  out.spec.identity = fmt::format("{:016x}", out.init_key);
  for (const auto& [label, value] : cell.coordinates) out.spec.attributes.emplace_back("sweep_" + label, value);
  return out;
}

Index give_own_streams(const io::Recipe& recipe, TrainingCell& cell) {
  engine::TrainingSpec& spec = cell.spec;
  const double length = static_cast<double>(spec.observed.back()) * static_cast<double>(spec.member(0).batch);
  const double last = static_cast<double>(recipe.integer("data.examples") + recipe.integer("data.test_examples")) +
                      static_cast<double>(spec.replicates) * length;
  if (last > static_cast<double>(std::numeric_limits<std::uint32_t>::max()))
    throw RecipeError(fmt::format(
        "train.order = \"online\": {} networks of {:.3g} examples each are more than the 2^32 that one seed numbers: "
        "less of train.steps, train.batch or seeds.replicates",
        spec.replicates, length));
  const auto stride = static_cast<Index>(length);
  spec.online = [law = spec.online, stride](Index dataset, Index first, Index count) {
    engine::TrainSet part = law(dataset, dataset * stride + first, count);
    part.origin = first;
    return part;
  };
  spec.member = [member = spec.member](std::uint32_t replicate) {
    MemberSettings settings = member(replicate);
    settings.dataset = replicate;
    return settings;
  };
  // What stands for a stream before its first part.
  engine::TrainSet one = train_set(cell.data.train);
  one.examples = 1;
  one.inputs.resize(static_cast<std::size_t>(cell.data.train.dimension));
  one.targets.resize(static_cast<std::size_t>(cell.data.train.outputs));
  spec.task.datasets.assign(static_cast<std::size_t>(spec.replicates), one);
  return stride;
}

void observe_with(TrainingCell& cell, std::shared_ptr<const engine::Observer> observer, int order,
                  std::vector<double> shift) {
  estimators::ObservedQuantity quantity;
  quantity.name = observer->name();
  quantity.entries = observer->entries();
  quantity.keep = cell.keep;
  quantity.order = order;
  quantity.shift = std::move(shift);
  cell.quantities.push_back(std::move(quantity));
  cell.spec.observers.push_back(std::move(observer));
}

std::vector<double> all_inputs(const LearningData& data) {
  std::vector<double> inputs = data.train.inputs;
  inputs.insert(inputs.end(), data.test.inputs.begin(), data.test.inputs.end());
  return inputs;
}

estimators::ObserverContext observer_context(const TrainingCell& cell) {
  estimators::ObserverContext context;
  context.network = cell.network();
  context.loss = cell.train.rule.loss;
  context.reduction = cell.train.rule.reduction;
  if (!cell.train.rule.dropout_scaled) context.hidden_factor = cell.train.rule.dropout_keep;
  context.test = {cell.data.train.examples, cell.data.test.examples};
  context.test_targets = cell.data.test.targets;
  return context;
}

CellPlan plan_training_cell(const TrainingCell& cell, const std::string& name, double result_numbers) {
  const engine::TrainingCost cost = engine::training_cost(cell.spec, cell.on_gpu);
  const double statistics =
      estimators::TrainingStatistics(cell.quantities, cell.spec.observed).bytes(cell.spec.replicates);
  CellPlan plan;
  plan.cell = name;
  plan.engine = engine_name(cost.plan.engine);
  plan.reason = cost.plan.reason;
  plan.replicates = cell.spec.replicates;
  plan.sampling_bytes = cost.bytes + statistics;
  // The cell's file: its arrays, their image in memory, and the copy read back.
  plan.writing_bytes = 4 * statistics;
  plan.bytes = std::max(plan.sampling_bytes, plan.writing_bytes);
  plan.summary_bytes = 2 * statistics;
  plan.result_bytes = 8 * result_numbers;
  plan.flops = cost.flops;
  plan.draws = cost.draws;
  return plan;
}

std::function<MemberSettings(std::uint32_t)> trained_members(const TrainingCell& cell, runtime::Backend& backend) {
  if (!own_rate(cell.train.unit)) return cell.spec.member;
  const auto rates = std::make_shared<OwnRates>(cell, backend);
  return [member = cell.spec.member, rates](std::uint32_t replicate) {
    MemberSettings settings = member(replicate);
    settings.learning_rate = rates->at(replicate);
    return settings;
  };
}

std::unique_ptr<engine::SegmentedJob> make_training_job(const TrainingCell& cell, runtime::Backend& backend) {
  engine::TrainingSpec spec = cell.spec;
  spec.member = trained_members(cell, backend);
  add_precision_report(spec, backend);
  return make_job_with_sink(std::move(spec), backend,
                            std::make_unique<estimators::TrainingStatistics>(cell.quantities, cell.spec.observed));
}

std::unique_ptr<engine::SegmentedJob> make_job_with_sink(engine::TrainingSpec spec, runtime::Backend& backend,
                                                         std::unique_ptr<engine::RecordSink> sink) {
  return std::make_unique<SinkJob>(std::move(spec), backend, std::move(sink));
}

engine::TrainSet train_set(const data::Dataset& set) {
  engine::TrainSet out;
  out.inputs = set.inputs;
  out.targets = set.targets;
  out.examples = set.examples;
  return out;
}

estimators::TrainingStatistics read_training_statistics(const TrainingCell& cell, const io::ArrayFile& file) {
  estimators::TrainingStatistics statistics(cell.quantities, cell.spec.observed);
  statistics.restore(file);
  return statistics;
}

}  // namespace widelab::experiments
