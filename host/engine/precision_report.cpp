#include "host/engine/precision_report.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "host/engine/typed_trainer.hpp"
#include "widelab/base/contract.hpp"

namespace widelab::engine {
namespace {

/// Distance from |x| to the next larger number of type T.
template <class T>
double ulp(double x) {
  const T size = std::abs(static_cast<T>(x));
  return static_cast<double>(std::nextafter(size, std::numeric_limits<T>::infinity()) - size);
}

/// One step in fp64 from the member's state: theta_0 := theta, D := 0, so that D afterwards is the increment, not a
/// difference of rounded numbers.
std::vector<double> shadow_increments(runtime::Backend& backend, const Trainer& trainer, Index member) {
  const TrainTask& task = trainer.task();
  TrainTask alone;
  alone.network = task.network;
  alone.rule = task.rule;
  alone.precision = Precision::fp64;
  alone.storage = WeightStorage::displacement;
  alone.members = {task.members[static_cast<std::size_t>(member)]};
  alone.limits = task.limits;
  const TrainSet& set = task.datasets.at(static_cast<std::size_t>(alone.members.front().dataset));
  alone.members.front().dataset = 0;

  std::vector<double> start = trainer.parameters(member), theta = start, moments = trainer.moments(member);
  std::vector<double> displacement(start.size());
  MemberStatus status;
  TrainProblem<double> problem;
  problem.rule = task.rule;
  problem.steps = {trainer.step(), trainer.step() + 1};
  problem.limits = task.limits;
  problem.engine = trainer.plan().engine == TrainEngine::reference
                       ? TrainEngine::reference
                       : plan_training(alone, backend.info().kind == "cuda").engine;
  problem.groups.push_back({&alone.network, 1, alone.members.data(), &status, theta.data(), start.data(),
                            displacement.data(), moments.empty() ? nullptr : moments.data()});
  problem.datasets.push_back(view_of(set));
  backend.train(problem);
  return displacement;
}

}  // namespace

PrecisionReport report_precision(runtime::Backend& backend, const Trainer& trainer, Index member) {
  WIDELAB_REQUIRE(member >= 0 && member < trainer.members(), "no such member");
  PrecisionReport report;
  report.member = member;
  report.step = trainer.step();
  report.precision = trainer.task().precision;
  report.storage = trainer.task().storage;
  const std::vector<double> increments = shadow_increments(backend, trainer, member);
  const std::vector<double> stored =
      report.storage == WeightStorage::displacement ? trainer.displacement(member) : trainer.parameters(member);
  double lost = 0, total = 0, spacing = 0;
  Index lost_count = 0;
  for (std::size_t p = 0; p < stored.size(); ++p) {
    const double size = std::abs(increments[p]);
    if (!(size > 0)) continue;
    const double step = report.precision == Precision::fp32 ? ulp<float>(stored[p]) : ulp<double>(stored[p]);
    ++report.increments;
    total += size;
    spacing += step;
    if (size < 0.5 * step) {
      ++lost_count;
      lost += size;
    }
  }
  if (report.increments == 0) return report;
  report.lost_count_share = static_cast<double>(lost_count) / static_cast<double>(report.increments);
  report.lost_update_share = lost / total;
  report.update_to_ulp = total / spacing;
  return report;
}

std::string precision_warning(const PrecisionReport& report) {
  if (report.storage == WeightStorage::displacement || !(report.lost_update_share > kLostUpdateWarning)) return {};
  return fmt::format(
      "network {}, step {}: {:.1f} % of |update| is smaller than half an ulp of the {} weights and is lost in place "
      "(mean |update| = {:.2g} ulp): set train.storage = \"displacement\"{}",
      report.member, report.step, 100 * report.lost_update_share, report.precision == Precision::fp32 ? "fp32" : "fp64",
      report.update_to_ulp, report.precision == Precision::fp32 ? ", or precision = \"fp64\"" : "");
}

}  // namespace widelab::engine
