// The random numbers themselves on one thread: blocks of Philox and normals, from the formulas that every device
// shares.
#include <benchmark/benchmark.h>

#include "widelab/rng/normal.hpp"
#include "widelab/rng/streams.hpp"

namespace widelab::bench {
namespace {

constexpr std::uint32_t kBlocksInRow = 1024;
constexpr StreamId kId{1, 0, Stream::test_only, 0};

void philox_blocks(benchmark::State& state) {
  std::uint32_t row = 0;
  for (auto _ : state) {
    std::uint32_t mixed = 0;
    for (std::uint32_t b = 0; b < kBlocksInRow; ++b) mixed ^= random_block(kId, row, b).w[0];
    benchmark::DoNotOptimize(mixed);
    ++row;
  }
  state.SetItemsProcessed(state.iterations() * kBlocksInRow);
}
BENCHMARK(philox_blocks);

void normals(benchmark::State& state) {
  std::uint32_t row = 0;
  for (auto _ : state) {
    float sum = 0;
    for (std::uint32_t b = 0; b < kBlocksInRow; ++b) {
      const Draw4 draw = normal4(random_block(kId, row, b));
      sum += draw.v[0] + draw.v[1] + draw.v[2] + draw.v[3];
    }
    benchmark::DoNotOptimize(sum);
    ++row;
  }
  state.SetItemsProcessed(state.iterations() * 4 * kBlocksInRow);
}
BENCHMARK(normals);

}  // namespace
}  // namespace widelab::bench

BENCHMARK_MAIN();
