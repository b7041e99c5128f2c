// Bootstrap over networks for curves of width: whole groups are drawn with replacement, width by width or together.
#include <cmath>
#include <string>
#include <utility>

#include "host/estimators/power_fit.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/rng/distributions.hpp"
#include "widelab/rng/streams.hpp"

namespace widelab::estimators {

Resampler group_resampler(const WidthCurve& curve, std::vector<GroupSample> per_width,
                          const BootstrapOptions& bootstrap) {
  WIDELAB_REQUIRE(
      per_width.size() == curve.n.size() && per_width.size() == curve.y.size(),
      std::to_string(per_width.size()) + " group samples for " + std::to_string(curve.n.size()) + " widths");
  std::vector<double> means;
  for (const GroupSample& sample : per_width) {
    WIDELAB_REQUIRE(sample.entries == 1 && sample.groups >= 2,
                    "a width's group sample has one entry and at least two groups");
    WIDELAB_REQUIRE(!bootstrap.shared_draws || sample.groups == per_width.front().groups,
                    "widths that share draws have as many groups each");
    means.push_back(weighted_mean(sample).front());
  }
  return [widths = curve.n, centre = curve.y, samples = std::move(per_width), means = std::move(means), bootstrap](
             Index resample, std::span<double> y) {
    for (std::size_t i = 0; i < samples.size(); ++i) {
      const GroupSample& sample = samples[i];
      const std::uint32_t who = bootstrap.shared_draws ? 0u : static_cast<std::uint32_t>(std::llround(widths[i]));
      const StreamId stream{bootstrap.key, who, Stream::bootstrap, 0};
      double sum = 0, total = 0;
      for (Index g = 0; g < sample.groups; ++g) {
        const Index pick = uniform_index_at(stream, static_cast<std::uint32_t>(resample), static_cast<std::uint32_t>(g),
                                            sample.groups);
        const double count = sample.counts[static_cast<std::size_t>(pick)];
        sum += count * (sample.at(pick, 0) - means[i]);
        total += count;
      }
      const double groups = static_cast<double>(sample.groups);
      y[i] = centre[i] + sum / total * std::sqrt(groups / (groups - 1));
    }
  };
}

}  // namespace widelab::estimators
