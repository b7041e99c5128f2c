// One process at a time in a folder.
#pragma once

#include <filesystem>

namespace widelab::io {

/// Holds the file `.lock` in a folder until destroyed; the system releases it when a process dies.
class FolderLock {
 public:
  /// Throws OutputError that names the process which holds the folder.
  explicit FolderLock(const std::filesystem::path& folder);
  FolderLock(FolderLock&& other) noexcept;
  FolderLock& operator=(FolderLock&& other) noexcept;
  ~FolderLock();

  static constexpr const char* kFileName = ".lock";

 private:
  int fd_ = -1;
};

}  // namespace widelab::io
