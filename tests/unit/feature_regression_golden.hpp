// Reference values of regression on random features, computed once by an independent program (tests/support/golden).
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace widelab::test {

/// The entries {params, value} of one function.
inline std::vector<nlohmann::json> feature_regression_golden(const std::string& function) {
  std::ifstream file(std::string(WIDELAB_GOLDEN_DIR) + "/feature_regression.json");
  const nlohmann::json entries = nlohmann::json::parse(file);
  std::vector<nlohmann::json> found;
  for (const nlohmann::json& entry : entries)
    if (entry.at("function") == function) found.push_back(entry);
  if (found.empty()) throw std::runtime_error("no golden entry of " + function);
  return found;
}

}  // namespace widelab::test
