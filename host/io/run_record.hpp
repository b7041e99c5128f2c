// run.json: what a run was made with.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace widelab::io {

using RecordValue =
    std::variant<bool, std::int64_t, double, std::string, std::vector<double>, std::vector<std::string>>;

/// Entries by dotted path ("plan.bytes"), in the order in which they were first set. No part of a path holds a dot.
class RunRecord {
 public:
  void set(const std::string& path, RecordValue value);
  /// Null if there is none.
  const RecordValue* find(const std::string& path) const;
  const std::vector<std::pair<std::string, RecordValue>>& entries() const { return entries_; }

  /// Nested objects, each where it was first named; numbers that read back exactly, NaN as null.
  std::string to_json() const;
  /// Throws DataError, naming `source`, if the text is no JSON object.
  static RunRecord from_json(const std::string& text, const std::string& source);

 private:
  std::vector<std::pair<std::string, RecordValue>> entries_;
};

}  // namespace widelab::io
