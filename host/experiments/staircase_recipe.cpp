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
      choice("curve.kind", "kernel",
             "kernel: kernel ridge regression over the number of examples. random-features: phi = model.activation,\n"
             "weights on the sphere, over the number of features at curve.examples examples.",
             {"kernel", "random-features"}),
      sweepable(io::make_key("curve.kernel", KeyType::text, "\"exp\"",
                             "h(t), t = <x, x'>: exp = e^t, inverse(c) = 1 / (1 - t/c), nt-first-layer = t (pi - "
                             "arccos t) / 2 pi,\nnngp and ntk = infinitely wide network of [model] at |x|^2 = d.")),
      sweepable(io::make_key("curve.dimension", KeyType::integer, "12", "d; inputs are uniform on the sphere of R^d.",
                             theory::kLeastSphereDimension, 4096)),
      io::make_key("curve.examples", KeyType::integer, "300", "random-features: number of examples n.", 1, 100000),
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
  const auto points = static_cast<double>(sizes[size]);
  const bool by_kernel = kind == Kind::kernel;
  return theory::sum_ridge(
      convention, ridge,
      {by_kernel ? 1.0 : points, by_kernel ? points : static_cast<double>(examples), static_cast<double>(dimension)});
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

std::string key_text(const StaircaseCell& cell) {
  return fmt::format("{:016x}{:016x}{:016x}", cell.data_key, cell.noise_key, cell.init_key);
}

}  // namespace

StaircaseCell staircase_from(const io::Recipe& recipe) {
  StaircaseCell cell;
  cell.kind =
      recipe.text("curve.kind") == "kernel" ? StaircaseCell::Kind::kernel : StaircaseCell::Kind::random_features;
  cell.dimension = recipe.integer("curve.dimension");
  cell.sizes = curve_sizes(recipe);
  cell.target_power = recipe.reals("curve.target_power");
  cell.noise_variance = recipe.real("curve.noise_variance");
  cell.ridge = recipe.real("curve.ridge");
  cell.convention =
      recipe.text("curve.ridge_convention") == "mean" ? theory::RidgeConvention::mean : theory::RidgeConvention::sum;
  const std::size_t most = theory::kMostDegrees + 1;
  if (cell.target_power.empty() || cell.target_power.size() > most)
    throw RecipeError(fmt::format("curve.target_power has {} entries: must be from 1 to {}, degree 0 first",
                                  cell.target_power.size(), most));
  if (cell.kind == StaircaseCell::Kind::kernel) {
    cell.examples = cell.sizes.back();
    cell.kernel = read_kernel(recipe, cell.dimension);
    cell.spectrum = theory::sphere_spectrum(cell.kernel, cell.dimension, theory::kMostDegrees);
    cell.coefficient = cell.spectrum.eigenvalue;
    return cell;
  }
  cell.examples = recipe.integer("curve.examples");
  cell.activation = parse_activation(recipe.text("model.activation"));
  cell.spectrum = theory::activation_spectrum(cell.activation, cell.dimension, theory::kMostDegrees);
  cell.coefficient = theory::funk_hecke(cell.activation, cell.dimension, theory::kMostDegrees);
  if (cell.ridge == 0 && std::find(cell.sizes.begin(), cell.sizes.end(), cell.examples) != cell.sizes.end())
    throw RecipeError(
        fmt::format("curve.ridge = 0 with {} features for {} examples: the expected risk is infinite "
                    "there; give a positive ridge, or leave that size out",
                    cell.examples, cell.examples));
  return cell;
}

StaircaseCell make_staircase_cell(const RunSetup& setup, const io::Cell& at) {
  check_shared(*setup.recipe, setup.sweep);
  StaircaseCell cell = staircase_from(io::at_cell(*setup.recipe, at));
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
