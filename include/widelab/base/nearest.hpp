// The nearest of a list of valid names, for messages about misspelt ones.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <limits>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

namespace widelab {

/// Smallest number of single-character insertions, deletions and substitutions that turn `a` into `b`,
/// letter case ignored (Levenshtein 1966; row by row, memory O(|b|)).
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  const auto lower = [](char ch) { return std::tolower(static_cast<unsigned char>(ch)); };
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t substituted = diagonal + (lower(a[i]) == lower(b[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

/// The name with the smallest edit distance to `name`, the first of equals; empty if `valid` is empty.
inline std::string nearest_name(std::string_view name, const std::vector<std::string>& valid) {
  std::string best;
  std::size_t best_distance = std::numeric_limits<std::size_t>::max();
  for (const std::string& candidate : valid) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace widelab
