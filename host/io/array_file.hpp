// Named, labelled arrays in a NetCDF-4 file: what `xarray.open_dataset` reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace widelab::io {

using Attributes = std::vector<std::pair<std::string, std::string>>;

/// Row-major; the number of values is the product of `shape` (1 for a scalar). A one-dimensional array with the
/// name of its dimension is that dimension's coordinate.
struct NamedArray {
  std::string name;
  std::string units;        ///< "1" for a pure number, "s" for seconds (xarray takes "seconds" for a time span)
  std::string description;
  std::vector<std::string> dims;
  std::vector<std::size_t> shape;  ///< as long as `dims`; no extent is zero
  std::variant<std::vector<double>, std::vector<std::int64_t>, std::vector<std::string>> values;
  Attributes attributes;

  bool operator==(const NamedArray&) const = default;
};

struct ArrayFile {
  Attributes attributes;
  std::vector<NamedArray> arrays;

  bool operator==(const ArrayFile&) const = default;
};

/// The version of this layout, stored as the attribute `format_version`.
inline constexpr int kArrayFormatVersion = 1;

/// Puts the file in place whole or not at all: built in memory, written beside the target, read back and held
/// against its checksum, synced, renamed. Throws OutputError (see publish_file in host/io/atomic_file.hpp).
/// Takes about twice the size of the arrays in memory meanwhile.
void publish(const std::filesystem::path& path, const ArrayFile& file);

/// Reads a file that `publish` wrote. Throws DataError if it is missing, not complete, damaged, or newer than this
/// build.
ArrayFile read_arrays(const std::filesystem::path& path);

/// The attribute with that name; empty if there is none.
std::string attribute(const Attributes& attributes, const std::string& name);

}  // namespace widelab::io
