// Order online: hands a trainer the parts of its streams as it comes to them.
#pragma once

#include <map>
#include <vector>

#include "host/engine/trainer.hpp"
#include "host/engine/training_job.hpp"

namespace widelab::engine {

/// Streams are read in parts of a moderate size. No bit of the training depends on where the parts end.
class OnlineFeed {
 public:
  /// Numbers of all streams that are in memory at once (one step's samples, if they are more).
  static constexpr double kNumbers = 2e6;

  /// Reads no further than step `last`.
  OnlineFeed(OnlineSamples samples, const std::vector<MemberSettings>& members, Index last);

  /// The first step's samples into the task that a trainer is made of. ContractError for a stream without a data set.
  void begin(TrainTask& task) const;
  /// Trains to absolute step `step`; the trainer may have come to where it is in another way.
  void run_to(Trainer& trainer, Index step);

 private:
  /// Batch sizes of the members that read a stream.
  struct Use {
    Index least = 0, most = 0;
  };
  struct Steps {
    Index first = 0, last = 0;
  };
  TrainSet part(Index dataset, const Use& use, Steps steps) const;

  OnlineSamples samples_;
  std::map<Index, Use> uses_;
  Index last_;
  Steps held_{};  ///< what the trainer has samples for
};

}  // namespace widelab::engine
