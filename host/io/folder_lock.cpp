#include "host/io/folder_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>

#include "widelab/base/errors.hpp"

namespace widelab::io {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& folder, const std::filesystem::path& file, int reason) {
  if (reason == EWOULDBLOCK) {
    std::ifstream stream(file);
    std::string owner;
    stream >> owner;
    throw OutputError("output folder '" + folder.string() + "' is in use by process " +
                      (owner.empty() ? "(unknown)" : owner) + ". Way out: wait for it, stop it, or name another " +
                      "folder with --out.");
  }
  throw OutputError("cannot lock output folder '" + folder.string() + "': " + std::strerror(reason) +
                    ". Way out: check its permissions, or name a folder on a local disk with --out.");
}

}  // namespace

FolderLock::FolderLock(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / kFileName;
  fd_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd_ < 0) refuse(folder, file, errno);
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    ::close(std::exchange(fd_, -1));
    refuse(folder, file, reason);
  }
  // The number serves the message of the next comer only; a full disk must not stop a resume that frees space.
  const std::string owner = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd_, 0) == 0) static_cast<void>(!::write(fd_, owner.data(), owner.size()));
}

FolderLock::FolderLock(FolderLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FolderLock& FolderLock::operator=(FolderLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace widelab::io
