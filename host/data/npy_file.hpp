// Reader and writer of NumPy's .npy format.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/data/array_file.hpp"

namespace widelab::data {

/// Reads a .npy file, plain or gzip-compressed: format versions 1 to 3, either byte order, C or Fortran order, element
/// types b1, u1-u8, i1-i8, f2, f4, f8. Format: numpy.lib.format, NumPy Enhancement Proposal 1. DataError if it is
/// anything else (objects, structures, complex numbers, zero or no dimensions), ends early or has bytes left over.
ArrayFile read_npy(const std::string& path);

/// Writes `values` (C order, product of `shape` entries) as little-endian f8, f4 or i8, format version 1.0. OutputError
/// naming the path if the file cannot be written whole.
void write_npy(const std::string& path, const std::vector<Index>& shape, const std::vector<double>& values);
void write_npy(const std::string& path, const std::vector<Index>& shape, const std::vector<float>& values);
void write_npy(const std::string& path, const std::vector<Index>& shape, const std::vector<std::int64_t>& values);

}  // namespace widelab::data
