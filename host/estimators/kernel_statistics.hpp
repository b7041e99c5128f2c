// Statistics of random kernels over an ensemble: power sums of every entry, and a few numbers of each network.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "host/engine/kernel_sampler.hpp"
#include "host/estimators/grouped_moments.hpp"
#include "host/io/array_file.hpp"

namespace widelab::estimators {

/// Numbers kept of every network, by name; K and K0 stand for the NTK or NNGP Gram of a network and its limit.
///   *_deviation         |K - K0|_F / |K0|_F
///   *_square_deviation  the square of it
///   *_projection        <K, K0>_F / <K0, K0>_F - 1: the signed deviation along the limit
///   *_first             K(x_1, x_1)
inline constexpr const char* kNetworkScalars[] = {
    "ntk_deviation",  "ntk_square_deviation",  "ntk_projection",  "ntk_first",
    "nngp_deviation", "nngp_square_deviation", "nngp_projection", "nngp_first"};
inline constexpr Index kNetworkScalarCount = 8;

enum class MemberStatus : std::int64_t { finished = 0, dead = 1, diverged = 2 };

class KernelStatistics {
 public:
  /// Limits: N x N, row-major, the shift of the power sums. keep_samples: every network's kernels are kept as well.
  KernelStatistics(Index examples, std::vector<double> ntk_limit, std::vector<double> nngp_limit, bool keep_samples);

  /// Adds one network; replicates come in increasing order. A network that is not finite is counted as diverged, one
  /// whose first diagonal entry is 0 (a ReLU network with a dead layer) as dead: it enters all but the log-moments.
  void add(const engine::MemberKernels& member);

  /// Room for that many networks, so that memory grows to what was planned and not beyond.
  void reserve(Index replicates);

  Index replicates() const { return static_cast<Index>(status_.size()); }
  Index diverged() const { return diverged_; }
  Index dead() const { return dead_; }

  /// Entries on and above the diagonal, row by row: pairs() = N (N + 1) / 2.
  Index pairs() const { return examples_ * (examples_ + 1) / 2; }
  Index examples() const { return examples_; }

  /// Moments of [ntk pairs | nngp pairs].
  const GroupedMoments& entries() const { return entries_; }
  /// Moments of [log ntk_first, log nngp_first] over networks that are not dead.
  const GroupedMoments& logs() const { return logs_; }
  /// Moments of kNetworkScalars.
  const GroupedMoments& scalars() const { return scalars_; }
  /// One scalar of every replicate, NaN where it diverged.
  std::vector<double> scalar_samples(Index scalar) const;

  /// Everything, for a cell file; restore() takes it back, bit for bit. DataError if it belongs to another problem.
  std::vector<io::NamedArray> state() const;
  void restore(const io::ArrayFile& file);

 private:
  std::vector<double> network_scalars(const engine::MemberKernels& member) const;

  Index examples_;
  std::vector<double> ntk_limit_, nngp_limit_;
  bool keep_samples_;
  GroupedMoments entries_, logs_, scalars_;
  std::vector<std::int64_t> replicate_, status_;
  std::vector<double> scalar_values_;  // replicates x kNetworkScalarCount
  std::vector<double> samples_;        // replicates x 2 pairs
  Index diverged_ = 0, dead_ = 0;
};

}  // namespace widelab::estimators
