// The folder of a run: recipe.toml, run.json, cells/, result.nc, figures/.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "host/io/array_file.hpp"
#include "host/io/folder_lock.hpp"
#include "host/io/recipe.hpp"
#include "host/io/result.hpp"
#include "host/io/run_record.hpp"

namespace widelab::io {

enum class OpenMode {
  fresh,      ///< the folder must be missing or empty
  resume,     ///< go on with what is there, if anything is; the recipe must be the same
  overwrite,  ///< remove the run that is there; refused if the folder holds anything but a run
};

/// The cells of a run that are finished, by canonical name, and the files that look like cells but are not whole.
struct CellList {
  std::map<std::string, std::filesystem::path> finished;
  std::vector<std::filesystem::path> damaged;
};

/// A run that this process may write; others are kept out while it lives.
class RunFolder {
 public:
  /// Creates or takes over the folder and writes the resolved recipe. `may_differ`: keys in which a resumed recipe
  /// may differ from the stored one ("seeds.init", "sweep.width"). Throws OutputError if the folder cannot be had,
  /// RecipeError if the recipes differ.
  static RunFolder open(const std::filesystem::path& folder, const Recipe& recipe, OpenMode mode,
                        const std::set<std::string>& may_differ = {});

  const std::filesystem::path& path() const { return folder_; }
  /// Whether there was a run to go on with.
  bool resumed() const { return resumed_; }
  std::filesystem::path figures() const { return folder_ / "figures"; }

  void publish_cell(const std::string& name, ArrayFile cell) const;
  void publish_result(const Result& result) const;
  void write_record(const RunRecord& record) const;

 private:
  RunFolder(std::filesystem::path folder, FolderLock lock) : folder_(std::move(folder)), lock_(std::move(lock)) {}

  std::filesystem::path folder_;
  FolderLock lock_;
  bool resumed_ = false;
};

/// Reads every cell of a run and holds it against its checksum.
CellList list_cells(const std::filesystem::path& run);

/// One finished cell; throws DataError if it is missing or damaged.
ArrayFile read_cell(const std::filesystem::path& run, const std::string& name);

/// The result of a run, given its folder or its result.nc.
Result read_result(const std::filesystem::path& run);

RunRecord read_record(const std::filesystem::path& run);

/// The resolved recipe of a run.
Recipe read_recipe(const std::filesystem::path& run, const SchemaLookup& lookup);

/// The file of a cell, in cells/: its canonical name with every character but letters, digits and "._=,+-" as %XX,
/// shortened with a hash where a file system would not take it.
std::string cell_file_name(const std::string& name);

}  // namespace widelab::io
