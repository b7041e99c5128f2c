#include "host/experiments/kernel_job.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/data/make_dataset.hpp"
#include "host/data/npy_file.hpp"
#include "host/experiments/recipe_data.hpp"
#include "host/experiments/recipe_model.hpp"
#include "host/experiments/recipe_seeds.hpp"
#include "host/theory/infinite_width.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/ops/law_exact_ntk.hpp"

namespace widelab::experiments {

using io::KeySpec;
using io::KeyType;

std::vector<KeySpec> kernel_keys(const std::string& default_method, int default_replicates) {
  std::vector<KeySpec> keys = seed_keys(default_replicates);
  const std::vector<KeySpec> own{
      io::make_key(
          "measure.method", KeyType::text, "\"" + default_method + "\"",
          "\"weights\": networks with explicit weights. \"law-exact\": the same law sampled without weight matrices."),
      io::make_key("measure.precision", KeyType::text, "\"fp32\"",
                   "Arithmetic of explicit networks; sums over units are accumulated in fp64."),
      io::make_key("measure.keep", KeyType::text, "\"moments\"",
                   "\"moments\", or \"samples\" to keep every network's kernels as well."),
      io::make_key(
          "measure.unit_budget", KeyType::real, "0.0",
          "Limit on units drawn in a cell (networks x depth x width); 0 = none. Wide cells get fewer networks, but 32 "
          "at least."),
      io::make_key("until.se_rel", KeyType::real, "0.0",
                   "Stop when the means of all NTK entries are known to this relative error, looking at replicates, 2 "
                   "replicates, ...; 0 = off."),
      io::make_key("until.max", KeyType::integer, "100000", "Most networks in a cell when stopping on precision."),
  };
  keys.insert(keys.end(), own.begin(), own.end());
  for (KeySpec& spec : keys) {
    if (spec.path == "until.max") spec.minimum = 2, spec.maximum = 4e9;
    if (spec.path == "measure.method") spec.choices = {"weights", "law-exact"};
    if (spec.path == "measure.precision") spec.choices = {"fp32", "fp64"};
    if (spec.path == "measure.keep") spec.choices = {"moments", "samples"};
    if (spec.path == "measure.unit_budget") spec.minimum = 0;
    if (spec.path == "until.se_rel") spec.minimum = 0, spec.maximum = 1;
  }
  return keys;
}

namespace {

// Below this, second moments mean nothing (estimators/heavy_tail.hpp asks for 25 effective networks).
constexpr Index kFewestNetworks = 32;

/// Of power sums and shifts of all entries: GroupedMoments keeps order 4 in every group.
double moment_bytes(double examples) {
  return 8 * examples * (examples + 1) * (1 + 4.0 * estimators::GroupedMoments::kDefaultGroups);
}

/// Before anything of that size is made.
void check_size(const io::Recipe& recipe, const DeviceLimits& limits) {
  const double n = static_cast<double>(recipe.integer("data.examples"));
  const double bytes = moment_bytes(n) + 8 * n * static_cast<double>(recipe.integer("data.dimension"));
  if (limits.workspace_bytes > 0 && bytes > limits.workspace_bytes)
    throw PlanError(
        fmt::format("data.examples = {}, data.dimension = {}: inputs and statistics of all kernel entries take {:.3g} "
                    "GB, more than "
                    "the {:.3g} GB that may be used. Way out: fewer inputs, or a larger --memory",
                    recipe.integer("data.examples"), recipe.integer("data.dimension"), bytes * 1e-9,
                    limits.workspace_bytes * 1e-9));
}

}  // namespace

std::shared_ptr<const std::vector<double>> read_weights(const io::Recipe& recipe, const MlpShape& shape) {
  const std::string& path = recipe.text("model.weights_path");
  if (path.empty())
    throw RecipeError("model.init = \"file\" needs model.weights_path: a .npy of networks x parameters");
  const data::ArrayFile file = data::read_npy(path);
  const Index size = ParamLayout(shape).size, networks = recipe.integer("seeds.replicates");
  if (file.columns() != size)
    throw DataError(fmt::format(
        "{}: {} numbers a network, but the recipe's network has {} parameters (weights and biases of every layer)",
        path, file.columns(), size));
  if (file.rows() < networks)
    throw DataError(fmt::format("{}: {} networks, but seeds.replicates = {}: ask for no more than the file has", path,
                                file.rows(), networks));
  auto weights = std::make_shared<std::vector<double>>(static_cast<std::size_t>(networks * size));
  for (Index r = 0; r < networks; ++r) file.copy_row(r, weights->data() + r * size);
  if (!std::all_of(weights->begin(), weights->end(), [](double w) { return std::isfinite(w); }))
    throw DataError(path + ": a weight is NaN or infinite");
  return weights;
}

KernelCell make_kernel_cell(const RunSetup& setup, const io::Cell& cell) {
  check_shared(*setup.recipe, setup.sweep);
  const io::Recipe recipe = io::at_cell(*setup.recipe, cell);
  check_size(recipe, setup.limits);
  KernelCell kernel;
  // All cells see the same inputs: the data role's key knows no sweep coordinate.
  const DrawId data_id{role_key(setup.seed, "data", ""), 0};
  data::Dataset data = data::make_dataset(data_spec_from(recipe), data_id);
  kernel.task.network = network_from(recipe, data.dimension);
  kernel.task.examples = data.examples;
  kernel.task.precision = recipe.text("measure.precision") == "fp64" ? Precision::fp64 : Precision::fp32;
  kernel.task.method =
      recipe.text("measure.method") == "law-exact" ? engine::KernelMethod::law_exact : engine::KernelMethod::weights;
  if (kernel.task.method == engine::KernelMethod::law_exact) check_law_exact(kernel.task.network);
  kernel.task.limits = setup.limits;
  if (recipe.text("model.init") == "file") {
    if (recipe.real("until.se_rel") > 0)
      throw RecipeError("until.se_rel cannot draw further networks where model.init = \"file\": set it to 0");
    kernel.task.file_weights = read_weights(recipe, kernel.task.network.shape);
  }
  theory::KernelPair limit = theory::infinite_width_kernels(kernel.task.network, data.input_view());
  kernel.task.inputs = std::move(data.inputs);
  kernel.ntk_limit = std::move(limit.ntk);
  kernel.nngp_limit = std::move(limit.nngp);
  kernel.init_key = role_key(setup.seed, "init", drawn_name(*setup.recipe, cell));
  kernel.replicates = recipe.integer("seeds.replicates");
  if (const double budget = recipe.real("measure.unit_budget"); budget > 0) {
    double units = 0;
    for (const Index n : kernel.task.network.shape.widths) units += static_cast<double>(n);
    kernel.replicates = std::min(kernel.replicates, std::max(kFewestNetworks, static_cast<Index>(budget / units)));
  }
  kernel.se_rel = recipe.real("until.se_rel");
  kernel.max_replicates = std::max<Index>(kernel.replicates, recipe.integer("until.max"));
  kernel.keep_samples = recipe.text("measure.keep") == "samples";
  return kernel;
}

CellPlan plan_kernel_cell(const KernelCell& kernel, const std::string& name) {
  const Index most = kernel.se_rel > 0 ? kernel.max_replicates : kernel.replicates;
  const engine::KernelCost cost = engine::kernel_cost(kernel.task, most);
  CellPlan plan;
  plan.cell = name;
  plan.engine = kernel.task.method == engine::KernelMethod::law_exact ? "law-exact" : "weights";
  plan.reason = cost.plan.reason;
  plan.replicates = most;
  const double n = static_cast<double>(kernel.task.examples), entries = n * (n + 1);
  const double moments = moment_bytes(n);
  const double networks =
      8 * static_cast<double>(most) * (estimators::kNetworkScalarCount + 2 + (kernel.keep_samples ? entries : 0));
  const double limits = 4 * 8 * n * n;  // of both kernels, in the cell and in its statistics
  // Written: the statistics, their copy as arrays, the image of the file, and the file read back; no workspace any
  // more.
  plan.writing_bytes = limits + cost.bytes - cost.workspace + 4 * (moments + networks);
  plan.sampling_bytes = limits + cost.bytes + moments + networks;
  plan.bytes = std::max(plan.sampling_bytes, plan.writing_bytes);
  // Read: the file, the statistics before and after, and the numbers on the way between them.
  plan.summary_bytes = limits + 4 * moments + 2 * networks;
  // Mean, error, count, theory, its error and z of four cumulants; whether the limit is exact.
  plan.result_bytes = 8 * entries * (4 * 6 + 1);
  plan.flops = cost.flops;
  plan.draws = cost.draws;
  return plan;
}

namespace {

std::string key_text(std::uint64_t key) { return fmt::format("{:016x}", key); }

}  // namespace

KernelJob::KernelJob(KernelCell kernel, const io::Cell& cell, runtime::Backend& backend)
    : kernel_(std::move(kernel)),
      cell_(cell),
      sampler_(backend, kernel_.task),
      statistics_(kernel_.task.examples, kernel_.ntk_limit, kernel_.nngp_limit, kernel_.keep_samples),
      target_(kernel_.replicates) {
  statistics_.reserve(target_);
  // One batch: checkpoints and Ctrl-C come between batches. Segments never change a bit.
  const engine::KernelCost cost = engine::kernel_cost(kernel_.task, kernel_.max_replicates);
  segment_ = std::max<Index>(1, cost.batch);
}

void KernelJob::advance(Index replicates) {
  sampler_.run(kernel_.init_key, done(), replicates,
               [this](const engine::MemberKernels& member) { statistics_.add(member); });
  move_target();
}

void KernelJob::move_target() {
  if (kernel_.se_rel <= 0 || done() < target_) return;
  const estimators::StopRule rule{kernel_.se_rel, kernel_.replicates, kernel_.max_replicates};
  std::vector<estimators::Estimate> means = statistics_.entries().estimate(estimators::Statistic::mean);
  means.resize(static_cast<std::size_t>(statistics_.pairs()));
  if (!rule.reached(means)) target_ = std::max(target_, rule.next_size(done()));
}

io::ArrayFile KernelJob::state() const {
  io::ArrayFile file;
  file.attributes = {{"target", std::to_string(target_)}};
  for (const auto& [label, value] : cell_.coordinates) file.attributes.emplace_back("sweep_" + label, value);
  file.attributes.emplace_back("init_key", key_text(kernel_.init_key));
  file.arrays = statistics_.state();
  return file;
}

void KernelJob::restore(const io::ArrayFile& state) {
  if (io::attribute(state.attributes, "init_key") != key_text(kernel_.init_key))
    throw DataError("the file of cell \"" + cell_.name +
                    "\" was made with another seed or recipe: use --overwrite, or another --out");
  statistics_.restore(state);
  const std::string target = io::attribute(state.attributes, "target");
  if (!target.empty()) target_ = std::max(target_, static_cast<Index>(std::stoll(target)));
  move_target();
}

estimators::KernelStatistics read_statistics(const KernelCell& kernel, const io::ArrayFile& file) {
  estimators::KernelStatistics statistics(kernel.task.examples, kernel.ntk_limit, kernel.nngp_limit,
                                          kernel.keep_samples);
  statistics.restore(file);
  return statistics;
}

}  // namespace widelab::experiments
