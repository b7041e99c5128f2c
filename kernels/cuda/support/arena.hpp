// The workspace of an op: one allocation, cut into named pieces. The same code that cuts it also measures it first, so
// that a plan's bytes and the bytes taken cannot differ.
#pragma once

#include <cstddef>
#include <string>

#include "widelab/base/contract.hpp"
#include "widelab/base/types.hpp"

namespace widelab::cuda {

/// Pieces start at multiples of this; cuBLAS picks its fastest kernels for aligned operands.
inline constexpr std::size_t kPieceAlignment = 256;

constexpr std::size_t padded_bytes(std::size_t bytes) {
  return (bytes + kPieceAlignment - 1) / kPieceAlignment * kPieceAlignment;
}

/// Stands in for an Arena to learn how large it must be.
class ByteCounter {
 public:
  template <class T>
  T* take(Index count, const char* /*name*/) {
    bytes_ += static_cast<double>(padded_bytes(static_cast<std::size_t>(count) * sizeof(T)));
    return nullptr;
  }
  double bytes() const { return bytes_; }

 private:
  double bytes_ = 0;
};

/// Grows to the largest workspace asked for and keeps it: an op in a loop allocates once.
class Arena {
 public:
  Arena() = default;
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Makes room for `bytes` and forgets all pieces. PlanError if the device has no such memory.
  void reserve(double bytes, const std::string& what);
  void free() noexcept;

  template <class T>
  T* take(Index count, const char* name) {
    const std::size_t bytes = padded_bytes(static_cast<std::size_t>(count) * sizeof(T));
    WIDELAB_REQUIRE(used_ + bytes <= capacity_,
                    std::string("workspace piece '") + name + "' exceeds what was reserved");
    T* piece = reinterpret_cast<T*>(memory_ + used_);
    used_ += bytes;
    return piece;
  }

 private:
  std::byte* memory_ = nullptr;
  std::size_t capacity_ = 0;
  std::size_t used_ = 0;
};

}  // namespace widelab::cuda
