#include "host/experiments/lazy_gap_summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/experiments/lazy_gap_regression.hpp"
#include "host/experiments/lazy_gap_statistics.hpp"
#include "host/experiments/observables.hpp"
#include "host/experiments/observed_result.hpp"
#include "host/experiments/recipe_model.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr std::array<double, 3> kShares{0.25, 0.5, 0.75};
constexpr double kOneDeviation = 1, kInterval95 = 1.96;

double finite_or_nan(double x) { return std::isfinite(x) ? x : kNaN; }

/// The cell at the next larger value of a swept key, other coordinates the same, and the ratio of the two values.
struct NextCell {
  std::size_t cell;
  double ratio;
};
std::optional<NextCell> next_along(const io::Sweep& sweep, std::size_t cell, const std::string& key) {
  for (const io::SweepAxis& axis : sweep.axes) {
    if (axis.key != key) continue;
    const auto number = [](const io::Value& value) { return std::stod(io::canonical_text(value)); };
    const double here =
        number(axis.values[sweep.cells[cell].subscripts[static_cast<std::size_t>(&axis - sweep.axes.data())]]);
    const io::Value* next = nullptr;
    for (const io::Value& value : axis.values)
      if (number(value) > here && (!next || number(value) < number(*next))) next = &value;
    if (!next || !(here > 0)) return std::nullopt;
    const auto beside = cell_beside(sweep, cell, axis.label, io::canonical_text(*next));
    if (!beside) return std::nullopt;
    return NextCell{*beside, number(*next) / here};
  }
  return std::nullopt;
}

/// The smallest degree of a target above 0; NaN where its powers are not known.
double information_exponent(const HiddenDirections& hidden) {
  if (!hidden.power) return kNaN;
  double all = 0;
  for (const double power : *hidden.power) all += power;
  for (std::size_t k = 1; k < hidden.power->size(); ++k)
    if ((*hidden.power)[k] > 1e-12 * all) return static_cast<double>(k);
  return kNaN;
}

/// Arrays over (cell[, inner]) by name, NaN at first.
struct Extra {
  std::string description;
  Inner inner;
  std::vector<double> values;
};

class GapSummary {
 public:
  GapSummary(const RunSetup& setup, const CellGrid& grid, const GapCell& first)
      : setup_(setup),
        grid_(grid),
        steps_(first.training.spec.observed),
        directions_(static_cast<std::size_t>(first.hidden.count)),
        networks_(static_cast<std::size_t>(first.training.spec.replicates)),
        distances_(setup.sweep.cells.size()),
        slopes_(setup.sweep.cells.size()),
        medians_(setup.sweep.cells.size(), estimators::Estimate{kNaN, kNaN, 0}) {
    const Inner steps{{"step"}, {steps_.size()}};
    const Inner by_direction = directions_ > 1 ? Inner{{"step", "direction"}, {steps_.size(), directions_}} : steps;
    build("risk", "mean squared test error over the variance of the test targets", "none", steps);
    build("train_loss", "mean squared training error over the variance of the test targets", "none", steps);
    build("overlap", "largest |cosine| of a first-layer neuron with the hidden direction",
          "before training: largest |cosine| of independent isotropic neurons", by_direction);
    build("overlap_rms", "root mean square over first-layer neurons of their cosines with the hidden direction", "none",
          by_direction);
    build("escaped", "share of networks that have found every hidden direction", "none", steps);
    build("escape_time", "quantile over networks of the step at which every hidden direction is found", "none",
          {{"quantile"}, {kShares.size()}});
    build("distance_to_linearised",
          "mean over test examples of |f - f_lin|^2, network by network, over the variance "
          "of the test targets",
          "none", steps);
    build("regression_risk", "mean squared test error over the variance of the test targets",
          "deterministic equivalent at finite d; tangent features: a conjecture", {});
    build("regression_train_loss", "mean squared training error over the variance of the test targets", "none", {});
    if (swept("model.richness"))
      build("distance_slope", "d log distance_to_linearised / d log gamma0 up to the next richness",
            "the limit gamma0 -> 0: 2, with kinked activations 1", steps);
    if (swept("data.dimension"))
      build("escape_exponent", "d log (median escape step) / d log d up to the next dimension",
            "max(1, k - 1) at information exponent k, the limit d -> infinity without logarithms", {});
  }

  void add(std::size_t c, const GapCell& cell, const io::ArrayFile* file, const CellReader& read) {
    describe(c, cell);
    if (!file) return;
    if (cell.regression()) return add_regression(c, cell, read_samples(*file));
    const estimators::SampleSink sink = read_gap(cell, *file);
    add_training(c, cell, sink);
    add_escapes(c, cell, sink);
    if (cell.learner == Learner::linearised) add_distance(c, cell, sink, read);
  }

  void add_slopes() {
    for (std::size_t c = 0; c < distances_.size(); ++c) {
      if (const auto next = next_along(setup_.sweep, c, "model.richness"); next && swept("model.richness")) {
        const Samples &below = distances_[c], &above = distances_[next->cell];
        if (below.replicates < 2 || above.replicates < 2) continue;
        const Samples slopes = log_slopes(below, above, next->ratio);
        for (Index t = 0; t < slopes.numbers; ++t)
          set("distance_slope", c, static_cast<std::size_t>(t), slopes.mean(t), {slopes_[c]});
      }
      if (const auto next = next_along(setup_.sweep, c, "data.dimension"); next) {
        const estimators::Estimate &here = medians_[c], &there = medians_[next->cell];
        if (!here.defined() || !there.defined() || !(here.value > 0)) continue;
        const double scale = std::log(next->ratio);
        set("escape_exponent", c, 0,
            {std::log(there.value / here.value) / scale,
             std::hypot(here.se / here.value, there.se / there.value) / scale, std::min(here.count, there.count)},
            {std::max(1.0, extras_.at("information_exponent").values[grid_.position(c)] - 1)});
      }
    }
  }

  void write(io::Result& result) {
    result.axes.push_back(step_axis(steps_));
    if (directions_ > 1) result.axes.push_back(numbered("direction", "hidden direction", directions_));
    result.axes.push_back({"quantile", "1", "share of networks", std::vector<double>(kShares.begin(), kShares.end())});
    result.axes.push_back(numbered("network", "replicate", networks_));
    for (auto& [name, builder] : builders_) {
      io::Observable observable = builder.second.take();
      const bool limit = name == "distance_slope" || name == "escape_exponent", regression = name == "regression_risk";
      if (limit || regression) {
        std::vector<double> exact(observable.mean.size(), limit ? 0.0 : 1.0);
        if (regression) exact = held_;
        result.extras.push_back(cell_array(grid_, name + "_mean_is_exact", "0: a limit or a conjecture, shown beside",
                                           std::move(exact), builder.first));
      }
      result.observables.push_back(std::move(observable));
    }
    for (auto& [name, extra] : extras_)
      result.extras.push_back(cell_array(grid_, name, extra.description, std::move(extra.values), extra.inner));
  }

 private:
  bool swept(const std::string& key) const {
    return std::any_of(setup_.sweep.axes.begin(), setup_.sweep.axes.end(),
                       [&](const io::SweepAxis& axis) { return axis.key == key; });
  }
  void build(const std::string& name, const std::string& description, const std::string& prediction,
             const Inner& inner) {
    builders_.emplace(name, std::pair(inner, ObservableBuilder(grid_, name, "1", description, prediction, inner)));
  }
  void set(const std::string& name, std::size_t c, std::size_t entry, const estimators::Estimate& value,
           Prediction prediction = Prediction::none()) {
    builders_.at(name).second.set(c, entry, value, prediction);
  }
  double& extra(const std::string& name, const std::string& description, std::size_t c, const Inner& inner = {},
                std::size_t entry = 0) {
    Extra& found = extras_[name];
    if (found.values.empty()) found = {description, inner, std::vector<double>(grid_.size() * inner.size(), kNaN)};
    return found.values[grid_.position(c) * inner.size() + entry];
  }
  static io::Axis numbered(const std::string& name, const std::string& description, std::size_t size) {
    std::vector<double> values;
    for (std::size_t k = 0; k < size; ++k) values.push_back(static_cast<double>(k));
    return {name, "1", description, values};
  }

  void describe(std::size_t c, const GapCell& cell) {
    slopes_[c] = cell.centred ? lazy_slope(cell.training.network().shape.activation) : kNaN;
    if (held_.empty()) held_.assign(grid_.size(), 1.0);
    held_[grid_.position(c)] = cell.learner == Learner::tangent ? 0.0 : 1.0;
    extra("information_exponent", "smallest degree of the target above 0", c) = information_exponent(cell.hidden);
    extra("examples_seen", "training set of a network, or length of its stream", c) =
        static_cast<double>(cell.examples);
    extra("regression_examples", "examples of a regression, at most gap.regression_examples", c) =
        static_cast<double>(cell.regression_examples);
    extra("learning_rate_per_step", "eta", c) = cell.training.learning_rate;
    extra("target_variance", "of the test targets", c) = test_variance(cell.test());
  }

  void add_regression(std::size_t c, const GapCell& cell, const Samples& rows) {
    std::vector<const double*> outputs;
    for (Index r = 0; r < rows.replicates; ++r) outputs.push_back(rows.values.data() + r * rows.numbers + 1);
    set("regression_risk", c, 0, normalised_risk(outputs, cell.test()), {predicted_regression_risk(cell)});
    estimators::Estimate train = rows.mean(0);
    const double variance = test_variance(cell.test());
    set("regression_train_loss", c, 0, {train.value / variance, train.se / variance, train.count});
  }

  /// Mean over networks of one of their numbers.
  static estimators::Estimate mean(const estimators::SampleSink& sink, Index time, Index number, double scale = 1) {
    Samples column{sink.replicates(), 1, {}};
    for (Index r = 0; r < sink.replicates(); ++r) column.values.push_back(scale * sink.at(r, time)[number]);
    return column.mean(0);
  }

  void add_training(std::size_t c, const GapCell& cell, const estimators::SampleSink& sink) {
    const double variance = test_variance(cell.test());
    double diverged = 0;
    for (Index r = 0; r < sink.replicates(); ++r) diverged += sink.diverged(r) ? 1 : 0;
    extra("diverged", "networks that diverged; left out of means from then on", c) = diverged;
    const double chance = cell.isotropic_start
                              ? mean_largest_cosine(cell.training.network().shape.widths.front(), cell.test().dimension)
                              : kNaN;
    extra("chance_overlap", "expected overlap before training", c) = chance;
    for (Index t = 0; t < sink.times(); ++t) {
      const auto step = static_cast<std::size_t>(t);
      std::vector<const double*> outputs;
      for (Index r = 0; r < sink.replicates(); ++r)
        if (const double* f = sink.at(r, t) + cell.first_output(); std::isfinite(*f)) outputs.push_back(f);
      set("risk", c, step, normalised_risk(outputs, cell.test()));
      if (!cell.online) set("train_loss", c, step, mean(sink, t, cell.train_loss(), 1 / variance));
      const bool start = steps_[step] == 0 && cell.isotropic_start;
      for (Index a = 0; a < cell.hidden.count; ++a) {
        const std::size_t entry = step * directions_ + static_cast<std::size_t>(a);
        set("overlap", c, entry, mean(sink, t, cell.largest(a)), {start ? chance : kNaN});
        set("overlap_rms", c, entry, mean(sink, t, cell.rms(a)));
      }
    }
  }

  void add_escapes(std::size_t c, const GapCell& cell, const estimators::SampleSink& sink) {
    const std::vector<double> escapes = escape_steps(cell, sink);
    const Inner quantiles{{"quantile"}, {kShares.size()}}, networks{{"network"}, {networks_}};
    for (std::size_t t = 0; t < steps_.size(); ++t)
      set("escaped", c, t, escaped_share(escapes, static_cast<double>(steps_[t])));
    for (std::size_t q = 0; q < kShares.size(); ++q) {
      const EscapeQuantile one = escape_quantile(escapes, kShares[q], kOneDeviation),
                           wide = escape_quantile(escapes, kShares[q], kInterval95);
      const estimators::Estimate value{finite_or_nan(one.value), finite_or_nan((one.high - one.low) / 2),
                                       static_cast<double>(escapes.size())};
      set("escape_time", c, q, value);
      if (kShares[q] == 0.5) medians_[c] = value;
      extra("escape_time_low", "95 % interval, lower end", c, quantiles, q) = finite_or_nan(wide.low);
      extra("escape_time_high", "95 % interval, upper end; NaN: beyond the last step", c, quantiles, q) =
          finite_or_nan(wide.high);
    }
    double censored = 0;
    for (std::size_t r = 0; r < escapes.size() && r < networks_; ++r) {
      extra("escape_steps", "of each network; NaN: not until the last step", c, networks, r) =
          finite_or_nan(escapes[r]);
      censored += std::isfinite(escapes[r]) ? 0 : 1;
    }
    extra("censored", "networks that have not escaped by the last step", c) = censored;
  }

  void add_distance(std::size_t c, const GapCell& cell, const estimators::SampleSink& linearised,
                    const CellReader& read) {
    const auto beside = cell_beside(setup_.sweep, c, "learner", "network");
    if (!beside) return;
    const std::unique_ptr<io::ArrayFile> file = read(*beside);
    if (!file) return;
    distances_[c] = distances(cell, linearised, read_gap(make_gap_cell(setup_, setup_.sweep.cells[*beside]), *file));
    for (Index t = 0; t < distances_[c].numbers; ++t)
      set("distance_to_linearised", c, static_cast<std::size_t>(t), distances_[c].mean(t));
  }

  const RunSetup& setup_;
  const CellGrid& grid_;
  std::vector<Index> steps_;
  std::size_t directions_, networks_;
  std::map<std::string, std::pair<Inner, ObservableBuilder>> builders_;
  std::map<std::string, Extra> extras_;
  std::vector<double> held_;  ///< regressions: 0 where the prediction is a conjecture
  std::vector<Samples> distances_;
  std::vector<double> slopes_;  ///< predicted, by cell
  std::vector<estimators::Estimate> medians_;
};

std::string conventions(const io::Recipe& recipe) {
  return describe_training(recipe) +
         fmt::format(
             "; every network has initial weights and examples of its own, hidden directions are common; "
             "risks over the variance of the test targets, standard errors with that of the test set; "
             "escape: largest |cosine| above {:g} with every direction{}; regressions: |y - Z a|^2 + lambda "
             "|a|^2, without biases first-layer weights at length sqrt(d); relu'(0) = 0",
             recipe.real("gap.escape_overlap"), recipe.flag("gap.centred") ? "; outputs less those at the start" : "");
}

}  // namespace

io::Result summarise_gap(const RunSetup& setup, const CellReader& read) {
  const CellGrid grid(setup.sweep);
  const GapCell first = make_gap_cell(setup, setup.sweep.cells.front());
  GapSummary summary(setup, grid, first);
  for (std::size_t c = 0; c < setup.sweep.cells.size(); ++c)
    summary.add(c, make_gap_cell(setup, setup.sweep.cells[c]), read(c).get(), read);
  summary.add_slopes();
  io::Result result;
  result.attributes = {{"experiment", "lazy-gap"},
                       {"title", describe_network(*setup.recipe)},
                       {"data", first.training.data.train.description},
                       {"conventions", conventions(*setup.recipe)}};
  result.axes = grid.axes();
  summary.write(result);
  return result;
}

}  // namespace widelab::experiments
