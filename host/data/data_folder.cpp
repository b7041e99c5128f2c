#include "host/data/data_folder.hpp"

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "widelab/base/errors.hpp"

namespace widelab::data {

namespace fs = std::filesystem;

namespace {

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::string first_existing(const std::vector<fs::path>& candidates, const std::string& wanted) {
  std::string tried;
  for (const fs::path& candidate : candidates) {
    if (is_there(candidate)) return candidate.string();
    tried += "\n  " + candidate.string();
  }
  throw DataError(wanted + " is not there; tried" + tried +
                  "\nset data.folder or the environment variable WIDELAB_DATA to the folder that holds it");
}

}  // namespace

std::string data_folder(const std::string& explicit_folder) {
  const char* variable = std::getenv("WIDELAB_DATA");
  const bool from_recipe = !explicit_folder.empty();
  const std::string folder = from_recipe ? explicit_folder : (variable != nullptr ? variable : "");
  if (folder.empty())
    throw DataError("data.folder is not set and neither is WIDELAB_DATA: set data.folder in the recipe, or the "
                    "environment variable, to the folder that holds the data files");
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored))
    throw DataError((from_recipe ? "data.folder = \"" : "WIDELAB_DATA=\"") + folder +
                    "\": no such folder; set it to the folder that holds the data files");
  return folder;
}

std::string resolve_path(const std::string& path, const std::string& explicit_folder) {
  if (path.empty()) throw DataError("a data file has an empty name; set data.path");
  const fs::path given(path);
  if (given.is_absolute() || is_there(given)) return first_existing({given}, "the data file");
  const char* variable = std::getenv("WIDELAB_DATA");
  if (explicit_folder.empty() && variable == nullptr) return first_existing({given}, "the data file");
  return first_existing({given, fs::path(data_folder(explicit_folder)) / given}, "the data file");
}

std::string find_in_set(const std::string& set, const std::string& name, const std::string& explicit_folder) {
  const fs::path folder(data_folder(explicit_folder));
  return first_existing({folder / set / name, folder / set / (name + ".gz"), folder / name, folder / (name + ".gz")},
                        "the data file " + name);
}

}  // namespace widelab::data
