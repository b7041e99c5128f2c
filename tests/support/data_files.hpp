// Data files, good and faulty, for tests of the readers, and a folder to put them in.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <zlib.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "host/data/array_file.hpp"
#include "host/data/cifar_file.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::data {

// A folder that goes away with the test.
class DataFiles : public ::testing::Test {
 protected:
  DataFiles() {
    std::string pattern = (std::filesystem::temp_directory_path() / "widelab_data_XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = pattern;
    if (const char* value = std::getenv("WIDELAB_DATA")) environment_ = value;
  }
  ~DataFiles() override {
    set_environment(environment_);
    std::filesystem::remove_all(folder_);
  }

  static void set_environment(const std::string& value) {
    if (value.empty()) unsetenv("WIDELAB_DATA");
    else setenv("WIDELAB_DATA", value.c_str(), 1);
  }

  std::string write(const std::string& name, const std::string& bytes) const {
    const std::filesystem::path path = folder_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::filesystem::remove(path);  // some file systems flush a file that is truncated and written again: 10 ms each
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path.string();
  }

  std::filesystem::path folder_;
  std::string environment_;
};

inline std::string gzipped(const std::string& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, bytes.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// `size` low bytes of `bits`, most significant first where big_endian.
inline std::string number(std::uint64_t bits, int size, bool big_endian) {
  std::string bytes;
  for (int k = 0; k < size; ++k) bytes += static_cast<char>(bits >> (8 * (big_endian ? size - 1 - k : k)));
  return bytes;
}

template <class T>
std::uint64_t bits_of(T value) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

inline std::string idx_header(int code, const std::vector<std::uint32_t>& shape) {
  std::string bytes{'\0', '\0', static_cast<char>(code), static_cast<char>(shape.size())};
  for (const std::uint32_t extent : shape) bytes += number(extent, 4, true);
  return bytes;
}

inline std::string npy_with_header(const std::string& dictionary, const std::string& payload, int version = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += static_cast<char>(version);
  bytes += '\0';
  return bytes + number(dictionary.size(), version == 1 ? 2 : 4, false) + dictionary + payload;
}

inline std::string npy_header(const std::string& descr, const std::string& shape, bool fortran = false) {
  return "{'descr': '" + descr + "', 'fortran_order': " + (fortran ? "True" : "False") + ", 'shape': " + shape +
         ", }\n";
}

inline std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const DataError& error) {
    return error.what();
  }
  return "no DataError";
}

inline bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

inline std::vector<double> all_of(const ArrayFile& array) {
  std::vector<double> values(static_cast<std::size_t>(array.rows() * array.columns()));
  for (Index row = 0; row < array.rows(); ++row) array.copy_row(row, values.data() + row * array.columns());
  return values;
}

std::string cifar_batch(CifarKind kind, int records, int first_label) {
  std::string bytes;
  for (int r = 0; r < records; ++r) {
    if (kind == CifarKind::cifar100) bytes += static_cast<char>(r % 20);
    bytes += static_cast<char>((first_label + r) % (kind == CifarKind::cifar10 ? 10 : 100));
    for (Index p = 0; p < kCifarPixels; ++p) bytes += static_cast<char>((p + r) % 256);
  }
  return bytes;
}

}  // namespace widelab::data
