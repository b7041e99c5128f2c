#include <algorithm>
#include <cmath>

#include "host/theory/domain.hpp"
#include "host/theory/laws.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/math/activation_names.hpp"

namespace widelab::theory {
namespace {

/// One width for all `depth` hidden layers, or one for each.
std::vector<Index> parse_widths(const Params& params, Index depth) {
  std::vector<Index> widths;
  for (const double value : params.numbers("width")) {
    if (!(value >= 1.0 && value <= 9e15 && value == std::floor(value)))
      throw RecipeError("width = " + params.text("width") + ": widths must be integers of at least 1");
    widths.push_back(static_cast<Index>(value));
  }
  if (widths.size() == 1) widths.assign(static_cast<std::size_t>(depth), widths.front());
  if (static_cast<Index>(widths.size()) != depth)
    throw RecipeError("width = " + params.text("width") + ": needs one width, or depth = " + std::to_string(depth) +
                      " widths separated by ':'");
  return widths;
}

std::vector<double> parse_gains(const Params& params) {
  std::vector<double> gains;
  for (const double variance : params.numbers("sigma_w2")) {
    if (variance < 0.0) throw RecipeError("sigma_w2 = " + params.text("sigma_w2") + ": must not be negative");
    gains.push_back(std::sqrt(variance));
  }
  return gains;
}

const std::vector<ParamDoc>& common_docs() {
  static const std::vector<ParamDoc> docs{
      {"depth", "1", "number L of hidden layers"},
      {"width", "1024", "hidden width n, or n1:n2:...:nL"},
      {"activation", "relu", "relu, identity, erf, gelu, tanh, sin, cos, quadratic, ..."},
      {"sigma_w2", "1", "weight variance sigma_w^2, or one for each of the L + 1 layers separated by ':'"},
      {"sigma_b2", "0", "bias variance sigma_b^2; 0 means no biases"},
      {"bias_init_std", "1", "factor on the initial biases; 0: biases start at zero"},
      {"train_bias", "true", "whether biases contribute to the NTK"},
      {"parametrization", "ntk", "ntk, standard, mup or mean-field; all but ntk depend on width and input_dim"},
      {"input_dim", "1", "input dimension d"},
      {"weight_law", "normal", "initial weights: normal, uniform, rademacher or orthogonal"},
      {"residual", "0", "strength alpha of residual branches between hidden layers; 0 means none"},
      {"layer_norm", "false", "LayerNorm on the pre-activations of hidden layers"}};
  return docs;
}

InitKind read_weight_law(const Params& params) {
  return static_cast<InitKind>(params.choice("weight_law", {"normal", "uniform", "rademacher", "orthogonal"}));
}

}  // namespace

Parametrization read_parametrization(const Params& params) {
  std::vector<std::string> names;
  for (const ScalingTable& table : kScalingTables) names.emplace_back(table.name);
  return static_cast<Parametrization>(params.choice("parametrization", names));
}

std::vector<ParamDoc> operator+(std::vector<ParamDoc> first, const std::vector<ParamDoc>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

std::vector<ParamDoc> overlap_docs() {
  return {{"q11", "1", "overlap x.x/d"}, {"q12", "1", "overlap x.x'/d"}, {"q22", "1", "overlap x'.x'/d"}};
}

KernelTriple inner_products(const Params& params, const MlpShape& shape) {
  const KernelTriple q{params.number("q11"), params.number("q12"), params.number("q22")};
  require_covariance(q, "q");
  const double d = static_cast<double>(shape.input_dim);
  return {d * q.k11, d * q.k12, d * q.k22};
}

std::vector<ParamDoc> network_docs(const std::vector<std::string>& names, const std::vector<std::string>& required) {
  std::vector<ParamDoc> chosen;
  for (const std::string& name : names) {
    const auto& docs = common_docs();
    const auto found = std::find_if(docs.begin(), docs.end(), [&](const ParamDoc& doc) { return doc.name == name; });
    WIDELAB_REQUIRE(found != docs.end(), "no common parameter is called " + name);
    chosen.push_back(*found);
    if (std::find(required.begin(), required.end(), name) != required.end()) chosen.back().fallback.clear();
  }
  return chosen;
}

Network network_of(const Params& params, const std::vector<ParamDoc>& listed, MlpShape shape, InitChoice choice) {
  const auto lists = [&](const std::string& name) {
    return std::any_of(listed.begin(), listed.end(), [&](const ParamDoc& doc) { return doc.name == name; });
  };
  const Index depth = lists("depth") ? params.count("depth", 1) : 1;
  if (depth > 250) throw RecipeError("depth = " + params.text("depth") + ": at most 250");
  if (lists("width")) {
    shape.widths = parse_widths(params, depth);
  } else {
    shape.widths.assign(static_cast<std::size_t>(depth), 1);
  }
  if (lists("activation")) shape.activation = parse_activation(params.text("activation"));
  if (lists("input_dim")) shape.input_dim = params.count("input_dim", 1);
  if (lists("residual")) shape.residual = params.number("residual");
  if (lists("layer_norm")) shape.layer_norm = params.flag("layer_norm");
  if (lists("sigma_w2")) choice.sigma_w = parse_gains(params);
  if (lists("sigma_b2")) choice.sigma_b = std::sqrt(params.number_at_least("sigma_b2", 0.0));
  if (lists("bias_init_std")) choice.bias_init_std = params.number_at_least("bias_init_std", 0.0);
  if (lists("train_bias")) choice.train_bias = params.flag("train_bias");
  if (lists("parametrization")) choice.parametrization = read_parametrization(params);
  if (lists("weight_law")) choice.weight_law = read_weight_law(params);
  return make_network(shape, choice);
}

}  // namespace widelab::theory
