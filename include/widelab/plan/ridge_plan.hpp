// Which factorisation serves which sizes of a ridge path, with how many operations and bytes: pure functions of sizes
// and limits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "widelab/base/errors.hpp"
#include "widelab/base/types.hpp"
#include "widelab/plan/device_limits.hpp"

namespace widelab {

/// What is done to the spectrum of Z^T Z: ridge value >= 0 (0 = least norm), or gradient flow of (1/2) |y - Z a|^2 from
/// a = 0 up to the time `value` >= 0.
struct SpectralFilter {
  enum class Kind : std::uint8_t { ridge, flow } kind = Kind::ridge;
  double value = 0;
};

/// How one solution was obtained.
enum class RidgeMethod : std::uint8_t {
  primal_prefix,  ///< one Cholesky factor of Z^T Z + ridge serves all N <= n: exact, because leading blocks are nested
  dual,           ///< Cholesky of Z Z^T + ridge, the Gram matrix carried from one N to the next
  schur_prefix,   ///< for N beyond a dual base N_0: one Cholesky factor of I + V^T V, V = L_0^-1 Z_new
  spectral,       ///< eigenvectors of the smaller Gram matrix: least norm, flow, many ridges
};

inline const char* ridge_method_name(RidgeMethod method) {
  constexpr const char* kNames[] = {"primal-prefix", "dual", "schur-prefix", "spectral"};
  return kNames[static_cast<std::size_t>(method)];
}

/// What a planner needs to know of a RidgePathProblem.
struct RidgeWorkload {
  Index members = 1, examples = 1, targets_per_example = 1, test_examples = 0;
  Index dimension = 1, columns_per_unit = 1;
  std::vector<Index> sizes;  ///< numbers of units, ascending
  std::vector<SpectralFilter> filters;
  std::optional<RidgeMethod> method;  ///< asked for; none = the planner's choice

  Index columns(std::size_t s) const { return sizes[s] * columns_per_unit; }
};

/// Sizes [first, last), all with at most n columns or all with more.
struct RidgeSegment {
  RidgeMethod method = RidgeMethod::dual;
  std::size_t first = 0, last = 0;
  double flops = 0;
};

struct RidgePlan {
  std::vector<RidgeSegment> segments;
  bool members_in_parallel = false;  ///< a member a worker; otherwise the workers share one member
  Index members_at_once = 1;
  double bytes_per_member = 0, total_bytes = 0;  ///< workspace
  double flops = 0;                              ///< of the whole workload, matrix products and factorisations
  std::string reason;
};

/// Operations of an eigendecomposition with vectors, over n^3, at the rate of matrix products: 4 n^3 of products, and
/// 4/3 n^3 of tridiagonal reduction that runs at the speed of memory, about a tenth of that rate. A Cholesky factor
/// takes n^3/3, so that about fifty ridges are worth one eigendecomposition.
inline constexpr double kEigenFlops = 17;
/// N/n from which the Gram matrix of features is taken as well-conditioned, whatever the ridge.
inline constexpr double kWellBeyondThreshold = 1.25;
/// Rows of Z, and columns of Z, that are at hand at once.
inline constexpr Index kRidgePanel = 512;

namespace ridge_plan {

inline double cubic(Index a, Index b, Index c) {
  return static_cast<double>(a) * static_cast<double>(b) * static_cast<double>(c);
}

inline double ridges(const RidgeWorkload& w) { return static_cast<double>(w.filters.size()); }

/// One base of order n and `added` columns beyond it, for every ridge.
inline double schur_flops(const RidgeWorkload& w, Index added) {
  const Index n = w.examples;
  return ridges(w) *
         (cubic(n, n, n) / 3 + cubic(n, n, added) + cubic(n, added, added) + cubic(added, added, added) / 3);
}

inline double primal_flops(const RidgeWorkload& w, Index columns) {
  return cubic(w.examples, columns, columns) + ridges(w) * cubic(columns, columns, columns) / 3;
}

/// Bytes of a member without V and I + V^T V: weights, the Gram matrix and its factor, panels, solutions.
inline double base_bytes(const RidgeWorkload& w, Index order, std::size_t first, std::size_t last) {
  const double c = static_cast<double>(w.columns(w.sizes.size() - 1)), n = static_cast<double>(w.examples);
  const double rows = static_cast<double>(last - first) * ridges(w) * static_cast<double>(w.targets_per_example);
  const double weights = static_cast<double>(w.sizes.back() * w.dimension);
  const double panels = static_cast<double>(kRidgePanel) * (c + n + static_cast<double>(w.test_examples));
  return 8 *
         (weights + 2 * cubic(order, order, 1) + panels + rows * (c + 2 * n + static_cast<double>(w.test_examples)));
}

/// Columns beyond a base whose V (n x m) and I + V^T V (m x m) fit in `bytes`; at most 4 n, where a new base is
/// cheaper anyway.
inline Index most_added(Index examples, double bytes) {
  Index low = 0, high = 4 * examples;
  while (low < high) {
    const Index middle = (low + high + 1) / 2;
    if (8 * (cubic(examples, middle, 1) + cubic(middle, middle, 1)) <= bytes)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

/// Splits sizes [first, last), all beyond n columns, into bases with what each serves: least operations, the Gram
/// matrix being carried from base to base. Dynamic programming from the last size downwards.
inline void split_beyond(const RidgeWorkload& w, std::size_t first, std::size_t last, Index most, RidgePlan& plan) {
  if (first == last) return;
  const Index n = w.examples;
  std::vector<double> best(last - first + 1, 0.0);
  std::vector<std::size_t> next(last - first, last);
  for (std::size_t i = last; i-- > first;) {
    double least = 1e300;
    for (std::size_t j = i + 1; j <= last; ++j) {
      const Index added = w.columns(j - 1) - w.columns(i);
      if (added > most && j > i + 1) break;
      const double carry = j < last ? cubic(n, n, w.columns(j) - w.columns(i)) : 0.0;
      const double flops = schur_flops(w, added) + carry + best[j - first];
      if (flops < least) {
        least = flops;
        next[i - first] = j;
      }
    }
    best[i - first] = least;
  }
  for (std::size_t i = first; i < last; i = next[i - first]) {
    const std::size_t j = next[i - first];
    plan.segments.push_back({j == i + 1 ? RidgeMethod::dual : RidgeMethod::schur_prefix, i, j,
                             schur_flops(w, w.columns(j - 1) - w.columns(i))});
  }
}

/// Position of the first size with more than `columns` columns.
inline std::size_t first_beyond(const RidgeWorkload& w, double columns) {
  std::size_t s = 0;
  while (s < w.sizes.size() && static_cast<double>(w.columns(s)) <= columns) ++s;
  return s;
}

inline double spectral_flops(const RidgeWorkload& w, std::size_t first, std::size_t last) {
  double sum = 0;
  for (std::size_t s = first; s < last; ++s) {
    const Index order = std::min(w.columns(s), w.examples);
    sum += cubic(w.examples, w.columns(s), order) + kEigenFlops * cubic(order, order, order);
  }
  return sum;
}

/// Operations that carry the Gram matrix to the last dual base.
inline double carry_flops(const RidgeWorkload& w, const RidgePlan& plan) {
  Index columns = 0;
  for (const RidgeSegment& s : plan.segments)
    if (s.method == RidgeMethod::schur_prefix || s.method == RidgeMethod::dual)
      columns = w.columns(s.method == RidgeMethod::dual ? s.last - 1 : s.first);
  return cubic(w.examples, w.examples, columns);
}

inline void add_spectral(const RidgeWorkload& w, RidgePlan& plan) {
  const std::size_t split = first_beyond(w, static_cast<double>(w.examples)), all = w.sizes.size();
  if (split > 0) plan.segments.push_back({RidgeMethod::spectral, 0, split, spectral_flops(w, 0, split)});
  if (split < all) plan.segments.push_back({RidgeMethod::spectral, split, all, spectral_flops(w, split, all)});
}

inline void refuse_method(RidgeMethod method, const std::string& why) {
  throw PlanError(std::string("ridge method \"") + ridge_method_name(method) + "\": " + why +
                  "; take \"spectral\", or leave the method to the planner");
}

/// The method that was asked for, for all sizes; PlanError with the inequality where it cannot be.
inline void force_method(const RidgeWorkload& w, RidgeMethod method, RidgePlan& plan) {
  const std::size_t all = w.sizes.size();
  double least = 1e300;
  for (const SpectralFilter& f : w.filters) {
    if (method != RidgeMethod::spectral && f.kind == SpectralFilter::Kind::flow)
      refuse_method(method, "gradient flow at time " + std::to_string(f.value) + " needs eigenvectors");
    least = std::min(least, f.value);
  }
  const std::string n = std::to_string(w.examples);
  if (method == RidgeMethod::primal_prefix && w.columns(all - 1) > w.examples && least == 0)
    refuse_method(method, "ridge 0 with " + std::to_string(w.columns(all - 1)) + " columns > " + n + " examples");
  if ((method == RidgeMethod::dual || method == RidgeMethod::schur_prefix) && w.columns(0) < w.examples && least == 0)
    refuse_method(method, "ridge 0 with " + std::to_string(w.columns(0)) + " columns < " + n + " examples");
  if (method == RidgeMethod::spectral) {
    add_spectral(w, plan);
  } else if (method == RidgeMethod::primal_prefix) {
    plan.segments.push_back({method, 0, all, primal_flops(w, w.columns(all - 1))});
  } else if (method == RidgeMethod::schur_prefix) {
    plan.segments.push_back({method, 0, all, schur_flops(w, w.columns(all - 1) - w.columns(0))});
  } else {
    plan.segments.push_back({method, 0, all, static_cast<double>(all) * schur_flops(w, 0)});
  }
  plan.reason = std::string("asked for: ") + ridge_method_name(method);
}

/// Primal up to n columns; beyond, dual bases and what each serves, on either side of kWellBeyondThreshold n (a base
/// near the threshold may be too ill-conditioned to serve others; the op then solves these sizes one by one).
inline void choose_methods(const RidgeWorkload& w, const DeviceLimits& limits, RidgePlan& plan) {
  const double n = static_cast<double>(w.examples);
  const std::size_t all = w.sizes.size(), beyond = first_beyond(w, n);
  if (beyond > 0)
    plan.segments.push_back({RidgeMethod::primal_prefix, 0, beyond, primal_flops(w, w.columns(beyond - 1))});
  if (beyond < all) {
    const double room = limits.workspace_bytes > 0 ? limits.workspace_bytes : 1e300;
    const Index most = most_added(w.examples, room - base_bytes(w, w.examples, beyond, all));
    std::size_t well = beyond;
    while (well < all && static_cast<double>(w.columns(well)) < kWellBeyondThreshold * n) ++well;
    split_beyond(w, beyond, well, most, plan);
    split_beyond(w, well, all, most, plan);
  }
  double factorised = carry_flops(w, plan);
  for (const RidgeSegment& s : plan.segments) factorised += s.flops;
  const bool flow = std::any_of(w.filters.begin(), w.filters.end(),
                                [](const SpectralFilter& f) { return f.kind == SpectralFilter::Kind::flow; });
  plan.reason = "one Cholesky factor for all sizes up to n, Schur complements of dual bases beyond";
  if (!flow && factorised <= spectral_flops(w, 0, all)) return;
  plan.segments.clear();
  add_spectral(w, plan);
  plan.reason = flow ? "gradient flow: an eigendecomposition for each size"
                     : "an eigendecomposition for each size is cheaper than a factor for each ridge";
}

/// Workspace of the most demanding segment; eigenvectors of as many sizes at once as there are workers.
inline double member_bytes(const RidgeWorkload& w, const RidgePlan& plan, Index workers) {
  double most = 0;
  for (const RidgeSegment& s : plan.segments) {
    const Index last = w.columns(s.last - 1);
    const bool by_features =
        s.method == RidgeMethod::primal_prefix || (s.method == RidgeMethod::spectral && last <= w.examples);
    const Index order = by_features ? last : w.examples;
    double bytes = base_bytes(w, order, s.first, s.last);
    if (s.method == RidgeMethod::schur_prefix) {
      const Index added = last - w.columns(s.first);
      bytes += 8 * (cubic(w.examples, added, 1) + cubic(added, added, 1));
    }
    if (s.method == RidgeMethod::spectral)
      bytes += 16 * cubic(order, order, std::min(workers, static_cast<Index>(s.last - s.first)));
    most = std::max(most, bytes);
  }
  return most;
}

}  // namespace ridge_plan

/// The plan of a workload whose sizes and filters are not empty. PlanError where a member does not fit in the limit of
/// workspace, or where a method that was asked for cannot be had.
inline RidgePlan make_ridge_plan(const RidgeWorkload& work, const DeviceLimits& limits) {
  RidgePlan plan;
  if (work.method)
    ridge_plan::force_method(work, *work.method, plan);
  else
    ridge_plan::choose_methods(work, limits, plan);
  plan.flops = ridge_plan::carry_flops(work, plan);
  for (const RidgeSegment& s : plan.segments) plan.flops += s.flops;
  plan.flops *= static_cast<double>(work.members);
  const Index workers = std::max(1, limits.workers);
  plan.bytes_per_member = ridge_plan::member_bytes(work, plan, workers);
  const double room = limits.workspace_bytes > 0 ? limits.workspace_bytes : 1e300;
  if (plan.bytes_per_member > room)
    throw PlanError("a ridge path of " + std::to_string(work.examples) + " examples and " +
                    std::to_string(work.columns(work.sizes.size() - 1)) + " columns needs " +
                    std::to_string(plan.bytes_per_member * 1e-9) + " GB of workspace, more than the limit of " +
                    std::to_string(room * 1e-9) + " GB: take fewer examples, smaller sizes, or a larger memory limit");
  plan.members_in_parallel =
      workers > 1 && work.members >= workers && plan.bytes_per_member * static_cast<double>(workers) <= room;
  plan.members_at_once = plan.members_in_parallel ? workers : 1;
  plan.total_bytes = plan.bytes_per_member * static_cast<double>(plan.members_at_once);
  plan.reason += plan.members_in_parallel ? "; a member a worker" : "; the workers share one member";
  return plan;
}

}  // namespace widelab
