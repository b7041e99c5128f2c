// Where data files lie.
#pragma once

#include <string>

namespace widelab::data {

/// The explicit folder if it is not empty, else the environment variable WIDELAB_DATA. DataError that names both ways
/// if neither is set, or if the folder does not exist.
std::string data_folder(const std::string& explicit_folder);

/// A path from a recipe: taken as it is if it is absolute or exists, else looked up in the data folder. DataError
/// naming every place that was tried.
std::string resolve_path(const std::string& path, const std::string& explicit_folder);

/// The file `name` of the data set `set` in the data folder: as folder/set/name, folder/set/name.gz, folder/name or
/// folder/name.gz, whichever exists first. DataError naming what was tried.
std::string find_in_set(const std::string& set, const std::string& name, const std::string& explicit_folder);

}  // namespace widelab::data
