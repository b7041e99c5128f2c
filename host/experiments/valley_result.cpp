#include "host/experiments/valley_result.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "host/experiments/axis_limits.hpp"
#include "host/experiments/observables.hpp"
#include "host/experiments/sampled_experiment.hpp"
#include "host/experiments/valley_cell.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kTwoPi = 6.283185307179586;
constexpr Index kPointsInBin = 64;
constexpr const char* kTheory = "exp(-2 L_SGD / (eta c_x)), adiabatic in y: exact for vanishing noise at one kappa";

/// Averages of a density over bins.
std::vector<double> binned(const theory::CircleDensity& density, Index bins) {
  std::vector<double> out(static_cast<std::size_t>(bins), 0.0);
  // Bin by the trapezoid rule: its ends count half.
  const std::size_t points = density.density.size();
  for (std::size_t k = 0; k < points; ++k) {
    const std::size_t bin = k / kPointsInBin;
    const double share = density.density[k] / kPointsInBin;
    if (k % kPointsInBin != 0) {
      out[bin] += share;
      continue;
    }
    out[bin] += share / 2;
    out[(bin + out.size() - 1) % out.size()] += share / 2;
  }
  return out;
}

class ValleyResult {
 public:
  ValleyResult(const RunSetup& setup, const CellGrid& grid, const ValleyCell& first)
      : grid_(grid),
        limits_(setup, grid, {"valley.along", "_at_zero_noise", "noise along the valley 0"}),
        bins_(static_cast<std::size_t>(first.bins)),
        times_(first.observed.size()),
        density_(grid, "density", "1", "share of time along the valley, per unit of x", kTheory, "x", bins_),
        curvature_(grid, "mean_curvature", "1", "<lambda> under the walkers; uniform: the mean over the circle",
                   kTheory),
        equilibrium_(grid, "across_equilibrium", "1",
                     "<y^2 lambda (2 - eta lambda) / (eta c_y)>: 1 if y is in equilibrium "
                     "at every x",
                     kTheory),
        drift_(grid, "curvature_at", "1", "<lambda> at single times, from a uniform start on", "none", "time", times_),
        gibbs_density_(grid.size() * bins_, kNaN),
        gibbs_curvature_(grid.size(), kNaN),
        distance_(gibbs_curvature_),
        chance_(gibbs_curvature_),
        uniform_(gibbs_curvature_),
        power_(gibbs_curvature_) {}

  void add(std::size_t c, const ValleyCell& cell, const Samples& samples) {
    const theory::CircleDensity law = theory::valley_density(cell.model, cell.bins * kPointsInBin);
    const std::vector<double> expected = binned(law, cell.bins);
    const std::size_t at = grid_.position(c);
    const double width = kTwoPi / static_cast<double>(cell.bins);
    double distance = 0, chance = 0, uniform = 0;
    for (std::size_t b = 0; b < bins_; ++b) {
      estimators::Estimate here = samples.mean(cell.visits(static_cast<Index>(b)));
      distance += 0.5 * std::fabs(here.value - expected[b] * width);
      uniform += 0.5 * std::fabs(here.value - width / kTwoPi);
      chance += 0.5 * here.se * std::sqrt(4 / kTwoPi);  // E |N(0, 1)| = sqrt(2 / pi)
      here.value /= width;
      here.se /= width;
      if (!(here.se > 0)) here.se = kNaN;  // a bin that no walker saw has no error to be judged by
      density_.set(c, b, here, {expected[b]});
      gibbs_density_[at * bins_ + b] = expected[b];
    }
    curvature_.set(c, 0, samples.mean(cell.mean_curvature()), {law.mean_curvature});
    equilibrium_.set(c, 0, samples.mean(cell.equilibrium()), {1});
    for (std::size_t t = 0; t < times_; ++t) drift_.set(c, t, samples.mean(cell.curvature_at(t)), Prediction::none());
    gibbs_curvature_[at] = law.mean_curvature;
    distance_[at] = distance;
    chance_[at] = chance;
    uniform_[at] = uniform;
    if (cell.model.noise == theory::ValleyNoise::white)
      power_[at] = theory::flatness_power_density(cell.model, cell.bins * kPointsInBin).mean_curvature;
  }

  void write(const ValleyCell& first, io::Result& result) {
    write_axes(first, result);
    const std::vector<double> ones(grid_.size(), 1.0);
    for (ObservableBuilder* builder : {&density_, &curvature_, &equilibrium_}) {
      const io::Observable one = builder->take();
      const bool density = builder == &density_;
      result.observables.push_back(one);
      result.extras.push_back(cell_array(grid_, one.name + "_mean_is_exact", "0: adiabatic, shown beside",
                                         std::vector<double>(one.mean.size(), 0.0), density ? "x" : "",
                                         density ? bins_ : 1));
      limits_.extrapolate(one,
                          {density                  ? gibbs_density_
                           : builder == &curvature_ ? gibbs_curvature_
                                                    : ones,
                           kTheory, true},
                          result);
    }
    result.observables.push_back(drift_.take());
    const auto array = [&](const char* name, const char* description, const std::vector<double>& values) {
      result.extras.push_back(cell_array(grid_, name, description, values));
    };
    array("distance", "total-variation distance of the measured from the predicted shares", distance_);
    array("distance_by_chance", "what the errors of the shares alone would give on average", chance_);
    array("distance_from_uniform", "total-variation distance from the uniform law, Gibbs' law of the degenerate valley",
          uniform_);
    array("continuous_time_curvature", "<lambda> of P ~ lambda^(-kappa / 2): white noise in continuous time", power_);
  }

 private:
  static void write_axes(const ValleyCell& first, io::Result& result) {
    io::Axis x, time;
    x.name = "x";
    x.units = "1";
    x.description = "middle of a bin along the valley, from 0 to 2 pi";
    std::vector<double> middles, times;
    for (Index b = 0; b < first.bins; ++b)
      middles.push_back((static_cast<double>(b) + 0.5) * kTwoPi / static_cast<double>(first.bins));
    x.values = middles;
    time.name = "time";
    time.units = "1 / (eta^2 c_x) steps";
    time.description = "time since the uniform start";
    for (std::size_t t = 0; t < first.observed.size(); ++t) times.push_back(first.time_of(t));
    time.values = times;
    result.axes.insert(result.axes.end(), {x, time});
  }

  const CellGrid& grid_;
  AxisLimits limits_;
  std::size_t bins_, times_;
  ObservableBuilder density_, curvature_, equilibrium_, drift_;
  std::vector<double> gibbs_density_, gibbs_curvature_, distance_, chance_, uniform_, power_;
};

}  // namespace

io::Result summarise_valley(const RunSetup& setup, const CellReader& read) {
  const CellGrid grid(setup.sweep);
  const ValleyCell first = make_valley_cell(setup, setup.sweep.cells.front());
  ValleyResult collected(setup, grid, first);
  for_each_measured<make_valley_cell>(
      setup, read, [&](std::size_t c, const auto& cell, const Samples& samples) { collected.add(c, cell, samples); });
  io::Result result;
  result.attributes = {
      {"experiment", "effective-landscape"},
      {"landscape", "valley"},
      {"counted", "walkers"},
      {"title", fmt::format("valley with curvature {:g} + {:g} sin x", first.mean, first.amplitude)},
      {"data", "no data: two parameters"},
      {"conventions",
       "loss (1/2) lambda(x) y^2; steps -eta times gradient plus noise of variance c_x along and c_y = D lambda "
       "(proportional) or D (white) across, D = kappa c_x; L_SGD: host/theory/valley.hpp; time in units of 1 / (eta^2 "
       "c_x) "
       "steps; errors: over walkers"}};
  result.axes = grid.axes();
  collected.write(first, result);
  return result;
}

}  // namespace widelab::experiments
