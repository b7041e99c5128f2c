#include "host/experiments/recipe_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/data/npy_file.hpp"
#include "widelab/math/activation_names.hpp"

namespace widelab::experiments {

using io::KeySpec;
using io::KeyType;

namespace {

constexpr double kWidest = 4294967295.0;  // unit numbers are 32-bit in the random counters

InitKind init_kind(const std::string& name) {
  if (name == "uniform") return InitKind::uniform;
  if (name == "rademacher") return InitKind::rademacher;
  if (name == "orthogonal") return InitKind::orthogonal;
  if (name == "file") return InitKind::file;
  return InitKind::normal;
}

Parametrization parametrization(const std::string& name) {
  for (std::size_t p = 0; p < kScalingTables.size(); ++p)
    if (name == kScalingTables[p].name) return static_cast<Parametrization>(p);
  throw RecipeError("model.parametrization = \"" + name + "\" is unknown");
}

InitChoice init_choice(const io::Recipe& recipe) {
  InitChoice choice;
  choice.parametrization = parametrization(recipe.text("model.parametrization"));
  choice.sigma_w = recipe.reals("model.sigma_w");
  choice.sigma_b = recipe.real("model.sigma_b");
  choice.bias_init_std = recipe.text("model.bias_init") == "zero" ? 0.0 : 1.0;
  choice.train_bias = recipe.flag("model.train_bias");
  choice.zero_readout = recipe.flag("model.zero_readout");
  choice.pytorch_default = recipe.text("model.init") == "pytorch";
  choice.weight_law = init_kind(recipe.text("model.init"));
  choice.train_weights = recipe.flags("model.train_layers");
  choice.rates = recipe.text("model.kernel_weighting") == "learning-rates" ? RateScaling::sgd : RateScaling::plain;
  choice.richness = recipe.real("model.richness");
  return choice;
}

/// The leading n_l entries of a row for each hidden layer l: of the file's only row, or of row l.
std::vector<std::vector<float>> read_unit_multipliers(const std::string& path, const std::vector<Index>& widths) {
  const data::ArrayFile file = data::read_npy(path);
  const bool one_row = file.shape.size() == 1;
  const Index rows = one_row ? 1 : file.rows(), columns = one_row ? file.rows() : file.columns();
  if (rows != 1 && rows != static_cast<Index>(widths.size()))
    throw DataError(
        fmt::format("{}: {} rows of unit multipliers: give one row, or one for each of the {} hidden layers", path,
                    rows, widths.size()));
  std::vector<std::vector<float>> multipliers;
  for (std::size_t l = 0; l < widths.size(); ++l) {
    if (columns < widths[l])
      throw DataError(
          fmt::format("{}: {} unit multipliers in a row, but hidden layer {} has {} units: give as many as "
                      "the widest layer has",
                      path, columns, l + 1, widths[l]));
    std::vector<float> layer(static_cast<std::size_t>(widths[l]));
    for (Index j = 0; j < widths[l]; ++j)
      layer[static_cast<std::size_t>(j)] =
          static_cast<float>(file.stored((rows == 1 ? 0 : static_cast<Index>(l) * columns) + j));
    if (!std::all_of(layer.begin(), layer.end(), [](float s) { return std::isfinite(s); }))
      throw DataError(path + ": a unit multiplier is NaN or infinite");
    multipliers.push_back(std::move(layer));
  }
  return multipliers;
}

}  // namespace

std::vector<KeySpec> model_keys() {
  const auto key = [](std::string path, KeyType type, std::string value, std::string doc, bool sweepable = false) {
    KeySpec spec = io::make_key(std::move(path), type, std::move(value), std::move(doc));
    spec.sweepable = sweepable;
    return spec;
  };
  const auto within = [](KeySpec spec, double lo, double hi) {
    spec.minimum = lo;
    spec.maximum = hi;
    return spec;
  };
  const auto among = [](KeySpec spec, std::vector<std::string> choices) {
    spec.choices = std::move(choices);
    return spec;
  };
  return {
      within(key("model.width", KeyType::integer, "256", "Width n of every hidden layer.", true), 1, kWidest),
      within(key("model.depth", KeyType::integer, "1", "Number L of hidden layers.", true), 1, 250),
      within(key("model.widths", KeyType::integer_list, "[]",
                 "Hidden widths one by one, instead of width and depth; [] = not used."),
             1, kWidest),
      within(key("model.outputs", KeyType::integer, "1", "Number of outputs; kernels are means over outputs.", true), 1,
             100000),
      key("model.activation", KeyType::text, "\"relu\"",
          "identity, relu, leaky-relu(a), ab-relu(a,b), erf, gelu, tanh, sin, cos, quadratic, hermite(k), "
          "hermite-series(c0,c1,..).\nrelu'(0) = 0.",
          true),
      among(key("model.parametrization", KeyType::text, "\"ntk\"",
                "Scaling of multipliers, initial weights and learning rates with width.", true),
            {"ntk", "standard", "mup", "mean-field"}),
      within(key("model.sigma_w", KeyType::real_list, "[1.4142135623730951]",
                 "Weight gain: one, or one for each of the L + 1 layers."),
             0, 1e6),
      within(key("model.sigma_b", KeyType::real, "0.0", "Bias gain; 0 = no biases.", true), 0, 1e6),
      among(key("model.bias_init", KeyType::text, "\"random\"",
                "Initial biases: \"random\" (std 1 times the gain) or \"zero\"."),
            {"random", "zero"}),
      key("model.train_bias", KeyType::boolean, "true", "Whether biases count as trained parameters."),
      key("model.train_layers", KeyType::boolean_list, "[]",
          "One flag for each of the L + 1 layers; [] = all are trained."),
      among(key("model.init", KeyType::text, "\"normal\"",
                "Law of the initial weights; \"pytorch\" = its uniform default for Linear.", true),
            {"normal", "uniform", "rademacher", "orthogonal", "pytorch", "file"}),
      key("model.weights_path", KeyType::text, "\"\"",
          "init = \"file\": .npy of networks x parameters; layer by layer, weights (outputs x inputs, row-major), then "
          "biases."),
      key("model.zero_readout", KeyType::boolean, "false", "Start the readout at zero."),
      key("model.layer_norm", KeyType::boolean, "false", "LayerNorm over units on pre-activations, no affine part.",
          true),
      within(key("model.residual", KeyType::real, "0.0",
                 "Strength alpha of residual branches between hidden layers; 0 = none.", true),
             0, 1e6),
      key("model.unit_multipliers_path", KeyType::text, "\"\"",
          "Forward multipliers of hidden units (h = s phi(z)): .npy with one row, or one for each hidden layer; a "
          "layer\nof n units takes the first n. \"\" = all 1."),
      within(key("model.richness", KeyType::real, "1.0",
                 "gamma0: the output is divided by it and learning rates are multiplied by its square (Adam: by it).",
                 true),
             1e-9, 1e9),
      among(key("model.kernel_weighting", KeyType::text, "\"plain\"",
                "NTK = sum over parameters of gradient products, each times 1 (\"plain\") or times its relative "
                "learning rate."),
            {"plain", "learning-rates"}),
  };
}

Network network_from(const io::Recipe& recipe, Index input_dim, std::optional<RateScaling> rates) {
  MlpShape shape;
  shape.input_dim = input_dim;
  if (const auto& widths = recipe.integers("model.widths"); !widths.empty())
    shape.widths.assign(widths.begin(), widths.end());
  else
    shape.widths.assign(static_cast<std::size_t>(recipe.integer("model.depth")), recipe.integer("model.width"));
  shape.outputs = recipe.integer("model.outputs");
  shape.activation = parse_activation(recipe.text("model.activation"));
  shape.layer_norm = recipe.flag("model.layer_norm");
  shape.residual = recipe.real("model.residual");
  if (const std::string& path = recipe.text("model.unit_multipliers_path"); !path.empty())
    shape.unit_multipliers = read_unit_multipliers(path, shape.widths);
  InitChoice choice = init_choice(recipe);
  if (rates) choice.rates = *rates;
  return make_network(shape, choice);
}

std::string describe_network(const io::Recipe& recipe) {
  const auto swept = [&](const std::string& key) {
    for (const io::SweepEntry& entry : recipe.content().sweep)
      if (entry.key == key) return true;
    return false;
  };
  std::string text;
  const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (!swept("model.activation")) add(recipe.text("model.activation"));
  if (!swept("model.depth")) add(fmt::format("{} hidden layers", recipe.integer("model.depth")));
  if (!swept("model.parametrization")) add(recipe.text("model.parametrization") + " parametrisation");
  std::string gains;
  for (const double sigma : recipe.reals("model.sigma_w"))
    gains += (gains.empty() ? "" : ", ") + fmt::format("{:.4g}", sigma);
  add("sigma_w = " + gains);
  if (!swept("model.sigma_b"))
    add(recipe.real("model.sigma_b") > 0 ? fmt::format("sigma_b = {:.4g}", recipe.real("model.sigma_b")) : "no biases");
  if (!swept("model.layer_norm") && recipe.flag("model.layer_norm")) add("LayerNorm");
  if (!swept("model.residual") && recipe.real("model.residual") > 0)
    add(fmt::format("residual {:.3g}", recipe.real("model.residual")));
  return text;
}

}  // namespace widelab::experiments
