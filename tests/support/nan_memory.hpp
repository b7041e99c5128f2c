// For one file of a test program: all its new memory is NaN, where the system might hand out zeros. So a number that is
// read before it was written shows in every build.
#pragma once

#include <cstdlib>
#include <cstring>
#include <new>

// Not inline: the compiler, where it sees only one of the pair, takes malloc and delete for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  void* const memory = std::malloc(size > 0 ? size : 1);
  if (!memory) throw std::bad_alloc();
  return std::memset(memory, 0xFF, size);  // a float or double of ones is NaN
}

[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
