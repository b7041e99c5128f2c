#include "host/io/run_folder.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>

#include "host/io/array_checksum.hpp"
#include "host/io/atomic_file.hpp"
#include "host/io/sweep.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::io {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRecipe = "recipe.toml";
constexpr const char* kRecord = "run.json";
constexpr const char* kCells = "cells";
constexpr const char* kResult = "result.nc";
constexpr const char* kFigures = "figures";
constexpr const char* kCellName = "cell";
constexpr std::array<const char*, 5> kContents{kRecipe, kRecord, kCells, kResult, kFigures};

/// What stands in a folder beside the lock.
std::vector<std::string> contents(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name != FolderLock::kFileName) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// A run that was killed before its recipe was written: nothing but empty folders and hidden files.
bool just_begun(const fs::path& folder) {
  const std::vector<std::string> names = contents(folder);
  return fs::is_directory(folder / kCells) && std::all_of(names.begin(), names.end(), [&](const std::string& name) {
           if (name == kCells || name == kFigures)
             return fs::is_directory(folder / name) && fs::is_empty(folder / name);
           return name.starts_with(".");
         });
}

bool is_run(const fs::path& folder) {
  return fs::exists(folder / kRecord) || fs::exists(folder / kRecipe) || just_begun(folder);
}

void refuse_full(const fs::path& folder) {
  throw OutputError("output folder '" + folder.string() + "' exists and is not empty" +
                    (is_run(folder) ? ". Way out: --resume goes on with the run in it, --overwrite replaces it, --out "
                                      "names another."
                                    : "; it holds no run of widelab. Way out: name another folder with --out."));
}

/// Only what a run consists of is ever removed.
void check_removable(const fs::path& folder) {
  const std::vector<std::string> names = contents(folder);
  if (!names.empty() && !is_run(folder)) refuse_full(folder);
  for (const std::string& name : names) {
    if (std::find(kContents.begin(), kContents.end(), name) != kContents.end() || name.starts_with(".")) continue;
    throw OutputError("output folder '" + folder.string() + "' holds '" + name +
                      "', which is no part of a run, so --overwrite leaves it alone. Way out: move that away, or " +
                      "name another folder with --out.");
  }
}

std::string shown_value(const Recipe& recipe, const std::string& key) {
  const auto set = recipe.content().values.find(key);
  if (set != recipe.content().values.end()) return toml_literal(set->second);
  for (const SweepEntry& entry : recipe.content().sweep) {
    if ("sweep." + sweep_label(recipe.schema(), entry.key) != key) continue;
    std::string out;
    for (const Value& value : entry.values) out += (out.empty() ? "[" : ", ") + toml_literal(value);
    return out + "]";
  }
  return "not swept";
}

void check_same(const fs::path& folder, const Recipe& recipe, const std::set<std::string>& may_differ) {
  const fs::path file = folder / kRecipe;
  const Recipe stored = Recipe::parse(read_file(file), file.string(), recipe.schema());
  const std::string key = first_difference(stored, recipe, may_differ);
  if (key.empty()) return;
  throw RecipeError("cannot resume '" + folder.string() + "': '" + key + "' is " + shown_value(stored, key) +
                    " in its recipe and " + shown_value(recipe, key) +
                    " now. Way out: resume with the recipe of that run (" + kRecipe + " in it), or start another run " +
                    "with --out.");
}

/// Checks what can be checked before the folder is touched.
void check_before(const fs::path& folder, OpenMode mode) {
  if (!fs::exists(folder)) return;
  if (!fs::is_directory(folder)) {
    throw OutputError("output '" + folder.string() + "' is a file. Way out: name a folder with --out.");
  }
  const bool empty = contents(folder).empty();
  if (mode == OpenMode::fresh && !empty) refuse_full(folder);
  if (mode == OpenMode::overwrite) check_removable(folder);
  if (mode == OpenMode::resume && !empty && !fs::exists(folder / kRecipe) && !just_begun(folder)) {
    throw OutputError("cannot resume '" + folder.string() + "': it has no " + kRecipe +
                      ". Way out: name the folder of a run, or another one with --out.");
  }
}

[[noreturn]] void cannot_create(const fs::path& folder, const std::string& reason) {
  throw OutputError("cannot use output folder '" + folder.string() + "': " + reason +
                    ". Way out: check its permissions, or name another folder with --out.");
}

}  // namespace

RunFolder RunFolder::open(const fs::path& folder, const Recipe& recipe, OpenMode mode,
                          const std::set<std::string>& may_differ) {
  try {
    check_before(folder, mode);
    fs::create_directories(folder);
    RunFolder run(folder, FolderLock(folder));
    check_before(folder, mode);  // once more: another process may have come first
    if (mode == OpenMode::overwrite) {
      for (const char* name : kContents) fs::remove_all(folder / name);
    }
    run.resumed_ = mode == OpenMode::resume && fs::exists(folder / kRecipe);
    if (run.resumed_) check_same(folder, recipe, may_differ);
    fs::create_directories(folder / kCells);
    fs::create_directories(folder / kFigures);
    remove_unfinished(folder);
    remove_unfinished(folder / kCells);
    publish_file(folder / kRecipe, recipe.to_toml());
    return run;
  } catch (const fs::filesystem_error& error) {
    cannot_create(folder, error.code().message());
  }
}

void RunFolder::publish_cell(const std::string& name, ArrayFile cell) const {
  WIDELAB_REQUIRE(attribute(cell.attributes, kCellName).empty(), "the attribute 'cell' is the run folder's to set");
  cell.attributes.emplace_back(kCellName, name);
  publish(folder_ / kCells / cell_file_name(name), cell);
}

void RunFolder::publish_result(const Result& result) const { publish(folder_ / kResult, to_array_file(result)); }

void RunFolder::write_record(const RunRecord& record) const { publish_file(folder_ / kRecord, record.to_json()); }

CellList list_cells(const fs::path& run) {
  CellList list;
  std::error_code missing;
  for (const fs::directory_entry& entry : fs::directory_iterator(run / kCells, missing)) {
    const std::string file = entry.path().filename().string();
    if (file.starts_with(".") || entry.path().extension() != ".nc") continue;
    try {
      const std::string name = attribute(read_arrays(entry.path()).attributes, kCellName);
      if (cell_file_name(name) != file) throw DataError("not where it belongs");
      list.finished.emplace(name, entry.path());
    } catch (const DataError&) {
      list.damaged.push_back(entry.path());
    }
  }
  std::sort(list.damaged.begin(), list.damaged.end());
  return list;
}

ArrayFile read_cell(const fs::path& run, const std::string& name) {
  const fs::path file = run / kCells / cell_file_name(name);
  ArrayFile cell = read_arrays(file);
  if (attribute(cell.attributes, kCellName) != name) {
    throw DataError("'" + file.string() + "' is not the cell '" + name +
                    "'. Way out: move it away and run again with --resume.");
  }
  std::erase_if(cell.attributes, [](const auto& item) { return item.first == kCellName; });
  return cell;
}

Result read_result(const fs::path& run) {
  return from_array_file(read_arrays(fs::is_directory(run) ? run / kResult : run));
}

RunRecord read_record(const fs::path& run) {
  return RunRecord::from_json(read_file(run / kRecord), (run / kRecord).string());
}

Recipe read_recipe(const fs::path& run, const SchemaLookup& lookup) { return Recipe::load(run / kRecipe, lookup); }

std::string cell_file_name(const std::string& name) {
  constexpr std::size_t kLongest = 200;  // file systems take 255 bytes; publish_file adds some while writing
  std::string file;
  for (const char ch : name) {
    const bool kept = std::isalnum(static_cast<unsigned char>(ch)) != 0 ||
                      (std::string_view("._=,+-").find(ch) != std::string_view::npos && !(file.empty() && ch == '.'));
    std::array<char, 4> hex{};
    std::snprintf(hex.data(), hex.size(), "%%%02X", static_cast<unsigned>(static_cast<unsigned char>(ch)));
    file += kept ? std::string(1, ch) : std::string(hex.data());
  }
  // '~' stands in no other file name, so a shortened name meets none that is whole.
  if (file.size() > kLongest) file = file.substr(0, kLongest - 17) + "~" + checksum(std::string_view(name));
  return file + ".nc";
}

}  // namespace widelab::io
