// Reference values of SGD's noise, computed once in 40 digits by an independent program (tests/support/golden).
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace widelab::test {

/// The entry {params, value} called `name`.
inline nlohmann::json sgd_noise_golden(const std::string& name) {
  std::ifstream file(std::string(WIDELAB_GOLDEN_DIR) + "/sgd_noise.json");
  const nlohmann::json entries = nlohmann::json::parse(file);
  for (const nlohmann::json& entry : entries)
    if (entry.at("name") == name) return entry;
  throw std::runtime_error("no golden entry called " + name);
}

inline double number(const nlohmann::json& text) { return std::stod(text.get<std::string>()); }

inline std::vector<double> numbers(const nlohmann::json& list) {
  std::vector<double> values;
  for (const nlohmann::json& text : list) values.push_back(number(text));
  return values;
}

inline double golden_value(const std::string& name) { return number(sgd_noise_golden(name).at("value")); }

/// What double precision owes to values of 25 digits.
inline constexpr double kGoldenTolerance = 1e-12;

inline void expect_relative(double measured, double expected, double tolerance, const std::string& what = "") {
  EXPECT_NEAR(measured, expected, tolerance * std::abs(expected)) << what;
}

}  // namespace widelab::test
