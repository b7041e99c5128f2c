// A training's sink that keeps every member's numbers: for statistics over pairs of members, which no sum over single
// members gives.
#pragma once

#include <string>
#include <vector>

#include "host/engine/training_job.hpp"

namespace widelab::estimators {

class SampleSink : public engine::RecordSink {
 public:
  /// `numbers`: of one member at one observed step, all observers.
  SampleSink(Index numbers, Index times) : numbers_(numbers), times_(times) {}

  void add(const engine::MemberRecord& record) override;
  Index replicates() const override { return static_cast<Index>(diverged_.size()); }
  std::vector<io::NamedArray> state() const override;
  /// Throws DataError for a file with another number of steps or of numbers.
  void restore(const io::ArrayFile& file) override;
  double bytes(Index replicates) const override;

  Index numbers() const { return numbers_; }
  Index times() const { return times_; }
  /// Numbers of a member at an observed step; NaN from its divergence on.
  const double* at(Index replicate, Index time) const {
    return values_.data() + (replicate * times_ + time) * numbers_;
  }
  bool diverged(Index replicate) const { return diverged_[static_cast<std::size_t>(replicate)] != 0; }

 private:
  Index numbers_, times_;
  std::vector<double> values_;  ///< replicates x times x numbers
  std::vector<std::int64_t> diverged_;
};

}  // namespace widelab::estimators
