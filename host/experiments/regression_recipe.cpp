#include "host/experiments/regression_recipe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "host/estimators/population_risk.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/math/activation_names.hpp"

namespace widelab::experiments {

using io::KeySpec;
using io::KeyType;

Index RegressionRecipe::columns(std::size_t size) const {
  return kind == RegressionKind::tangent ? sizes[size] * dimension : sizes[size];
}

double RegressionRecipe::normalisation(std::size_t size) const {
  return linear() ? 1.0 : static_cast<double>(sizes[size]);
}

theory::RegressionSize RegressionRecipe::extents(std::size_t size) const {
  return {static_cast<double>(sizes[size]), static_cast<double>(examples), static_cast<double>(dimension)};
}

double RegressionRecipe::sum_ridge(std::size_t size, std::size_t filter) const {
  return theory::sum_ridge(convention, ridges[filter], extents(size));
}

SpectralFilter RegressionRecipe::filter(std::size_t size, std::size_t filter) const {
  if (!is_flow(filter)) return {SpectralFilter::Kind::ridge, sum_ridge(size, filter)};
  const double time = times[filter - ridges.size()];
  return {SpectralFilter::Kind::flow, time / (static_cast<double>(examples) * normalisation(size))};
}

std::vector<std::string> RegressionRecipe::filter_labels() const {
  std::vector<std::string> labels;
  for (const double ridge : ridges) labels.push_back(fmt::format("ridge={:g}", ridge));
  for (const double time : times) labels.push_back(fmt::format("time={:g}", time));
  return labels;
}

double RegressionRecipe::signal_power() const { return std::accumulate(target_power.begin(), target_power.end(), 0.0); }

std::vector<KeySpec> regression_keys() {
  const auto choice = [](const char* path, const char* value, const char* doc, std::vector<std::string> choices) {
    KeySpec spec = io::make_key(path, KeyType::text, fmt::format("\"{}\"", value), doc);
    spec.choices = std::move(choices);
    return spec;
  };
  std::vector<KeySpec> keys{
      choice("regression.kind", "random-features",
             "random-features: sum_j a_j phi(<w_j, x> / sqrt(d)). tangent: sum_j <a_j, x> phi'(<w_j, x>) / sqrt(d).\n"
             "linear: the coordinates of x themselves. projections: sum_j a_j <w_j, x>, w_j ~ N(0, 1).",
             {"random-features", "tangent", "linear", "projections"}),
      io::make_key("regression.activation", KeyType::text, "\"relu\"", "phi."),
      io::make_key("regression.dimension", KeyType::integer, "100", "d, coordinates of an input.", 3, 100000),
      io::make_key("regression.examples", KeyType::integer, "300", "n.", 2, 200000),
      io::make_key(
          "regression.sizes", KeyType::integer_list, "[75, 150, 225, 300, 375, 600, 1200]",
          "N: numbers of random features, or of neurons of a tangent model, ascending. Of no meaning for linear\n"
          "models, which have the coordinates.",
          1, 4e9),
      io::make_key("regression.size_ratios", KeyType::real_list, "[]",
                   "Instead of sizes: columns over examples, N / n (tangent: N d / n), ascending; [] = not used.", 1e-6,
                   1e6),
      choice("regression.ridge_convention", "mei-montanari",
             "What the ridges mean: sum (lambda |a|^2 beside sum_i), per-feature (lambda N), mean (lambda n),\n"
             "mei-montanari (lambda n N / d). All four are stored with the result.",
             theory::ridge_convention_names()),
      io::make_key("regression.ridges", KeyType::real_list, "[1e-4, 0.1]", "0 = least norm.", 0, 1e12),
      io::make_key("regression.times", KeyType::real_list, "[]",
                   "Times of gradient flow da/dt = Z^T (y - Z a) / n; random features are divided by sqrt(N) there.", 0,
                   1e12),
      choice("regression.inputs", "sphere", "Uniform on the sphere of radius sqrt(d), or N(0, 1).",
             {"sphere", "gaussian"}),
      choice("regression.weights", "sphere", "Uniform on the sphere of radius sqrt(d), or N(0, 1).",
             {"sphere", "normal"}),
      io::make_key(
          "regression.target_power", KeyType::real_list, "[0.0, 1.0]",
          "E f_l^2 of the target's degrees l = 0, 1, ...; of linear models and projections one for each group of\n"
          "eigenvalues.",
          0, 1e6),
      io::make_key("regression.noise_variance", KeyType::real, "0.25", "Of the labels of the training examples.", 0,
                   1e6),
      io::make_key("regression.eigenvalues", KeyType::real_list, "[1.0]",
                   "Linear models and projections: variances of the coordinates, by group.", 1e-12, 1e12),
      io::make_key("regression.counts", KeyType::integer_list, "[]",
                   "Coordinates in each group; [] = all in the one group.", 1, 1e6),
      io::make_key(
          "regression.power_law", KeyType::real_list, "[]",
          "[a, b] instead of groups: coordinate k = 1, 2, .. has variance k^-a, and its share of the target's\n"
          "power, 1 in all, is proportional to k^-b; [] = not used.",
          0, 20),
      io::make_key("regression.ensembles", KeyType::integer_list, "[2, 8]",
                   "K: mean predictions of K models with their own features, on the same data.", 2, 1e9),
  };
  const std::set<std::string> sweepable{"regression.kind", "regression.activation", "regression.dimension",
                                        "regression.examples", "regression.noise_variance"};
  for (KeySpec& spec : keys) spec.sweepable = sweepable.count(spec.path) > 0;
  return keys;
}

namespace {

void require_ascending(const std::string& key, const std::vector<std::int64_t>& sizes) {
  for (std::size_t k = 1; k < sizes.size(); ++k)
    if (sizes[k] <= sizes[k - 1])
      throw RecipeError(fmt::format("{}: {} after {}: must ascend without repetition", key, sizes[k], sizes[k - 1]));
}

/// Variances k^-a, target power proportional to k^-b and 1 in all, every coordinate a group.
void read_power_law(const std::vector<double>& exponents, RegressionRecipe& out) {
  if (exponents.size() != 2)
    throw RecipeError(fmt::format("regression.power_law has {} entries: give [a, b], or [] for groups of eigenvalues",
                                  exponents.size()));
  double sum = 0;
  out.target_power.clear();
  for (Index k = 1; k <= out.dimension; ++k) {
    out.eigenvalues.push_back(std::pow(static_cast<double>(k), -exponents[0]));
    out.target_power.push_back(std::pow(static_cast<double>(k), -exponents[1]));
    sum += out.target_power.back();
  }
  for (double& power : out.target_power) power /= sum;
  out.counts.assign(static_cast<std::size_t>(out.dimension), 1);
}

void read_spectrum(const io::Recipe& recipe, RegressionRecipe& out) {
  if (const std::vector<double>& exponents = recipe.reals("regression.power_law"); !exponents.empty())
    return read_power_law(exponents, out);
  out.eigenvalues = recipe.reals("regression.eigenvalues");
  for (const std::int64_t count : recipe.integers("regression.counts")) out.counts.push_back(count);
  if (out.counts.empty() && out.eigenvalues.size() == 1) out.counts = {out.dimension};
  const Index sum = std::accumulate(out.counts.begin(), out.counts.end(), Index{0});
  if (out.counts.size() != out.eigenvalues.size() || sum != out.dimension)
    throw RecipeError(
        fmt::format("regression.counts = {} groups of {} coordinates in all: must be one number for each of the {} "
                    "regression.eigenvalues, adding up to regression.dimension = {}",
                    out.counts.size(), sum, out.eigenvalues.size(), out.dimension));
  if (out.target_power.size() != out.eigenvalues.size())
    throw RecipeError(fmt::format(
        "regression.target_power has {} entries: this regression.kind needs one for each of its {} groups of "
        "eigenvalues",
        out.target_power.size(), out.eigenvalues.size()));
}

std::vector<Index> read_sizes(const io::Recipe& recipe, const RegressionRecipe& out) {
  const std::vector<double>& ratios = recipe.reals("regression.size_ratios");
  std::vector<std::int64_t> sizes = recipe.integers("regression.sizes");
  if (!ratios.empty()) sizes.clear();
  const Index columns = out.kind == RegressionKind::tangent ? out.dimension : 1;
  for (const double ratio : ratios)
    sizes.push_back(std::llround(ratio * static_cast<double>(out.examples) / static_cast<double>(columns)));
  if (sizes.empty()) throw RecipeError("regression.sizes = []: give the numbers of features, for example [150, 300]");
  if (sizes.front() < 1)
    throw RecipeError(fmt::format("regression.size_ratios begins with {}: less than half a feature at {} examples",
                                  ratios.front(), out.examples));
  require_ascending(ratios.empty() ? "regression.sizes" : "regression.size_ratios, as sizes", sizes);
  return {sizes.begin(), sizes.end()};
}

void read_features(const io::Recipe& recipe, RegressionRecipe& out) {
  const std::string& name = recipe.text("regression.activation");
  out.activation = parse_activation(name);
  const bool relu =
      visit(out.activation, [](const auto& f) { return std::is_same_v<std::decay_t<decltype(f)>, Relu>; });
  if (out.kind == RegressionKind::tangent && !relu)
    throw RecipeError(
        fmt::format("regression.activation = \"{}\": tangent features have a closed population risk for relu alone; "
                    "set it to relu, or regression.kind to random-features",
                    name));
  if (out.sphere_inputs && !out.sphere_weights && !estimators::FeatureOverlap::homogeneous(out.activation))
    throw RecipeError(
        fmt::format("regression.weights = \"normal\" with inputs on the sphere has a closed population risk for relu "
                    "and its relatives alone, not for \"{}\": take regression.weights = \"sphere\" or "
                    "regression.inputs = \"gaussian\"",
                    name));
  constexpr std::size_t kMostDegrees = 20;
  if (out.target_power.empty() || out.target_power.size() > kMostDegrees)
    throw RecipeError(fmt::format("regression.target_power has {} entries: give 1 to {}, one for each degree 0, 1, ...",
                                  out.target_power.size(), kMostDegrees));
}

}  // namespace

RegressionRecipe regression_from(const io::Recipe& recipe) {
  RegressionRecipe out;
  const std::string& kind = recipe.text("regression.kind");
  out.kind = kind == "linear"        ? RegressionKind::linear
             : kind == "projections" ? RegressionKind::projections
             : kind == "tangent"     ? RegressionKind::tangent
                                     : RegressionKind::random_features;
  out.dimension = recipe.integer("regression.dimension");
  out.examples = recipe.integer("regression.examples");
  out.sphere_inputs = recipe.text("regression.inputs") == "sphere";
  out.sphere_weights = recipe.text("regression.weights") == "sphere";
  const std::vector<std::string>& names = theory::ridge_convention_names();
  const auto named = std::find(names.begin(), names.end(), recipe.text("regression.ridge_convention"));
  out.convention = static_cast<theory::RidgeConvention>(named - names.begin());
  out.ridges = recipe.reals("regression.ridges");
  out.times = recipe.reals("regression.times");
  if (out.filters() == 0)
    throw RecipeError("regression.ridges = [] and regression.times = []: give at least one ridge or time");
  out.target_power = recipe.reals("regression.target_power");
  out.noise_variance = recipe.real("regression.noise_variance");
  out.sizes = out.linear() ? std::vector<Index>{out.dimension} : read_sizes(recipe, out);
  if (!out.linear()) out.size_ratios = recipe.reals("regression.size_ratios");
  if (out.on_coordinates())
    read_spectrum(recipe, out);
  else
    read_features(recipe, out);
  return out;
}

std::string describe_regression(const io::Recipe& recipe) {
  const auto value = [&](const char* path) {
    for (const io::SweepEntry& entry : recipe.content().sweep)
      if (entry.key == path) return std::string("swept");
    return io::canonical_text(recipe.content().values.at(path));
  };
  const std::string kind = value("regression.kind");
  const std::string features = kind == "linear"        ? "linear regression"
                               : kind == "projections" ? "random projections"
                                                       : value("regression.activation") + " " + kind;
  return fmt::format("{}, d = {}, n = {}, noise variance {}", features, value("regression.dimension"),
                     value("regression.examples"), value("regression.noise_variance"));
}

}  // namespace widelab::experiments
