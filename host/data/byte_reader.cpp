#include "host/data/byte_reader.hpp"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "widelab/base/errors.hpp"

namespace widelab::data {

namespace {

constexpr std::size_t kChunk = std::size_t{1} << 16;
constexpr std::uint64_t kLargestDeflateRatio = 1032;

std::uint64_t regular_file_size(const std::string& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status))
    throw DataError(path + ": no such file; check the path, or the folder in data.folder or WIDELAB_DATA");
  if (!std::filesystem::is_regular_file(status))
    throw DataError(path + ": expected a file, found " +
                    (std::filesystem::is_directory(status) ? "a folder" : "something that is not a regular file"));
  const std::uint64_t size = std::filesystem::file_size(path, error);
  if (error) throw DataError(path + ": its size cannot be read (" + error.message() + ")");
  return size;
}

}  // namespace

struct ByteReader::State {
  std::string path;
  std::ifstream file;
  std::uint64_t left_in_file = 0;       // bytes of the file not yet loaded into `input`
  std::vector<unsigned char> input;     // the loaded piece of the file
  std::size_t begin = 0, end = 0;       // its unread part
  bool compressed = false;
  bool member_open = false;             // inside a gzip member: its end has not been seen
  z_stream inflater{};

  std::size_t loaded() const { return end - begin; }

  void refill() {
    if (loaded() > 0 || left_in_file == 0) return;
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(kChunk, left_in_file));
    file.read(reinterpret_cast<char*>(input.data()), static_cast<std::streamsize>(wanted));
    if (static_cast<std::size_t>(file.gcount()) != wanted)
      throw DataError(path + ": reading failed with " + std::to_string(left_in_file) + " bytes left; check the disk");
    begin = 0;
    end = wanted;
    left_in_file -= wanted;
  }

  std::size_t read_plain(unsigned char* destination, std::size_t count) {
    std::size_t done = 0;
    while (done < count) {
      refill();
      if (loaded() == 0) break;
      const std::size_t piece = std::min(count - done, loaded());
      std::memcpy(destination + done, input.data() + begin, piece);
      begin += piece;
      done += piece;
    }
    return done;
  }

  // A gzip file may consist of several members; their contents follow each other (RFC 1952, section 2.2).
  std::size_t read_compressed(unsigned char* destination, std::size_t count) {
    std::size_t done = 0;
    while (done < count) {
      refill();
      if (!member_open) {
        if (loaded() == 0) break;
        inflateReset(&inflater);
        member_open = true;
      }
      if (loaded() == 0) break;
      const std::size_t piece = std::min<std::size_t>(count - done, std::size_t{1} << 30);
      inflater.next_in = input.data() + begin;
      inflater.avail_in = static_cast<uInt>(loaded());
      inflater.next_out = destination + done;
      inflater.avail_out = static_cast<uInt>(piece);
      const int code = inflate(&inflater, Z_NO_FLUSH);
      begin = end - inflater.avail_in;
      done += piece - inflater.avail_out;
      if (code == Z_STREAM_END) {
        member_open = false;
      } else if (code != Z_OK && code != Z_BUF_ERROR) {
        throw DataError(path + ": damaged gzip data (" + (inflater.msg ? inflater.msg : "unknown defect") +
                        "); fetch the file again");
      }
    }
    return done;
  }

  std::size_t read_some(unsigned char* destination, std::size_t count) {
    return compressed ? read_compressed(destination, count) : read_plain(destination, count);
  }
};

ByteReader::ByteReader(std::string path) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.path = std::move(path);
  s.left_in_file = regular_file_size(s.path);
  s.file.open(s.path, std::ios::binary);
  if (!s.file) throw DataError(s.path + ": cannot be opened for reading; check its permissions");
  s.input.resize(kChunk);
  s.refill();
  s.compressed = s.loaded() >= 2 && s.input[0] == 0x1F && s.input[1] == 0x8B;
  constexpr int kGzipOnly = 16 + MAX_WBITS;
  if (s.compressed && inflateInit2(&s.inflater, kGzipOnly) != Z_OK)
    throw DataError(s.path + ": zlib could not be started (out of memory?)");
}

ByteReader::~ByteReader() {
  if (state_->compressed) inflateEnd(&state_->inflater);
}

const std::string& ByteReader::path() const { return state_->path; }

std::uint64_t ByteReader::upper_bound() const {
  const std::uint64_t stored = state_->left_in_file + state_->loaded();
  // The inflater may hold up to one window of output that has left `stored` already.
  return state_->compressed ? stored * kLargestDeflateRatio + (std::uint64_t{1} << 16) : stored;
}

void ByteReader::read(void* destination, std::size_t count, const std::string& what) {
  const std::size_t got = state_->read_some(static_cast<unsigned char*>(destination), count);
  if (got < count)
    throw DataError(path() + ": truncated: " + what + " needs " + std::to_string(count) + " bytes, found " +
                    std::to_string(got) + "; fetch the file again");
}

std::size_t ByteReader::read_some(void* destination, std::size_t count) {
  return state_->read_some(static_cast<unsigned char*>(destination), count);
}

std::vector<unsigned char> ByteReader::read_vector(std::uint64_t count, const std::string& what) {
  if (count > upper_bound())
    throw DataError(path() + ": truncated, or its header is wrong: " + what + " needs " + std::to_string(count) +
                    " bytes, the file holds at most " + std::to_string(upper_bound()));
  // A compressed file may hold far less than its bound: grow with what is really there.
  std::vector<unsigned char> bytes;
  while (bytes.size() < count) {
    const std::size_t done = bytes.size();
    const std::size_t piece = std::min<std::size_t>(count - done, std::max(done, std::size_t{1} << 20));
    bytes.resize(done + piece);
    const std::size_t got = state_->read_some(bytes.data() + done, piece);
    if (got < piece)
      throw DataError(path() + ": truncated: " + what + " needs " + std::to_string(count) + " bytes, found " +
                      std::to_string(done + got) + "; fetch the file again");
  }
  return bytes;
}

bool ByteReader::at_end() {
  State& s = *state_;
  if (!s.compressed) return s.left_in_file + s.loaded() == 0;
  // The inflater may still have to consume a checksum: ask it for one more byte.
  unsigned char extra = 0;
  if (s.read_compressed(&extra, 1) > 0) return false;
  if (s.member_open)
    throw DataError(path() + ": truncated: the gzip data end before their checksum; fetch the file again");
  return true;
}

void ByteReader::require_end(const std::string& expected) {
  if (!at_end())
    throw DataError(path() + ": bytes left over after the end: expected " + expected +
                    "; the header is wrong, or the file is of another kind");
}

}  // namespace widelab::data
