// Networks trained by full-batch gradient descent against the infinite ensemble and their own linearisation, through
// the experiment as a user runs it; each with a twin in which one number of the training or of the prediction is wrong.
#include <cmath>
#include <cstdlib>

#include "host/experiments/dynamics_observers.hpp"
#include "host/experiments/run.hpp"
#include "host/experiments/width_allowance.hpp"
#include "host/io/result.hpp"
#include "tests/support/command.hpp"

namespace {

using namespace widelab;

class NtkDynamics : public test::CommandTest {
 protected:
  io::Result run_experiment(const std::string& name, const std::vector<std::string>& settings) const {
    const auto recipe =
        write(name + ".toml",
              "schema = 1\nexperiment = \"ntk-dynamics\"\n[model]\nactivation = \"erf\"\nsigma_w = 1.5\n"
              "sigma_b = 0.2\n[data]\nexamples = 4\ntest_examples = 2\ndimension = 6\n[train]\n"
              "steps = 30\n[observe]\nspacing = \"list\"\nsteps = [0, 3, 30]\n[seeds]\n"
              "replicates = 400\n[fit]\nresamples = 800\ncorrection = false\nmin_width = 16\n"
              "[sweep]\nwidth = [32, 64, 128, 256]\n");
    experiments::RunOptions options;
    options.out = folder() / name;
    options.device = "cpu";
    options.quiet = true;
    experiments::run(experiments::load_recipe(recipe, settings), options);
    return io::from_array_file(io::read_arrays(options.out / "result.nc"));
  }

  static const io::Observable& observable(const io::Result& result, const std::string& name) {
    for (const io::Observable& one : result.observables)
      if (one.name == name) return one;
    throw std::runtime_error("no observable " + name);
  }
  static const std::vector<double>& extra(const io::Result& result, const std::string& name) {
    for (const io::NamedArray& one : result.extras)
      if (one.name == name) return std::get<std::vector<double>>(one.values);
    throw std::runtime_error("no array " + name);
  }

  /// The largest |z| among entries whose allowance was estimated elsewhere, and how many there are.
  static std::pair<double, Index> largest_z(const io::Result& result, const std::string& name) {
    const io::Observable& one = observable(result, name);
    const std::vector<double>& exact = extra(result, name + "_mean_is_exact");
    std::pair<double, Index> found{0, 0};
    for (std::size_t k = 0; k < one.z.size(); ++k) {
      if (exact[k] == 0 || !std::isfinite(one.z[k])) continue;
      found.first = std::max(found.first, std::fabs(one.z[k]));
      ++found.second;
    }
    return found;
  }

  /// Exponent p of NAME ~ n^-p at the last step, with its interval.
  struct Exponent {
    double p, low, high;
  };
  static Exponent exponent(const io::Result& result, const std::string& name) {
    const std::vector<double>& fit = extra(result, name + "_fit");
    const double* last = fit.data() + fit.size() - 9;
    return {last[1], last[2], last[3]};
  }
};

// 2 widths x 3 steps x 6 points: |z| beyond 4.5 has probability 2.4e-4 for independent normal entries, and less for
// these, which are correlated.
constexpr double kLimit = 4.5;

TEST_F(NtkDynamics, MeansFollowTheInfiniteEnsembleAndTheirOwnLinearisation) {
  const io::Result result = run_experiment("right", {});
  const auto [z, entries] = largest_z(result, "output_mean");
  EXPECT_EQ(entries, 2 * 3 * 6);
  EXPECT_LT(z, kLimit);
  const auto [shift_z, shift_entries] = largest_z(result, "mean_shift");
  EXPECT_EQ(shift_entries, 2 * 3 * 6);
  EXPECT_LT(shift_z, kLimit);
  const Exponent limit = exponent(result, "rms_path_limit_test"), own = exponent(result, "rms_path_own_test");
  EXPECT_NEAR(limit.p, 0.5, 0.1);  // statistical half-width of a few hundredths, and a correction b/n at n = 32
  EXPECT_NEAR(own.p, 1.0, 0.2);
  EXPECT_GT(own.low, limit.high);
}

TEST_F(NtkDynamics, OnlyTheReadoutTrainedIsExactlyLinear) {
  const io::Result result = run_experiment("readout", {"model.train_layers=[false, true]", "train.precision=fp64"});
  const io::Observable& own = observable(result, "path_own_test");
  // The kernel at the start is the kernel at all steps; squares of rounding in double, amplified by the condition
  // number of the kernel.
  for (const double square : own.mean) EXPECT_LT(square, 1e-18);
  EXPECT_LT(largest_z(result, "output_mean").first, kLimit);
}

TEST_F(NtkDynamics, PlantedFaultALearningRateTooSmallByAFifthIsRejected) {
  // Networks trained at 0.8 / lambda_max against the prediction for 1 / lambda_max.
  const io::Result wrong = run_experiment("wrong", {"train.learning_rate=0.8"});
  const io::Result right = run_experiment("right", {});
  const io::Observable &measured = observable(wrong, "output_mean"), &predicted = observable(right, "output_mean");
  double largest = 0;
  for (std::size_t k = 0; k < measured.mean.size(); ++k)
    if (measured.se[k] > 0 && extra(right, "output_mean_mean_is_exact")[k] == 1)
      largest = std::max(largest, std::fabs(measured.mean[k] - predicted.theory[k]) /
                                      std::hypot(measured.se[k], predicted.theory_error[k]));
  EXPECT_GT(largest, kLimit);
}

TEST(WidthAllowance, ExtrapolatesTheShiftOfTwoWidthsLinearlyInTheInverseWidth) {
  experiments::ScaledShift shift;
  for (const double n : {32.0, 64.0, 256.0}) {
    shift.widths.push_back(n);
    shift.shift.push_back({3.0 + 10.0 / n, 0.1, 100});
  }
  EXPECT_NEAR(experiments::allowance_at(shift, 2).value, 3.0 + 10.0 / 256, 1e-14);
  // q = (1/256 - 1/64) / (1/32 - 1/64) = -3/4: errors 0.1 (3/4, 7/4).
  EXPECT_NEAR(experiments::allowance_at(shift, 2).error, 0.1 * std::hypot(0.75, 1.75), 1e-14);
  EXPECT_TRUE(std::isnan(experiments::allowance_at(shift, 1).value));
}

}  // namespace
