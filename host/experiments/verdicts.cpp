#include "host/experiments/verdicts.hpp"

#include <cmath>
#include <limits>
#include <string>

#include "host/estimators/joint_test.hpp"

namespace widelab::experiments {

void judge(const estimators::GroupSample& sample, Index first, const std::vector<double>& predicted, std::uint64_t key,
           double rounding, double* out) {
  std::vector<double> values;
  std::vector<Index> columns;
  for (std::size_t p = 0; p < predicted.size(); ++p)
    if (std::isfinite(predicted[p])) {
      columns.push_back(first + static_cast<Index>(p));
      values.push_back(predicted[p]);
    }
  if (columns.empty()) return;
  estimators::GroupSample chosen;
  chosen.groups = sample.groups;
  chosen.entries = static_cast<Index>(columns.size());
  chosen.counts = sample.counts;
  for (Index g = 0; g < sample.groups; ++g)
    for (const Index column : columns) chosen.values.push_back(sample.at(g, column));
  estimators::JointOptions options;
  options.key = key;
  options.rounding = rounding;
  const estimators::JointVerdict verdict = estimators::joint_test(chosen, values, options);
  if (!verdict.status.empty()) return;
  out[0] = verdict.max_z;
  out[1] = verdict.max_z_p;
  out[2] = verdict.dof > 0 ? verdict.chi2 / verdict.dof : std::numeric_limits<double>::quiet_NaN();
  out[3] = verdict.chi2_p;
}

io::Axis verdict_axis() {
  io::Axis axis;
  axis.name = "verdict";
  axis.units = "1";
  axis.description = "joint tests";
  axis.values = std::vector<std::string>{"max_abs_z", "max_abs_z_p", "chi2_per_dof", "chi2_p"};
  return axis;
}

}  // namespace widelab::experiments
