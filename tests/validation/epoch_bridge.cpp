// The experiment `epoch-bridge` where its linear theory is exact: a readout trained alone is linear regression.
#include <gtest/gtest.h>

#include <cmath>

#include "host/experiments/bridge_cell.hpp"
#include "host/experiments/experiments.hpp"
#include "host/experiments/run.hpp"

namespace widelab::experiments {
namespace {

constexpr Index kReplicas = 600;

class Bridge {
 public:
  explicit Bridge(const std::vector<std::string>& settings)
      : recipe_(io::Recipe::parse("schema = 1\nexperiment = \"epoch-bridge\"\n", "test", epoch_bridge().schema(),
                                  with_defaults(settings))),
        setup_(make_run_setup(recipe_, 1e9, false)),
        cell_(make_bridge_cell(setup_, setup_.sweep.cells.front())) {
    const auto backend = runtime::make_backend("cpu");
    const SampleTask task = bridge_task(cell_, *backend);
    rows_ = {kReplicas, task.numbers, {}};  // of the first network
    rows_.values.resize(static_cast<std::size_t>(kReplicas * task.numbers));
    task.measure(0, kReplicas, rows_.values.data());
  }

  const BridgeCell& cell() const { return cell_; }
  double theory(Index column) const { return rows_.at(0, column); }

  /// Largest distance, in standard errors, of log variances across replicas from those in `first` .. at the times
  /// given. A sample variance of a nearly normal number scatters by sqrt(2 / (R - 1)) of itself.
  double largest_z(Index (BridgeCell::*column)(std::size_t, Index) const) const {
    double worst = 0;
    for (std::size_t t = 0; t < cell_.times.size(); ++t)
      for (Index i = 0; i < cell_.directions; ++i) {
        const double expected = theory((cell_.*column)(t, i));
        worst = std::max(
            worst, std::fabs(std::log(variance(cell_.place(t, i)) / expected)) / std::sqrt(2.0 / (kReplicas - 1)));
      }
    return worst;
  }

  double variance(Index column) const {
    double sum = 0, square = 0;
    for (Index r = 0; r < kReplicas; ++r) {
      const double from_first = rows_.at(r, column) - rows_.at(0, column);
      sum += from_first;
      square += from_first * from_first;
    }
    return (square - sum * sum / kReplicas) / (kReplicas - 1);
  }

 private:
  static std::vector<std::string> with_defaults(const std::vector<std::string>& settings) {
    std::vector<std::string> all{"model.activation=relu",   "model.width=4",         "model.train_layers=[false, true]",
                                 "data.dimension=4",        "data.examples=24",      "data.target.noise=0.5",
                                 "train.reduction=mean",    "train.precision=fp64",  "train.batch=4",
                                 "train.learning_rate=0.3", "train.steps=300",       "train.optimiser=sgd",
                                 "bridge.replicas=600",     "seeds.replicates=1200", "bridge.directions=4",
                                 "bridge.epochs=3",         "bridge.phases=6",       "bridge.sampled_orders=4096"};
    all.insert(all.end(), settings.begin(), settings.end());
    return all;
  }

  io::Recipe recipe_;
  RunSetup setup_;
  BridgeCell cell_;
  Samples rows_;
};

TEST(EpochBridge, LinearTheoryWithEveryCurvatureIsExactForAReadout) {
  const Bridge bridge({});
  // 72 entries, correlated: below 4.5 with probability above 0.999; sampled orders add less than half of that error.
  EXPECT_LT(bridge.largest_z(&BridgeCell::linear), 4.5);
  const Bridge independent({"bridge.replica_order=iid"}), fresh({"bridge.replica_order=fresh"});
  EXPECT_LT(independent.largest_z(&BridgeCell::linear), 4.5);
  EXPECT_LT(fresh.largest_z(&BridgeCell::linear), 4.5);
  // Dropping the curvature of single examples is seen: at epoch boundaries additive noise nearly cancels.
  EXPECT_GT(bridge.largest_z(&BridgeCell::additive), 8);
}

TEST(EpochBridge, ShuffledEpochsAreNotBatchesWithReplacement) {
  const Bridge shuffled({"train.learning_rate=0.05"}),
      independent({"train.learning_rate=0.05", "bridge.replica_order=iid"});
  const std::size_t boundary = 5;  // the end of the first epoch
  for (Index i = 0; i < shuffled.cell().directions; ++i)
    EXPECT_GT(independent.variance(independent.cell().place(boundary, i)),
              2 * shuffled.variance(shuffled.cell().place(boundary, i)));
  // The planted fault: the bridge replaced by independent batches.
  double worst = 0;
  for (std::size_t t = 0; t < shuffled.cell().times.size(); ++t)
    worst = std::max(worst, std::fabs(std::log(independent.theory(independent.cell().additive(t, 0)) /
                                               shuffled.variance(shuffled.cell().place(t, 0)))) /
                                std::sqrt(2.0 / (kReplicas - 1)));
  EXPECT_GT(worst, 8);
}

TEST(EpochBridge, ReplicasUnderAFixedOrderStayTogether) {
  const Bridge fixed({"bridge.replica_order=fixed"});
  for (Index i = 0; i < fixed.cell().directions; ++i) EXPECT_EQ(fixed.variance(fixed.cell().place(0, i)), 0);
}

}  // namespace
}  // namespace widelab::experiments
