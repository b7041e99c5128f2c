// How strongly does the NTK of a deep network fluctuate? E[Theta^2]/E[Theta]^2 at one input over depth and width, from
// networks sampled in law without weights, against the closed form; log-moments where plain moments cannot be
// estimated.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "host/estimators/heavy_tail.hpp"
#include "host/estimators/scalar_chain.hpp"
#include "host/experiments/experiments.hpp"
#include "host/experiments/kernel_job.hpp"
#include "host/experiments/observables.hpp"
#include "host/experiments/recipe_data.hpp"
#include "host/experiments/recipe_model.hpp"
#include "host/theory/finite_width.hpp"
#include "host/theory/infinite_width.hpp"

namespace widelab::experiments {
namespace {

using estimators::Estimate;
using estimators::GroupedMoments;
using estimators::KernelStatistics;
using estimators::Statistic;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

KernelCell make_map_cell(const RunSetup& setup, const io::Cell& cell) {
  KernelCell kernel = make_kernel_cell(setup, cell);
  if (kernel.task.examples != 1)
    throw RecipeError(
        fmt::format("data.examples = {}: ntk-map looks at one input; set data.examples = 1, or use ntk-limit",
                    kernel.task.examples));
  return kernel;
}

double squared_norm(const KernelCell& kernel) {
  double sum = 0;
  for (const double x : kernel.task.inputs) sum += x * x;
  return sum;
}

/// Networks through KernelJob, and beside each of them one draw of the scalar chain.
class MapJob : public KernelJob {
 public:
  MapJob(const KernelCell& kernel, const io::Cell& cell, runtime::Backend& backend)
      : KernelJob(kernel, cell, backend), kernel_(kernel), chain_({kernel.nngp_limit[0]}) {}

  void advance(Index replicates) override {
    const Index first = done();
    KernelJob::advance(replicates);
    std::vector<double> draws(static_cast<std::size_t>(done() - first));
#pragma omp parallel for schedule(dynamic, 1)
    for (std::size_t k = 0; k < draws.size(); ++k) {
      const DrawId id{kernel_.init_key, static_cast<std::uint32_t>(first + static_cast<Index>(k))};
      draws[k] = estimators::sample_scalar_chain(kernel_.task.network, squared_norm(kernel_), id);
    }
    for (std::size_t k = 0; k < draws.size(); ++k)
      chain_.add(first + static_cast<Index>(k), std::vector<double>{draws[k]});
  }
  io::ArrayFile state() const override {
    io::ArrayFile file = KernelJob::state();
    const std::vector<double> values = chain_.state().values;
    file.arrays.push_back({"chain_moments",
                           "1",
                           "grouped power sums of the scalar chain",
                           {"chain_number"},
                           {values.size()},
                           values,
                           {}});
    return file;
  }
  void restore(const io::ArrayFile& file) override {
    KernelJob::restore(file);
    chain_ = read_chain(kernel_, file);
  }

  static GroupedMoments read_chain(const KernelCell& kernel, const io::ArrayFile& file) {
    GroupedMoments::State state = GroupedMoments({kernel.nngp_limit[0]}).state();
    for (const io::NamedArray& array : file.arrays)
      if (array.name == "chain_moments") state.values = std::get<std::vector<double>>(array.values);
    return GroupedMoments::from_state(state);
  }

 private:
  KernelCell kernel_;
  GroupedMoments chain_;
};

/// Exact laws of a cell; NaN outside the domain of the formulas.
struct MapLaws {
  theory::SecondMoment ntk{kNaN, kNaN}, forward{kNaN, kNaN};
  double log_mean = kNaN, log_variance = kNaN;  // of the forward kernel, given that the network is alive
};

MapLaws map_laws(const KernelCell& kernel) {
  MapLaws laws;
  try {
    laws.ntk = theory::deep_relu_ntk_diagonal(kernel.task.network, squared_norm(kernel));
    const theory::ForwardKernel forward = theory::deep_relu_forward_kernel(kernel.task.network, squared_norm(kernel));
    laws.forward = forward.moments;
    laws.log_mean = forward.log_mean;
    laws.log_variance = forward.log_variance;
    return laws;
  } catch (const RecipeError&) {
    return {};  // not a deep ReLU network in the formulas' domain: measured without a prediction
  }
}

class NtkMap : public Experiment {
 public:
  std::string question() const override { return "How strongly does the NTK of a deep network fluctuate?"; }

  io::Schema schema() const override {
    io::Schema schema = io::make_schema(
        "ntk-map",
        question() +
            "\nE[Theta^2]/E[Theta]^2 at one input over depth and width, against the closed form for ReLU networks; "
            "log-moments where the plain moments of a heavy-tailed kernel cannot be estimated.",
        {model_keys(), data_keys(1, 4), kernel_keys("law-exact", 20000)});
    schema.example_sweep = {{"width", "[10, 100, 1000]"}, {"depth", "[1, 4, 16]"}};
    return schema;
  }

  CellPlan plan(const RunSetup& setup, const io::Cell& cell) const override {
    return plan_kernel_cell(make_map_cell(setup, cell), cell.name);
  }

  std::unique_ptr<engine::SegmentedJob> make_job(const RunSetup& setup, const io::Cell& cell,
                                                 runtime::Backend& backend) const override {
    return std::make_unique<MapJob>(make_map_cell(setup, cell), cell, backend);
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    const CellGrid grid(setup.sweep);
    const std::string known = "exact law of deep ReLU networks at finite width";
    ObservableBuilder ratio(grid, "ntk_ratio", "1", "E[Theta^2] / E[Theta]^2", known),
        mean(grid, "ntk_mean", "1", "E[Theta]", known),
        log_mean(grid, "ntk_log_mean", "1", "E[log Theta], living networks", "none"),
        log_variance(grid, "ntk_log_variance", "1", "Var[log Theta], living networks", "none"),
        forward(grid, "forward_ratio", "1", "E[G^2] / E[G]^2 of the forward kernel", known),
        forward_log(grid, "forward_log_mean", "1", "E[log G], living networks", known),
        forward_log_variance(grid, "forward_log_variance", "1", "Var[log G], living networks", known),
        chain(grid, "chain_ratio", "1", "E[G^2] / E[G]^2 of the scalar chain, sampled independently", known);
    std::vector<double> reliable(grid.size(), kNaN), effective(grid.size(), kNaN), dead(grid.size(), kNaN);
    for (std::size_t c = 0; c < setup.sweep.cells.size(); ++c) {
      const KernelCell kernel = make_map_cell(setup, setup.sweep.cells[c]);
      const std::unique_ptr<io::ArrayFile> file = read(c);
      if (!file) continue;
      const KernelStatistics statistics = read_statistics(kernel, *file);
      const MapLaws laws = map_laws(kernel);
      const auto of = [](const GroupedMoments& moments, Statistic statistic, std::size_t entry) {
        return moments.estimate(statistic)[entry];
      };
      dead[grid.position(c)] = static_cast<double>(statistics.dead());
      if (statistics.entries().count() == 0) continue;  // every network diverged
      const std::vector<double> raw = statistics.entries().raw_moments();
      // None where the powers overflow, or are lost beside the shift because all but a few networks are dead.
      estimators::MomentReliability trust;
      if (raw[1] >= 0 && std::isfinite(raw[3]) && raw[3] >= 0.999999 * raw[1] * raw[1])
        trust = estimators::plain_moment_reliability(raw[1], raw[3], statistics.entries().count());
      // A plain second moment that cannot be trusted is shown, but not held against the law. Theory decides where it
      // can, so that the choice does not hang on the data.
      const bool reliable_here = std::isfinite(laws.ntk.ratio())
                                     ? estimators::lognormal_moment_reliability(
                                           std::max(0.0, std::log(laws.ntk.ratio())), statistics.entries().count())
                                           .reliable
                                     : trust.reliable;
      const auto if_reliable = [&](double prediction) { return Prediction{reliable_here ? prediction : kNaN}; };
      ratio.set(c, 0, of(statistics.entries(), Statistic::second_moment_ratio, 0), if_reliable(laws.ntk.ratio()));
      mean.set(c, 0, of(statistics.entries(), Statistic::mean, 0), if_reliable(laws.ntk.mean));
      forward.set(c, 0, of(statistics.entries(), Statistic::second_moment_ratio, 1), if_reliable(laws.forward.ratio()));
      log_mean.set(c, 0, of(statistics.logs(), Statistic::mean, 0), Prediction::none());
      log_variance.set(c, 0, of(statistics.logs(), Statistic::variance, 0), Prediction::none());
      forward_log.set(c, 0, of(statistics.logs(), Statistic::mean, 1), {laws.log_mean});
      forward_log_variance.set(c, 0, of(statistics.logs(), Statistic::variance, 1), {laws.log_variance});
      chain.set(c, 0, of(MapJob::read_chain(kernel, *file), Statistic::second_moment_ratio, 0),
                if_reliable(laws.forward.ratio()));
      const std::size_t p = grid.position(c);
      reliable[p] = reliable_here ? 1.0 : 0.0;
      effective[p] = trust.effective_count;
    }
    io::Result result;
    result.attributes = {{"experiment", "ntk-map"},
                         {"title", describe_network(*setup.recipe)},
                         {"data", "one input"},
                         {"conventions", "all trained parameters, one output; relu'(0) = 0; no loss factor enters"}};
    result.axes = grid.axes();
    for (ObservableBuilder* builder :
         {&ratio, &mean, &log_mean, &log_variance, &forward, &forward_log, &forward_log_variance, &chain})
      result.observables.push_back(builder->take());
    add_closed_form(setup, grid, result);
    result.extras.push_back(
        cell_array(grid, "ratio_is_reliable",
                   "1 where E[Theta^2] can be estimated from this many networks; else use log-moments", reliable));
    result.extras.push_back(cell_array(grid, "effective_networks",
                                       "networks that carry the second moment: (sum X^2)^2 / sum X^4", effective));
    result.extras.push_back(cell_array(grid, "dead", "networks with a layer without any active unit", dead));
    return result;
  }

 private:
  /// The closed form at every cell, measured or not.
  static void add_closed_form(const RunSetup& setup, const CellGrid& grid, io::Result& result) {
    std::vector<double> law(grid.size(), kNaN), beta(grid.size(), kNaN);
    for (std::size_t c = 0; c < setup.sweep.cells.size(); ++c) {
      const KernelCell kernel = make_map_cell(setup, setup.sweep.cells[c]);
      law[grid.position(c)] = map_laws(kernel).ntk.ratio();
      double sum = 0;
      for (const Index n : kernel.task.network.shape.widths) sum += 1.0 / static_cast<double>(n);
      beta[grid.position(c)] = sum;
    }
    result.extras.push_back(cell_array(grid, "ntk_ratio_law", "closed form of E[Theta^2] / E[Theta]^2", law));
    result.extras.push_back(
        cell_array(grid, "inverse_width_sum", "sum over hidden layers of 1/n, L/n at equal widths", beta));
  }
};

}  // namespace

const Experiment& ntk_map() {
  static const NtkMap experiment;
  return experiment;
}

}  // namespace widelab::experiments
