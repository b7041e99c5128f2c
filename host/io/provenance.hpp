// What a number was made with: versions, times, memory. No names of machines or paths.
#pragma once

#include <cstdint>
#include <string>

#include "host/io/run_record.hpp"

namespace widelab::io {

/// The version of this build, "0.1.0".
std::string version_text();

/// The git commit of this build; empty if it was built outside a repository.
std::string commit_text();

/// "g++ 12.2.0".
std::string compiler_text();

/// "2025-01-31T12:00:00Z", now.
std::string utc_now();

/// Largest resident memory of this process so far, bytes, by the kernel's account (VmHWM; unlike getrusage's, it
/// does not inherit what the parent process had used).
std::int64_t peak_memory_bytes();

/// Resident memory of this process now, bytes (VmRSS).
std::int64_t resident_memory_bytes();

/// Versions, compiler, BLAS (its own name for itself) and the time of start, under "widelab." and "time.".
void begin_record(RunRecord& record, const std::string& blas);

/// The time of the end, CPU seconds and peak memory, under "time." and "memory.".
void end_record(RunRecord& record);

}  // namespace widelab::io
