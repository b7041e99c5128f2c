// The checksums that tell a damaged file of arrays from a whole one.
#pragma once

#include <cstddef>
#include <istream>
#include <string>
#include <string_view>

#include "host/io/array_file.hpp"

namespace widelab::io {

/// 16 hexadecimal digits over names, dims, shapes, attributes and values. Each 64-bit word enters by a bijection of
/// the state, so a change of any one word always changes the result (derived from FNV-1a; Fowler, Noll, Vo 1991).
std::string checksum(const ArrayFile& file);

/// 16 hexadecimal digits over raw bytes.
std::string checksum(std::string_view bytes);

/// The same over the next `size` bytes of a stream, or over what there is of them.
std::string checksum(std::istream& stream, std::size_t size);

}  // namespace widelab::io
