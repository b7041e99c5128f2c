// An array as it lies in a file: raw bytes with their element type, converted only where they are used.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "widelab/base/types.hpp"

namespace widelab::data {

enum class ElementType : std::uint8_t { boolean, u8, i8, u16, i16, u32, i32, u64, i64, f16, f32, f64 };

/// Bytes of one element.
std::size_t element_size(ElementType type);
bool is_integer(ElementType type);

/// An array of at least one dimension, read whole. shape.front() counts examples; the other dimensions, flattened in
/// C order, are the coordinates of one.
struct ArrayFile {
  std::string path;
  std::vector<Index> shape;
  ElementType type = ElementType::u8;
  bool big_endian = false;
  bool fortran_order = false;
  std::vector<unsigned char> bytes;

  Index rows() const { return shape.front(); }
  /// Product of all dimensions but the first.
  Index columns() const;
  /// Element `flat` in the order in which the file stores them.
  double stored(Index flat) const;
  /// Row `row` as doubles into out[0, columns()).
  void copy_row(Index row, double* out) const;
};

/// Product of `shape` times `element` bytes. DataError naming `path` if a dimension is below 1 or the product
/// exceeds 2^62.
std::uint64_t checked_bytes(const std::string& path, const std::vector<Index>& shape, std::size_t element);

/// "3 x 28 x 28".
std::string shape_text(const std::vector<Index>& shape);

/// Entries of a one-dimensional integer array as class labels. DataError if `array` has more than one column, is not
/// of integer type, or has an entry outside [0, 2^31).
std::vector<int> as_labels(const ArrayFile& array);

}  // namespace widelab::data
