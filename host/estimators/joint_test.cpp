#include "host/estimators/joint_test.hpp"

#include <lapacke.h>

#include <algorithm>
#include <boost/math/distributions/fisher_f.hpp>
#include <cmath>
#include <limits>
#include <vector>

#include "widelab/base/contract.hpp"
#include "widelab/rng/distributions.hpp"
#include "widelab/rng/streams.hpp"

namespace widelab::estimators {
namespace {

constexpr Index kLeastGroups = 8;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Entries that vary, as a sample of their own, with what is needed to judge them.
struct VaryingEntries {
  GroupSample sample;
  std::vector<double> mean, se, difference;  // difference = mean - prediction
  std::vector<Index> original;               // position in the caller's entries
};

/// Takes out the entries with spread; settles the others in `verdict`.
VaryingEntries split_entries(const GroupSample& sample, std::span<const double> predicted, double rounding,
                             JointVerdict& verdict) {
  const std::vector<double> mean = weighted_mean(sample), se = group_standard_errors(sample);
  VaryingEntries out;
  for (Index e = 0; e < sample.entries; ++e) {
    const auto i = static_cast<std::size_t>(e);
    const double scale = std::max(std::abs(mean[i]), std::abs(predicted[i]));
    if (se[i] > rounding * scale) {
      out.mean.push_back(mean[i]);
      out.se.push_back(se[i]);
      out.difference.push_back(mean[i] - predicted[i]);
      out.original.push_back(e);
    } else if (std::abs(mean[i] - predicted[i]) <= rounding * scale) {
      ++verdict.exact_entries;
    } else {
      verdict.max_z = kInfinity;
      verdict.max_z_p = 0;
      verdict.worst_entry = e;
    }
  }
  out.sample.groups = sample.groups;
  out.sample.entries = static_cast<Index>(out.mean.size());
  out.sample.counts = sample.counts;
  out.sample.values.reserve(static_cast<std::size_t>(sample.groups) * out.mean.size());
  for (Index g = 0; g < sample.groups; ++g) {
    for (const Index e : out.original) out.sample.values.push_back(sample.at(g, e));
  }
  return out;
}

/// max over entries of |m* - m| / se* in one resample; multiplicity[g] says how often group g was drawn.
class BootstrapMaximum {
 public:
  explicit BootstrapMaximum(const VaryingEntries& entries)
      : sample_(entries.sample), mean_(entries.mean.size()), square_(entries.mean.size()), centred_(sample_.values) {
    for (std::size_t i = 0; i < centred_.size(); ++i) centred_[i] -= entries.mean[i % mean_.size()];
  }

  double operator()(const std::vector<Index>& multiplicity) {
    std::fill(mean_.begin(), mean_.end(), 0.0);
    std::fill(square_.begin(), square_.end(), 0.0);
    double total = 0;
    for (std::size_t g = 0; g < multiplicity.size(); ++g) {
      if (multiplicity[g] == 0) continue;
      const double weight = static_cast<double>(multiplicity[g]) * sample_.counts[g];
      total += weight;
      const double* row = centred_.data() + g * mean_.size();
      for (std::size_t e = 0; e < mean_.size(); ++e) {
        mean_[e] += weight * row[e];
        square_[e] += weight * row[e] * row[e];
      }
    }
    double largest = 0;
    for (std::size_t e = 0; e < mean_.size(); ++e) {
      const double mean = mean_[e] / total, variance = square_[e] / total - mean * mean;
      const double z2 = variance > 0 ? mean * mean / variance : kInfinity;
      largest = std::max(largest, z2);
    }
    return std::sqrt(largest * static_cast<double>(sample_.groups - 1));
  }

 private:
  const GroupSample& sample_;
  std::vector<double> mean_, square_, centred_;
};

void judge_maximum(const VaryingEntries& entries, const JointOptions& options, JointVerdict& verdict) {
  for (std::size_t e = 0; e < entries.mean.size(); ++e) {
    const double z = std::abs(entries.difference[e]) / entries.se[e];
    if (z <= verdict.max_z) continue;
    verdict.max_z = z;
    verdict.worst_entry = entries.original[e];
  }
  if (verdict.max_z == kInfinity) return;
  const StreamId stream{options.key, 0, Stream::bootstrap, 0};
  const Index groups = entries.sample.groups;
  BootstrapMaximum maximum(entries);
  std::vector<Index> multiplicity(static_cast<std::size_t>(groups));
  Index beyond = 0;
  for (Index b = 0; b < options.resamples; ++b) {
    std::fill(multiplicity.begin(), multiplicity.end(), Index{0});
    for (Index g = 0; g < groups; ++g) {
      const Index pick = uniform_index_at(stream, static_cast<std::uint32_t>(b), static_cast<std::uint32_t>(g), groups);
      ++multiplicity[static_cast<std::size_t>(pick)];
    }
    if (maximum(multiplicity) >= verdict.max_z) ++beyond;
  }
  verdict.max_z_p = static_cast<double>(beyond + 1) / static_cast<double>(options.resamples + 1);
}

/// Directions (rank x entries, row-major; unnormalised) that hold most of a sample's variance, and what share.
struct Basis {
  Index rank = 0;
  double explained = 0;
  std::vector<double> directions;
};

/// Eigenvectors of F F^T (groups x groups), carried to entries by F^T: those of F^T F with the same eigenvalues.
/// Entries are in units of this sample's own errors, so that the basis does not depend on units.
Basis leading_basis(const GroupSample& sample, double wanted) {
  std::vector<double> factor = covariance_factor(sample), inverse_se = group_standard_errors(sample);
  const auto entry_count = static_cast<std::size_t>(sample.entries);
  for (double& s : inverse_se) s = s > 0 ? 1 / s : 0.0;
  for (std::size_t i = 0; i < factor.size(); ++i) factor[i] *= inverse_se[i % entry_count];
  const auto groups = static_cast<std::size_t>(sample.groups);
  std::vector<double> gram(groups * groups), eigenvalues(groups);
  for (std::size_t a = 0; a < groups; ++a) {
    for (std::size_t b = 0; b < groups; ++b) {
      double sum = 0;
      for (std::size_t e = 0; e < entry_count; ++e) sum += factor[a * entry_count + e] * factor[b * entry_count + e];
      gram[a * groups + b] = sum;
    }
  }
  const auto order = static_cast<lapack_int>(groups);
  const lapack_int info = LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'V', 'U', order, gram.data(), order, eigenvalues.data());
  WIDELAB_REQUIRE(info == 0, "dsyevd did not converge on a covariance of group means");
  double total = 0;
  for (const double value : eigenvalues) total += std::max(value, 0.0);
  Basis out;
  // Rows of the covariance sum to zero over groups, so its rank is at most groups - 1.
  for (std::size_t k = 0; k + 1 < groups && out.explained < wanted; ++k) {
    const std::size_t column = groups - 1 - k;  // ascending order: the largest stands last
    if (eigenvalues[column] <= 1e-10 * eigenvalues[groups - 1]) break;
    out.explained += eigenvalues[column] / total;
    ++out.rank;
    for (std::size_t e = 0; e < entry_count; ++e) {
      double sum = 0;
      for (std::size_t g = 0; g < groups; ++g) sum += gram[g * groups + column] * factor[g * entry_count + e];
      out.directions.push_back(sum * inverse_se[e]);
    }
  }
  return out;
}

/// Coordinates of `values` (rows x entries) along the basis: rows x rank.
std::vector<double> project(const Basis& basis, const std::vector<double>& values, std::size_t entry_count) {
  const auto rank = static_cast<std::size_t>(basis.rank);
  std::vector<double> out(values.size() / entry_count * rank);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double* row = values.data() + i / rank * entry_count;
    const double* direction = basis.directions.data() + i % rank * entry_count;
    double sum = 0;
    for (std::size_t e = 0; e < entry_count; ++e) sum += row[e] * direction[e];
    out[i] = sum;
  }
  return out;
}

void judge_in_eigenbasis(const VaryingEntries& entries, const JointOptions& options, JointVerdict& verdict) {
  const GroupSample chooser = select_groups(entries.sample, [](Index g) { return g % 4 == 0; });
  const GroupSample rest = select_groups(entries.sample, [](Index g) { return g % 4 != 0; });
  const Basis basis = leading_basis(chooser, options.explained);
  const auto rank = static_cast<std::size_t>(basis.rank);
  verdict.explained = basis.explained;
  const auto entry_count = static_cast<std::size_t>(entries.sample.entries);
  std::vector<double> whitened = project(basis, entries.difference, entry_count);
  GroupSample coordinates{rest.groups, basis.rank, project(basis, rest.values, entry_count), rest.counts};
  std::vector<double> covariance = covariance_of_means(coordinates);
  // covariance_of_means is that of a mean over `rest`; the mean judged is over all groups.
  const double share = rest.total_count() / entries.sample.total_count();
  for (double& c : covariance) c *= share;
  const auto order = static_cast<lapack_int>(rank);
  lapack_int info = rank == 0 ? 1 : LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', order, covariance.data(), order);
  if (info == 0) {
    info = LAPACKE_dtrtrs(LAPACK_ROW_MAJOR, 'L', 'N', 'N', order, 1, covariance.data(), order, whitened.data(), 1);
  }
  if (info != 0) {
    verdict.status = "chi^2 was not made: the groups' covariance is singular in its leading eigenbasis";
    return;
  }
  for (const double w : whitened) verdict.chi2 += w * w;
  verdict.dof = static_cast<double>(rank);
  const double nu = static_cast<double>(rest.groups - 1), second = nu - verdict.dof + 1;
  const boost::math::fisher_f law(verdict.dof, second);
  verdict.chi2_p = boost::math::cdf(boost::math::complement(law, verdict.chi2 * second / (nu * verdict.dof)));
}

}  // namespace

bool JointVerdict::consistent(double alpha) const {
  return status.empty() && max_z_p > 0.5 * alpha && chi2_p > 0.5 * alpha;
}

JointVerdict joint_test(const GroupSample& sample, std::span<const double> predicted, const JointOptions& options) {
  WIDELAB_REQUIRE(static_cast<Index>(predicted.size()) == sample.entries,
                  std::to_string(predicted.size()) + " predictions for " + std::to_string(sample.entries) + " entries");
  WIDELAB_REQUIRE(options.resamples >= 1, "resamples = " + std::to_string(options.resamples) + ", allowed: 1 or more");
  for (const double p : predicted) WIDELAB_REQUIRE(std::isfinite(p), "a prediction is not finite; leave the entry out");
  JointVerdict verdict;
  if (sample.groups < kLeastGroups) {
    verdict.status = "no joint test: " + std::to_string(sample.groups) + " groups of replicates, at least " +
                     std::to_string(kLeastGroups) + " are needed";
    return verdict;
  }
  const VaryingEntries entries = split_entries(sample, predicted, options.rounding, verdict);
  if (entries.mean.empty()) {
    if (verdict.exact_entries != sample.entries) return verdict;
    verdict.status = "no joint test: no entry varies between groups";
    return verdict;
  }
  judge_maximum(entries, options, verdict);
  judge_in_eigenbasis(entries, options, verdict);
  return verdict;
}

}  // namespace widelab::estimators
