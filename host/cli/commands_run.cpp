// run, plan, extend, export, summarise: what computes.
#include <fmt/format.h>

#include <cmath>
#include <cstdio>

#include "host/cli/commands.hpp"
#include "host/experiments/export_member_run.hpp"
#include "host/experiments/run.hpp"
#include "host/io/interrupt.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::cli {
namespace {

namespace fs = std::filesystem;

io::Recipe recipe_of(const RunArguments& arguments) {
  std::vector<std::string> overrides = arguments.overrides;
  if (arguments.seed) overrides.push_back("seeds.run=" + std::to_string(*arguments.seed));
  return experiments::load_recipe(arguments.recipe, overrides);
}

experiments::RunOptions options_of(const RunArguments& arguments) {
  if (arguments.resume && arguments.overwrite)
    throw RecipeError("--resume and --overwrite exclude each other: give one of them");
  experiments::RunOptions options;
  options.out = arguments.out;
  options.device = arguments.device;
  options.memory_bytes = arguments.memory_gb * 1e9;
  options.quiet = arguments.quiet;
  options.mode = arguments.resume      ? io::OpenMode::resume
                 : arguments.overwrite ? io::OpenMode::overwrite
                                       : io::OpenMode::fresh;
  return options;
}

/// runs/NAME beside the working directory, NAME the recipe's.
fs::path default_folder(const fs::path& recipe) { return fs::path("runs") / recipe.stem(); }

int report(const experiments::RunOutcome& outcome, double require_z) {
  fmt::print("{} cells ({} were finished before) in {}\n", outcome.cells, outcome.resumed_cells,
             outcome.folder.string());
  if (!outcome.worst.empty())
    fmt::print("largest |z| against exact predictions: {:.2f} at {}\n", outcome.largest_z, outcome.worst);
  fmt::print("next: widelab show {0}   |   widelab plot {0}\n", outcome.folder.string());
  if (require_z > 0 && !(outcome.largest_z <= require_z)) {
    fmt::print(stderr, "widelab: disagreement: |z| = {:.2f} at {} exceeds --require-z {:g}\n", outcome.largest_z,
               outcome.worst, require_z);
    return static_cast<int>(ExitCode::disagreement);
  }
  return 0;
}

int start(const io::Recipe& recipe, const experiments::RunOptions& options, double require_z) {
  fmt::print("{}", experiments::plan_table(experiments::plan_run(recipe, options)));
  std::fflush(stdout);
  io::install_interrupt_handler();
  return report(experiments::run(recipe, options), require_z);
}

}  // namespace

int run(const RunArguments& arguments) {
  if (arguments.dry_run) return plan(arguments);
  experiments::RunOptions options = options_of(arguments);
  if (options.out.empty()) options.out = default_folder(arguments.recipe);
  return start(recipe_of(arguments), options, arguments.require_z);
}

int plan(const RunArguments& arguments) {
  fmt::print("{}", experiments::plan_table(experiments::plan_run(recipe_of(arguments), options_of(arguments))));
  return 0;
}

int extend(const fs::path& folder, const std::string& replicates, const RunArguments& arguments) {
  const auto lookup = [](const std::string& name) { return experiments::find_experiment(name).schema(); };
  const io::Recipe stored = io::read_recipe(folder, lookup);
  const std::int64_t now = stored.integer("seeds.replicates");
  std::int64_t wanted = 0;
  try {
    std::size_t read = 0;
    wanted = std::stoll(replicates, &read);
    if (read != replicates.size()) throw std::invalid_argument(replicates);
    if (replicates.front() == '+') wanted += now;
  } catch (const std::exception&) {
    throw RecipeError("--replicates = \"" + replicates +
                      "\": give a number such as 2000, or +500 to add to what is there");
  }
  if (wanted < now)
    throw RecipeError(
        fmt::format("--replicates = {}: the run has {} already; finished networks are never removed", wanted, now));
  experiments::RunOptions options = options_of(arguments);
  options.out = folder;
  options.mode = io::OpenMode::resume;
  options.may_differ = {"seeds.replicates"};
  const io::Recipe longer =
      io::Recipe::load(folder / "recipe.toml", lookup, {"seeds.replicates=" + std::to_string(wanted)});
  return start(longer, options, arguments.require_z);
}

int export_member(const ExportArguments& member, const RunArguments& compute) {
  experiments::MemberChoice choice;
  choice.run = member.run;
  choice.cell = member.cell;
  choice.replicate = member.replicate;
  choice.steps = member.steps;
  choice.out = member.out;
  choice.device = compute.device;
  choice.memory_bytes = compute.memory_gb * 1e9;
  const experiments::ExportedMember done = experiments::export_member_run(choice);
  fmt::print("wrote replicate {} of cell \"{}\" after {} steps{} to {}\n", done.replicate, done.cell, done.steps,
             done.converged ? ", where it converged," : "", member.out.string());
  const auto script = shipped_script("replay_torch.py");
  fmt::print("replay: python3 {} {}\n", script ? script->string() : "tools/replay_torch.py", member.out.string());
  return 0;
}

int summarise(const fs::path& folder) {
  io::publish(folder / "result.nc", io::to_array_file(experiments::summarise_folder(folder)));
  fmt::print("rebuilt {}\n", (folder / "result.nc").string());
  return 0;
}

}  // namespace widelab::cli
