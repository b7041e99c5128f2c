// Which example each slot of each batch holds: a pure function of (order id, absolute step, slot). Nothing is stored,
// but for an order that comes from elsewhere.
#pragma once

#include <cstdint>

#include "widelab/base/host_device.hpp"
#include "widelab/base/types.hpp"
#include "widelab/rng/distributions.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab {

/// N examples, B slots a step:
///   iid       every slot of every step independently uniform, with replacement
///   fresh     each step B different examples, steps independent
///   epochs    a new permutation each epoch; an epoch has floor(N / B) steps, and the N mod B examples that are last in
///             its permutation are not visited in it (PyTorch's drop_last)
///   fixed     the data's own order, again and again, floor(N / B) steps an epoch
///   online    example number step B + slot of a stream of samples; a data set that holds part of the stream says where
///             it begins (BatchOrder::origin)
///   file      as a table says: entry (step, slot) of BatchOrder::table
/// B = N with `fixed` is full-batch gradient descent.
enum class OrderKind : std::uint8_t { iid, fresh, epochs, fixed, online, file };

namespace bijections {

/// Below this size a permutation is made of exact transpositions; above, of Feistel rounds.
inline constexpr Index kLargestExact = 64;
inline constexpr int kRounds = 8;

/// The finaliser of MurmurHash3 (Appleby): every input bit reaches every output bit.
WIDELAB_HD std::uint32_t mix(std::uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85EBCA6Bu;
  x = (x ^ (x >> 13)) * 0xC2B2AE35u;
  return x ^ (x >> 16);
}

/// Keys of one permutation: the random blocks 0 and 1 of `turn`, one word a round.
struct FeistelKeys {
  std::uint32_t round[kRounds];
};

WIDELAB_HD FeistelKeys feistel_keys(const StreamId& id, std::uint64_t turn) {
  FeistelKeys keys;
  for (std::uint32_t b = 0; b < kRounds / 4; ++b) {
    const PhiloxBlock block = random_block_at_step(id, b, turn);
    for (int k = 0; k < 4; ++k) keys.round[4 * b + k] = block.w[k];
  }
  return keys;
}

/// The smallest power of two not below N, cut in two halves.
struct FeistelShape {
  int low_bits = 0;
  std::uint32_t low_mask = 0, high_mask = 0;
};

WIDELAB_HD FeistelShape feistel_shape(Index n) {
  int bits = 0;
  while ((Index(1) << bits) < n) ++bits;
  const int low_bits = bits / 2, high_bits = bits - low_bits;
  return {low_bits, (1u << low_bits) - 1u, (1u << high_bits) - 1u};
}

/// A bijection of that power of two.
template <int kUsedRounds = kRounds>
WIDELAB_HD std::uint32_t feistel_once(const FeistelKeys& keys, const FeistelShape& shape, std::uint32_t x) {
  for (int r = 0; r < kUsedRounds; r += 2) {
    std::uint32_t low = x & shape.low_mask, high = x >> shape.low_bits;
    high ^= mix(low ^ keys.round[r]) & shape.high_mask;
    low ^= mix(high ^ keys.round[r + 1]) & shape.low_mask;
    x = (high << shape.low_bits) | low;
  }
  return x;
}

/// A bijection of {0, .., N - 1}: an unbalanced Feistel network on the smallest power of two not below N (Luby and
/// Rackoff 1988), walked along its cycles until it falls below N (Black and Rogaway 2002). 64 < N <= 2^31. Orders use
/// all rounds; tests show what fewer would cost.
template <int kUsedRounds = kRounds>
WIDELAB_HD Index feistel(const FeistelKeys& keys, Index n, Index at) {
  const FeistelShape shape = feistel_shape(n);
  std::uint32_t x = static_cast<std::uint32_t>(at);
  do {
    x = feistel_once<kUsedRounds>(keys, shape, x);
  } while (static_cast<Index>(x) >= n);
  return static_cast<Index>(x);
}

/// With which of 0 .. last the shuffle exchanges `last`, from the random block last / 2.
WIDELAB_HD Index partner(const PhiloxBlock& block, Index last) {
  return uniform_index(uniform53(block, static_cast<int>(last % 2)), last + 1);
}

/// Where the transposition of `last` and `other` takes `at`.
template <class I>
WIDELAB_HD I exchanged(I at, I last, I other) {
  return at == last ? other : (at == other ? last : at);
}

/// The same for N <= kLargestExact: Fisher and Yates' shuffle, followed for one element; every permutation is equally
/// likely (to N / 2^53).
WIDELAB_HD Index transpositions(const StreamId& id, std::uint64_t turn, Index n, Index at) {
  for (Index last = n - 1; last > 0; --last) {
    const PhiloxBlock block = random_block_at_step(id, static_cast<std::uint32_t>(last / 2), turn);
    at = exchanged(at, last, partner(block, last));
  }
  return at;
}

/// One permutation of {0, .., N - 1}, N <= 2^31: exactly uniform up to kLargestExact, of Feistel rounds above.
class Permutation {
 public:
  WIDELAB_HD Permutation(const StreamId& id, std::uint64_t turn, Index n) : id_(id), turn_(turn), n_(n) {
    if (n > kLargestExact) keys_ = feistel_keys(id, turn);
  }
  WIDELAB_HD Index at(Index position) const {
    return n_ > kLargestExact ? feistel(keys_, n_, position) : transpositions(id_, turn_, n_, position);
  }

 private:
  StreamId id_;
  std::uint64_t turn_;
  Index n_;
  FeistelKeys keys_{};
};

}  // namespace bijections

/// The order of one member's batches.
struct BatchOrder {
  OrderKind kind = OrderKind::epochs;
  DrawId id;                            ///< the member's order id
  Index examples = 1;                   ///< N, at most 2^31
  Index batch = 1;                      ///< B; at most N but for iid, online and file
  Index origin = 0;                     ///< online: number in the stream of the data set's first example
  const std::int32_t* table = nullptr;  ///< file: steps x B rows of the data set, where the caller of StepOrder runs

  WIDELAB_HD Index steps_per_epoch() const { return examples / batch; }
};

/// What the slots of one step have in common: build once a step, then ask for each slot.
class StepOrder {
 public:
  WIDELAB_HD StepOrder(const BatchOrder& order, Index step) : order_(order), step_(step) {
    if (order.kind == OrderKind::epochs || order.kind == OrderKind::fixed) {
      turn_ = step / order.steps_per_epoch();
      offset_ = (step % order.steps_per_epoch()) * order.batch;
    } else {
      turn_ = step;
    }
    if (permuted() && order.examples > bijections::kLargestExact)
      keys_ = bijections::feistel_keys(order.id.stream(Stream::batch_permutation), static_cast<std::uint64_t>(turn_));
  }

  /// Row of the data set in `slot`, 0 <= slot < B.
  WIDELAB_HD Index example(Index slot) const {
    if (order_.kind == OrderKind::fixed) return offset_ + slot;
    if (order_.kind == OrderKind::online) return step_ * order_.batch + slot - order_.origin;
    if (order_.kind == OrderKind::file) return order_.table[step_ * order_.batch + slot];
    if (order_.kind == OrderKind::iid) return iid(slot);
    if (order_.examples > bijections::kLargestExact) return bijections::feistel(keys_, order_.examples, offset_ + slot);
    return bijections::transpositions(order_.id.stream(Stream::batch_permutation), static_cast<std::uint64_t>(turn_),
                                      order_.examples, offset_ + slot);
  }

  /// rows[slot] = example(slot) for the slots first, first + stride, ..: the same numbers for less work a slot.
  WIDELAB_HD void examples(Index first, Index stride, std::int32_t* rows) const {
    if (!permuted()) {
      for (Index slot = first; slot < order_.batch; slot += stride)
        rows[slot] = static_cast<std::int32_t>(example(slot));
    } else if (order_.examples > bijections::kLargestExact) {
      walk_cycles(first, stride, rows);
    } else {
      transpose_all(first, stride, rows);
    }
  }

 private:
  WIDELAB_HD bool permuted() const { return order_.kind == OrderKind::epochs || order_.kind == OrderKind::fresh; }

  /// One step along the cycles for all slots, without a branch; most are done then.
  WIDELAB_HD void walk_cycles(Index first, Index stride, std::int32_t* rows) const {
    const bijections::FeistelKeys keys = keys_;
    const bijections::FeistelShape shape = bijections::feistel_shape(order_.examples);
    const Index batch = order_.batch, offset = offset_;
    const auto advance = [&](std::uint32_t x) {
      return static_cast<std::int32_t>(bijections::feistel_once(keys, shape, x));
    };
    for (Index slot = first; slot < batch; slot += stride)
      rows[slot] = advance(static_cast<std::uint32_t>(offset + slot));
    for (Index slot = first; slot < batch; slot += stride)
      while (rows[slot] >= order_.examples) rows[slot] = advance(static_cast<std::uint32_t>(rows[slot]));
  }

  /// Each transposition for all slots: one random block for two of them.
  WIDELAB_HD void transpose_all(Index first, Index stride, std::int32_t* rows) const {
    const StreamId id = order_.id.stream(Stream::batch_permutation);
    const Index batch = order_.batch;
    for (Index slot = first; slot < batch; slot += stride) rows[slot] = static_cast<std::int32_t>(offset_ + slot);
    PhiloxBlock block{};
    for (Index last = order_.examples - 1; last > 0; --last) {
      if (last % 2 == 1 || last == order_.examples - 1)
        block = random_block_at_step(id, static_cast<std::uint32_t>(last / 2), static_cast<std::uint64_t>(turn_));
      const std::int32_t end = static_cast<std::int32_t>(last);
      const std::int32_t other = static_cast<std::int32_t>(bijections::partner(block, last));
      for (Index slot = first; slot < batch; slot += stride) rows[slot] = bijections::exchanged(rows[slot], end, other);
    }
  }

  WIDELAB_HD Index iid(Index slot) const {
    const PhiloxBlock block = random_block_at_step(
        order_.id.stream(Stream::batch_iid), static_cast<std::uint32_t>(slot / 2), static_cast<std::uint64_t>(step_));
    return uniform_index(uniform53(block, static_cast<int>(slot % 2)), order_.examples);
  }

  BatchOrder order_;
  Index step_ = 0, turn_ = 0, offset_ = 0;
  bijections::FeistelKeys keys_{};
};

}  // namespace widelab
