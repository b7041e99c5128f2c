#include "host/theory/finite_width.hpp"
#include "host/theory/laws.hpp"

namespace widelab::theory {
namespace {

constexpr const char* kSource =
    "derived from the layerwise sum of the NTK with Bernoulli masks; compare Hanin and Nica 2020";

/// With biases: trained and zero at initialisation; without: none.
TheoryEntry second_moment_entry(bool biases) {
  std::vector<std::string> names{"depth", "width", "sigma_w2", "parametrization", "input_dim"};
  if (biases) names.emplace_back("sigma_b2");
  std::vector<ParamDoc> network = network_docs(names, {"depth", "width"});
  for (ParamDoc& doc : network) {
    if (doc.name == "sigma_w2") doc.fallback = std::string("2");
    if (doc.name == "sigma_b2") doc = {"sigma_b2", "1", "squared multiplier of the trained, zero-initialised biases"};
  }
  TheoryEntry entry;
  entry.source = kSource;
  entry.params = std::vector<ParamDoc>{{"q", "1", "squared norm of the input |x|^2/d"}} + network;
  entry.evaluate = [network](const Params& params) -> std::vector<NamedValue> {
    InitChoice choice;
    choice.bias_init_std = 0.0;
    const Network net = network_of(params, network, MlpShape{}, choice);
    const double norm = params.number_at_least("q", 0.0) * static_cast<double>(net.shape.input_dim);
    const SecondMoment theta = deep_relu_ntk_diagonal(net, norm);
    double beta = 0.0;
    for (const Index n : net.shape.widths) beta += 1.0 / static_cast<double>(n);
    return {{"mean", theta.mean},
            {"second_moment", theta.second},
            {"ratio", theta.ratio()},
            {"variance", theta.second - theta.mean * theta.mean},
            {"beta", beta}};
  };
  return entry;
}

}  // namespace

TheoryEntry deep_relu_second_moment_entry() {
  TheoryEntry entry = second_moment_entry(false);
  entry.name = "deep-relu-second-moment";
  entry.description = "Exact E[Theta], E[Theta^2], E[Theta^2]/E[Theta]^2 for the NTK of a deep ReLU network.";
  entry.domain = "ReLU, one input, one output, any depth and widths, no biases, Gaussian weights, all trained";
  return entry;
}

TheoryEntry deep_relu_second_moment_bias_entry() {
  TheoryEntry entry = second_moment_entry(true);
  entry.name = "deep-relu-second-moment-bias";
  entry.description = "As deep-relu-second-moment, with trained biases that start at zero; dead layers included.";
  entry.domain = "as deep-relu-second-moment; hidden biases zero at initialisation; relu'(0) = 0";
  return entry;
}

TheoryEntry deep_relu_ratio_limit_entry() {
  TheoryEntry entry;
  entry.name = "deep-relu-ratio-limit";
  entry.description = "lim E[Theta^2]/E[Theta]^2 for depth and width to infinity at beta = depth / width.";
  entry.source = kSource;
  entry.domain = "ReLU, sigma_w^2 = 2, no biases, equal widths, beta >= 0";
  entry.params = {{"beta", "", "depth / width"}};
  entry.evaluate = [](const Params& params) -> std::vector<NamedValue> {
    return {{"ratio", deep_relu_ntk_ratio_limit(params.number_at_least("beta", 0.0))}};
  };
  return entry;
}

}  // namespace widelab::theory
