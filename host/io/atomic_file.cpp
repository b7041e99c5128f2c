#include "host/io/atomic_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "widelab/base/errors.hpp"

namespace widelab::io {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kUnfinished = ".unfinished";

[[noreturn]] void fail(const fs::path& path, const std::string& step, const std::string& reason) {
  std::error_code ignored;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const fs::space_info space = fs::space(folder, ignored);
  const std::string left = ignored ? "unknown" : std::to_string(space.available / 1000000) + " MB";
  throw OutputError("cannot write '" + path.string() + "': " + step + ": " + reason + "; space left in the folder: " +
                    left + ". Way out: free space or lift the limit (or name another folder with --out), then run " +
                    "again with --resume; what was finished before is kept.");
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  /// close(2) may be the call that reports a full disk.
  int close_now() {
    const int result = ::close(fd_);
    fd_ = -1;
    return result;
  }

 private:
  int fd_;
};

void write_whole(const fs::path& written, std::string_view bytes, const fs::path& target) {
  Descriptor file(::open(written.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (file.get() < 0) fail(target, "open", std::strerror(errno));
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::write(file.get(), bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(target, "write", std::strerror(errno));
    done += static_cast<std::size_t>(count);
  }
  if (::fsync(file.get()) != 0) fail(target, "fsync", std::strerror(errno));
  if (file.close_now() != 0) fail(target, "close", std::strerror(errno));
}

void sync_folder(const fs::path& folder, const fs::path& target) {
  const Descriptor handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (handle.get() < 0) fail(target, "open its folder", std::strerror(errno));
  // Some network file systems cannot sync a folder; there the rename is as durable as it gets.
  if (::fsync(handle.get()) != 0 && errno != EINVAL) fail(target, "fsync its folder", std::strerror(errno));
}

}  // namespace

void publish_file(const fs::path& path, std::string_view bytes,
                  const std::function<void(const fs::path&)>& verify) {
  static std::atomic<unsigned> counter{0};
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const fs::path written = folder / ("." + path.filename().string() + "." + std::to_string(::getpid()) + "-" +
                                     std::to_string(counter++) + std::string(kUnfinished));
  try {
    write_whole(written, bytes, path);
    if (verify) {
      try {
        verify(written);
      } catch (const Error& error) {
        fail(path, "what was written does not read back", error.what());
      }
    }
    std::error_code failed;
    fs::rename(written, path, failed);
    if (failed) fail(path, "rename", failed.message());
    sync_folder(folder, path);
  } catch (...) {
    std::error_code ignored;
    fs::remove(written, ignored);
    throw;
  }
}

void remove_unfinished(const fs::path& folder) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(".") && name.ends_with(kUnfinished)) fs::remove(entry.path(), ignored);
  }
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  if (file && !fs::is_directory(path)) bytes << file.rdbuf();
  if (!file || fs::is_directory(path)) {
    throw DataError("cannot read '" + path.string() + "'. Way out: check the path and its permissions.");
  }
  return std::move(bytes).str();
}

}  // namespace widelab::io
