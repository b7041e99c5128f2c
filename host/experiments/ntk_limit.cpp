// How do finite networks approach their NNGP and NTK limits? Ensembles over a sweep; every kernel entry and the kernels
// in norm, against the infinite-width limit and, where one is known, the exact law at finite width.
#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <limits>

#include "host/estimators/joint_test.hpp"
#include "host/experiments/experiments.hpp"
#include "host/experiments/kernel_job.hpp"
#include "host/experiments/kernel_predictions.hpp"
#include "host/experiments/observables.hpp"
#include "host/experiments/recipe_data.hpp"
#include "host/experiments/recipe_model.hpp"
#include "host/experiments/verdicts.hpp"
#include "host/experiments/width_fits.hpp"
#include "host/theory/infinite_width.hpp"

namespace widelab::experiments {
namespace {

using estimators::Estimate;
using estimators::KernelStatistics;
using estimators::Statistic;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Deviations that theory gives an exponent: mean squares and signed projections fall as 1/n.
constexpr std::size_t kFitted[] = {1, 2, 5, 6};

FittedQuantities fitted_scalars() {
  FittedQuantities quantities;
  for (const std::size_t s : kFitted) quantities.names.emplace_back(estimators::kNetworkScalars[s]);
  return quantities;
}

/// Observables of one kind of kernel.
struct KernelObservables {
  KernelObservables(const CellGrid& grid, const std::string& kernel, const std::string& long_name, std::size_t pairs)
      : mean(grid, kernel, "1", "mean " + long_name, "infinite-width limit", "pair", pairs),
        variance(grid, kernel + "_variance", "1", "variance of " + long_name, "exact law at finite width, where known",
                 "pair", pairs),
        third(grid, kernel + "_third_cumulant", "1", "third cumulant of " + long_name,
              "exact law at finite width, where known", "pair", pairs),
        fourth(grid, kernel + "_fourth_cumulant", "1", "fourth cumulant of " + long_name,
               "exact law at finite width, where known", "pair", pairs),
        name(kernel),
        exact(grid.size() * pairs, 0.0),
        verdict_mean(grid.size() * 4, kNaN),
        verdict_variance(grid.size() * 4, kNaN) {}

  ObservableBuilder mean, variance, third, fourth;
  std::string name;
  std::vector<double> exact;  ///< 1 where the limit is the exact mean at finite width
  std::vector<double> verdict_mean, verdict_variance;
};

// Entries without spread (a linear network's, say) may be off by the rounding of sums in fp32.
constexpr double kSingleRounding = 1e-5;

// Below this many groups of networks a joint test means nothing.
constexpr Index kLeastJudgedGroups = 8;

std::size_t at(Index k) { return static_cast<std::size_t>(k); }

void fill_entries(KernelObservables& out, const CellGrid& grid, std::size_t cell, const KernelStatistics& statistics,
                  Index first, const std::vector<double>& limit, const EntryLaws& laws, std::uint64_t judge_key,
                  Precision precision) {
  const double rounding = precision == Precision::fp32 ? kSingleRounding : estimators::JointOptions{}.rounding;
  const Index n = statistics.examples(), pairs = statistics.pairs();
  const auto means = statistics.entries().estimate(Statistic::mean),
             variances = statistics.entries().estimate(Statistic::variance),
             thirds = statistics.entries().estimate(Statistic::third_cumulant),
             fourths = statistics.entries().estimate(Statistic::fourth_cumulant);
  Index pair = 0;
  for (Index i = 0; i < n; ++i)
    for (Index j = i; j < n; ++j, ++pair) {
      const std::size_t k = at(first + pair);
      out.mean.set(cell, at(pair), means[k], {limit[at(i * n + j)]});
      out.variance.set(cell, at(pair), variances[k], {laws.variance[at(pair)]});
      out.third.set(cell, at(pair), thirds[k], {laws.third[at(pair)]});
      out.fourth.set(cell, at(pair), fourths[k], {laws.fourth[at(pair)]});
      out.exact[grid.position(cell) * at(pairs) + at(pair)] = std::isfinite(laws.mean[at(pair)]) ? 1.0 : 0.0;
    }
  // A variance is judged group by group as well, and is undefined for a group left over with too few networks.
  const estimators::GroupSample sample = statistics.entries().group_sample(Statistic::mean);
  if (sample.groups < kLeastJudgedGroups) return;
  judge(sample, first, laws.mean, judge_key, rounding, &out.verdict_mean[4 * grid.position(cell)]);
  judge(statistics.entries().group_sample(Statistic::variance), first, laws.variance, judge_key + 1, rounding,
        &out.verdict_variance[4 * grid.position(cell)]);
}

/// E |K - K0|_F^2 / |K0|_F^2 where every entry's exact law is known.
double square_deviation(const std::vector<double>& limit, const EntryLaws& laws, Index n) {
  double deviation = 0, norm = 0;
  Index pair = 0;
  for (Index i = 0; i < n; ++i)
    for (Index j = i; j < n; ++j, ++pair) {
      const double times = i == j ? 1 : 2, bias = laws.mean[at(pair)] - limit[at(i * n + j)];
      deviation += times * (laws.variance[at(pair)] + bias * bias);
      norm += times * limit[at(i * n + j)] * limit[at(i * n + j)];
    }
  return norm > 0 ? deviation / norm : kNaN;
}

class NtkLimit : public Experiment {
 public:
  std::string question() const override { return "How do finite networks approach their NNGP and NTK limits?"; }

  io::Schema schema() const override {
    io::Schema schema = io::make_schema(
        "ntk-limit",
        question() +
            "\nEvery kernel entry over an ensemble of random networks: mean, variance, third and fourth cumulant, each "
            "with its standard error, beside the infinite-width kernel and the exact law at finite width.",
        {model_keys(), data_keys(6, 10), kernel_keys("weights", 2000), width_fit_keys()});
    schema.example_sweep = {{"width", "[16, 32, 64, 128, 256]"}, {"depth", "[1, 3]"}};
    return schema;
  }

  CellPlan plan(const RunSetup& setup, const io::Cell& cell) const override {
    return plan_kernel_cell(make_kernel_cell(setup, cell), cell.name);
  }

  std::unique_ptr<engine::SegmentedJob> make_job(const RunSetup& setup, const io::Cell& cell,
                                                 runtime::Backend& backend) const override {
    return std::make_unique<KernelJob>(make_kernel_cell(setup, cell), cell, backend);
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    const CellGrid grid(setup.sweep);
    const KernelCell first = make_kernel_cell(setup, setup.sweep.cells.front());
    const Index n = first.task.examples;
    const std::size_t pairs = at(n * (n + 1) / 2);
    KernelObservables ntk(grid, "ntk", "NTK entry", pairs), nngp(grid, "nngp", "NNGP Gram entry", pairs);
    std::vector<ObservableBuilder> scalars;
    for (const char* name : estimators::kNetworkScalars)
      scalars.emplace_back(grid, name, "1", std::string("mean over networks of ") + name,
                           "exact law at finite width, where known");
    WidthFits fits(setup, grid, fitted_scalars());
    std::vector<double> diverged(grid.size(), kNaN), dead(grid.size(), kNaN);

    for (std::size_t c = 0; c < setup.sweep.cells.size(); ++c) {
      const KernelCell kernel = make_kernel_cell(setup, setup.sweep.cells[c]);
      std::unique_ptr<io::ArrayFile> file =
          read(c);  // after the inputs: data files and statistics are never both in memory
      if (!file) continue;
      const KernelStatistics statistics = read_statistics(kernel, *file);
      file.reset();
      const EntryLaws ntk_laws = exact_ntk_laws(kernel), nngp_laws = exact_nngp_laws(kernel);
      const std::uint64_t key = role_key(setup.seed, "bootstrap", setup.sweep.cells[c].name);
      fill_entries(ntk, grid, c, statistics, 0, kernel.ntk_limit, ntk_laws, key, kernel.task.precision);
      fill_entries(nngp, grid, c, statistics, statistics.pairs(), kernel.nngp_limit, nngp_laws, key + 2,
                   kernel.task.precision);
      const std::vector<Estimate> values = statistics.scalars().estimate(Statistic::mean);
      const std::vector<double> predicted{
          kNaN, square_deviation(kernel.ntk_limit, ntk_laws, n),   projection(ntk_laws),  ntk_laws.mean[0],
          kNaN, square_deviation(kernel.nngp_limit, nngp_laws, n), projection(nngp_laws), nngp_laws.mean[0]};
      for (std::size_t s = 0; s < scalars.size(); ++s) scalars[s].set(c, 0, values[s], {predicted[s]});
      const estimators::GroupSample groups = statistics.scalars().group_sample(Statistic::mean);
      for (std::size_t q = 0; q < std::size(kFitted); ++q)
        fits.add(c, q, values[kFitted[q]], one_entry(groups, static_cast<Index>(kFitted[q])));
      diverged[grid.position(c)] = static_cast<double>(statistics.diverged());
      dead[grid.position(c)] = static_cast<double>(statistics.dead());
    }

    io::Result result;
    result.attributes = {{"experiment", "ntk-limit"},
                         {"title", describe_network(*setup.recipe)},
                         {"data", data_description(setup)},
                         {"conventions", conventions(*setup.recipe)},
                         {"caveat", theory::infinite_width_caveat(first.task.network)}};
    result.axes = grid.axes();
    result.axes.push_back(pair_axis(n));
    for (KernelObservables* kernel : {&ntk, &nngp}) {
      for (ObservableBuilder* builder : {&kernel->mean, &kernel->variance, &kernel->third, &kernel->fourth})
        result.observables.push_back(builder->take());
      result.extras.push_back(cell_array(grid, kernel->name + "_mean_is_exact",
                                         "1 where the limit is the exact mean at every width", kernel->exact, "pair",
                                         pairs));
      result.extras.push_back(
          cell_array(grid, kernel->name + "_joint_mean", kVerdictText, kernel->verdict_mean, "verdict", 4));
      result.extras.push_back(
          cell_array(grid, kernel->name + "_joint_variance", kVerdictText, kernel->verdict_variance, "verdict", 4));
    }
    result.axes.push_back(verdict_axis());
    for (ObservableBuilder& builder : scalars) result.observables.push_back(builder.take());
    result.extras.push_back(cell_array(grid, "diverged", "networks with a kernel that is not finite", diverged));
    result.extras.push_back(cell_array(grid, "dead", "networks with a layer without any active unit", dead));
    fits.write(result);
    return result;
  }

 private:
  static constexpr const char* kVerdictText = "entries with an exact law, judged together";

  /// The mean of <K, K0>/<K0, K0> - 1 is zero where every entry's mean is its limit at every width.
  static double projection(const EntryLaws& laws) {
    for (const double mean : laws.mean)
      if (!std::isfinite(mean)) return kNaN;
    return 0.0;
  }

  static std::string data_description(const RunSetup& setup) {
    const io::Recipe& recipe = *setup.recipe;
    return fmt::format("{}, N = {}", recipe.text("data.law"), recipe.integer("data.examples"));
  }

  static std::string conventions(const io::Recipe& recipe) {
    return fmt::format(
        "NTK = sum over trained parameters of gradient products ({}), mean over outputs; relu'(0) = 0; no loss factor "
        "enters",
        recipe.text("model.kernel_weighting"));
  }

  static io::Axis pair_axis(Index n) {
    std::vector<std::string> labels;
    for (Index i = 0; i < n; ++i)
      for (Index j = i; j < n; ++j) labels.push_back(fmt::format("{},{}", i, j));
    io::Axis axis;
    axis.name = "pair";
    axis.units = "1";
    axis.description = "kernel entry (i,j), i <= j, inputs counted from 0";
    axis.values = labels;
    return axis;
  }
};

}  // namespace

const Experiment& ntk_limit() {
  static const NtkLimit experiment;
  return experiment;
}

}  // namespace widelab::experiments
