// show, compare, plot, list, theory, info, init: what looks.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <fstream>

#include "host/cli/commands.hpp"
#include "host/data/data_laws.hpp"
#include "host/experiments/run.hpp"
#include "host/io/provenance.hpp"
#include "host/runtime/backend.hpp"
#include "host/runtime/devices.hpp"
#include "host/theory/registry.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/math/activation_names.hpp"

namespace widelab::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPython = "/usr/bin/python3";  // Debian's, which sees Debian's xarray, netCDF4 and matplotlib

fs::path plotting_script() {
  if (const auto script = shipped_script("plotting/plot.py")) return *script;
  throw OutputError(
      "the plotting scripts were found neither in share/widelab/plotting nor in tools/plotting beside the command: "
      "reinstall widelab, or run tools/plotting/plot.py by hand");
}

int run_python(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    execv(argv[0], argv.data());
    _exit(127);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) < 0) throw OutputError("could not start " + arguments.front());
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace

std::optional<fs::path> shipped_script(const std::string& name) {
  const fs::path bin = fs::read_symlink("/proc/self/exe").parent_path();
  for (const fs::path& candidate : {bin / "../share/widelab" / name, bin / "../../tools" / name})
    if (fs::exists(candidate)) return fs::canonical(candidate);
  return std::nullopt;
}

int show(const fs::path& folder, const std::string& table) {
  const io::Result result = io::read_result(folder);
  fmt::print("{}", table == "csv" ? io::to_csv(result) : io::summary_table(result));
  return 0;
}

int compare(const fs::path& first, const fs::path& second, double require_z) {
  const io::Comparison comparison = io::compare(io::read_result(first), io::read_result(second));
  fmt::print("{}", io::comparison_table(comparison));
  if (require_z > 0 && !(comparison.largest_z <= require_z)) return static_cast<int>(ExitCode::disagreement);
  return 0;
}

int plot(const fs::path& folder, const fs::path& out) {
  if (!fs::exists(folder / "result.nc"))
    throw DataError("\"" + (folder / "result.nc").string() +
                    "\" does not exist: finish the run with --resume, or name the folder of a run");
  std::vector<std::string> arguments{kPython, plotting_script().string(), folder.string()};
  if (!out.empty()) arguments.insert(arguments.end(), {"--out", out.string()});
  const int code = run_python(arguments);
  if (code == 127)
    throw OutputError(std::string(kPython) +
                      " could not be started: install python3-xarray, python3-netcdf4 and python3-matplotlib");
  if (code != 0) throw OutputError(fmt::format("plotting failed with exit code {}; its message stands above", code));
  return 0;
}

int init(const std::string& experiment, const fs::path& out) {
  const std::string text = io::commented_recipe(experiments::find_experiment(experiment).schema());
  if (out.empty()) {
    fmt::print("{}", text);
    return 0;
  }
  if (fs::exists(out))
    throw OutputError("\"" + out.string() + "\" exists already: name another file with --out, or remove it");
  std::ofstream file(out);
  file << text;
  file.close();
  if (!file)
    throw OutputError("\"" + out.string() +
                      "\" could not be written: check the folder, its permissions and the space left");
  fmt::print("wrote {}; try: widelab plan {}\n", out.string(), out.string());
  return 0;
}

int list() {
  fmt::print("experiments (widelab init NAME writes a commented recipe):\n");
  for (const std::string& name : experiments::experiment_names())
    fmt::print("  {:<20} {}\n", name, experiments::find_experiment(name).question());
  fmt::print("\nactivations:\n  ");
  for (const std::string& name : activation_names()) fmt::print("{} ", name);
  fmt::print("\n\ndata laws:\n");
  for (const data::NameDoc& law : data::law_list()) fmt::print("  {:<20} {}\n", law.name, law.doc);
  fmt::print("\ntheory (widelab theory --list says more):\n");
  for (const theory::TheoryEntry& entry : theory::theory_entries()) fmt::print("  {}\n", entry.name);
  return 0;
}

int theory(const std::string& law, const std::vector<std::string>& arguments, bool list_laws) {
  if (!list_laws) {
    if (law.empty()) throw RecipeError("widelab theory needs the name of a law: see widelab theory --list");
    fmt::print("{}\n", theory::evaluate_json(law, arguments));
    return 0;
  }
  for (const theory::TheoryEntry& entry : theory::theory_entries()) {
    fmt::print("{}\n  {}\n  source: {}\n  domain: {}\n", entry.name, entry.description, entry.source, entry.domain);
    for (const theory::ParamDoc& param : entry.params)
      fmt::print("    {} = {}  {}\n", param.name, param.fallback.empty() ? "(required)" : param.fallback,
                 param.meaning);
  }
  return 0;
}

int info() {
  const std::string commit = io::commit_text();
  fmt::print("widelab {}{}, {}\n{}\n\ndevices:\n", io::version_text(), commit.empty() ? "" : " (" + commit + ")",
             io::compiler_text(), runtime::blas_description());
  for (const runtime::DeviceInfo& device : runtime::list_devices())
    fmt::print("  {}:{}  {}  {:.1f} GB  {}\n", device.kind, device.index, device.name, device.memory_bytes * 1e-9,
               device.detail);
  fmt::print("\nnever run on a GPU by its developers:\n");
  for (const std::string& what : runtime::never_ran_on_device()) fmt::print("  {}\n", what);
  return 0;
}

}  // namespace widelab::cli
