// The experiment `effective-landscape` against the law of valleys and against linear theory of replicas, and planted
// faults of both.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "host/estimators/zero_limit_fit.hpp"
#include "host/experiments/experiments.hpp"
#include "host/experiments/run.hpp"
#include "host/experiments/slice_result.hpp"
#include "host/experiments/valley_cell.hpp"

namespace widelab::experiments {
namespace {

double sigmas(const estimators::Estimate& measured, double expected) {
  return std::fabs(measured.value - expected) / measured.se;
}

Samples rows_of(const SampleTask& task) {
  Samples rows{task.replicates, task.numbers, {}};
  rows.values.resize(static_cast<std::size_t>(task.replicates * task.numbers));
  for (Index first = 0; first < task.replicates; first += task.segment)
    task.measure(first, std::min(task.segment, task.replicates - first), rows.values.data() + first * task.numbers);
  return rows;
}

/// A recipe's only cell.
struct OneCell {
  explicit OneCell(const std::vector<std::string>& settings)
      : recipe(io::Recipe::parse("schema = 1\nexperiment = \"effective-landscape\"\n", "test",
                                 effective_landscape().schema(), settings)),
        run(make_run_setup(recipe, 1e9, false)) {}

  io::Recipe recipe;
  RunSetup run;
};

struct Walkers {
  explicit Walkers(std::vector<std::string> settings) {
    settings.insert(settings.end(), {"valley.burn_in=8", "seeds.replicates=64", "valley.bins=12"});
    const OneCell setup(settings);
    cell = make_valley_cell(setup.run, setup.run.sweep.cells.front());
    rows = rows_of(valley_task(cell));
  }
  estimators::Estimate curvature() const { return rows.mean(cell.mean_curvature()); }
  double theory() const { return theory::valley_density(cell.model, 768).mean_curvature; }

  ValleyCell cell;
  Samples rows;
};

TEST(EffectiveLandscape, WalkersGatherWhereTheValleyIsFlat) {
  for (const char* noise : {"valley.noise=proportional", "valley.noise=white"}) {
    const Walkers walkers({noise, "valley.kappa=2", "valley.time=20", "valley.along=0.1"});
    EXPECT_LT(sigmas(walkers.curvature(), walkers.theory()), 4) << noise;
    EXPECT_GT(sigmas(walkers.curvature(), walkers.cell.mean), 4) << noise;  // Gibbs' law of a degenerate valley
    ValleyCell other = walkers.cell;                                        // the other noise's law
    other.model.noise = other.model.noise == theory::ValleyNoise::white ? theory::ValleyNoise::proportional
                                                                        : theory::ValleyNoise::white;
    EXPECT_GT(sigmas(walkers.curvature(), theory::valley_density(other.model, 768).mean_curvature), 4) << noise;
    // Shares of all bins: the density at the start, uniform, is rejected as well.
    double worst = 0, uniform = 0;
    const theory::CircleDensity law = theory::valley_density(walkers.cell.model, 12 * 64);
    for (Index b = 0; b < walkers.cell.bins; ++b) {
      double share = 0;  // by the middle of cells of the theory's own grid, shifted by half of one
      for (Index k = 0; k < 64; ++k)
        share += (law.density[static_cast<std::size_t>(b * 64 + k)] +
                  law.density[static_cast<std::size_t>((b * 64 + k + 1) % 768)]) /
                 2 * 6.283185307179586 / 768;
      worst = std::max(worst, sigmas(walkers.rows.mean(walkers.cell.visits(b)), share));
      uniform = std::max(uniform, sigmas(walkers.rows.mean(walkers.cell.visits(b)), 1.0 / 12));
    }
    EXPECT_LT(worst, 4.5) << noise;
    EXPECT_GT(uniform, 10) << noise;
  }
}

TEST(EffectiveLandscape, TheResidueOfTheAdiabaticLawVanishesWithTheNoise) {
  estimators::StepCurve curve;
  double theory = 0;
  for (const double along : {0.1, 0.2, 0.4}) {
    const Walkers walkers({"valley.kappa=10", "valley.time=40", "valley.along=" + std::to_string(along)});
    curve.x.push_back(along);
    curve.y.push_back(walkers.curvature().value);
    curve.se.push_back(walkers.curvature().se);
    theory = walkers.theory();
  }
  EXPECT_LT(sigmas(estimators::fit_zero_limit(curve, 1).limit, theory), 4);
  EXPECT_GT(std::fabs(curve.y.back() - theory) / curve.se.back(), 4);  // the planted fault: no extrapolation
}

/// -log P of a Gaussian in the plane, and a loss that is flatter than it.
TEST(EffectiveLandscape, PotentialsOfAGaussianAreParabolas) {
  SliceCell cell;
  cell.bins = 6;
  cell.extent = 2;
  const double temperature = 0.3, ratio = 0.25;
  std::vector<double> row(static_cast<std::size_t>(cell.numbers()));
  row[static_cast<std::size_t>(cell.number(0, SliceNumber::curvature))] = 2;
  row[static_cast<std::size_t>(cell.number(0, SliceNumber::variance))] = temperature / 2;
  for (Index a = 0; a < cell.bins; ++a)
    for (Index b = 0; b < cell.bins; ++b) {
      const double u = cell.middle(a), v = cell.middle(b);
      row[static_cast<std::size_t>(cell.visits(a, b))] = 1e4 * std::exp(-(u * u + v * v) / 2);
      row[static_cast<std::size_t>(cell.loss(a, b))] = 5 + temperature * (u * u + ratio * v * v) / 2;
    }
  const SlicePotentials found = slice_potentials(cell, row.data());
  for (Index a = 0; a < cell.bins; ++a)
    for (Index b = 0; b < cell.bins; ++b) {
      const auto k = static_cast<std::size_t>(a * cell.bins + b), other = static_cast<std::size_t>(b);
      const double u = cell.middle(a), v = cell.middle(b), v0 = cell.middle(0), u0 = cell.middle(0);
      EXPECT_NEAR(found.potential[k] - found.potential[0], (u * u - u0 * u0 + v * v - v0 * v0) / 2, 1e-12);
      EXPECT_NEAR(found.noise[k] - found.noise[0], (1 - ratio) / 2 * (v * v - v0 * v0), 1e-12);
      EXPECT_NEAR(found.noise[k], found.noise[other], 1e-12) << "along the sharp direction Gibbs' law holds";
    }
  row[static_cast<std::size_t>(cell.visits(0, 0))] = kLeastVisits - 1;
  EXPECT_TRUE(std::isnan(slice_potentials(cell, row.data()).noise[0]));
}

// A readout on fixed features has one Hessian everywhere. Small steps: what the noise grows with the distance is below
// the errors.
TEST(EffectiveLandscape, ReplicasHaveTheTemperaturesOfTheirNoise) {
  const OneCell setup({"landscape.kind=network",
                       "model.activation=identity",
                       "model.width=6",
                       "model.sigma_w=[1.0]",
                       "model.train_layers=[false, true]",
                       "data.examples=40",
                       "data.dimension=6",
                       "data.target.noise=0.5",
                       "train.loss=half-squared",
                       "train.reduction=mean",
                       "train.precision=fp64",
                       "train.order=fresh",
                       "train.batch=20",
                       "train.learning_rate=0.05",
                       "train.rate_scaling=plain",
                       "train.steps=1500",
                       "slice.replicas=48",
                       "slice.steps=800",
                       "slice.burn_in=100",
                       "slice.thin=5",
                       "slice.flat=2",
                       "seeds.replicates=10"});
  const SliceCell cell = make_slice_cell(setup.run, setup.run.sweep.cells.front());
  const auto backend = runtime::make_backend("cpu");
  const Samples rows = rows_of(slice_task(cell, *backend));
  for (const Index direction : {Index{0}, Index{1}}) {
    Samples ratio{rows.replicates, 1, {}};
    for (Index n = 0; n < rows.replicates; ++n)
      ratio.values.push_back(rows.at(n, cell.number(direction, SliceNumber::variance)) /
                             rows.at(n, cell.number(direction, SliceNumber::linear)));
    EXPECT_LT(sigmas(ratio.mean(0), 1), 4) << direction;
    // The planted fault: batches drawn with replacement, (N - 1) / (N - B) = 1.95 times the noise.
    EXPECT_GT(sigmas(ratio.mean(0), 39.0 / 20), 4) << direction;
  }
  // Noise in proportion to the curvature is no temperature: the flat direction is colder.
  Samples heat{rows.replicates, 1, {}};
  for (Index n = 0; n < rows.replicates; ++n) {
    const auto of = [&](Index i) {
      return rows.at(n, cell.number(i, SliceNumber::curvature)) * rows.at(n, cell.number(i, SliceNumber::variance));
    };
    heat.values.push_back(of(1) / of(0));
  }
  EXPECT_GT(sigmas(heat.mean(0), 1), 4);
}

}  // namespace
}  // namespace widelab::experiments
