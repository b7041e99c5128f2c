#include "host/io/array_checksum.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

namespace widelab::io {
namespace {

class Hash {
 public:
  void word(std::uint64_t value) {
    constexpr std::uint64_t kPrime = 0x100000001b3;  // FNV's; odd, so the product is a bijection
    state_ = (state_ ^ value) * kPrime;
    state_ ^= state_ >> 32;
  }

  /// Pieces of one run of bytes must be multiples of 8 long, but for the last.
  void bytes(std::string_view value) {
    for (std::size_t at = 0; at < value.size(); at += 8) {
      std::uint64_t piece = 0;
      std::memcpy(&piece, value.data() + at, std::min<std::size_t>(8, value.size() - at));
      word(piece);
    }
  }

  void text(const std::string& value) {
    word(value.size());
    bytes(value);
  }

  void attributes(const Attributes& list) {
    word(list.size());
    for (const auto& [name, value] : list) {
      text(name);
      text(value);
    }
  }

  void element(double value) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    word(bits);
  }
  void element(std::int64_t value) { word(static_cast<std::uint64_t>(value)); }
  void element(const std::string& value) { text(value); }

  std::string digits() const {
    std::array<char, 17> hex{};
    std::snprintf(hex.data(), hex.size(), "%016llx", static_cast<unsigned long long>(state_));
    return hex.data();
  }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325;
};

}  // namespace

std::string checksum(const ArrayFile& file) {
  Hash hash;
  hash.attributes(file.attributes);
  hash.word(file.arrays.size());
  for (const NamedArray& array : file.arrays) {
    hash.text(array.name);
    hash.text(array.units);
    hash.text(array.description);
    hash.attributes(array.attributes);
    hash.word(array.dims.size());
    for (const std::string& dim : array.dims) hash.text(dim);
    for (const std::size_t extent : array.shape) hash.word(extent);
    hash.word(array.values.index());
    std::visit(
        [&](const auto& values) {
          hash.word(values.size());
          for (const auto& value : values) hash.element(value);
        },
        array.values);
  }
  return hash.digits();
}

std::string checksum(std::string_view bytes) {
  Hash hash;
  hash.bytes(bytes);
  return hash.digits();
}

std::string checksum(std::istream& stream, std::size_t size) {
  constexpr std::size_t kPiece = 1 << 20;
  Hash hash;
  std::string buffer(std::min(size, kPiece), '\0');
  while (size > 0 && stream) {
    stream.read(buffer.data(), static_cast<std::streamsize>(std::min(size, kPiece)));
    const auto count = static_cast<std::size_t>(stream.gcount());
    hash.bytes({buffer.data(), count});
    size -= count;
  }
  return hash.digits();
}

}  // namespace widelab::io
