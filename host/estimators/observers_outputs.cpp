// Observers of network outputs.
#include <algorithm>
#include <memory>

#include "host/estimators/observer_parts.hpp"
#include "widelab/base/contract.hpp"

namespace widelab::estimators {
namespace {

using engine::MemberView;

struct Scoring {
  LossKind loss;
  Reduction reduction;
  Index outputs;

  explicit Scoring(const ObserverContext& context)
      : loss(context.loss), reduction(context.reduction), outputs(context.network.shape.outputs) {}

  Index examples(std::span<const double> f) const { return static_cast<Index>(f.size()) / outputs; }

  /// Reduced with a batch of all examples.
  double total_loss(std::span<const double> f, std::span<const double> y) const {
    double total = 0;
    for (Index i = 0; i < examples(f); ++i)
      total += loss_value(loss, f.data() + i * outputs, y.data() + i * outputs, outputs);
    return total * reduction_factor(reduction, examples(f), examples(f), outputs);
  }

  double error(std::span<const double> f, std::span<const double> y) const {
    Index wrong = 0;
    for (Index i = 0; i < examples(f); ++i)
      wrong += misclassified(f.data() + i * outputs, y.data() + i * outputs, outputs) ? 1 : 0;
    return static_cast<double>(wrong) / static_cast<double>(examples(f));
  }
};

constexpr engine::ObserverNeeds kTrain{.train_outputs = true}, kOutputs{.outputs = true};

/// The rows of a range in an array of N x k outputs.
std::span<const double> rows(std::span<const double> all, RowRange range, Index outputs) {
  return all.subspan(static_cast<std::size_t>(range.first * outputs), static_cast<std::size_t>(range.count * outputs));
}

/// Targets that all copies of an observer share.
using Shared = std::shared_ptr<const std::vector<double>>;

Shared test_targets(const ObserverContext& context, const std::string& name) {
  require_context(context.test.count > 0, name, "test inputs");
  WIDELAB_REQUIRE(static_cast<Index>(context.test_targets.size()) == context.test.count * context.network.shape.outputs,
                  "test targets are test.count x k numbers");
  return std::make_shared<std::vector<double>>(context.test_targets);
}

}  // namespace

ObserverParts train_loss(const ObserverContext& context, const std::string&) {
  const Scoring scoring(context);
  return {1,
          kTrain,
          [scoring](const MemberView& member, std::span<double> out) {
            out[0] = scoring.total_loss(member.train_outputs, member.train_targets);
          },
          {}};
}

ObserverParts train_error(const ObserverContext& context, const std::string&) {
  const Scoring scoring(context);
  return {1,
          kTrain,
          [scoring](const MemberView& member, std::span<double> out) {
            out[0] = scoring.error(member.train_outputs, member.train_targets);
          },
          {}};
}

ObserverParts test_loss(const ObserverContext& context, const std::string& name) {
  const Scoring scoring(context);
  return {1,
          kOutputs,
          [scoring, range = context.test, y = test_targets(context, name)](const MemberView& member,
                                                                           std::span<double> out) {
            out[0] = scoring.total_loss(rows(member.outputs, range, scoring.outputs), *y);
          },
          {}};
}

ObserverParts test_error(const ObserverContext& context, const std::string& name) {
  const Scoring scoring(context);
  return {1,
          kOutputs,
          [scoring, range = context.test, y = test_targets(context, name)](const MemberView& member,
                                                                           std::span<double> out) {
            out[0] = scoring.error(rows(member.outputs, range, scoring.outputs), *y);
          },
          {}};
}

ObserverParts probe_outputs(const ObserverContext& context, const std::string& name) {
  require_context(context.probe.count > 0, name, "probe inputs");
  const Index k = context.network.shape.outputs;
  return {context.probe.count * k,
          kOutputs,
          [range = context.probe, k](const MemberView& member, std::span<double> out) {
            std::ranges::copy(rows(member.outputs, range, k), out.begin());
          },
          {}};
}

namespace {

/// The numbers that outputs are centred on at an observed step: none, the same always, or one set for each step.
const double* centre(const std::vector<double>& mean, std::size_t size, std::size_t time) {
  const std::size_t times = mean.size() / size;
  WIDELAB_REQUIRE(times < 2 || time < times, "probe_mean lacks an observed step");
  return times == 0 ? nullptr : mean.data() + (times == 1 ? 0 : time * size);
}

}  // namespace

ObserverParts output_products(const ObserverContext& context, const std::string& name) {
  require_context(context.probe.count > 0, name, "probe inputs");
  const Index k = context.network.shape.outputs;
  const auto size = static_cast<std::size_t>(context.probe.count * k);
  WIDELAB_REQUIRE(context.probe_mean.size() % size == 0,
                  "probe_mean has probe.count x k numbers, or that for each time");
  const auto mean = std::make_shared<const std::vector<double>>(context.probe_mean);
  const auto measure = [range = context.probe, k, size, mean](const MemberView& member, std::span<double> out) {
    const std::span<const double> f = rows(member.outputs, range, k);
    const double* mu = centre(*mean, size, member.time);
    const auto centred = [&](std::size_t i) { return mu ? f[i] - mu[i] : f[i]; };
    std::size_t at = 0;
    for (std::size_t i = 0; i < size; ++i)
      for (std::size_t j = i; j < size; ++j) out[at++] = centred(i) * centred(j);
  };
  return {static_cast<Index>(size * (size + 1) / 2), kOutputs, measure, {}};
}

}  // namespace widelab::estimators
