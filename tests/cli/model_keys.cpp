// Keys of [model] that change the network itself: per-unit multipliers from a file, richness.
#include <cmath>

#include "host/data/npy_file.hpp"
#include "host/io/array_file.hpp"
#include "tests/support/command.hpp"

namespace {

using widelab::test::CommandTest;
using widelab::test::Outcome;

class ModelKeys : public CommandTest {
 protected:
  /// The named array of a run of the tiny recipe with settings.
  std::vector<double> result(const std::string& out, const std::vector<std::string>& settings,
                             const std::string& array) const {
    std::vector<std::string> arguments{"run", tiny_recipe().string(), "--out", out, "--quiet"};
    for (const std::string& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
    const Outcome outcome = run(arguments);
    EXPECT_TRUE(exits(outcome, 0));
    if (outcome.code != 0) return {};
    const widelab::io::ArrayFile file = widelab::io::read_arrays(folder() / out / "result.nc");
    for (const widelab::io::NamedArray& each : file.arrays)
      if (each.name == array) return std::get<std::vector<double>>(each.values);
    ADD_FAILURE() << "no array " << array;
    return {};
  }

  std::string multipliers(const std::vector<widelab::Index>& shape, const std::vector<double>& values) const {
    const std::string path = (folder() / "s.npy").string();
    widelab::data::write_npy(path, shape, values);
    return "model.unit_multipliers_path=\"" + path + "\"";
  }
};

TEST_F(ModelKeys, DoubledUnitsAreADoubledGainOfTheNextLayer) {
  // h = 2 phi(z) in both layers is sigma_w twice as large from layer 2 on: powers of two, so not a bit differs.
  const std::vector<double> gained = result("gain", {"model.sigma_w=[1.0, 2.0, 2.0]"}, "nngp");
  const std::vector<double> doubled =
      result("units", {"model.sigma_w=[1.0, 1.0, 1.0]", multipliers({16}, std::vector<double>(16, 2.0))}, "nngp");
  EXPECT_EQ(gained, doubled);
  EXPECT_NE(doubled, result("plain", {"model.sigma_w=[1.0, 1.0, 1.0]"}, "nngp"));
}

TEST_F(ModelKeys, EachLayerMayHaveItsRowAndNarrowLayersTakeItsFirstEntries) {
  std::vector<double> rows(32, 1.0);
  for (std::size_t j = 0; j < 16; ++j) rows[16 + j] = j < 8 ? 4.0 : 0.0;
  // Width 8: the readout's gain is 4 times as large. Width 16: half of the units are silent, and the limit knows it.
  const std::vector<double> limit = result("rows", {multipliers({2, 16}, rows)}, "nngp_theory");
  const std::vector<double> plain = result("plain", {}, "nngp_theory");
  ASSERT_EQ(limit.size(), 12u);
  for (std::size_t k = 0; k < 6; ++k) {
    EXPECT_DOUBLE_EQ(limit[k], 16 * plain[k]);
    EXPECT_DOUBLE_EQ(limit[6 + k], 8 * plain[6 + k]);
  }
}

TEST_F(ModelKeys, MultipliersThatDoNotFitAreRefusedWithTheWayOut) {
  const Outcome few = run({"run", tiny_recipe().string(), "--out", "a", "--set", multipliers({5}, {1, 1, 1, 1, 1})});
  EXPECT_TRUE(exits(few, 3));
  EXPECT_NE(few.err.find("as many as the widest layer has"), std::string::npos) << few.err;
  const Outcome rows =
      run({"run", tiny_recipe().string(), "--out", "b", "--set", multipliers({3, 16}, std::vector<double>(48, 1.0))});
  EXPECT_TRUE(exits(rows, 3));
  const Outcome nan =
      run({"run", tiny_recipe().string(), "--out", "c", "--set", multipliers({16}, std::vector<double>(16, NAN))});
  EXPECT_TRUE(exits(nan, 3));
}

TEST_F(ModelKeys, RichnessDividesTheOutputAndLeavesTheTangentKernelWithItsRates) {
  const std::vector<double> plain = result("plain", {}, "ntk"), rich = result("rich", {"model.richness=4.0"}, "ntk");
  EXPECT_EQ(plain, rich);
  const std::vector<double> outputs = result("plain2", {}, "nngp"),
                            smaller = result("rich2", {"model.richness=4.0"}, "nngp");
  ASSERT_EQ(outputs.size(), smaller.size());
  for (std::size_t k = 0; k < outputs.size(); ++k) EXPECT_DOUBLE_EQ(outputs[k], 16 * smaller[k]);
}

}  // namespace
