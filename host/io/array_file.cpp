#include "host/io/array_file.hpp"

#include <netcdf.h>
#include <netcdf_mem.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>

#include "host/io/array_checksum.hpp"
#include "host/io/atomic_file.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::io {
namespace {

constexpr const char* kComplete = "complete";
constexpr const char* kVersion = "format_version";
constexpr const char* kChecksum = "data_checksum";
constexpr const char* kUnits = "units";
constexpr const char* kLongName = "long_name";
constexpr const char* kEncoding = "_Encoding";  // tells xarray that a char array is text
constexpr const char* kLengthDim = "string_length_";
constexpr const char* kPosition = "position";   // a file built in memory lists its variables by name
constexpr std::size_t kLongestAttribute = 60000;  // HDF5 refuses 64 KiB and more

/// The library is not safe for threads.
std::mutex& library_mutex() {
  static std::mutex mutex;
  return mutex;
}

struct NetcdfError {
  std::string what;
};

void check(int status, const std::string& what) {
  if (status != NC_NOERR) throw NetcdfError{what + ": " + nc_strerror(status)};
}

/// Closes an open file on every path out; what it holds is not wanted then.
class OpenFile {
 public:
  explicit OpenFile(int id) : id_(id) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (id_ >= 0) nc_abort(id_);
  }
  int id() const { return id_; }
  void released() { id_ = -1; }

 private:
  int id_;
};

std::size_t count_values(const NamedArray& array) {
  std::size_t count = 1;
  for (const std::size_t extent : array.shape) count *= extent;
  return count;
}

/// Length of the longest text, at least 1: NetCDF takes an extent of 0 for "unlimited".
std::size_t text_length(const std::vector<std::string>& values) {
  std::size_t longest = 1;
  for (const std::string& value : values) longest = std::max(longest, value.size());
  return longest;
}

void check_attributes(const Attributes& attributes) {
  for (const auto& [name, text] : attributes) {
    WIDELAB_REQUIRE(text.size() <= kLongestAttribute, "attribute '" + name + "' is too long; store it as an array");
  }
}

void check_contract(const ArrayFile& file) {
  check_attributes(file.attributes);
  for (const NamedArray& array : file.arrays) {
    check_attributes(array.attributes);
    WIDELAB_REQUIRE(array.dims.size() == array.shape.size(), "array '" + array.name + "': one extent for each dim");
    const std::size_t size = std::visit([](const auto& values) { return values.size(); }, array.values);
    WIDELAB_REQUIRE(size == count_values(array) && size > 0, "array '" + array.name + "': values do not fill it");
    if (const auto* texts = std::get_if<std::vector<std::string>>(&array.values)) {
      for (const std::string& text : *texts) {
        WIDELAB_REQUIRE(text.find('\0') == std::string::npos, "array '" + array.name + "': text with a zero byte");
      }
    }
  }
}

class Writer {
 public:
  explicit Writer(int file) : file_(file) {}

  void write(const ArrayFile& file) {
    int old_mode = 0;
    check(nc_set_fill(file_, NC_NOFILL, &old_mode), "set fill mode");
    write_attributes(NC_GLOBAL, file.attributes);
    std::vector<int> variables;
    for (const NamedArray& array : file.arrays) variables.push_back(define(array, static_cast<int>(variables.size())));
    check(nc_put_att_int(file_, NC_GLOBAL, kVersion, NC_INT, 1, &kArrayFormatVersion), "format version");
    check(nc_enddef(file_), "end of definitions");
    for (std::size_t i = 0; i < variables.size(); ++i) write_values(variables[i], file.arrays[i]);
    write_text(NC_GLOBAL, kChecksum, checksum(file));
    const int complete = 1;
    check(nc_put_att_int(file_, NC_GLOBAL, kComplete, NC_INT, 1, &complete), "attribute 'complete'");
  }

 private:
  void write_text(int variable, const std::string& name, const std::string& text) {
    check(nc_put_att_text(file_, variable, name.c_str(), text.size(), text.data()), "attribute '" + name + "'");
  }

  void write_attributes(int variable, const Attributes& attributes) {
    for (const auto& [name, text] : attributes) write_text(variable, name, text);
  }

  int dimension(const std::string& name, std::size_t extent) {
    const auto [found, is_new] = dims_.emplace(name, std::pair(0, extent));
    if (is_new) check(nc_def_dim(file_, name.c_str(), extent, &found->second.first), "dimension '" + name + "'");
    WIDELAB_REQUIRE(found->second.second == extent, "dimension '" + name + "' has two extents");
    return found->second.first;
  }

  int define(const NamedArray& array, int position) {
    std::vector<int> dims;
    for (std::size_t i = 0; i < array.dims.size(); ++i) dims.push_back(dimension(array.dims[i], array.shape[i]));
    constexpr std::array<nc_type, 3> kTypes{NC_DOUBLE, NC_INT64, NC_CHAR};
    const auto* texts = std::get_if<std::vector<std::string>>(&array.values);
    if (texts != nullptr) {
      const std::size_t length = text_length(*texts);
      dims.push_back(dimension(kLengthDim + std::to_string(length), length));
    }
    int variable = 0;
    check(nc_def_var(file_, array.name.c_str(), kTypes[array.values.index()], static_cast<int>(dims.size()),
                     dims.data(), &variable),
          "variable '" + array.name + "'");
    if (!array.units.empty()) write_text(variable, kUnits, array.units);
    if (!array.description.empty()) write_text(variable, kLongName, array.description);
    if (texts != nullptr) write_text(variable, kEncoding, "utf-8");
    write_attributes(variable, array.attributes);
    check(nc_put_att_int(file_, variable, kPosition, NC_INT, 1, &position), "attribute 'position'");
    return variable;
  }

  void write_values(int variable, const NamedArray& array) {
    const std::string what = "values of '" + array.name + "'";
    if (const auto* reals = std::get_if<std::vector<double>>(&array.values)) {
      check(nc_put_var_double(file_, variable, reals->data()), what);
    } else if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&array.values)) {
      const std::vector<long long> wide(integers->begin(), integers->end());
      check(nc_put_var_longlong(file_, variable, wide.data()), what);
    } else {
      const auto& texts = std::get<std::vector<std::string>>(array.values);
      const std::size_t length = text_length(texts);
      std::string flat;
      for (const std::string& text : texts) flat += text + std::string(length - text.size(), '\0');
      check(nc_put_var_text(file_, variable, flat.data()), what);
    }
  }

  int file_;
  std::map<std::string, std::pair<int, std::size_t>> dims_;  // id, extent
};

/// Bytes to begin with; the buffer grows by as much again when it is full.
std::size_t expected_size(const ArrayFile& file) {
  std::size_t size = 8192;
  for (const auto& [name, text] : file.attributes) size += text.size();
  for (const NamedArray& array : file.arrays) {
    const auto* texts = std::get_if<std::vector<std::string>>(&array.values);
    size += 1024 + count_values(array) * (texts == nullptr ? sizeof(double) : text_length(*texts));
  }
  return size;
}

struct Image {
  std::unique_ptr<char, decltype(&std::free)> memory{nullptr, &std::free};
  std::size_t size = 0;
};

/// The line that ends a file, after the HDF5 data (whose readers pass over it): HDF5 1.10 may crash on a damaged
/// file, so the bytes are held against this before the library sees them.
std::string seal(const std::string& digits) { return "\nwidelab seal " + digits + "\n"; }

const std::size_t kSealLength = seal(std::string(16, '0')).size();

/// The file as bytes. It is built in memory because HDF5 1.10 crashes, rather than reporting, when the disk fills
/// up under an open file.
Image encode(const ArrayFile& file, const std::string& name) {
  const std::lock_guard lock(library_mutex());
  int id = -1;
  check(nc_create_mem(name.c_str(), NC_NETCDF4, expected_size(file), &id), "create");
  OpenFile open(id);
  Writer(id).write(file);
  NC_memio memio{};
  check(nc_close_memio(id, &memio), "close");
  open.released();
  Image image;
  image.memory.reset(static_cast<char*>(memio.memory));
  const std::string end = seal(checksum({image.memory.get(), memio.size}));
  image.size = memio.size + end.size();
  // realloc, not a second buffer: the arrays may fill much of the memory that the plan allows.
  char* grown = static_cast<char*>(std::realloc(memio.memory, image.size));
  if (grown == nullptr) throw NetcdfError{"out of memory"};
  [[maybe_unused]] const char* moved = image.memory.release();
  image.memory.reset(grown);
  std::copy(end.begin(), end.end(), grown + memio.size);
  return image;
}

void check_seal(const std::filesystem::path& path) {
  if (!std::filesystem::is_regular_file(path)) throw NetcdfError{"there is no such file"};
  const std::uintmax_t size = std::filesystem::file_size(path);
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw NetcdfError{"it cannot be opened for reading"};
  if (size < kSealLength) throw NetcdfError{"it is cut short"};
  const std::string expected = seal(checksum(stream, size - kSealLength));
  std::string stored(kSealLength, '\0');
  stream.read(stored.data(), static_cast<std::streamsize>(stored.size()));
  if (stored != expected) throw NetcdfError{"it is cut short or damaged: its bytes do not match its seal"};
}

class Reader {
 public:
  explicit Reader(int file) : file_(file) {}

  ArrayFile read() {
    if (integer_attribute(NC_GLOBAL, kComplete) != 1) throw NetcdfError{"it is not marked complete"};
    const int version = integer_attribute(NC_GLOBAL, kVersion);
    if (version != kArrayFormatVersion) {
      throw NetcdfError{"its format_version is " + std::to_string(version) + ", this build reads " +
                        std::to_string(kArrayFormatVersion) + " (use the widelab that wrote it)"};
    }
    ArrayFile file;
    file.attributes = attributes(NC_GLOBAL);
    const std::string stored = attribute(file.attributes, kChecksum);
    std::erase_if(file.attributes, [](const auto& item) { return item.first == kChecksum; });
    int count = 0;
    check(nc_inq_nvars(file_, &count), "number of variables");
    std::map<int, int> variables;
    for (int variable = 0; variable < count; ++variable) variables[integer_attribute(variable, kPosition)] = variable;
    for (const auto& [position, variable] : variables) file.arrays.push_back(array(variable));
    if (checksum(file) != stored) throw NetcdfError{"its data do not match their checksum"};
    return file;
  }

 private:
  int integer_attribute(int variable, const char* name) {
    int value = 0;
    std::size_t length = 0;
    check(nc_inq_attlen(file_, variable, name, &length), name);
    if (length != 1) throw NetcdfError{std::string(name) + " is not one number"};
    check(nc_get_att_int(file_, variable, name, &value), name);
    return value;
  }

  /// All text attributes, in the order in which they were written.
  Attributes attributes(int variable) {
    Attributes list;
    int count = 0;
    check(variable == NC_GLOBAL ? nc_inq_natts(file_, &count) : nc_inq_varnatts(file_, variable, &count), "attributes");
    for (int i = 0; i < count; ++i) {
      std::array<char, NC_MAX_NAME + 1> name{};
      nc_type type = NC_NAT;
      std::size_t length = 0;
      check(nc_inq_attname(file_, variable, i, name.data()), "attribute");
      check(nc_inq_att(file_, variable, name.data(), &type, &length), name.data());
      if (type != NC_CHAR) continue;
      std::string text(length, '\0');
      check(nc_get_att_text(file_, variable, name.data(), text.data()), name.data());
      list.emplace_back(name.data(), text);
    }
    return list;
  }

  NamedArray array(int variable) {
    std::array<char, NC_MAX_NAME + 1> name{};
    std::array<int, NC_MAX_VAR_DIMS> dims{};
    nc_type type = NC_NAT;
    int rank = 0;
    check(nc_inq_var(file_, variable, name.data(), &type, &rank, dims.data(), nullptr), "variable");
    NamedArray result;
    result.name = name.data();
    for (int i = 0; i < rank; ++i) {
      std::size_t extent = 0;
      check(nc_inq_dim(file_, dims[static_cast<std::size_t>(i)], name.data(), &extent), "dimension");
      result.dims.emplace_back(name.data());
      result.shape.push_back(extent);
    }
    for (auto& [key, text] : attributes(variable)) {
      if (key == kUnits) {
        result.units = text;
      } else if (key == kLongName) {
        result.description = text;
      } else if (key != kEncoding) {
        result.attributes.emplace_back(key, text);
      }
    }
    read_values(variable, type, result);
    return result;
  }

  void read_values(int variable, nc_type type, NamedArray& array) {
    const std::string what = "values of '" + array.name + "'";
    if (type == NC_DOUBLE) {
      std::vector<double> values(count_values(array));
      check(nc_get_var_double(file_, variable, values.data()), what);
      array.values = std::move(values);
    } else if (type == NC_INT64) {
      std::vector<long long> values(count_values(array));
      check(nc_get_var_longlong(file_, variable, values.data()), what);
      array.values = std::vector<std::int64_t>(values.begin(), values.end());
    } else if (type == NC_CHAR && !array.shape.empty()) {
      std::string flat(count_values(array), '\0');
      check(nc_get_var_text(file_, variable, flat.data()), what);
      const std::size_t length = array.shape.back();
      array.dims.pop_back();
      array.shape.pop_back();
      std::vector<std::string> texts;
      for (std::size_t at = 0; at < flat.size(); at += length) {
        const std::string padded = flat.substr(at, length);
        texts.push_back(padded.substr(0, padded.find('\0')));
      }
      array.values = std::move(texts);
    } else {
      throw NetcdfError{what + " are of a type that widelab does not write"};
    }
  }

  int file_;
};

}  // namespace

void publish(const std::filesystem::path& path, const ArrayFile& file) {
  check_contract(file);
  Image image;
  try {
    image = encode(file, path.filename().string());
  } catch (const NetcdfError& error) {
    throw OutputError("cannot write '" + path.string() + "': " + error.what +
                      ". Way out: close other programs if memory is short; what was finished is kept.");
  }
  publish_file(path, {image.memory.get(), image.size},
               [](const std::filesystem::path& written) { read_arrays(written); });
}

ArrayFile read_arrays(const std::filesystem::path& path) {
  const std::lock_guard lock(library_mutex());
  try {
    check_seal(path);
    int id = -1;
    check(nc_open(path.c_str(), NC_NOWRITE, &id), "open");
    const OpenFile open(id);
    return Reader(id).read();
  } catch (const NetcdfError& error) {
    throw DataError("cannot use '" + path.string() + "': " + error.what +
                    ". Way out: run again with --resume; what is missing or damaged will be computed again.");
  }
}

std::string attribute(const Attributes& attributes, const std::string& name) {
  const auto found = std::find_if(attributes.begin(), attributes.end(),
                                  [&](const auto& item) { return item.first == name; });
  return found == attributes.end() ? "" : found->second;
}

}  // namespace widelab::io
