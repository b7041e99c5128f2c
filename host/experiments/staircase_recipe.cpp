// The recipe of a staircase: keys, and the cell that they describe.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/experiments/curve_sizes.hpp"
#include "host/experiments/recipe_model.hpp"
#include "host/experiments/recipe_seeds.hpp"
#include "host/experiments/staircase_cell.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/base/nearest.hpp"
#include "widelab/math/activation_names.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab::experiments {

using io::KeySpec;
using io::KeyType;

std::vector<KeySpec> staircase_keys() {
  const auto sweepable = [](KeySpec spec) {
    spec.sweepable = true;
    return spec;
  };
  const auto choice = [](const char* path, const char* value, const char* doc, std::vector<std::string> choices) {
    KeySpec spec = io::make_key(path, KeyType::text, fmt::format("\"{}\"", value), doc);
    spec.choices = std::move(choices);
    return spec;
  };
  std::vector<KeySpec> keys{
      sweepable(choice(
          "curve.kind", "kernel",
          "kernel: kernel ridge regression over the number of examples. random-features: phi = model.activation,\n"
          "weights on the sphere, over the number of features at curve.examples examples. tangent: alike, first-layer\n"
          "tangent features of relu, over the number of parameters N d. Swept, sizes are parameters of each kind.",
          {"kernel", "random-features", "tangent"})),
      sweepable(io::make_key("curve.kernel", KeyType::text, "\"exp\"",
                             "h(t), t = <x, x'>: exp = e^t, inverse(c) = 1 / (1 - t/c), nt-first-layer = t (pi - "
                             "arccos t) / 2 pi,\nnngp and ntk = infinitely wide network of [model] at |x|^2 = d.")),
      sweepable(io::make_key("curve.dimension", KeyType::integer, "12", "d; inputs are uniform on the sphere of R^d.",
                             theory::kLeastSphereDimension, 4096)),
      sweepable(io::make_key("curve.examples", KeyType::integer, "300",
                             "random-features, tangent: number of examples n.", 1, 100000)),
      io::make_key("curve.target_power", KeyType::real_list, "[0.0, 0.4, 0.3, 0.2, 0.1]",
                   "E f_l^2 of the target's degrees l = 0, 1, ...; coefficients are reported of all of them.", 0, 1e6),
      sweepable(io::make_key("curve.noise_variance", KeyType::real, "0.0", "Of the labels.", 0, 1e6)),
      sweepable(io::make_key("curve.ridge", KeyType::real, "1e-6",
                             "lambda in |y - f|^2 + lambda alpha^T K alpha (features: lambda |a|^2); 0 = least norm.",
                             0, 1e12)),
      choice("curve.ridge_convention", "sum",
             "sum: as above, one factorisation a curve. mean: lambda times n, for kernels a factorisation a size.",
             {"sum", "mean"}),
  };
  const std::vector<KeySpec> sizes = curve_size_keys(10, 300, 12);
  keys.insert(keys.end(), sizes.begin(), sizes.end());
  return keys;
}

double StaircaseCell::sum_ridge(std::size_t size) const {
  return theory::sum_ridge(convention, ridge,
                           {by_kernel() ? 1.0 : static_cast<double>(units(size)),
                            static_cast<double>(examples_of(size)), static_cast<double>(dimension)});
}

namespace {

/// h of curve.kernel.
theory::SphereKernel read_kernel(const io::Recipe& recipe, Index dimension) {
  const std::string& text = recipe.text("curve.kernel");
  if (text == "nngp" || text == "ntk")
    return theory::network_kernel(network_from(recipe, dimension),
                                  text == "ntk" ? theory::NetworkKernel::ntk : theory::NetworkKernel::nngp);
  const std::vector<std::string> names{"exp", "inverse", "nt-first-layer", "nngp", "ntk"};
  const std::string name = text.substr(0, text.find('('));
  if (std::find(names.begin(), names.end(), name) == names.end())
    throw RecipeError(
        fmt::format("curve.kernel = \"{}\": did you mean \"{}\"? One of exp, inverse(c), nt-first-layer, "
                    "nngp, ntk",
                    text, nearest_name(name, names)));
  return theory::parse_sphere_kernel(text);
}

StaircaseCell::Kind kind_of(const std::string& name) {
  if (name == "kernel") return StaircaseCell::Kind::kernel;
  return name == "tangent" ? StaircaseCell::Kind::tangent : StaircaseCell::Kind::random_features;
}

/// Numbers of parameters: multiples of d of tangent features.
std::vector<Index> read_sizes(const io::Recipe& recipe) {
  const bool tangent = kind_of(recipe.text("curve.kind")) == StaircaseCell::Kind::tangent;
  return curve_sizes(recipe, tangent ? recipe.integer("curve.dimension") : 1);
}

/// Spectrum and coefficients of random or tangent features.
void read_features(const io::Recipe& recipe, StaircaseCell& cell) {
  const std::string& name = recipe.text("model.activation");
  cell.examples = recipe.integer("curve.examples");
  cell.activation = parse_activation(name);
  cell.coefficient = theory::funk_hecke(cell.activation, cell.dimension, theory::kMostDegrees);
  if (cell.kind == StaircaseCell::Kind::random_features) {
    cell.spectrum = theory::activation_spectrum(cell.activation, cell.dimension, theory::kMostDegrees);
  } else {
    if (!(cell.activation == Activation(Relu{})))
      throw RecipeError(fmt::format(
          "model.activation = \"{}\": tangent features have a closed population risk for relu alone; set it "
          "to relu, or curve.kind to random-features",
          name));
    cell.spectrum = theory::sphere_spectrum(theory::first_layer_tangent_kernel(), cell.dimension, theory::kMostDegrees);
  }
  if (cell.ridge == 0 && std::find(cell.sizes.begin(), cell.sizes.end(), cell.examples) != cell.sizes.end())
    throw RecipeError(
        fmt::format("curve.ridge = 0 with {} features for {} examples: the expected risk is infinite "
                    "there; give a positive ridge, or leave that size out",
                    cell.examples, cell.examples));
}

/// Cells share one axis of sizes, and only features have a number of examples beside it.
void require_one_layout(const RunSetup& setup, const StaircaseCell& cell) {
  if (cell.sizes != read_sizes(io::at_cell(*setup.recipe, setup.sweep.cells.front())))
    throw RecipeError(
        "curve.first, curve.last and curve.points give other sizes to other cells, since tangent features have d "
        "parameters a unit: give curve.sizes, multiples of every curve.dimension");
  for (const io::SweepAxis& axis : setup.sweep.axes)
    if (cell.by_kernel() && axis.key == "curve.examples")
      throw RecipeError(
          "curve.examples is swept with curve.kind = \"kernel\", whose curve runs over the examples by itself: give "
          "them as curve.sizes, and sweep curve.examples of random-features or tangent alone");
}

std::string key_text(const StaircaseCell& cell) {
  return fmt::format("{:016x}{:016x}{:016x}", cell.data_key, cell.noise_key, cell.init_key);
}

}  // namespace

StaircaseCell staircase_from(const io::Recipe& recipe) {
  StaircaseCell cell;
  cell.kind = kind_of(recipe.text("curve.kind"));
  cell.dimension = recipe.integer("curve.dimension");
  cell.sizes = read_sizes(recipe);
  cell.target_power = recipe.reals("curve.target_power");
  cell.noise_variance = recipe.real("curve.noise_variance");
  cell.ridge = recipe.real("curve.ridge");
  cell.convention =
      recipe.text("curve.ridge_convention") == "mean" ? theory::RidgeConvention::mean : theory::RidgeConvention::sum;
  const std::size_t most = theory::kMostDegrees + 1;
  if (cell.target_power.empty() || cell.target_power.size() > most)
    throw RecipeError(fmt::format("curve.target_power has {} entries: must be from 1 to {}, degree 0 first",
                                  cell.target_power.size(), most));
  if (!cell.by_kernel()) {
    read_features(recipe, cell);
    return cell;
  }
  cell.examples = cell.sizes.back();
  cell.kernel = read_kernel(recipe, cell.dimension);
  cell.spectrum = theory::sphere_spectrum(cell.kernel, cell.dimension, theory::kMostDegrees);
  cell.coefficient = cell.spectrum.eigenvalue;
  return cell;
}

StaircaseCell make_staircase_cell(const RunSetup& setup, const io::Cell& at) {
  check_shared(*setup.recipe, setup.sweep);
  StaircaseCell cell = staircase_from(io::at_cell(*setup.recipe, at));
  require_one_layout(setup, cell);
  const std::string name = drawn_name(*setup.recipe, at);
  cell.data_key = role_key(setup.seed, "data", name);
  cell.noise_key = role_key(setup.seed, "label_noise", name);
  cell.init_key = role_key(setup.seed, "init", name);
  cell.replicates = setup.recipe->integer("seeds.replicates");
  cell.limits = setup.limits;
  cell.fingerprint = key_text(cell);
  return cell;
}

}  // namespace widelab::experiments
