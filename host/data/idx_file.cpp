#include "host/data/idx_file.hpp"

#include <array>
#include <cstdio>
#include <optional>

#include "host/data/byte_reader.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::data {

namespace {

std::optional<ElementType> type_of_code(unsigned code) {
  switch (code) {
    case 0x08: return ElementType::u8;
    case 0x09: return ElementType::i8;
    case 0x0B: return ElementType::i16;
    case 0x0C: return ElementType::i32;
    case 0x0D: return ElementType::f32;
    case 0x0E: return ElementType::f64;
    default: return std::nullopt;
  }
}

}  // namespace

ArrayFile read_idx(const std::string& path) {
  ByteReader reader(path);
  std::array<unsigned char, 4> magic{};
  reader.read(magic.data(), magic.size(), "the magic number");
  const std::optional<ElementType> type = type_of_code(magic[2]);
  if (magic[0] != 0 || magic[1] != 0 || !type || magic[3] == 0) {
    char found[16];
    std::snprintf(found, sizeof found, "%02x%02x%02x%02x", magic[0], magic[1], magic[2], magic[3]);
    throw DataError(path + ": not an IDX file: its magic number is " + found +
                    ", expected 0000, an element code (08 09 0b 0c 0d 0e) and a number of dimensions from 1");
  }
  ArrayFile array;
  array.path = path;
  array.type = *type;
  array.big_endian = true;
  for (unsigned axis = 0; axis < magic[3]; ++axis) {
    std::array<unsigned char, 4> size{};
    reader.read(size.data(), size.size(), "dimension " + std::to_string(axis + 1));
    array.shape.push_back((Index{size[0]} << 24) | (Index{size[1]} << 16) | (Index{size[2]} << 8) | Index{size[3]});
  }
  const std::uint64_t count = checked_bytes(path, array.shape, element_size(array.type));
  array.bytes = reader.read_vector(count, "an array of shape " + shape_text(array.shape));
  reader.require_end(shape_text(array.shape) + " elements");
  return array;
}

}  // namespace widelab::data
