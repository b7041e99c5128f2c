#include "host/data/array_file.hpp"

#include <bit>
#include <cmath>
#include <cstring>

#include "widelab/base/errors.hpp"

namespace widelab::data {

namespace {

// IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits.
double half_to_double(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1F;
  const double fraction = bits & 0x3FF;
  const double sign = (bits & 0x8000) ? -1.0 : 1.0;
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  if (exponent == 31) return fraction == 0 ? sign * HUGE_VAL : std::nan("");
  return sign * std::ldexp(1024.0 + fraction, exponent - 25);
}

std::uint64_t load_bits(const unsigned char* source, std::size_t size, bool big_endian) {
  std::uint64_t bits = 0;
  for (std::size_t k = 0; k < size; ++k) bits = (bits << 8) | source[big_endian ? k : size - 1 - k];
  return bits;
}

}  // namespace

std::size_t element_size(ElementType type) {
  switch (type) {
    case ElementType::boolean:
    case ElementType::u8:
    case ElementType::i8: return 1;
    case ElementType::u16:
    case ElementType::i16:
    case ElementType::f16: return 2;
    case ElementType::u32:
    case ElementType::i32:
    case ElementType::f32: return 4;
    default: return 8;
  }
}

bool is_integer(ElementType type) {
  return type != ElementType::f16 && type != ElementType::f32 && type != ElementType::f64;
}

Index ArrayFile::columns() const {
  Index product = 1;
  for (std::size_t axis = 1; axis < shape.size(); ++axis) product *= shape[axis];
  return product;
}

double ArrayFile::stored(Index flat) const {
  const std::size_t size = element_size(type);
  const std::uint64_t bits = load_bits(bytes.data() + static_cast<std::size_t>(flat) * size, size, big_endian);
  switch (type) {
    case ElementType::boolean: return bits != 0 ? 1.0 : 0.0;
    case ElementType::i8: return static_cast<double>(static_cast<std::int8_t>(bits));
    case ElementType::i16: return static_cast<double>(static_cast<std::int16_t>(bits));
    case ElementType::i32: return static_cast<double>(static_cast<std::int32_t>(bits));
    case ElementType::i64: return static_cast<double>(static_cast<std::int64_t>(bits));
    case ElementType::f16: return half_to_double(static_cast<std::uint16_t>(bits));
    case ElementType::f32: return static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
    case ElementType::f64: return std::bit_cast<double>(bits);
    default: return static_cast<double>(bits);
  }
}

void ArrayFile::copy_row(Index row, double* out) const {
  const Index width = columns();
  if (!fortran_order) {
    for (Index column = 0; column < width; ++column) out[column] = stored(row * width + column);
    return;
  }
  // Fortran order: the first subscript runs fastest. Walk the other subscripts in C order, the last one fastest.
  std::vector<Index> subscript(shape.size(), 0), stride(shape.size(), 1);
  for (std::size_t axis = 1; axis < shape.size(); ++axis) stride[axis] = stride[axis - 1] * shape[axis - 1];
  Index flat = row;
  for (Index column = 0; column < width; ++column) {
    out[column] = stored(flat);
    for (std::size_t axis = shape.size() - 1; axis >= 1; --axis) {
      flat += stride[axis];
      if (++subscript[axis] < shape[axis]) break;
      flat -= stride[axis] * shape[axis];
      subscript[axis] = 0;
    }
  }
}

std::uint64_t checked_bytes(const std::string& path, const std::vector<Index>& shape, std::size_t element) {
  std::uint64_t product = element;
  for (const Index extent : shape) {
    if (extent < 1)
      throw DataError(path + ": its shape is " + shape_text(shape) + "; every dimension must be at least 1");
    if (static_cast<std::uint64_t>(extent) > (std::uint64_t{1} << 62) / product)
      throw DataError(path + ": its shape is " + shape_text(shape) +
                      ", more than any file can hold; the header is wrong");
    product *= static_cast<std::uint64_t>(extent);
  }
  return product;
}

std::string shape_text(const std::vector<Index>& shape) {
  std::string text;
  for (const Index extent : shape) text += (text.empty() ? "" : " x ") + std::to_string(extent);
  return text.empty() ? "()" : text;
}

std::vector<int> as_labels(const ArrayFile& array) {
  if (!is_integer(array.type))
    throw DataError(array.path + ": holds floating-point numbers; labels must be integers");
  if (array.columns() != 1)
    throw DataError(array.path + ": its shape is " + shape_text(array.shape) +
                    "; labels must be one number an example");
  std::vector<int> labels(static_cast<std::size_t>(array.rows()));
  for (Index row = 0; row < array.rows(); ++row) {
    const double value = array.stored(row);
    if (!(value >= 0.0 && value < 2147483648.0))
      throw DataError(array.path + ": label " + std::to_string(value) + " of example " + std::to_string(row) +
                      ": must be in 0 .. 2147483647");
    labels[static_cast<std::size_t>(row)] = static_cast<int>(value);
  }
  return labels;
}

}  // namespace widelab::data
