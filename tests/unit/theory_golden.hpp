// Reference values computed once at high precision by independent programs (tests/support/golden).
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace widelab::test {

inline nlohmann::json golden_entry(const std::string& name) {
  std::ifstream file(std::string(WIDELAB_GOLDEN_DIR) + "/infinite_width.json");
  const nlohmann::json entries = nlohmann::json::parse(file);
  for (const nlohmann::json& entry : entries)
    if (entry.at("name") == name) return entry.at("values");
  throw std::runtime_error("no golden entry called " + name);
}

inline double golden(const std::string& name, const std::string& key) {
  return std::stod(golden_entry(name).at(key).get<std::string>());
}

inline std::vector<double> golden_list(const std::string& name, const std::string& key) {
  std::vector<double> values;
  const nlohmann::json list = golden_entry(name).at(key);
  for (const nlohmann::json& text : list) values.push_back(std::stod(text.get<std::string>()));
  return values;
}

}  // namespace widelab::test
