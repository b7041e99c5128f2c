// When does the test error descend twice? Least squares on random features, tangent features and linear models, over
// the number of features, the examples, the ridge and time, with every term of the variance, beside its theory at
// finite sizes.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>

#include "host/experiments/experiments.hpp"
#include "host/experiments/observables.hpp"
#include "host/experiments/recipe_seeds.hpp"
#include "host/experiments/regression_cell.hpp"
#include "host/experiments/regression_prediction.hpp"
#include "host/experiments/sampled_experiment.hpp"
#include "host/experiments/verdicts.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
// Beside the scale of target and noise: what is smaller is rounding, and is neither found nor missed.
constexpr double kRounding = 1e-12;

constexpr std::array<const char*, 7> kScalars{"test",  "excess", "signal_error", "noise_error",
                                              "train", "norm",   "resolvent"};
constexpr std::array<const char*, 7> kScalarDocs{"E (y - f)^2 of a new example: excess plus noise variance",
                                                 "E (f - f*)^2",
                                                 "E (f - f*)^2 of the fit without label noise",
                                                 "E f^2 of the fit to label noise alone",
                                                 "mean squared residual of the training examples",
                                                 "|a|^2 of features divided by sqrt(N); linear models: as they are",
                                                 "(ridge / n) tr (Z Z^T + ridge)^-1, ridge as a sum; NaN for times, at "
                                                 "ridge 0 and without label noise"};

/// Everything reported at one size and filter, from kRiskNumbers numbers, measured or predicted: kScalars, the terms of
/// the variance, the ensembles and the infinite one.
std::vector<double> reported(const double* numbers, double noise_variance, const std::vector<std::int64_t>& ensembles) {
  const auto of = [numbers](RiskNumber which) { return numbers[static_cast<std::size_t>(which)]; };
  const double excess = of(RiskNumber::signal) + of(RiskNumber::noise);
  const double infinite = of(RiskNumber::same_data) + of(RiskNumber::same_data_noise);
  std::vector<double> out{excess + noise_variance,  excess,
                          of(RiskNumber::signal),   of(RiskNumber::noise),
                          of(RiskNumber::train),    of(RiskNumber::norm),
                          of(RiskNumber::resolvent)};
  for (const double term : variance_terms(numbers)) out.push_back(term);
  for (const std::int64_t networks : ensembles) {
    const auto count = static_cast<double>(networks);
    out.push_back(excess / count + (1 - 1 / count) * infinite);
  }
  out.push_back(infinite);
  return out;
}

io::Axis text_axis(const std::string& name, const std::string& description, std::vector<std::string> values) {
  io::Axis axis;
  axis.name = name;
  axis.units = "1";
  axis.description = description;
  axis.values = std::move(values);
  return axis;
}

/// Arrays over (cell, [features,] filter), by name.
class RiskSummary {
 public:
  RiskSummary(const RunSetup& setup, const CellGrid& grid, const RegressionCell& first)
      : setup_(setup),
        grid_(grid),
        ensembles_(setup.recipe->integers("regression.ensembles")),
        linear_(first.recipe.linear()),
        size_dim_(first.recipe.size_ratios.empty() ? "features" : "size_ratio"),
        entries_(first.entries()),
        sizes_(first.recipe.sizes.size()),
        labels_(first.recipe.filter_labels()) {
    const std::string prediction = RegressionPrediction(first.recipe).source();
    for (std::size_t q = 0; q < kScalars.size(); ++q)
      builders_.emplace_back(grid, kScalars[q], "1", kScalarDocs[q], prediction, inner());
    builders_.emplace_back(grid, "variance_term", "1", "terms of the excess risk (Sobol)", prediction,
                           inner("term", kVarianceTerms.size()));
    builders_.emplace_back(grid, "ensemble_excess", "1",
                           "excess risk of the mean of K models with their own features on the same data", prediction,
                           inner("networks", ensembles_.size() + 1));
    verdicts_.assign(grid.size() * kVerdictNumbers, kNaN);
    exact_.assign(grid.size(), 1.0);
  }

  void add(std::size_t c, const RegressionCell& cell, const Samples& samples) {
    const RegressionPrediction prediction(cell.recipe);
    const RegressionRecipe& recipe = cell.recipe;
    exact_[grid_.position(c)] = prediction.conjecture() ? 0.0 : 1.0;
    std::vector<double> predicted(static_cast<std::size_t>(samples.numbers), kNaN);
    for (std::size_t s = 0; s < sizes_; ++s)
      for (std::size_t f = 0; f < recipe.filters(); ++f) {
        const PredictedRisk risk = prediction.at(s, f);
        const Index at = cell.number(s, f, RiskNumber::signal);
        std::copy(risk.begin(), risk.end(), predicted.begin() + at);
        add_entry(c, cell, samples, s, f, risk);
        add_extras(c, recipe, prediction, samples, at, s, f);
      }
    if (prediction.conjecture()) return;
    const double scale = recipe.signal_power() + recipe.noise_variance;
    for (double& value : predicted)
      if (std::fabs(value) < kRounding * scale) value = kNaN;
    judge(samples.groups(), 0, predicted, role_key(setup_.seed, "bootstrap", setup_.sweep.cells[c].name), kRounding,
          &verdicts_[kVerdictNumbers * grid_.position(c)]);
  }

  void write(const RegressionRecipe& first, io::Result& result) {
    if (!linear_) {
      io::Axis sizes = text_axis(size_dim_, "N, number of random features (tangent: neurons)", {});
      sizes.values = std::vector<double>(first.sizes.begin(), first.sizes.end());
      if (!first.size_ratios.empty()) {
        sizes.description = "columns of the feature matrix over examples, as asked for";
        sizes.values = first.size_ratios;
      }
      result.axes.push_back(std::move(sizes));
    }
    result.axes.push_back(text_axis("filter", "ridge in the convention of the recipe, or time of the flow", labels_));
    result.axes.push_back(text_axis("term", "terms of the variance", {kVarianceTerms.begin(), kVarianceTerms.end()}));
    std::vector<std::string> networks;
    for (const std::int64_t count : ensembles_) networks.push_back(std::to_string(count));
    networks.push_back("inf");
    result.axes.push_back(text_axis("networks", "models in an ensemble", networks));
    result.axes.push_back(verdict_axis());
    for (ObservableBuilder& builder : builders_) {
      io::Observable observable = builder.take();
      std::vector<double> exact;  // a conjecture is shown beside the measurement, and not held against it
      for (const double flag : exact_) exact.insert(exact.end(), observable.mean.size() / exact_.size(), flag);
      const Inner own = observable.name == "variance_term"     ? inner("term", kVarianceTerms.size())
                        : observable.name == "ensemble_excess" ? inner("networks", ensembles_.size() + 1)
                                                               : inner();
      result.extras.push_back(cell_array(grid_, observable.name + "_mean_is_exact", "0: the prediction is a conjecture",
                                         std::move(exact), own));
      result.observables.push_back(std::move(observable));
    }
    for (auto& [name, extra] : extras_)
      result.extras.push_back(cell_array(grid_, name, extra.description, std::move(extra.values), inner()));
    result.extras.push_back(cell_array(grid_, "joint", "all numbers with a prediction, judged together", verdicts_,
                                       "verdict", kVerdictNumbers));
  }

 private:
  struct Extra {
    std::string description;
    std::vector<double> values;
  };

  Inner inner(const std::string& last = "", std::size_t extent = 1) const {
    Inner out{{"filter"}, {labels_.size()}};
    if (!linear_) out = {{size_dim_, "filter"}, {sizes_, labels_.size()}};
    if (!last.empty()) {
      out.dims.push_back(last);
      out.shape.push_back(extent);
    }
    return out;
  }

  double& extra(const std::string& name, const std::string& description, std::size_t cell, std::size_t entry) {
    Extra& found = extras_[name];
    if (found.values.empty()) found = {description, std::vector<double>(grid_.size() * entries_, kNaN)};
    return found.values[grid_.position(cell) * entries_ + entry];
  }

  void add_entry(std::size_t c, const RegressionCell& cell, const Samples& samples, std::size_t s, std::size_t f,
                 const PredictedRisk& risk) {
    const double noise = cell.recipe.noise_variance, scale = cell.recipe.signal_power() + noise;
    const std::size_t entry = s * cell.recipe.filters() + f;
    const std::vector<double> theory = reported(risk.data(), noise, ensembles_);
    Samples derived;
    derived.replicates = samples.replicates;
    derived.numbers = static_cast<Index>(theory.size());
    for (Index r = 0; r < samples.replicates; ++r) {
      const double* numbers = samples.values.data() + r * samples.numbers + cell.number(s, f, RiskNumber::signal);
      const std::vector<double> row = reported(numbers, noise, ensembles_);
      derived.values.insert(derived.values.end(), row.begin(), row.end());
    }
    const auto set = [&](std::size_t builder, std::size_t into, std::size_t q) {
      builders_[builder].set(c, into, derived.mean(static_cast<Index>(q)),
                             {theory[q], std::isfinite(theory[q]) ? kRounding * scale : kNaN});
    };
    std::size_t q = 0;
    for (; q < kScalars.size(); ++q) set(q, entry, q);
    for (std::size_t t = 0; t < kVarianceTerms.size(); ++t)
      set(kScalars.size(), entry * kVarianceTerms.size() + t, q++);
    for (std::size_t k = 0; k <= ensembles_.size(); ++k)
      set(kScalars.size() + 1, entry * (ensembles_.size() + 1) + k, q++);
    const estimators::Estimate median = derived.median(1);
    extra("excess_median", "median over replicates of the excess risk, for heavy tails near N = n", c, entry) =
        median.value;
    extra("excess_median_error", "half-width of its 68 % interval", c, entry) = median.se;
  }

  void add_extras(std::size_t c, const RegressionRecipe& recipe, const RegressionPrediction& prediction,
                  const Samples& samples, Index at, std::size_t s, std::size_t f) {
    const std::size_t entry = s * recipe.filters() + f;
    double worst = 0;
    for (Index r = 0; r < samples.replicates; ++r)
      worst = std::max(worst, samples.at(r, at + static_cast<Index>(RiskNumber::condition)));
    extra("worst_condition", "largest condition of a Gram matrix plus ridge", c, entry) = worst;
    extra("columns", "columns of the feature matrix: N, N d (tangent), d (linear)", c, entry) =
        static_cast<double>(recipe.columns(s));
    extra("examples_of_cell", "n", c, entry) = static_cast<double>(recipe.examples);
    extra("dimension_of_cell", "d", c, entry) = static_cast<double>(recipe.dimension);
    extra("limit_excess", "excess risk in the proportional limit (Mei and Montanari 2019)", c, entry) =
        prediction.limit_excess(s, f);
    extra("time", "of gradient flow; NaN for a ridge", c, entry) =
        recipe.is_flow(f) ? recipe.times[f - recipe.ridges.size()] : kNaN;
    const std::vector<std::string>& conventions = theory::ridge_convention_names();
    for (std::size_t k = 0; k < conventions.size(); ++k)
      extra("ridge_" + conventions[k], "the ridge in the convention \"" + conventions[k] + "\"; NaN for a time", c,
            entry) = recipe.is_flow(f) ? kNaN
                                       : theory::ridge_in(static_cast<theory::RidgeConvention>(k),
                                                          recipe.sum_ridge(s, f), recipe.extents(s));
  }

  const RunSetup& setup_;
  const CellGrid& grid_;
  std::vector<std::int64_t> ensembles_;
  bool linear_;
  std::string size_dim_;
  std::size_t entries_, sizes_;
  std::vector<std::string> labels_;
  std::vector<ObservableBuilder> builders_;
  std::map<std::string, Extra> extras_;
  std::vector<double> verdicts_, exact_;
};

class DoubleDescent : public Experiment {
 public:
  std::string question() const override {
    return "When does the test error descend twice, and which variance does it?";
  }

  io::Schema schema() const override {
    io::Schema schema = io::make_schema(
        "double-descent",
        question() +
            "\nLeast squares on random features, tangent features and linear models: test and training error, norm, "
            "ensembles and the six terms of the variance, beside the deterministic equivalent at finite sizes.",
        {regression_keys(), seed_keys(200)});
    schema.example_sweep = {{"examples", "[150, 300]"}};
    return schema;
  }

  CellPlan plan(const RunSetup& setup, const io::Cell& at) const override {
    require_one_layout(setup);
    return plan_regression_cell(make_regression_cell(setup, at), at.name);
  }

  std::unique_ptr<engine::SegmentedJob> make_job(const RunSetup& setup, const io::Cell& at,
                                                 runtime::Backend& backend) const override {
    return std::make_unique<SampleJob>(
        regression_task(make_regression_cell(setup, at),
                        [&backend](const RidgePathProblem& problem) { backend.ridge_path(problem); }),
        at);
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    const CellGrid grid(setup.sweep);
    const RegressionCell first = make_regression_cell(setup, setup.sweep.cells.front());
    RiskSummary summary(setup, grid, first);
    for_each_measured<make_regression_cell>(
        setup, read, [&](std::size_t c, const auto& cell, const Samples& samples) { summary.add(c, cell, samples); });
    io::Result result;
    result.attributes = {
        {"experiment", "double-descent"},
        {"counted", "replicates"},
        {"title", describe_regression(*setup.recipe)},
        {"data", first.recipe.sphere_inputs ? "inputs uniform on the sphere of radius sqrt(d)" : "Gaussian inputs"},
        {"conventions",
         "ridge: " + setup.recipe->text("regression.ridge_convention") +
             "; a replicate is two draws of features crossed with two of data, each with its own label noise; risk "
             "over the law of the inputs, without a test set; time of da/dt = Z^T (y - Z a) / n"}};
    result.axes = grid.axes();
    summary.write(first.recipe, result);
    return result;
  }

 private:
  /// Linear models have no axis of features.
  static void require_one_layout(const RunSetup& setup) {
    for (const io::SweepAxis& axis : setup.sweep.axes)
      if (axis.key == "regression.kind")
        for (const io::Value& value : axis.values)
          if (io::canonical_text(value) == "linear")
            throw RecipeError(
                "regression.kind is swept over \"linear\", which has no axis of features: sweep random-features and "
                "tangent alone, and give linear models a recipe of their own");
  }
};

}  // namespace

const Experiment& double_descent() {
  static const DoubleDescent experiment;
  return experiment;
}

}  // namespace widelab::experiments
