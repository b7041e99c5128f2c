#include "host/engine/online_feed.hpp"

#include <algorithm>
#include <utility>

#include "widelab/base/contract.hpp"

namespace widelab::engine {

OnlineFeed::OnlineFeed(OnlineSamples samples, const std::vector<MemberSettings>& members, Index last)
    : samples_(std::move(samples)), last_(last) {
  for (const MemberSettings& member : members) {
    Use& use = uses_.try_emplace(member.dataset, Use{member.batch, member.batch}).first->second;
    use.least = std::min(use.least, member.batch);
    use.most = std::max(use.most, member.batch);
  }
}

/// The samples that steps.first .. steps.last - 1 of all its readers need.
TrainSet OnlineFeed::part(Index dataset, const Use& use, Steps steps) const {
  const Index begin = steps.first * use.least, end = steps.last * use.most;
  TrainSet set = samples_(dataset, begin, end - begin);
  WIDELAB_REQUIRE(set.examples == end - begin, "an online stream gave another number of samples than asked for");
  set.origin = begin;
  return set;
}

void OnlineFeed::begin(TrainTask& task) const {
  for (const auto& [dataset, use] : uses_) {
    WIDELAB_REQUIRE(dataset >= 0 && dataset < static_cast<Index>(task.datasets.size()), "a stream does not exist");
    task.datasets[static_cast<std::size_t>(dataset)] = part(dataset, use, {0, 1});
  }
}

void OnlineFeed::run_to(Trainer& trainer, Index step) {
  const MlpShape& shape = trainer.task().network.shape;
  double numbers = 0;  // of one step
  for (const auto& [dataset, use] : uses_) numbers += static_cast<double>((shape.input_dim + shape.outputs) * use.most);
  const Index piece = std::max<Index>(1, static_cast<Index>(kNumbers / numbers));
  while (trainer.step() < step) {
    if (trainer.step() < held_.first || trainer.step() >= held_.last) {
      held_ = {trainer.step(), std::min(std::max(step, last_), trainer.step() + piece)};
      for (const auto& [dataset, use] : uses_) trainer.replace_dataset(dataset, part(dataset, use, held_));
    }
    trainer.run_to(std::min(step, held_.last));
  }
}

}  // namespace widelab::engine
