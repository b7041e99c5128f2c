#include "host/experiments/lazy_gap_cell.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "host/experiments/recipe_seeds.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::experiments {
namespace {

// Networks in training at once, which are evaluated on each other's training sets.
constexpr Index kMembersAtOnce = 16;

const std::vector<std::string>& learner_names() {
  static const std::vector<std::string> names{"network", "linearised", "random-features", "tangent"};
  return names;
}

void check_target(const io::Recipe& recipe, const GapCell& cell) {
  if (recipe.integer("model.outputs") != 1)
    throw RecipeError(fmt::format("model.outputs = {}: hidden directions are those of one output; set it to 1",
                                  recipe.integer("model.outputs")));
  require_squared_risk(cell.training);
  if (cell.test().examples == 1)
    throw RecipeError("data.test_examples = 1: risks are taken over the variance of the test targets; set at least 2");
  if (cell.training.train.rule.order == OrderKind::file)
    throw RecipeError("train.order = \"file\": every network has examples of its own; take another order");
}

/// Random features and tangent features are those of one hidden layer of normal weights.
void check_features(const io::Recipe& recipe, const GapCell& cell) {
  const bool biases = recipe.real("model.sigma_b") == 0 || recipe.text("model.bias_init") == "random";
  if (cell.training.network().shape.depth() == 1 && recipe.text("model.init") == "normal" && biases &&
      !recipe.flag("model.layer_norm") && recipe.text("model.unit_multipliers_path").empty())
    return;
  throw RecipeError(fmt::format(
      "gap.learner = \"{}\": the features are those of one hidden layer of normal weights and biases: set model.depth "
      "= 1, model.init = \"normal\", model.bias_init = \"random\", model.layer_norm = false, "
      "model.unit_multipliers_path = \"\", or take another learner",
      recipe.text("gap.learner")));
}

/// Of a network, of the companion of its linearisation, and of both where outputs are centred: the share of the outputs
/// at the start that is taken off, and what is added to the targets in units of the outputs of the network as drawn.
double first_share(const GapCell& cell) { return cell.centred ? 1 : 1 - cell.gamma; }
double target_shift(const GapCell& cell) { return 1 / cell.gamma - (cell.centred ? 0 : 1); }

void observe(GapCell& cell) {
  engine::TrainingSpec& spec = cell.training.spec;
  const data::Dataset& test = cell.test();
  spec.evaluation_inputs = test.inputs;
  spec.evaluation_count = test.examples;
  estimators::ObserverContext context;
  context.network = cell.training.network();
  context.directions = cell.hidden.directions;
  context.direction_count = cell.hidden.count;
  spec.observers = {estimators::make_observer("teacher_alignment", context),
                    predictions(1, test.examples, first_share(cell), !cell.online)};
}

}  // namespace

double GapCell::target_variance() const {
  if (!hidden.power) return std::numeric_limits<double>::quiet_NaN();
  return std::accumulate(hidden.power->begin() + 1, hidden.power->end(), noise_variance);
}

std::vector<io::KeySpec> gap_keys() {
  io::KeySpec learner = io::make_key(
      "gap.learner", io::KeyType::text, "\"network\"",
      "network: as [train] says. linearised: its linearisation about its initial weights, trained alike. "
      "random-features,\ntangent: least squares on the features of its hidden layer at the start, or on the tangent "
      "features of its first\nlayer. All have the same initial weights and examples.");
  learner.choices = learner_names();
  io::KeySpec ridge = io::make_key("gap.ridge", io::KeyType::real, "1.0",
                                   "lambda of the regressions in |y - Z a|^2 + lambda |a|^2 (convention \"sum\"): "
                                   "columns phi(<w, x> / sqrt(d)), tangent\nx_c phi'(<w, x> / sqrt(d)) / sqrt(d).",
                                   0, 1e12);
  learner.sweepable = ridge.sweepable = true;
  return {
      learner,
      io::make_key("gap.centred", io::KeyType::boolean, "true",
                   "Outputs are f - f_0: networks start at 0, without which a small model.richness is not lazy."),
      io::make_key("gap.gamma", io::KeyType::real, "1e-3",
                   "Linearised networks move by this share of what networks do: their error is of this order, "
                   "rounding of that\nof 1e-7 over it and over model.richness (fp32).",
                   1e-6, 0.1),
      io::make_key("gap.escape_overlap", io::KeyType::real, "0.7",
                   "A network has escaped once its largest |cosine| with every hidden direction is above this.", 0, 1),
      ridge,
      io::make_key("gap.regressions", io::KeyType::integer, "8", "Replicates of each regression.", 2, 1e6),
      io::make_key("gap.regression_examples", io::KeyType::integer, "2048",
                   "Most examples of a regression; else as many as a network sees.", 1, 1e6)};
}

io::Recipe with_shared_learners(const RunSetup& setup) {
  io::RecipeContent content = setup.recipe->content();
  for (const io::SweepAxis& axis : setup.sweep.axes)
    if (axis.key == "gap.learner")
      std::get<std::vector<std::string>>(content.values.at("seeds.shared")).push_back(axis.label);
  return io::Recipe(std::move(content));
}

GapCell make_gap_cell(const RunSetup& setup, const io::Cell& at) {
  const io::Recipe shared = with_shared_learners(setup), recipe = io::at_cell(*setup.recipe, at);
  RunSetup own = setup;
  own.recipe = &shared;
  GapCell cell;
  cell.training = make_training_cell(own, at);
  check_target(recipe, cell);
  const auto& names = learner_names();
  cell.learner =
      static_cast<Learner>(std::find(names.begin(), names.end(), recipe.text("gap.learner")) - names.begin());
  cell.hidden = hidden_directions(recipe, setup.seed, cell.training.data.train.dimension);
  cell.centred = recipe.flag("gap.centred");
  if (cell.learner == Learner::linearised) cell.gamma = recipe.real("gap.gamma");
  cell.escape_overlap = recipe.real("gap.escape_overlap");
  engine::TrainingSpec& spec = cell.training.spec;
  cell.online = cell.training.train.rule.order == OrderKind::online;
  cell.examples = cell.training.data.train.examples;
  if (cell.online) {
    cell.examples = give_own_streams(recipe, cell.training);
  } else {
    spec.member = [member = spec.member](std::uint32_t replicate) {
      MemberSettings settings = member(replicate);
      settings.dataset = replicate;
      return settings;
    };
  }
  cell.regressions = recipe.integer("gap.regressions");
  cell.regression_examples = std::min<Index>(cell.examples, recipe.integer("gap.regression_examples"));
  cell.ridge = recipe.real("gap.ridge");
  cell.noise_variance = recipe.real("data.target.noise") * recipe.real("data.target.noise");
  cell.isotropic_start = recipe.text("model.init") == "normal";
  cell.sphere_inputs = recipe.text("data.law") == "sphere" && recipe.texts("data.preprocessing").empty();
  if (cell.regression()) check_features(recipe, cell);
  spec.members_at_once = kMembersAtOnce;
  observe(cell);
  return cell;
}

std::unique_ptr<engine::SegmentedJob> make_gap_training(const RunSetup& setup, const io::Cell& at, GapCell cell,
                                                        runtime::Backend& backend) {
  engine::TrainingSpec& spec = cell.training.spec;
  if (!cell.online)
    for (const data::Dataset& set : more_training_sets(io::at_cell(*setup.recipe, at), setup.seed, spec.replicates - 1))
      spec.task.datasets.push_back(train_set(set));
  const Network original = spec.task.network;
  if (cell.learner == Learner::linearised) spec.task.network = linearise(original, cell.gamma);
  if (target_shift(cell) != 0) shift_targets(spec, backend, original, target_shift(cell));
  return make_job_with_sink(spec, backend,
                            std::make_unique<estimators::SampleSink>(cell.numbers(), static_cast<Index>(cell.times())));
}

CellPlan plan_gap_training(const GapCell& cell, const std::string& name) {
  const data::Dataset& train = cell.training.data.train;
  const auto times = static_cast<double>(cell.times());
  const double networks = static_cast<double>(cell.training.spec.replicates);
  CellPlan plan =
      plan_training_cell(cell.training, name, 6 * times * static_cast<double>(6 + 2 * cell.hidden.count) + networks);
  const double samples =
      estimators::SampleSink(cell.numbers(), static_cast<Index>(cell.times())).bytes(plan.replicates);
  // The other networks' sets of examples; streams are in the plan of the training.
  const double numbers = cell.online ? 0
                                     : static_cast<double>(plan.replicates) * static_cast<double>(train.examples) *
                                           static_cast<double>(train.dimension + 1);
  plan.draws += static_cast<double>(plan.replicates) * static_cast<double>(cell.examples * train.dimension);
  plan.sampling_bytes += samples + 20 * numbers;  // twice in double, once in the trainer's precision
  plan.writing_bytes += 4 * samples;
  plan.bytes = std::max(plan.sampling_bytes, plan.writing_bytes);
  plan.summary_bytes += 4 * samples;  // a cell and the one beside it
  return plan;
}

estimators::SampleSink read_gap(const GapCell& cell, const io::ArrayFile& file) {
  estimators::SampleSink sink(cell.numbers(), static_cast<Index>(cell.times()));
  sink.restore(file);
  return sink;
}

}  // namespace widelab::experiments
