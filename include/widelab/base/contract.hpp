// Checks of what one part of widelab promises another.
#pragma once

#include <string>

#include "widelab/base/errors.hpp"

namespace widelab {

[[noreturn]] inline void contract_failed(const char* condition, const char* where, const std::string& what) {
  throw ContractError(std::string(where) + ": " + what + " (broken: " + condition + ")");
}

}  // namespace widelab

/// Throws ContractError unless `condition` holds; on in every build, so keep it out of inner loops.
#define WIDELAB_REQUIRE(condition, what)                                      \
  do {                                                                        \
    if (!(condition)) ::widelab::contract_failed(#condition, __func__, what); \
  } while (false)
