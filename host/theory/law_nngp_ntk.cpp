#include "host/theory/infinite_width.hpp"
#include "host/theory/laws.hpp"

namespace widelab::theory {

TheoryEntry nngp_ntk_entry() {
  const std::vector<ParamDoc> network =
      network_docs({"depth", "activation", "sigma_w2", "sigma_b2", "bias_init_std", "train_bias", "parametrization",
                    "width", "input_dim", "weight_law", "residual", "layer_norm"}, {"depth"});
  TheoryEntry entry;
  entry.name = "nngp-ntk";
  entry.description = "Infinite-width NNGP and NTK between two inputs, with both diagonals and every layer.";
  entry.source = "Lee et al. 2018 (NNGP), Jacot et al. 2018 (NTK)";
  entry.domain = "any depth, activation and parametrisation; n -> infinity (see `caveat`); relu'(0) = 0";
  entry.params = overlap_docs() + network;
  entry.evaluate = [network](const Params& params) {
    const Network net = network_of(params, network);
    const std::vector<LayerKernels> layers = kernels_by_layer(net, inner_products(params, net.shape));
    std::vector<double> nngp, ntk;
    for (const LayerKernels& layer : layers) {
      nngp.push_back(layer.nngp.k12);
      ntk.push_back(layer.ntk.k12);
    }
    const LayerKernels& last = layers.back();
    std::vector<NamedValue> values{{"nngp", last.nngp.k12},   {"ntk", last.ntk.k12},     {"nngp11", last.nngp.k11},
                                   {"nngp22", last.nngp.k22}, {"ntk11", last.ntk.k11},   {"ntk22", last.ntk.k22},
                                   {"nngp_by_layer", nngp},   {"ntk_by_layer", ntk}};
    const std::string caveat = infinite_width_caveat(net);
    if (!caveat.empty()) values.push_back({"caveat", caveat});
    return values;
  };
  return entry;
}

}  // namespace widelab::theory
