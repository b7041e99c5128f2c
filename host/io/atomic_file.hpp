// Files that are either there whole or not there at all.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace widelab::io {

/// Writes `bytes` beside the target, syncs, lets `verify` read it back (it throws to reject), syncs the folder and
/// renames over the target. On any failure the new file is removed, an old target stays as it was, and OutputError
/// names the path, what failed, the space left and the way out.
void publish_file(const std::filesystem::path& path, std::string_view bytes,
                  const std::function<void(const std::filesystem::path& written)>& verify = {});

/// Removes files of publish_file that a killed process left in a folder.
void remove_unfinished(const std::filesystem::path& folder);

/// The whole file; throws DataError if it cannot be read.
std::string read_file(const std::filesystem::path& path);

}  // namespace widelab::io
