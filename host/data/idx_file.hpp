// Reader of the IDX format (MNIST and its kin).
#pragma once

#include <string>

#include "host/data/array_file.hpp"

namespace widelab::data {

/// Reads an IDX file, plain or gzip-compressed. Format (LeCun, Cortes, Burges, "The MNIST database"): two zero bytes,
/// an element code (08 u8, 09 i8, 0B i16, 0C i32, 0D f32, 0E f64), the number of dimensions, then each dimension as
/// a big-endian 32-bit number, then the elements, big-endian, in C order. DataError if anything else is found, if
/// the file ends early or bytes are left over; nothing is allocated that the file could not fill.
ArrayFile read_idx(const std::string& path);

}  // namespace widelab::data
