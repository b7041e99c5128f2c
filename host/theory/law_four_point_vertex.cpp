#include "host/theory/laws.hpp"
#include "host/theory/scalar_chain.hpp"

namespace widelab::theory {

TheoryEntry four_point_vertex_entry() {
  const std::vector<ParamDoc> network =
      network_docs({"depth", "width", "activation", "sigma_w2", "sigma_b2", "bias_init_std"}, {"depth"});
  TheoryEntry entry;
  entry.name = "four-point-vertex";
  entry.description = "Mean, variance and vertex V = n_1 Var G of a single input's kernel in layers 1 .. L+1, to first "
                      "order in 1/n.";
  entry.source = "Roberts, Yaida and Hanin 2022, chapter 4";
  entry.domain = "any activation and widths, Gaussian weights, no LayerNorm or residual; corrections O(1/n) to the "
                 "mean, O(1/n^2) to the variance";
  entry.params = std::vector<ParamDoc>{{"q", "1", "squared norm of the input |x|^2/d"}} + network;
  entry.evaluate = [network](const Params& params) -> std::vector<NamedValue> {
    const Network net = network_of(params, network);
    const double n = static_cast<double>(net.shape.widths.front());
    std::vector<double> mean, variance, vertex, chi;
    for (const ChainLayer& layer : scalar_chain(net, params.number_at_least("q", 0.0))) {
      mean.push_back(layer.mean);
      variance.push_back(layer.variance);
      vertex.push_back(n * layer.variance);
      chi.push_back(layer.chi_parallel);
    }
    chi.pop_back();
    return {{"kernel", mean}, {"vertex", vertex}, {"variance", variance}, {"chi_parallel", chi}};
  };
  return entry;
}

}  // namespace widelab::theory
