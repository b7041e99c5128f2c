// Where does the noise of SGD lead on a loss that can be solved? Chains that differ in their noise alone, their
// stationary covariance, correlations and excess loss beside the exact second-moment closure, and how far they are from
// a temperature.
#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <limits>
#include <memory>
#include <span>

#include "host/estimators/hill.hpp"
#include "host/estimators/jackknife.hpp"
#include "host/experiments/experiments.hpp"
#include "host/experiments/observables.hpp"
#include "host/experiments/recipe_data.hpp"
#include "host/experiments/recipe_model.hpp"
#include "host/experiments/recipe_seeds.hpp"
#include "host/experiments/sampled_experiment.hpp"
#include "host/experiments/stationary_prediction.hpp"
#include "host/experiments/verdicts.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr const char* kTheory =
    "second-moment closure of linear regression on this data set, or on Gaussian inputs without end (online), exact at "
    "any step size and at every step; shuffled epochs: the map of an epoch, to within the error of sampled orders";

constexpr double kTailShares[] = {0.001, 0.003, 0.01};

/// m4 / m2^2 - 3 from chains' averages of e^4 and e^2, by the jackknife over chains.
estimators::Estimate excess_kurtosis(const Samples& samples, Index square, Index fourth) {
  std::vector<double> rows;
  for (Index r = 0; r < samples.replicates; ++r)
    if (std::isfinite(samples.at(r, square))) rows.insert(rows.end(), {samples.at(r, square), samples.at(r, fourth)});
  return estimators::jackknife(rows, 2, [](std::span<const double> m, double) { return m[1] / (m[0] * m[0]) - 3; });
}

/// Everything that a summary collects, cell by cell.
class StationaryResult {
 public:
  StationaryResult(const CellGrid& grid, const StationaryCell& first)
      : grid_(grid),
        modes_(static_cast<std::size_t>(first.dimension())),
        excess_(grid, "excess_loss", "1", "E L(w) - L(w*) of the normalised loss, average after the burn-in", kTheory),
        transient_(grid, "excess_loss_at", "1", "the same at single steps, from the minimiser on", kTheory, "step",
                   first.observed.size()),
        variance_(grid, "mode_variance", "1", "E e_i^2 along an eigenvector of the Hessian", kTheory, "mode", modes_),
        temperature_(grid, "temperature", "1", "h_i E e_i^2: the same for all modes in Gibbs' law", kTheory, "mode",
                     modes_),
        mean_(grid, "mode_mean", "1", "E e_i", kTheory, "mode", modes_),
        kurtosis_(grid, "mode_kurtosis", "1", "E e_i^4 / (E e_i^2)^2 - 3", "none", "mode", modes_),
        tail_(grid, "tail_exponent", "1", "alpha of P(|e| > t) ~ t^-alpha, Hill's estimate from the largest |e|",
              "exponent at which a step's factor has mean one (Kesten 1973): one direction and batches of one example, "
              "or "
              "isotropic inputs online",
              "tail_share", std::size(kTailShares)),
        along_(grid, "autocovariance", "1", "E e_t.e_{t + lag}", kTheory, "lag", first.lags.size()),
        curvature_(grid.size() * modes_, kNaN),
        stationary_(curvature_),
        frozen_(curvature_),
        small_step_(curvature_),
        radius_(grid.size(), kNaN),
        critical_(grid.size(), kNaN),
        testable_(grid.size(), 1.0),
        verdict_(grid.size() * kVerdictNumbers, kNaN) {}

  void add(std::size_t c, const StationaryCell& cell, const Samples& samples, std::uint64_t key) {
    const StationaryPrediction predicted = predict_stationary(cell);
    const auto expected = [&](Index column) { return predicted.numbers[static_cast<std::size_t>(column)]; };
    const auto put = [&](ObservableBuilder& builder, std::size_t entry, Index column, double factor = 1) {
      estimators::Estimate measured = samples.mean(column);
      measured.value *= factor;
      measured.se *= factor;
      builder.set(c, entry, measured,
                  {factor * expected(column), factor * predicted.errors[static_cast<std::size_t>(column)]});
    };
    put(excess_, 0, cell.excess());
    for (std::size_t t = 0; t < cell.observed.size(); ++t) put(transient_, t, cell.excess_at(t));
    for (std::size_t k = 0; k < cell.lags.size(); ++k) put(along_, k, cell.along(k));
    const std::size_t at = grid_.position(c) * modes_;
    for (std::size_t i = 0; i < modes_; ++i) {
      const auto mode = static_cast<Index>(i);
      const Index square = cell.product(mode, mode);
      put(variance_, i, square);
      put(temperature_, i, square, predicted.curvature[i]);
      put(mean_, i, cell.mean(mode));
      kurtosis_.set(c, i, excess_kurtosis(samples, square, cell.fourth(mode)), Prediction::none());
      curvature_[at + i] = predicted.curvature[i];
      stationary_[at + i] = predicted.stationary_variance[i];
      frozen_[at + i] = predicted.frozen_variance[i];
      small_step_[at + i] = predicted.small_step[i];
    }
    std::vector<double> distances;
    for (Index r = 0; r < samples.replicates; ++r)
      for (Index t = 0; t < cell.tail_times; ++t) distances.push_back(samples.at(r, cell.distance(t)));
    for (std::size_t k = 0; k < std::size(kTailShares); ++k)
      tail_.set(c, k, estimators::tail_exponent(distances, static_cast<std::size_t>(cell.tail_times), kTailShares[k]),
                {predicted.tail_exponent});
    radius_[grid_.position(c)] = predicted.mean_square_radius;
    critical_[grid_.position(c)] = predicted.critical_learning_rate;
    const auto first = predicted.numbers.begin() + cell.product(0, 0),
               last = predicted.numbers.begin() + cell.product(cell.dimension(), 0);
    if (predicted.mean_square_radius >= 1 || predicted.least_tail_exponent <= 4) {
      testable_[grid_.position(c)] = 0;
      return;
    }
    // Runs in fp32 stop moving the last bits of w.
    const double rounding = cell.training.train.precision == Precision::fp64 ? 1e-12 : 1e-5;
    if (cell.shuffled()) return;  // a joint test knows no errors of predictions
    judge(samples.groups(), cell.product(0, 0), {first, last}, key, rounding,
          verdict_.data() + grid_.position(c) * kVerdictNumbers);
  }

  void write(const StationaryCell& first, io::Result& result) {
    const auto axis = [&](const char* name, const char* units, const char* description, std::vector<double> values) {
      io::Axis out;
      out.name = name;
      out.units = units;
      out.description = description;
      out.values = std::move(values);
      result.axes.push_back(out);
    };
    axis("step", "step", "steps of training", {first.observed.begin(), first.observed.end()});
    axis("lag", "step", "steps between two times", {first.lags.begin(), first.lags.end()});
    std::vector<double> numbers;
    for (std::size_t i = 0; i < modes_; ++i) numbers.push_back(static_cast<double>(i));
    axis("mode", "1", "eigenvectors of the loss's Hessian, flattest first", numbers);
    axis("tail_share", "1", "share of the largest |e| that an exponent stands on",
         {std::begin(kTailShares), std::end(kTailShares)});
    result.axes.push_back(verdict_axis());
    for (ObservableBuilder* builder : {&mean_, &kurtosis_}) result.observables.push_back(builder->take());
    const std::string where_it_varies =
        "0 where E |e|^4 is or may be infinite, so that averages of e^2 have no standard error";
    judgeable(excess_, testable_, where_it_varies, "", 1, result);
    judgeable(transient_, testable_, where_it_varies, "step", first.observed.size(), result);
    judgeable(variance_, testable_, where_it_varies, "mode", modes_, result);
    judgeable(temperature_, testable_, where_it_varies, "mode", modes_, result);
    judgeable(along_, testable_, where_it_varies, "lag", first.lags.size(), result);
    judgeable(tail_, std::vector<double>(grid_.size(), 0.0), "0: the exponent is that of shares that go to 0",
              "tail_share", std::size(kTailShares), result);
    const auto array = [&](const char* name, const char* description, const std::vector<double>& values) {
      result.extras.push_back(cell_array(grid_, name, description, values, "mode", modes_));
    };
    array("curvature", "h_i: eigenvalues of the Hessian, weight decay included", curvature_);
    array("stationary_variance", "E e_i^2 after many steps; NaN beyond the edge of mean-square stability", stationary_);
    array("frozen_variance", "stationary E e_i^2 if the noise at the minimum were the noise everywhere", frozen_);
    array("small_step_temperature", "eta C_ii / (2 (1 - mu)): what h_i E e_i^2 tends to for small steps", small_step_);
    result.extras.push_back(cell_array(grid_, "mean_square_radius",
                                       "spectral radius of the map of second moments: stable below 1", radius_));
    result.extras.push_back(
        cell_array(grid_, "critical_learning_rate", "learning rate at which that radius passes 1", critical_));
    result.extras.push_back(cell_array(grid_, "joint_verdict", "all entries of the covariance judged together",
                                       verdict_, "verdict", kVerdictNumbers));
  }

 private:
  /// The observable, and for every entry whether its cell's numbers can be held against theory.
  void judgeable(ObservableBuilder& builder, const std::vector<double>& cells, const std::string& why,
                 const std::string& dim, std::size_t inner, io::Result& result) const {
    std::vector<double> entries;
    for (const double cell : cells) entries.insert(entries.end(), inner, cell);
    result.observables.push_back(builder.take());
    result.extras.push_back(
        cell_array(grid_, result.observables.back().name + "_mean_is_exact", why, std::move(entries), dim, inner));
  }

  const CellGrid& grid_;
  std::size_t modes_;
  ObservableBuilder excess_, transient_, variance_, temperature_, mean_, kurtosis_, tail_, along_;
  std::vector<double> curvature_, stationary_, frozen_, small_step_, radius_, critical_, testable_, verdict_;
};

class SgdStationary : public SampledExperiment<make_stationary_cell, plan_stationary_cell, stationary_task> {
 public:
  std::string question() const override {
    return "Where does the noise of SGD lead on a loss that can be solved, and is it a temperature?";
  }

  io::Schema schema() const override {
    TrainingKeyDefaults defaults;
    defaults.train.steps = 1500;
    defaults.replicates = 500;
    defaults.examples = 64;
    defaults.dimension = 6;
    defaults.test_examples = 0;
    io::Schema schema = io::make_schema(
        "sgd-stationary",
        question() +
            "\nA readout is trained on fixed features from its minimiser on; chains differ in their noise alone. "
            "Moments of e = w - w* beside the exact second-moment closure, eigenmode by eigenmode of the Hessian; "
            "shuffled epochs beside the map of an epoch, averaged over orders of the examples.",
        {all_training_keys(defaults), stationary_keys()});
    schema.example_sweep = {{"learning_rate", "[0.02, 0.1]"}, {"batch", "[1, 4]"}};
    return schema;
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    const CellGrid grid(setup.sweep);
    const StationaryCell first = make_stationary_cell(setup, setup.sweep.cells.front());
    StationaryResult collected(grid, first);
    for_each_measured<make_stationary_cell>(setup, read, [&](std::size_t c, const auto& cell, const Samples& samples) {
      collected.add(c, cell, samples, role_key(setup.seed, "bootstrap", setup.sweep.cells[c].name));
    });
    io::Result result;
    result.attributes = {
        {"experiment", "sgd-stationary"},
        {"counted", "chains"},
        {"title", "readout alone, " + describe_network(*setup.recipe)},
        {"data", first.training.data.train.description},
        {"conventions",
         describe_training(*setup.recipe) +
             "; normalised loss (1 / 2N) sum (f - y)^2 + (lambda / 2) |w|^2; w: the readout's stored weights; momentum "
             "in PyTorch's form; chains start at the minimiser; errors: over chains"}};
    result.axes = grid.axes();
    collected.write(first, result);
    return result;
  }
};

}  // namespace

const Experiment& sgd_stationary() {
  static const SgdStationary experiment;
  return experiment;
}

}  // namespace widelab::experiments
