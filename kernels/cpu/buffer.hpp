// Working memory that is written before it is read: growing it does not fill it with zeros.
#pragma once

#include <memory>
#include <utility>
#include <vector>

namespace widelab::cpu {

/// std::allocator, but elements made without arguments stay uninitialised.
template <class T>
struct UninitialisedAllocator : std::allocator<T> {
  template <class U>
  struct rebind {
    using other = UninitialisedAllocator<U>;
  };
  template <class U>
  void construct(U*) noexcept {}
  template <class U, class... Arguments>
  void construct(U* at, Arguments&&... arguments) {
    ::new (static_cast<void*>(at)) U(std::forward<Arguments>(arguments)...);
  }
};

template <class T>
using Buffer = std::vector<T, UninitialisedAllocator<T>>;

}  // namespace widelab::cpu
