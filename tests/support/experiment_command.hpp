// Tests of one experiment by the command `widelab run`: its recipe with changes, what it stores, what it refuses, and
// runs that were killed.
#pragma once

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "host/io/array_checksum.hpp"
#include "host/io/result.hpp"
#include "host/io/run_folder.hpp"
#include "tests/support/command.hpp"

namespace widelab::test {

class ExperimentTest : public CommandTest {
 protected:
  explicit ExperimentTest(std::string recipe) : recipe_(std::move(recipe)) {}

  /// Runs the recipe with every setting ("key=value") into the folder `out`.
  virtual std::vector<std::string> command(const std::string& out, const std::vector<std::string>& settings) const {
    std::vector<std::string> arguments{"run", write("recipe.toml", recipe_).string(), "--out", out, "--quiet"};
    for (const std::string& setting : settings) arguments.insert(arguments.end(), {"--set", setting});
    return arguments;
  }

  io::Result result(const std::string& out) const { return io::read_result(folder() / out); }

  static const io::Observable& find(const io::Result& result, const std::string& name) {
    const auto found = std::find_if(result.observables.begin(), result.observables.end(),
                                    [&](const io::Observable& one) { return one.name == name; });
    if (found == result.observables.end()) throw std::runtime_error("no observable " + name);
    return *found;
  }

  std::string result_bits(const std::string& out) const {
    return io::checksum(io::read_arrays(folder() / out / "result.nc"));
  }
  std::string cell_bits(const std::string& out, const std::string& cell = "single") const {
    return io::checksum(io::read_cell(folder() / out, cell));
  }

  /// The settings must fail as a bad recipe, with all words in the message, and leave no folder.
  void expect_refused(const std::vector<std::string>& settings, const std::vector<std::string>& words) const {
    const Outcome outcome = run(command("refused", settings));
    EXPECT_TRUE(exits(outcome, 2)) << settings.front();
    for (const std::string& word : words)
      EXPECT_NE(outcome.err.find(word), std::string::npos) << word << " not in: " << outcome.err;
    EXPECT_FALSE(fs::exists(folder() / "refused")) << settings.front();
  }

  /// Kills a run after that time, whatever it is at, and resumes it.
  void run_with_a_kill(const std::string& out, const std::vector<std::string>& settings, int milliseconds) const {
    {
      Process process(launch(command(out, settings)));
      std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
      process.send(SIGKILL);
      process.wait();
    }
    std::vector<std::string> again = command(out, settings);
    again.emplace_back("--resume");
    ASSERT_TRUE(exits(run(again), 0)) << out;
  }

 private:
  std::string recipe_;
};

}  // namespace widelab::test
