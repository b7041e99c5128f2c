// Who a member of an ensemble is, to the random number generator.
//
// A role's draws are addressed by (key, replicate). The key is a hash of the run seed, the role and the *names and
// values* of the sweep coordinates that the role depends on; the replicate counts from 0 within them. So an id never
// depends on the position of a cell in a list: adding or reordering sweep values changes no bit elsewhere, a run is
// extended by further replicates, and cells share draws only where a recipe leaves a coordinate out of a role's key.
#pragma once

#include <cstdint>
#include <string_view>

#include "widelab/rng/streams.hpp"

namespace widelab {

/// One role's address: unique within a run.
struct DrawId {
  std::uint64_t key = 0;
  std::uint32_t replicate = 0;

  WIDELAB_HD StreamId stream(Stream s, std::uint8_t layer = 0) const { return {key, replicate, s, layer}; }
  bool operator==(const DrawId&) const = default;
};

/// The roles of randomness in a member; branches, ensembles and crossed designs are choices of these ids.
struct ReplicateIds {
  DrawId init, data, label_noise, order, noise;
};

/// 64-bit key of a role: FNV-1a of "role" and the canonical cell name, mixed with the seed by the SplitMix64
/// finaliser (Steele, Lea, Flood 2014), whose avalanche separates neighbouring seeds and names.
constexpr std::uint64_t role_key(std::uint64_t run_seed, std::string_view role, std::string_view cell_name) {
  std::uint64_t hash = 0xCBF29CE484222325ull;
  const auto absorb = [&hash](std::string_view text) {
    for (const char ch : text) hash = (hash ^ static_cast<unsigned char>(ch)) * 0x100000001B3ull;
  };
  const auto mix = [](std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
    return x ^ (x >> 31);
  };
  absorb(role);
  absorb("\n");  // a separator that neither part can contain
  absorb(cell_name);
  return mix(mix(run_seed + 0x9E3779B97F4A7C15ull) ^ hash);
}

}  // namespace widelab
