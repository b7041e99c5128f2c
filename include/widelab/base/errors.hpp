// The exceptions a user can meet, each with its exit code. A message names the key, the value, the allowed
// range and the way out; it never needs a stack trace to be understood.
#pragma once

#include <stdexcept>
#include <string>

namespace widelab {

/// Exit codes of the command; stable, printed by `widelab --help`.
enum class ExitCode {
  ok = 0,
  internal = 1,
  recipe = 2,
  data = 3,
  output = 4,
  plan = 5,
  device = 6,
  cuda = 7,
  disagreement = 8,
  interrupted = 130,
};

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

// A class's name cannot stand in parentheses: NOLINTBEGIN(bugprone-macro-parentheses)
#define WIDELAB_DEFINE_ERROR(Name, exit_code)                                \
  class Name : public Error {                                                \
   public:                                                                   \
    explicit Name(const std::string& message) : Error(exit_code, message) {} \
  }
// NOLINTEND(bugprone-macro-parentheses)

WIDELAB_DEFINE_ERROR(RecipeError, ExitCode::recipe);  // unknown key, wrong type, value out of range, usage
WIDELAB_DEFINE_ERROR(DataError, ExitCode::data);      // missing, truncated, mislabelled or non-finite data
WIDELAB_DEFINE_ERROR(OutputError, ExitCode::output);  // output folder exists, disk full, file not written whole
WIDELAB_DEFINE_ERROR(PlanError, ExitCode::plan);      // does not fit in memory; an override that cannot be honoured
WIDELAB_DEFINE_ERROR(DeviceError, ExitCode::device);  // a device was asked for that is not there
WIDELAB_DEFINE_ERROR(BackendNotCompiled, ExitCode::device);  // this build has no CUDA code
WIDELAB_DEFINE_ERROR(CudaError, ExitCode::cuda);             // the CUDA runtime or a CUDA library reported an error
WIDELAB_DEFINE_ERROR(ContractError, ExitCode::internal);     // a caller inside widelab broke an op's contract: our bug
WIDELAB_DEFINE_ERROR(Interrupted, ExitCode::interrupted);    // Ctrl-C: finished work is on disk

#undef WIDELAB_DEFINE_ERROR

}  // namespace widelab
