// Many correlated, skewed entries against their predictions, judged together. "No point beyond 4 standard errors" over
// thousands of entries has an unknown false-alarm rate; the two tests here have a known one.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "host/estimators/estimate.hpp"

namespace widelab::estimators {

struct JointOptions {
  Index resamples = 2000;   // bootstrap resamples of whole groups
  std::uint64_t key = 0;    // of Stream::bootstrap: role_key(seed, "bootstrap", observable)
  double explained = 0.99;  // share of variance that the leading eigenbasis is to hold, if its rank may
  double rounding = 1e-14;  // relative error of the values themselves: a spread below it is none (fp32 runs: 1e-5)
};

/// Verdict of both tests; z uses errors from the spread over groups.
struct JointVerdict {
  double max_z = 0;         // largest |z| over entries
  Index worst_entry = -1;   // and where it is
  double max_z_p = 1;       // its bootstrap p-value, in steps of 1 / (resamples + 1)
  double chi2 = 0;          // Hotelling's T^2 in the leading eigenbasis; chi^2 for a known covariance
  double dof = 0;           // its rank r
  double chi2_p = 1;        // from the F law, which knows that the covariance was estimated
  double explained = 0;     // share of variance in that basis
  Index exact_entries = 0;  // entries without any spread, equal to their prediction; in neither test
  std::string status;       // why a test could not be made; empty when both were

  /// True iff both tests were made and neither rejects at alpha / 2, so that chance rejects in at most a share alpha.
  bool consistent(double alpha) const;
};

/// `predicted`: one exact value an entry.
///
/// max|z| is held against its bootstrap-t distribution (Efron and Tibshirani 1993, sec. 12.5): groups are resampled
/// whole, the mean centred on the observed one and its error recomputed in each resample, so correlation and skewness
/// of the entries and the noise of the errors are in it.
///
/// chi^2 uses a quarter of the groups to choose the basis (leading eigenvectors of the covariance in units of those
/// groups' errors) and the others, nu + 1 of them, for the covariance in that basis. For normal group means both are
/// independent of the mean over all groups, hence T^2 (nu - r + 1) / (nu r) has the F(r, nu - r + 1) law exactly
/// (Hotelling 1931), which the leading eigenvalues of the whole covariance would spoil by their upward bias.
///
/// An entry without spread whose value differs from its prediction by more than `rounding` has infinite |z| and p = 0.
/// Fewer than 8 groups, or no entry with spread: see status. Errors: ContractError for inconsistent sizes, predictions
/// that are not finite, or resamples < 1.
JointVerdict joint_test(const GroupSample& sample, std::span<const double> predicted, const JointOptions& options = {});

}  // namespace widelab::estimators
