// The command `widelab`: arguments, help, exit codes.
#include <CLI/CLI.hpp>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <new>

#include "host/cli/commands.hpp"
#include "host/io/provenance.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/base/nearest.hpp"

namespace {

constexpr const char* kFooter = R"(
A first session:
  widelab init ntk-limit --out first.toml     a commented recipe: every key, its range, its default
  widelab plan first.toml                     memory and work of every cell, before anything starts
  widelab run first.toml --out runs/first     run it; Ctrl-C stops cleanly, --resume goes on to the same bits
  widelab show runs/first                     means, standard errors, predictions, z
  widelab plot runs/first                     figures
  widelab extend runs/first --replicates +500 more networks, the same bits as one long run
  widelab export runs/trained --cell width=64 --replicate 3 --out member    a trained network, for PyTorch and NumPy
  widelab theory nngp-ntk depth=3 q11=1 q12=0.5 q22=1

Exit codes: 0 ok; 1 internal error; 2 usage or recipe; 3 data; 4 output or disk; 5 memory or plan; 6 device absent or
backend not compiled; 7 CUDA; 8 disagreement beyond --require-z; 130 interrupted.
Data files are looked for in data.folder of the recipe, else in the folder that WIDELAB_DATA names.)";

struct Arguments {
  widelab::cli::RunArguments run;
  widelab::cli::ExportArguments exported;
  std::string name, replicates, table = "text";
  std::filesystem::path folder, second, out;
  std::vector<std::string> values;
  bool list = false;
};

void add_compute_options(CLI::App& command, widelab::cli::RunArguments& run) {
  command.add_option("--device", run.device, "auto, cpu, cuda or cuda:N; never falls back silently")
      ->capture_default_str();
  command.add_option("--memory", run.memory_gb, "most memory to use, GB (default: 80 % of what is free)")
      ->check(CLI::PositiveNumber);
}

void add_recipe_options(CLI::App& command, widelab::cli::RunArguments& run) {
  command.add_option("recipe", run.recipe, "recipe, TOML")->required();
  command.add_option("--set", run.overrides, "key=value: overrides the recipe, for example --set model.depth=2")
      ->take_all();
  command.add_option("--seed", run.seed, "seed of the run, as --set seeds.run=S");
  add_compute_options(command, run);
}

/// Every subcommand with its callback; `code` receives the exit code.
void add_commands(CLI::App& app, Arguments& a, int& code) {
  namespace cli = widelab::cli;
  CLI::App* run = app.add_subcommand("run", "run a recipe, or go on with it");
  add_recipe_options(*run, a.run);
  run->add_option("--out", a.run.out, "folder of the run (default: runs/NAME of the recipe)");
  run->add_flag("--resume", a.run.resume, "go on with a run that was stopped");
  run->add_flag("--overwrite", a.run.overwrite, "replace the run in the folder");
  run->add_flag("--dry-run", a.run.dry_run, "plan only");
  run->add_flag("--quiet", a.run.quiet, "no progress bar");
  run->add_option("--require-z", a.run.require_z,
                  "exit 8 if an exact prediction is missed by more than K standard errors")
      ->check(CLI::PositiveNumber);
  run->callback([&] { code = cli::run(a.run); });

  CLI::App* plan = app.add_subcommand("plan", "memory and work of every cell, nothing is run");
  add_recipe_options(*plan, a.run);
  plan->callback([&] { code = cli::plan(a.run); });

  CLI::App* extend = app.add_subcommand("extend", "more replicates for a finished run: the same bits as one long run");
  extend->add_option("run", a.folder, "folder of the run")->required();
  extend->add_option("--replicates", a.replicates, "+500 more, or the new number")->required();
  extend->add_flag("--quiet", a.run.quiet, "no progress bar");
  add_compute_options(*extend, a.run);
  extend->callback([&] { code = cli::extend(a.folder, a.replicates, a.run); });

  CLI::App* init = app.add_subcommand("init", "write a commented recipe");
  init->add_option("experiment", a.name, "see widelab list")->required();
  init->add_option("--out", a.out, "file (default: standard output)");
  init->callback([&] { code = cli::init(a.name, a.out); });

  CLI::App* show = app.add_subcommand("show", "the result of a run as a table");
  show->add_option("run", a.folder, "folder of the run")->required();
  show->add_option("--table", a.table, "text or csv")->check(CLI::IsMember({"text", "csv"}))->capture_default_str();
  show->callback([&] { code = cli::show(a.folder, a.table); });

  CLI::App* compare = app.add_subcommand("compare", "two runs, entry by entry, in standard errors");
  compare->add_option("first", a.folder, "folder of a run")->required();
  compare->add_option("second", a.second, "folder of a run")->required();
  compare->add_option("--require-z", a.run.require_z, "exit 8 if an entry differs by more than K standard errors")
      ->check(CLI::PositiveNumber);
  compare->callback([&] { code = cli::compare(a.folder, a.second, a.run.require_z); });

  CLI::App* plot = app.add_subcommand("plot", "figures of a run");
  plot->add_option("run", a.folder, "folder of the run")->required();
  plot->add_option("--out", a.out, "folder for the figures (default: figures/ in the run)");
  plot->callback([&] { code = cli::plot(a.folder, a.out); });

  CLI::App* summarise = app.add_subcommand("summarise", "rebuild result.nc from the finished cells");
  summarise->add_option("run", a.folder, "folder of the run")->required();
  summarise->callback([&] { code = cli::summarise(a.folder); });

  CLI::App* member = app.add_subcommand(
      "export",
      "one network of a training experiment: trained again from the recipe and written as .npy, with all that\n"
      "PyTorch needs to train it too (tools/replay_torch.py)");
  member->add_option("run", a.exported.run, "folder of a run, or a recipe")->required();
  member->add_option("--cell", a.exported.cell,
                     "cell of the sweep, as in cells/: \"width=64\"; not needed where there is one");
  member->add_option("--replicate", a.exported.replicate, "number of the network, from 0")->capture_default_str();
  member->add_option("--steps", a.exported.steps, "steps of training (default: the last observed step)");
  member->add_option("--out", a.exported.out, "folder for the files, missing or empty")->required();
  add_compute_options(*member, a.run);
  member->callback([&] { code = cli::export_member(a.exported, a.run); });

  CLI::App* theory = app.add_subcommand("theory", "evaluate an exact prediction; prints JSON with 17 digits");
  theory->add_option("law", a.name, "see --list");
  theory->add_option("values", a.values, "key=value; lists a,b,c broadcast");
  theory->add_flag("--list", a.list, "every law, its source and its domain");
  theory->callback([&] { code = cli::theory(a.name, a.values, a.list); });

  app.add_subcommand("list", "experiments, activations, data laws, theory")->callback([&] { code = cli::list(); });
  app.add_subcommand("info", "devices, build, what never ran on a GPU")->callback([&] { code = cli::info(); });
}

/// A first word that is neither an option nor a command; the parser alone would only say that a command is missing.
void check_subcommand(const CLI::App& app, const std::string& word) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  if (word.empty() || word[0] == '-' || std::find(names.begin(), names.end(), word) != names.end()) return;
  throw widelab::RecipeError("\"" + word + "\" is no command: did you mean \"" + widelab::nearest_name(word, names) +
                             "\"? See widelab --help");
}

/// Memory that is freed goes back to the system, so that the peak is what the plan says. By itself the GNU library
/// keeps freed blocks of up to 32 MB.
void return_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_MMAP_THRESHOLD, 1 << 20);
  mallopt(M_TRIM_THRESHOLD, 8 << 20);
#endif
}

}  // namespace

int main(int argc, char** argv) {
  return_freed_memory();
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond a file-size limit is an error to report, not the end of the process
  int code = 0;
  Arguments arguments;
  CLI::App app(
      "widelab: a laboratory for wide neural networks. Samples ensembles of networks, measures their kernels with\n"
      "standard errors, and holds them against exact theory.");
  app.footer(kFooter);
  app.set_version_flag("--version", widelab::io::version_text());
  app.require_subcommand(1);
  add_commands(app, arguments, code);
  try {
    if (argc > 1) check_subcommand(app, argv[1]);
    app.parse(argc, argv);
    return code;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(widelab::ExitCode::recipe);
  } catch (const widelab::Error& error) {
    std::fprintf(stderr, "widelab: %s\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr,
                 "widelab: out of memory: see `widelab plan RECIPE`, then use fewer networks or inputs, or --memory\n");
    return static_cast<int>(widelab::ExitCode::plan);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "widelab: internal error: %s\n", error.what());
    return static_cast<int>(widelab::ExitCode::internal);
  }
}
