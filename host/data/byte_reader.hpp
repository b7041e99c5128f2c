// Bytes of a file, plain or gzip-compressed, read forwards and never beyond what the file can hold.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace widelab::data {

/// A data file opened for one forward pass. Whether it is gzip-compressed is read from its first two bytes, not from
/// its name. Every failure is a DataError that names the file, what was found and what was expected.
class ByteReader {
 public:
  /// Opens `path`. DataError if it is missing, unreadable or not a regular file.
  explicit ByteReader(std::string path);
  ~ByteReader();
  ByteReader(const ByteReader&) = delete;
  ByteReader& operator=(const ByteReader&) = delete;

  const std::string& path() const;

  /// Most bytes that can still be read: what is left of a plain file, 1032 times that of a compressed one (the
  /// largest ratio of the deflate format). Compare a header's claim with it before allocating.
  std::uint64_t upper_bound() const;

  /// Fills destination[0, count). DataError "truncated" if the file ends before; `what` names the part being read.
  void read(void* destination, std::size_t count, const std::string& what);

  /// `count` bytes in a vector; refused before allocation if `count` exceeds upper_bound().
  std::vector<unsigned char> read_vector(std::uint64_t count, const std::string& what);

  /// Fills destination[0, k) with the next k = min(count, bytes left) bytes; returns k.
  std::size_t read_some(void* destination, std::size_t count);

  /// True when no byte is left; may consume a byte otherwise, so ask only where that would be an error.
  /// A compressed file's checksum has been verified by then.
  bool at_end();

  /// DataError unless at_end(); `expected` says how many bytes the header promised.
  void require_end(const std::string& expected);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace widelab::data
