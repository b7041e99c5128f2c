// The cell job of experiments whose replicates are short computations: each gives a row of numbers, and all rows are
// kept, in fp64. Means, medians and jackknives of anything are taken from the rows when the run is summarised.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "host/engine/segmented_job.hpp"
#include "host/estimators/estimate.hpp"
#include "host/io/sweep.hpp"

namespace widelab::experiments {

struct SampleTask {
  std::string fingerprint;  ///< of seed and recipe: a file with another one is not this cell's
  Index replicates = 0;     ///< wanted
  Index segment = 1;        ///< replicates measured in one call
  Index numbers = 0;        ///< in a row
  /// Rows of replicates first .. first + count - 1 (count x numbers). A row depends on its own replicate alone. NaN
  /// where a number does not exist.
  std::function<void(Index first, Index count, double* rows)> measure;
};

/// Rows of a finished cell, replicates x numbers.
struct Samples {
  Index replicates = 0, numbers = 0;
  std::vector<double> values;

  double at(Index replicate, Index number) const {
    return values[static_cast<std::size_t>(replicate * numbers + number)];
  }
  /// Mean with its standard error over the replicates that have the number; undefined with fewer than two.
  estimators::Estimate mean(Index number) const;
  /// Median with the half-width of its 68 % interval from order statistics (binomial): for heavy tails.
  estimators::Estimate median(Index number) const;
  /// Every replicate as a group of its own: for joint tests, which say so where there are too few for a covariance.
  estimators::GroupSample groups() const;
};

class SampleJob : public engine::SegmentedJob {
 public:
  SampleJob(SampleTask task, const io::Cell& cell);

  Index done() const override { return samples_.replicates; }
  Index target() const override { return task_.replicates; }
  Index segment() const override { return task_.segment; }
  void advance(Index replicates) override;
  io::ArrayFile state() const override;
  /// Throws DataError for a file of another seed, recipe or size.
  void restore(const io::ArrayFile& state) override;

 private:
  SampleTask task_;
  io::Cell cell_;
  Samples samples_;
};

/// Throws DataError for a file that holds no samples.
Samples read_samples(const io::ArrayFile& file);

}  // namespace widelab::experiments
