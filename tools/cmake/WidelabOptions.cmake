# Build options and the flags that every target shares.
set(WIDELAB_CUDA AUTO CACHE STRING "CUDA backend: ON, OFF, or AUTO (where nvcc is found)")
set_property(CACHE WIDELAB_CUDA PROPERTY STRINGS AUTO ON OFF)
set(WIDELAB_CUDA_ARCHITECTURES "90a;75-virtual" CACHE STRING
  "CUDA architectures: Hopper machine code, and code that any GPU from 7.5 on compiles when it is loaded")
option(WIDELAB_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(WIDELAB_BENCH "Build the benchmarks" ${PROJECT_IS_TOP_LEVEL})
option(WIDELAB_WERROR "Treat warnings as errors" OFF)
option(WIDELAB_SANITIZE "Address and undefined-behaviour sanitizers" OFF)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
# -O3 only where it pays (kernels/cpu); elsewhere it doubles the time to compile.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

# Flags that the numbers depend on. No contraction: the same sum on every machine, with fma only where it is written.
add_library(widelab_flags INTERFACE)
target_compile_features(widelab_flags INTERFACE cxx_std_20)
target_compile_options(widelab_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off -fno-math-errno -fno-trapping-math -Wall -Wextra -Wpedantic -Wshadow>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 sees overlapping copies in every std::string concatenation (GCC bug 105651).
  target_compile_options(widelab_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  # The baseline has fma and AVX2; hot bodies are cloned for AVX-512 and chosen at run time.
  target_compile_options(widelab_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-march=x86-64-v3>)
endif()
if(WIDELAB_WERROR)
  target_compile_options(widelab_flags INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Werror>)
endif()
if(WIDELAB_SANITIZE)
  target_compile_options(widelab_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer>)
  target_link_options(widelab_flags INTERFACE -fsanitize=address,undefined)
  # Clones are chosen before the sanitizer's runtime is up.
  target_compile_definitions(widelab_flags INTERFACE WIDELAB_NO_CLONES)
endif()
