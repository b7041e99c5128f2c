// A named, move-only array in the memory of one device. Copies are explicit.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cuda/support/device.hpp"
#include "widelab/base/types.hpp"

namespace widelab::cuda {

/// `size` values of T on the device of `context`, which must outlive the array. Not initialised.
template <class T>
class DeviceArray {
 public:
  DeviceArray(Context& context, std::string name, Index size)
      : context_(&context),
        name_(std::move(name)),
        size_(size),
        data_(static_cast<T*>(allocate(context, static_cast<std::size_t>(size) * sizeof(T), name_))) {}
  DeviceArray(Context& context, std::string name, const T* host, Index size)
      : DeviceArray(context, std::move(name), size) {
    upload(host);
  }
  ~DeviceArray() {
    if (data_) release(*context_, data_);
  }
  DeviceArray(DeviceArray&& other) noexcept
      : context_(other.context_),
        name_(std::move(other.name_)),
        size_(std::exchange(other.size_, 0)),
        data_(std::exchange(other.data_, nullptr)) {}
  DeviceArray& operator=(DeviceArray&& other) noexcept {
    std::swap(context_, other.context_);
    std::swap(name_, other.name_);
    std::swap(size_, other.size_);
    std::swap(data_, other.data_);
    return *this;
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  T* data() const { return data_; }
  Index size() const { return size_; }
  const std::string& name() const { return name_; }

  /// Host to device, `size()` values.
  void upload(const T* host) { copy_to_device(*context_, data_, host, bytes()); }
  /// Device to host, `size()` values.
  void download(T* host) const { copy_to_host(*context_, host, data_, bytes()); }
  std::vector<T> to_host() const {
    std::vector<T> values(static_cast<std::size_t>(size_));
    if (size_ > 0) download(values.data());
    return values;
  }

 private:
  std::size_t bytes() const { return static_cast<std::size_t>(size_) * sizeof(T); }

  Context* context_;
  std::string name_;
  Index size_ = 0;
  T* data_ = nullptr;
};

}  // namespace widelab::cuda
