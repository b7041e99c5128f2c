// What the commands do, free of how their arguments are parsed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace widelab::cli {

struct RunArguments {
  std::filesystem::path recipe, out;
  std::vector<std::string> overrides;  ///< key=value, as after --set
  std::string device = "auto";
  double memory_gb = 0;
  std::optional<std::int64_t> seed;
  bool resume = false, overwrite = false, dry_run = false, quiet = false;
  double require_z = 0;  ///< 0: not required
};

struct ExportArguments {
  std::filesystem::path run, out;
  std::string cell;
  std::int64_t replicate = 0;
  std::optional<std::int64_t> steps;
};

/// A script of tools/: beside the installed command, or in the source tree that holds the build folder.
std::optional<std::filesystem::path> shipped_script(const std::string& name);

/// Each returns an exit code and throws widelab::Error.
int run(const RunArguments& arguments);
int plan(const RunArguments& arguments);
int extend(const std::filesystem::path& folder, const std::string& replicates, const RunArguments& arguments);
int export_member(const ExportArguments& member, const RunArguments& compute);
int summarise(const std::filesystem::path& folder);
int init(const std::string& experiment, const std::filesystem::path& out);
int show(const std::filesystem::path& folder, const std::string& table);
int compare(const std::filesystem::path& first, const std::filesystem::path& second, double require_z);
int plot(const std::filesystem::path& folder, const std::filesystem::path& out);
int list();
int theory(const std::string& law, const std::vector<std::string>& arguments, bool list);
int info();

}  // namespace widelab::cli
