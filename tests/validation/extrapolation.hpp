// Means of kernels at infinite width from three finite ones: (f(n) - 6 f(2n) + 8 f(4n)) / 3 is free of the terms 1/n
// and 1/n^2 (Richardson).
#pragma once

#include "tests/validation/ensemble.hpp"

namespace widelab::test {

/// Relative deviations of [NTK pairs | NNGP pairs] from the limit, extrapolated; entries are divided by the largest of
/// their kernel. `drawn` and `limit` make networks of a width; group g joins the g-th groups of the three widths.
struct ExtrapolationSetup {
  std::function<Network(Index)> drawn, limit;
  std::vector<double> inputs;
  Index width = 32;  ///< n
  Index networks = 1000;
  std::uint64_t seed = 1;
  KernelMethod method = KernelMethod::weights;
  Index groups = 128;
};

inline GroupSample extrapolated_deviations(const ExtrapolationSetup& setup) {
  constexpr std::array<double, 3> kWeights{1.0 / 3, -2.0, 8.0 / 3};
  GroupSample out;
  for (std::size_t i = 0; i < kWeights.size(); ++i) {
    const Index width = setup.width << i;
    const std::vector<double> limit = limit_pairs(setup.limit(width), setup.inputs);
    const Ensemble ensemble{setup.drawn(width), setup.inputs, setup.networks, setup.seed + i, setup.method};
    const GroupSample means = kernel_moments(ensemble, limit, 1, setup.groups).group_sample(Statistic::mean);
    const std::size_t half = limit.size() / 2;
    if (i == 0) out = {means.groups, means.entries, std::vector<double>(means.values.size(), 0.0), means.counts};
    const double scale[] = {*std::max_element(limit.begin(), limit.begin() + static_cast<Index>(half)),
                            *std::max_element(limit.begin() + static_cast<Index>(half), limit.end())};
    for (std::size_t k = 0; k < means.values.size(); ++k) {
      const std::size_t entry = k % limit.size();
      out.values[k] += kWeights[i] * (means.values[k] - limit[entry]) / scale[entry < half ? 0 : 1];
    }
  }
  return out;
}

}  // namespace widelab::test
