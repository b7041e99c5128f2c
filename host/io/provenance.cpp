#include "host/io/provenance.hpp"

#include <sys/resource.h>

#include <array>
#include <ctime>
#include <fstream>

#include "host/io/array_file.hpp"
#include "host/io/recipe.hpp"

// The build sets these two; a library compiled by hand has neither.
#ifndef WIDELAB_VERSION
#define WIDELAB_VERSION "unknown"
#endif
#ifndef WIDELAB_COMMIT
#define WIDELAB_COMMIT ""
#endif

namespace widelab::io {

std::string version_text() { return WIDELAB_VERSION; }

std::string commit_text() { return WIDELAB_COMMIT; }

std::string compiler_text() {
#if defined(__clang__)
  return "clang++ " __clang_version__;
#elif defined(__GNUC__)
  return "g++ " __VERSION__;
#else
  return "unknown";
#endif
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

namespace {

/// A field of the kernel's account of this process, in bytes; 0 if there is none.
std::int64_t status_bytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(field, 0) == 0) return std::stoll(line.substr(field.size())) * 1024;
  }
  return 0;
}

}  // namespace

std::int64_t resident_memory_bytes() { return status_bytes("VmRSS:"); }

std::int64_t peak_memory_bytes() {
  if (const std::int64_t peak = status_bytes("VmHWM:"); peak > 0) return peak;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

void begin_record(RunRecord& record, const std::string& blas) {
  record.set("widelab.version", version_text());
  record.set("widelab.commit", commit_text());
  record.set("widelab.compiler", compiler_text());
  record.set("widelab.blas", blas);
  record.set("widelab.recipe_schema", kRecipeSchema);
  record.set("widelab.format_version", std::int64_t{kArrayFormatVersion});
  record.set("time.started", utc_now());
}

void end_record(RunRecord& record) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  record.set("time.finished", utc_now());
  record.set("time.cpu_seconds", seconds(usage.ru_utime) + seconds(usage.ru_stime));
  record.set("memory.peak_bytes", peak_memory_bytes());
}

}  // namespace widelab::io
