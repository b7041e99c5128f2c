#include "host/estimators/sample_sink.hpp"

#include <variant>

#include "widelab/base/errors.hpp"

namespace widelab::estimators {

void SampleSink::add(const engine::MemberRecord& record) {
  values_.insert(values_.end(), record.values.begin(), record.values.end());
  diverged_.push_back(record.status.status == TrainStatus::diverged ? 1 : 0);
}

std::vector<io::NamedArray> SampleSink::state() const {
  if (diverged_.empty()) return {};
  const std::size_t replicates = diverged_.size();
  return {{"samples",
           "1",
           "numbers of every network at every observed step",
           {"replicate", "time", "number"},
           {replicates, static_cast<std::size_t>(times_), static_cast<std::size_t>(numbers_)},
           values_,
           {}},
          {"diverged", "1", "1 where the network diverged", {"replicate"}, {replicates}, diverged_, {}}};
}

void SampleSink::restore(const io::ArrayFile& file) {
  values_.clear();
  diverged_.clear();
  for (const io::NamedArray& array : file.arrays) {
    if (array.name == "samples") {
      if (array.shape.size() != 3 || array.shape[1] != static_cast<std::size_t>(times_) ||
          array.shape[2] != static_cast<std::size_t>(numbers_))
        throw DataError("the samples of this cell belong to another list of steps or observers: use --overwrite");
      values_ = std::get<std::vector<double>>(array.values);
    } else if (array.name == "diverged") {
      diverged_ = std::get<std::vector<std::int64_t>>(array.values);
    }
  }
  if (values_.size() != diverged_.size() * static_cast<std::size_t>(times_ * numbers_))
    throw DataError("the samples of this cell are not complete: use --overwrite");
}

double SampleSink::bytes(Index replicates) const {
  return 8.0 * static_cast<double>(replicates) * (static_cast<double>(times_ * numbers_) + 1.0);
}

}  // namespace widelab::estimators
