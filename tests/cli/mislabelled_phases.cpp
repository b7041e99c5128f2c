// The experiment `mislabelled-phases` from the command line, on a mixture with wrong labels.
#include <cmath>

#include "tests/support/experiment_command.hpp"

namespace {

class MislabelledPhases : public widelab::test::ExperimentTest {
 protected:
  MislabelledPhases()
      : ExperimentTest(
            "schema = 1\nexperiment = \"mislabelled-phases\"\n[model]\nwidth = 20\noutputs = 3\n[data]\n"
            "law = \"mixture\"\ncomponents = 3\nexamples = 60\ntest_examples = 60\ndimension = 8\nseparation = 3.0\n"
            "[data.target]\nkind = \"classes\"\nlabel_coding = \"one-hot\"\nwrong_labels = 0.3\n[train]\n"
            "loss = \"cross-entropy\"\nreduction = \"mean\"\nbatch = 10\nlearning_rate = 0.5\nsteps = 120\n"
            "[observe]\ncount = 6\n[phases]\nsnapshots = 2\n[seeds]\nreplicates = 6\n") {}
};

TEST_F(MislabelledPhases, ShowsBothKindsOfGradients) {
  ASSERT_TRUE(exits(run(command("clean", {"data.target.wrong_labels=0"})), 0));
  ASSERT_TRUE(exits(run(command("out", {})), 0));
  const widelab::io::Result clean = result("clean"), made = result("out");
  const widelab::io::Observable &cosine = find(made, "alignment"), &separability = find(made, "separability"),
                                &error = find(made, "test_error");
  for (std::size_t e = 0; e < error.mean.size(); ++e) {
    EXPECT_TRUE(std::isnan(find(clean, "alignment").mean[e]));  // without wrong labels there is one kind
    EXPECT_LE(std::fabs(cosine.mean[e]), 1);
    EXPECT_GT(cosine.se[e], 0);
  }
  // Right labels are learned first: after a few epochs the losses of the others stand out.
  EXPECT_GT(separability.mean[2], 0.7);
  EXPECT_LT(error.mean[2], error.mean[0]);
  EXPECT_TRUE(std::isfinite(find(made, "phase_boundary").mean.front()));
}

TEST_F(MislabelledPhases, ExtendingARunGivesTheBitsOfALongOne) {
  ASSERT_TRUE(exits(run(command("long", {})), 0));
  ASSERT_TRUE(exits(run(command("short", {"seeds.replicates=2"})), 0));
  ASSERT_TRUE(exits(run({"extend", "short", "--replicates", "+4", "--quiet"}), 0));
  EXPECT_EQ(cell_bits("long"), cell_bits("short"));
}

TEST_F(MislabelledPhases, RefusalsNameTheKey) {
  expect_refused({"data.target.kind=random-labels"}, {"data.target.kind", "random-labels", "classes"});
  expect_refused({"data.test_examples=0"}, {"data.test_examples", "0"});
  expect_refused({"train.order=online"}, {"train.order", "online"});
  expect_refused({"train.converged_loss=0.1"}, {"train.converged_loss", "0.1"});
  expect_refused({"train.batch=40"}, {"train.batch", "40", "epoch"});
  expect_refused({"phases.snapshots=7"}, {"phases.snapshots", "7", "6"});
}

}  // namespace
