// Which degrees of a target does a regression on the sphere learn at which size? Learning curves degree by degree, with
// their stairs at the multiplicities B(d, l) and, for kernels with little tail, the peaks of multiple descent, beside
// the deterministic equivalent at the same finite dimension.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/experiments/experiments.hpp"
#include "host/experiments/observables.hpp"
#include "host/experiments/recipe_model.hpp"
#include "host/experiments/recipe_seeds.hpp"
#include "host/experiments/staircase_cell.hpp"
#include "host/experiments/verdicts.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
/// Relative error of numbers that went through an ill-conditioned solve: a spread below it is none.
constexpr double kRounding = 1e-9;

bool swept(const io::Recipe& recipe, const std::string& key) {
  const auto& sweep = recipe.content().sweep;
  return std::any_of(sweep.begin(), sweep.end(), [&](const io::SweepEntry& entry) { return entry.key == key; });
}

/// The axis of sizes: what a kind counts, or parameters, which all have.
std::string size_name(const io::Recipe& recipe) {
  const std::string kind = swept(recipe, "curve.kind") ? "" : recipe.text("curve.kind");
  return kind == "kernel" ? "examples" : kind == "random-features" ? "features" : "parameters";
}

std::string prediction_name(const io::Recipe& recipe) {
  const std::string equivalent = "deterministic equivalent at finite dimension",
                    mapping = "N d random features with the spectrum of the infinitely wide kernel";
  if (swept(recipe, "curve.kind")) return equivalent + "; of tangent features a conjecture: " + mapping;
  return recipe.text("curve.kind") == "tangent" ? "conjecture: " + equivalent + " of " + mapping : equivalent;
}

/// Whether a degree is on its stair. Off it, its coefficient scatters so little that the equivalent's own error shows,
/// of relative order 1/d in L and 1 - L (kernel exp at d = 12: 4 % of 1 - L at L = .993).
bool on_stair(double learned) { return std::abs(learned - 0.5) < 0.45; }

/// Whether means are held against theory: no conjecture is, and the others from four times as many examples on as there
/// are dimensions. Below, a few replicates make the mean of a heavy-tailed risk.
bool held(const StaircaseCell& cell, std::size_t size) {
  return !cell.conjecture() && cell.examples_of(size) >= 4 * cell.dimension;
}

/// Predictions of the numbers that are judged together: excess, training error and coefficients on their stair.
std::vector<double> judged(const StaircaseCell& cell, const std::vector<StairPrediction>& predictions) {
  std::vector<double> out;
  for (std::size_t s = 0; s < cell.sizes.size(); ++s) {
    std::vector<double> numbers = predictions[s].numbers;
    for (std::size_t k = 0; k < numbers.size(); ++k) {
      const bool kept = k == static_cast<std::size_t>(StairNumber::excess) ||
                        k == static_cast<std::size_t>(StairNumber::train) ||
                        (k >= kStairNumbers && on_stair(numbers[k]));
      if (!kept || !held(cell, s)) numbers[k] = kNaN;
    }
    out.insert(out.end(), numbers.begin(), numbers.end());
  }
  return out;
}

/// Everything that a summary collects, cell by cell.
class StaircaseResult {
 public:
  StaircaseResult(const io::Recipe& recipe, const CellGrid& grid, const StaircaseCell& first)
      : grid_(grid),
        size_(size_name(recipe)),
        sizes_(first.sizes.size()),
        degrees_(first.degrees()),
        theory_(prediction_name(recipe)),
        test_(over_sizes("test", "E (y - f)^2 of a fresh labelled input", theory_)),
        learned_(grid, "learned", "1",
                 "E[f f_l] / F_l: learned coefficient of a degree, of the fit to that degree alone (other degrees and "
                 "noise add 0 in the mean)",
                 theory_, Inner{{size_, "degree"}, {sizes_, degrees_}}),
        median_(over_sizes("excess_median", "median over replicates of the excess risk", "none")),
        stairs_(grid.size() * degrees_, kNaN),
        nu_(grid.size() * sizes_, kNaN),
        condition_(grid.size() * sizes_, kNaN),
        verdict_(grid.size() * kVerdictNumbers, kNaN),
        held_(grid.size() * sizes_, 0),
        learned_held_(grid.size() * sizes_ * degrees_, 0) {
    const auto number = [&](StairNumber which, const char* name, const char* description) {
      numbers_.emplace_back(which, over_sizes(name, description, theory_));
    };
    number(StairNumber::excess, "excess", "E (f - f*)^2 = signal + noise");
    number(StairNumber::signal, "signal", "excess risk of the fit to noiseless labels");
    number(StairNumber::noise, "noise", "what label noise adds to the excess risk");
    number(StairNumber::train, "train",
           "mean square of the training residuals; held against theory where the ridge is not lost in rounding");
    number(StairNumber::norm, "norm2", "squared norm of the solution: alpha^T K alpha, or |a|^2");
  }

  void predict(std::size_t c, const StaircaseCell& cell) {
    predictions_.clear();
    for (std::size_t s = 0; s < sizes_; ++s) {
      predictions_.push_back(predict_staircase(cell, s));
      nu_[grid_.position(c) * sizes_ + s] = predictions_.back().nu;
    }
    for (std::size_t s = 0; s < sizes_; ++s)
      for (std::size_t l = 0; held(cell, s) && l < degrees_; ++l) {
        const std::size_t at = grid_.position(c) * sizes_ + s;
        held_[at] = 1;
        learned_held_[at * degrees_ + l] = on_stair(predictions_[s].numbers[kStairNumbers + l]) ? 1 : 0;
      }
    for (std::size_t l = 0; l < degrees_; ++l)
      stairs_[grid_.position(c) * degrees_ + l] = cell.spectrum.multiplicity[l];
  }

  void add(std::size_t c, const StaircaseCell& cell, const Samples& samples, std::uint64_t key) {
    for (std::size_t s = 0; s < sizes_; ++s) {
      const std::vector<double>& expected = predictions_[s].numbers;
      for (auto& [which, builder] : numbers_)
        builder.set(c, s, samples.mean(cell.number(s, which)), {expected[static_cast<std::size_t>(which)]});
      estimators::Estimate test = samples.mean(cell.number(s, StairNumber::excess));
      test.value += cell.noise_variance;
      test_.set(c, s, test, {expected[static_cast<std::size_t>(StairNumber::excess)] + cell.noise_variance});
      median_.set(c, s, samples.median(cell.number(s, StairNumber::excess)), Prediction::none());
      for (std::size_t l = 0; l < degrees_; ++l)
        learned_.set(c, s * degrees_ + l, samples.mean(cell.learned(s, l)), {expected[kStairNumbers + l]});
      double worst = 0;
      for (Index r = 0; r < samples.replicates; ++r)
        worst = std::max(worst, samples.at(r, cell.number(s, StairNumber::condition)));
      condition_[grid_.position(c) * sizes_ + s] = worst;
    }
    judge(samples.groups(), 0, judged(cell, predictions_), key, kRounding,
          verdict_.data() + grid_.position(c) * kVerdictNumbers);
  }

  void write(const StaircaseCell& first, io::Result& result) {
    io::Axis sizes, degrees;
    sizes.name = size_;
    sizes.units = degrees.units = "1";
    sizes.description = size_ == "examples" ? "training examples n"
                        : size_ == "features"
                            ? "random features N"
                            : "fitted parameters: n of a kernel, N of random, N d of tangent features";
    sizes.values = std::vector<double>(first.sizes.begin(), first.sizes.end());
    degrees.name = "degree";
    degrees.description = "degree l of spherical harmonics";
    std::vector<double> numbers;
    for (std::size_t l = 0; l < degrees_; ++l) numbers.push_back(static_cast<double>(l));
    degrees.values = numbers;
    result.axes.insert(result.axes.end(), {sizes, degrees, verdict_axis()});
    const auto put = [&](ObservableBuilder& builder, const std::vector<double>& held, const Inner& inner) {
      result.observables.push_back(builder.take());
      result.extras.push_back(cell_array(grid_, result.observables.back().name + "_mean_is_exact",
                                         "0: the prediction is shown, and not held against the measurement", held,
                                         inner));
    };
    const Inner over_sizes{{size_}, {sizes_}};
    put(test_, held_, over_sizes);
    for (auto& [which, builder] : numbers_) put(builder, held_, over_sizes);
    put(learned_, learned_held_, {{size_, "degree"}, {sizes_, degrees_}});
    result.observables.push_back(median_.take());
    result.extras.push_back(
        cell_array(grid_, "multiplicity", "B(d, l): where the stair of degree l stands", stairs_, "degree", degrees_));
    result.extras.push_back(cell_array(grid_, "effective_ridge",
                                       "nu: a degree of eigenvalue lambda_l has lambda_l / (lambda_l + nu) learned",
                                       nu_, size_, sizes_));
    result.extras.push_back(
        cell_array(grid_, "condition", "worst condition of a matrix that was factored", condition_, size_, sizes_));
    result.extras.push_back(cell_array(
        grid_, "joint_verdict", "excess, training error and coefficients on their stair, n >= 4 d, judged together",
        verdict_, "verdict", kVerdictNumbers));
  }

 private:
  ObservableBuilder over_sizes(const char* name, const char* description, const std::string& prediction) const {
    return ObservableBuilder(grid_, name, "1", description, prediction, size_, sizes_);
  }

  const CellGrid& grid_;
  std::string size_;
  std::size_t sizes_, degrees_;
  std::string theory_;
  ObservableBuilder test_, learned_, median_;
  std::vector<std::pair<StairNumber, ObservableBuilder>> numbers_;
  std::vector<StairPrediction> predictions_;  // of the cell at hand
  std::vector<double> stairs_, nu_, condition_, verdict_;
  std::vector<double> held_, learned_held_;  // 1 where a prediction is held against the measurement
};

class Staircase : public Experiment {
 public:
  std::string question() const override {
    return "Which degrees of a target does a regression on the sphere learn at which size?";
  }

  io::Schema schema() const override {
    io::Schema schema = io::make_schema(
        "staircase",
        question() +
            "\nLearning curves of kernel ridge regression, random features and tangent features, degree by degree, "
            "from the exact population risk, beside the deterministic equivalent at the same dimension.",
        {staircase_keys(), model_keys(), seed_keys(100)});
    for (io::KeySpec& key : schema.keys)
      if (key.path == "seeds.replicates")
        key.doc = "Independent draws of inputs, label noise and weights in each cell.";
    schema.example_sweep = {{"kernel", "[\"exp\", \"ntk\"]"}};
    return schema;
  }

  CellPlan plan(const RunSetup& setup, const io::Cell& cell) const override {
    return plan_staircase_cell(make_staircase_cell(setup, cell), cell.name);
  }

  std::unique_ptr<engine::SegmentedJob> make_job(const RunSetup& setup, const io::Cell& cell,
                                                 runtime::Backend& backend) const override {
    return std::make_unique<SampleJob>(staircase_task(make_staircase_cell(setup, cell), curve_solver(backend)), cell);
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    const CellGrid grid(setup.sweep);
    const StaircaseCell first = make_staircase_cell(setup, setup.sweep.cells.front());
    StaircaseResult collected(*setup.recipe, grid, first);
    for (std::size_t c = 0; c < setup.sweep.cells.size(); ++c) {
      const StaircaseCell cell = make_staircase_cell(setup, setup.sweep.cells[c]);
      collected.predict(c, cell);
      if (const std::unique_ptr<io::ArrayFile> file = read(c))
        collected.add(c, cell, read_samples(*file), role_key(setup.seed, "bootstrap", setup.sweep.cells[c].name));
    }
    io::Result result;
    result.attributes = {
        {"experiment", "staircase"},
        {"counted", "replicates"},
        {"title", title(*setup.recipe)},
        {"data", "x uniform on the unit sphere"},
        {"conventions", fmt::format("f_l = sqrt(B(d,l)) Q_l(<u,x>), E f_l^2 = 1; ridge in the convention \"{}\"; risk: "
                                    "exact over x, without a test set; errors: over replicates. At n < 4 d the risk is "
                                    "heavy-tailed: its mean hangs on few replicates, see the median",
                                    setup.recipe->text("curve.ridge_convention"))}};
    result.axes = grid.axes();
    collected.write(first, result);
    return result;
  }

 private:
  static std::string title(const io::Recipe& recipe) {
    const auto value = [&](const std::string& key, const auto& show) {
      return swept(recipe, key) ? std::string() : show();
    };
    const std::string kind = value("curve.kind", [&] { return recipe.text("curve.kind"); });
    const std::string kernel = value("curve.kernel", [&] { return recipe.text("curve.kernel"); });
    std::string text = kind.empty()       ? "kernel ridge regression and features"
                       : kind == "kernel" ? "kernel ridge regression"
                                          : kind + (kind == "tangent" ? " features" : "");
    if (kind.empty() || kind == "kernel") {
      text += kernel.empty() ? "" : ", kernel " + kernel;
      if (kernel == "ntk" || kernel == "nngp") text += " of " + describe_network(recipe);
    }
    std::string activation, examples;
    if (kind != "kernel") {
      activation = value("model.activation", [&] { return recipe.text("model.activation"); });
      examples = value("curve.examples", [&] { return std::to_string(recipe.integer("curve.examples")); });
    }
    const std::vector<std::pair<std::string, std::string>> rest{
        {"activation ", activation},
        {"n = ", examples},
        {"d = ", value("curve.dimension", [&] { return std::to_string(recipe.integer("curve.dimension")); })},
        {"noise ",
         value("curve.noise_variance", [&] { return fmt::format("{:g}", recipe.real("curve.noise_variance")); })},
        {"ridge ", value("curve.ridge", [&] { return fmt::format("{:g}", recipe.real("curve.ridge")); })}};
    for (const auto& [name, shown] : rest)
      if (!shown.empty()) text += ", " + name + shown;
    return text;
  }
};

}  // namespace

const Experiment& staircase() {
  static const Staircase experiment;
  return experiment;
}

}  // namespace widelab::experiments
