// Power sums of replicate measurements, kept apart for a fixed number of groups, and the statistics they determine.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "host/estimators/estimate.hpp"

namespace widelab::estimators {

/// What a set of power sums can be asked for. Moments of the name E[...] are about zero, whatever the shift.
enum class Statistic {
  mean,
  variance,             // k2, unbiased
  third_cumulant,       // k3, unbiased
  fourth_cumulant,      // k4, unbiased
  second_moment_ratio,  // E[X^2] / E[X]^2
  fourth_moment_ratio,  // E[X^4] / E[X^2]^2
  excess_kurtosis,      // k4 / k2^2
};

/// The highest power that a statistic needs, and the fewest replicates that define it: 1 (mean) to 4.
int order_of(Statistic statistic);

/// Power sums sum (x - shift)^p, p = 1..order, of M entries over replicates, in double.
///
/// Replicate r belongs to group r mod `groups`, and a group takes its replicates in increasing r (replicates may be
/// missing: a diverged member is not added). Which groups are filled in between does not matter, so a run that was
/// stopped and resumed, extended, or computed in another batch order has the same bits as one long run; nothing is
/// ever merged by adding sums of different origin.
///
/// The shift is a constant of each entry near its mean (the theory value, say): with |mean - shift| = D and standard
/// deviation s, a moment of order p loses a factor (1 + D/s)^p of precision.
class GroupedMoments {
 public:
  static constexpr Index kDefaultGroups = 64;

  /// Everything as numbers, for a checkpoint: values = shift | sums | counts | last replicates, all exact in double.
  struct State {
    Index entries = 0;
    int order = 0;
    Index groups = 0;
    std::vector<double> values;
  };

  /// `shift`: one finite value an entry. Errors: ContractError unless 1 <= order <= 4, groups >= 2, shift not empty.
  explicit GroupedMoments(std::vector<double> shift, int order = 4, Index groups = kDefaultGroups);

  /// Errors: ContractError where the sizes or the counts contradict each other.
  static GroupedMoments from_state(const State& state);
  State state() const;

  /// Adds one replicate's M values. Errors: ContractError for a wrong length, a value that is not finite (leave a
  /// diverged member out and report its status), or a replicate not above the last one of its group.
  void add(std::int64_t replicate, std::span<const double> values);

  double count() const;
  Index entries() const { return static_cast<Index>(shift_.size()); }
  int order() const { return order_; }
  Index groups() const { return groups_; }

  /// One estimate an entry. The mean has s / sqrt(n) from the full sample variance (or the spread of group means when
  /// order is 1); all else has the deleted-group jackknife's error, and ratios its bias correction. Groups are the
  /// non-empty ones, so that fewer replicates than groups means one replicate a group. Cumulants: k-statistics, Fisher
  /// (1929). Jackknife with unequal groups: Busing, Meijer, van der Leeden (1999), eqs. 6 and 8.
  /// Error bars of high cumulants are asymptotic, and too short while few replicates make up the tail. Coverage of
  /// +-1.96 se, measured at 1024, 4096, 16384, 65536 replicates: k4 of a normal .93, .95, .95, .95; k3 of a gamma of
  /// shape 4 .90, .92, .94, .95; its k4 .81, .86, .93, .95. Joint tests of pseudo-values (bootstrap-t) err by less.
  /// `value` is NaN below order_of(statistic) replicates, `se` is NaN where a deleted-group estimate is undefined.
  /// Errors: ContractError if order() < order_of(statistic).
  std::vector<Estimate> estimate(Statistic statistic) const;

  /// The same, group by group: group means, or pseudo-values h_g T - (h_g - 1) T_(-g), h_g = N / n_g, whose weighted
  /// mean is the jackknife's bias-corrected T. Errors: ContractError as above, or where a pseudo-value is undefined.
  GroupSample group_sample(Statistic statistic) const;

  /// Means of the first `order` powers of X itself (shift removed): entries x order, row-major.
  std::vector<double> raw_moments() const;

 private:
  struct Jackknife;
  Jackknife deleted_group_values(Statistic statistic) const;
  std::vector<Estimate> mean_estimates() const;
  std::vector<double> totals() const;
  const double* sums(Index group, int power) const;

  std::vector<double> shift_;
  int order_;
  Index groups_;
  std::vector<double> sums_;    // groups x order x entries
  std::vector<double> counts_;  // groups
  std::vector<double> last_;    // groups: highest replicate added, -1 for none
};

}  // namespace widelab::estimators
