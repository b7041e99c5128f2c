// The experiment `transient-freezing` where the answer is known: without noise every time is one of freezing, and a
// branch does not know of the others.
#include <gtest/gtest.h>

#include <vector>

#include "host/experiments/experiments.hpp"
#include "host/experiments/freezing_cell.hpp"
#include "host/experiments/run.hpp"

namespace widelab::experiments {
namespace {

class Freezing {
 public:
  explicit Freezing(const std::vector<std::string>& settings)
      : recipe_(io::Recipe::parse("schema = 1\nexperiment = \"transient-freezing\"\n", "test",
                                  transient_freezing().schema(), with_defaults(settings))),
        setup_(make_run_setup(recipe_, 1e9, false)),
        cell_(make_freezing_cell(setup_, setup_.sweep.cells.front())) {}

  const FreezingCell& cell() const { return cell_; }

  std::vector<double> rows(Index first, Index count) const {
    const auto backend = runtime::make_backend("cpu");
    std::vector<double> out(static_cast<std::size_t>(count * cell_.numbers()));
    freezing_task(cell_, *backend).measure(first, count, out.data());
    return out;
  }

 private:
  static std::vector<std::string> with_defaults(const std::vector<std::string>& settings) {
    std::vector<std::string> all{"model.width=12",           "model.outputs=3",      "data.law=mixture",
                                 "data.components=3",        "data.separation=1.0",  "data.examples=40",
                                 "data.test_examples=200",   "data.dimension=6",     "data.target.label_coding=one-hot",
                                 "train.loss=cross-entropy", "train.reduction=mean", "train.batch=4",
                                 "train.learning_rate=0.5",  "freezing.time=100",    "freezing.train_error=1",
                                 "freezing.directions=3",    "freezing.branches=3",  "freezing.first=0.1",
                                 "freezing.last=0.4"};
    all.insert(all.end(), settings.begin(), settings.end());
    return all;
  }

  io::Recipe recipe_;
  RunSetup setup_;
  FreezingCell cell_;
};

TEST(TransientFreezing, WithoutNoiseEveryBranchIsTheSame) {
  const Freezing quiet({"train.batch=0"}), noisy({"freezing.similarity=1"});
  const std::vector<double> row = quiet.rows(0, 1);
  for (std::size_t c = 0; c < 3; ++c) {
    EXPECT_EQ(row[quiet.cell().end(c, EndNumber::similarity)], 1);
    EXPECT_EQ(row[quiet.cell().end(c, EndNumber::train_loss)], row[quiet.cell().end(0, EndNumber::train_loss)]);
    EXPECT_EQ(row[quiet.cell().end(c, EndNumber::frozen)], 1);
  }
  EXPECT_EQ(row[quiet.cell().freezing_time()], quiet.cell().time(0));
  // The planted fault, noise where there should be none, is seen.
  const std::vector<double> other = noisy.rows(0, 1);
  EXPECT_LT(other[noisy.cell().end(0, EndNumber::similarity)], 1);
  EXPECT_GT(other[noisy.cell().freezing_time()], noisy.cell().time(0));
}

TEST(TransientFreezing, ABranchKeepsItsBitsHoweverManyThereAre) {
  const Freezing three({}), two({"freezing.branches=2", "freezing.first=0.2"});
  ASSERT_EQ(three.cell().branches, (std::vector<Index>{20, 40, 80}));
  ASSERT_EQ(two.cell().branches, (std::vector<Index>{40, 80}));
  const std::vector<double> all = three.rows(0, 4), late = two.rows(0, 4), alone = three.rows(2, 1);
  for (Index r = 0; r < 4; ++r)
    for (std::size_t c = 0; c < 2; ++c)
      for (const EndNumber which :
           {EndNumber::similarity, EndNumber::flatness, EndNumber::train_loss, EndNumber::test_error})
        EXPECT_EQ(all[r * three.cell().numbers() + three.cell().end(c + 1, which)],
                  late[r * two.cell().numbers() + two.cell().end(c, which)]);
  for (Index k = 0; k < three.cell().numbers(); ++k) EXPECT_EQ(all[2 * three.cell().numbers() + k], alone[k]);
}

TEST(TransientFreezing, BasinsAreComparedByJaccard) {
  EXPECT_EQ(jaccard({true, true, false, false}, {true, false, true, false}), 1.0 / 3);
  EXPECT_EQ(jaccard({false, false}, {false, false}), 1);
  EXPECT_EQ(freezing_branch({0.2, 0.96, 0.9, 0.97, 1}, 0.95), 3u);
  EXPECT_EQ(freezing_branch({0.96, 1, 1}, 0.95), 0u);
  EXPECT_EQ(freezing_branch({0.2, 0.9, 1}, 0.95), 2u);
}

}  // namespace
}  // namespace widelab::experiments
