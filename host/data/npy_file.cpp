#include "host/data/npy_file.hpp"

#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <fstream>
#include <string_view>
#include <type_traits>

#include "host/data/byte_reader.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::data {

namespace {

constexpr std::array<unsigned char, 6> kMagic{0x93, 'N', 'U', 'M', 'P', 'Y'};
constexpr std::uint32_t kLongestHeader = 1u << 20;
constexpr std::size_t kMostDimensions = 64;  // NumPy's own limit

struct NpyType {
  std::string_view code;
  ElementType type;
};

constexpr std::array<NpyType, 12> kTypes{{{"b1", ElementType::boolean},
                                          {"u1", ElementType::u8},
                                          {"i1", ElementType::i8},
                                          {"u2", ElementType::u16},
                                          {"i2", ElementType::i16},
                                          {"u4", ElementType::u32},
                                          {"i4", ElementType::i32},
                                          {"u8", ElementType::u64},
                                          {"i8", ElementType::i64},
                                          {"f2", ElementType::f16},
                                          {"f4", ElementType::f32},
                                          {"f8", ElementType::f64}}};

// The header is a Python dictionary with exactly the keys descr, fortran_order and shape, in any order.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, ArrayFile& array) : text_(text), array_(array) {}

  void parse() {
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !seen_descr_) {
        seen_descr_ = true;
        set_type(quoted());
      } else if (key == "fortran_order" && !seen_order_) {
        seen_order_ = true;
        array_.fortran_order = boolean();
      } else if (key == "shape" && !seen_shape_) {
        seen_shape_ = true;
        shape();
      } else {
        fail("unknown or repeated key '" + key.substr(0, 40) + "'");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size()) fail("text after the closing brace");
    if (!seen_descr_ || !seen_order_ || !seen_shape_) fail("one of the keys descr, fortran_order, shape is missing");
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw DataError(array_.path + ": not a valid .npy header: " + why + " (at character " + std::to_string(at_) +
                    "); write the file again with numpy.save");
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }

  bool accept(char wanted) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }

  void expect(char wanted) {
    if (!accept(wanted)) fail(std::string("expected '") + wanted + "'");
  }

  std::string quoted() {
    skip_space();
    if (at_ >= text_.size() || (text_[at_] != '\'' && text_[at_] != '"'))
      fail("expected a quoted word (arrays of structures are not read)");
    const char quote = text_[at_++];
    const std::size_t close = text_.find(quote, at_);
    if (close == std::string_view::npos) fail("a quote is not closed");
    const std::string word(text_.substr(at_, close - at_));
    at_ = close + 1;
    return word;
  }

  bool boolean() {
    skip_space();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return value;
      }
    }
    fail("fortran_order must be True or False");
  }

  void shape() {
    expect('(');
    while (!accept(')')) {
      skip_space();
      Index extent = 0;
      const auto [next, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), extent);
      if (error != std::errc{}) fail("a dimension is not an integer of 64 bits");
      at_ = static_cast<std::size_t>(next - text_.data());
      array_.shape.push_back(extent);
      if (array_.shape.size() > kMostDimensions) fail("more than 64 dimensions");
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    if (array_.shape.empty()) fail("a single number, not an array: at least one dimension is needed");
  }

  void set_type(const std::string& descr) {
    const std::string_view code = descr.size() == 3 ? std::string_view(descr).substr(1) : std::string_view();
    const bool order_known = !descr.empty() && std::string_view("<>|=").find(descr[0]) != std::string_view::npos;
    for (const NpyType& known : kTypes) {
      if (!order_known || known.code != code) continue;
      array_.type = known.type;
      array_.big_endian = descr[0] == '>' || (descr[0] == '=' && std::endian::native == std::endian::big);
      return;
    }
    fail("element type '" + descr.substr(0, 40) + "' is not read; expected one of b1 u1 u2 u4 u8 i1 i2 i4 i8 f2 f4 f8");
  }

  std::string_view text_;
  ArrayFile& array_;
  std::size_t at_ = 0;
  bool seen_descr_ = false, seen_order_ = false, seen_shape_ = false;
};

std::uint32_t read_header_length(ByteReader& reader) {
  std::array<unsigned char, 8> start{};
  reader.read(start.data(), start.size(), "the magic number and version");
  if (std::memcmp(start.data(), kMagic.data(), kMagic.size()) != 0)
    throw DataError(reader.path() + ": not a .npy file: it does not start with \\x93NUMPY (a .npz archive, or text?); "
                    "write the array with numpy.save");
  const unsigned major = start[6];
  if (major < 1 || major > 3)
    throw DataError(reader.path() + ": .npy format version " + std::to_string(major) + "." + std::to_string(start[7]) +
                    ": versions 1 to 3 are read");
  std::array<unsigned char, 4> length{};
  reader.read(length.data(), major == 1 ? 2 : 4, "the header length");
  const std::uint32_t bytes = length[0] | (std::uint32_t{length[1]} << 8) | (std::uint32_t{length[2]} << 16) |
                              (std::uint32_t{length[3]} << 24);
  if (bytes > kLongestHeader)
    throw DataError(reader.path() + ": its .npy header claims " + std::to_string(bytes) + " bytes; at most " +
                    std::to_string(kLongestHeader) + " are believed");
  return bytes;
}

}  // namespace

ArrayFile read_npy(const std::string& path) {
  ByteReader reader(path);
  const std::vector<unsigned char> header = reader.read_vector(read_header_length(reader), "the .npy header");
  ArrayFile array;
  array.path = path;
  HeaderParser({reinterpret_cast<const char*>(header.data()), header.size()}, array).parse();
  const std::uint64_t count = checked_bytes(path, array.shape, element_size(array.type));
  array.bytes = reader.read_vector(count, "an array of shape " + shape_text(array.shape));
  reader.require_end(shape_text(array.shape) + " elements");
  return array;
}

namespace {

template <class T>
void write_array(const std::string& path, const std::string& code, const std::vector<Index>& shape,
                 const std::vector<T>& values) {
  using Word = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
  std::string dimensions;
  std::uint64_t count = 1;
  for (const Index extent : shape) {
    dimensions += std::to_string(extent) + ", ";
    count *= static_cast<std::uint64_t>(extent);
  }
  WIDELAB_REQUIRE(!shape.empty() && count == values.size(), "the shape must hold exactly the values given");
  std::string header = "{'descr': '" + code + "', 'fortran_order': False, 'shape': (" + dimensions + "), }";
  constexpr std::size_t kPrefix = 10, kAlignment = 64;  // the data start at a multiple of 64 bytes
  header.append(kAlignment - 1 - (kPrefix + header.size()) % kAlignment, ' ');
  header += '\n';
  std::string bytes(kMagic.begin(), kMagic.end());
  bytes += {'\x01', '\x00', static_cast<char>(header.size() & 0xFF), static_cast<char>(header.size() >> 8)};
  bytes += header;
  bytes.reserve(bytes.size() + values.size() * sizeof(T));
  for (const T value : values) {
    const Word bits = std::bit_cast<Word>(value);
    for (std::size_t k = 0; k < sizeof(T); ++k) bytes += static_cast<char>((bits >> (8 * k)) & 0xFF);
  }
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) throw OutputError(path + ": the array could not be written whole; check the folder and the disk space");
}

}  // namespace

void write_npy(const std::string& path, const std::vector<Index>& shape, const std::vector<double>& values) {
  write_array(path, "<f8", shape, values);
}
void write_npy(const std::string& path, const std::vector<Index>& shape, const std::vector<float>& values) {
  write_array(path, "<f4", shape, values);
}
void write_npy(const std::string& path, const std::vector<Index>& shape, const std::vector<std::int64_t>& values) {
  write_array(path, "<i8", shape, values);
}

}  // namespace widelab::data
