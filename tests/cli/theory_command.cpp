// `widelab theory`: JSON with all digits, lists that broadcast, and refusals that name the parameter.
#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/command.hpp"

namespace {

using widelab::test::CommandTest;
using widelab::test::Outcome;

class TheoryCommand : public CommandTest {
 protected:
  nlohmann::json evaluate(std::vector<std::string> words) const {
    words.insert(words.begin(), "theory");
    const Outcome outcome = run(words);
    EXPECT_TRUE(exits(outcome, 0));
    return outcome.code == 0 ? nlohmann::json::parse(outcome.out) : nlohmann::json();
  }

  void expect_refused(std::vector<std::string> words, const std::vector<std::string>& parts) const {
    words.insert(words.begin(), "theory");
    const Outcome outcome = run(words);
    EXPECT_TRUE(exits(outcome, 2)) << ::testing::PrintToString(words);
    for (const std::string& part : parts)
      EXPECT_NE(outcome.err.find(part), std::string::npos) << part << " not in: " << outcome.err;
    for (const char* word : {"internal", "broken:"})
      EXPECT_EQ(outcome.err.find(word), std::string::npos) << outcome.err;
  }
};

TEST_F(TheoryCommand, EveryListedLawIsDescribedWithSourceAndDomain) {
  const Outcome list = run({"theory", "--list"});
  ASSERT_TRUE(exits(list, 0));
  const auto count = [&](const std::string& word) {
    int n = 0;
    for (std::size_t at = list.out.find(word); at != std::string::npos; at = list.out.find(word, at + 1)) ++n;
    return n;
  };
  EXPECT_GE(count("source: "), 7);
  EXPECT_EQ(count("source: "), count("domain: "));
}

TEST_F(TheoryCommand, NumbersReadBackExactly) {
  const auto json = evaluate({"nngp-ntk", "depth=1", "q11=1", "q12=0.5", "q22=1", "sigma_w2=2"});
  // One hidden ReLU layer at 60 degrees: K = (sin t + (pi - t) cos t) / pi times sigma_w^2 at sigma_w^2 q = 2.
  const double pi = 3.14159265358979323846, t = pi / 3;
  const double kernel = 2 * (std::sin(t) + (pi - t) * std::cos(t)) / pi;
  EXPECT_NEAR(json["points"][0]["values"]["nngp"].get<double>(), kernel, 1e-15);
}

TEST_F(TheoryCommand, ListsBroadcast) {
  const auto json = evaluate({"nngp-ntk", "depth=1,2,3", "q11=1", "q12=0.1,0.2,0.3", "q22=1"});
  ASSERT_EQ(json["points"].size(), 3u);
  const auto alone = evaluate({"nngp-ntk", "depth=2", "q11=1", "q12=0.2", "q22=1"});
  EXPECT_EQ(json["points"][1]["values"], alone["points"][0]["values"]);
}

TEST_F(TheoryCommand, BadNamesAndValuesAreRefusedWithTheParameter) {
  expect_refused({"nngp-ntkk", "depth=1"}, {"nngp-ntkk", "nngp-ntk"});
  expect_refused({"nngp-ntk", "depht=1", "q11=1", "q12=0", "q22=1"}, {"depht", "depth"});
  expect_refused({"nngp-ntk", "q11=1", "q12=0"}, {"depth"});
  expect_refused({"nngp-ntk", "depth=0", "q11=1", "q12=0", "q22=1"}, {"depth", "0"});
  expect_refused({"nngp-ntk", "depth=two", "q11=1", "q12=0", "q22=1"}, {"depth", "two"});
  expect_refused({"nngp-ntk", "depth=1", "q11=1", "q12=5", "q22=1"}, {"5"});
  expect_refused({"nngp-ntk", "depth=1", "q11=nan", "q12=0", "q22=1"}, {"q11"});
  expect_refused({"nngp-ntk", "depth=1", "q11=1,2", "q12=0,0,0", "q22=1"}, {"q1"});
  expect_refused({"nngp-ntk", "depth"}, {"depth"});
  expect_refused({"nngp-ntk", "depth=1", "activation=rellu", "q11=1", "q12=0", "q22=1"}, {"rellu", "relu"});
  expect_refused({"nngp-ntk", "depth=250", "sigma_w2=1e12", "q11=1", "q12=0", "q22=1"}, {"overflow"});
}

}  // namespace
