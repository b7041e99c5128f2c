#include "host/theory/finite_width.hpp"
#include "host/theory/laws.hpp"

namespace widelab::theory {

TheoryEntry one_hidden_variance_entry() {
  const std::vector<ParamDoc> network =
      network_docs({"activation", "width", "sigma_w2", "sigma_b2", "bias_init_std", "train_bias", "parametrization",
                    "input_dim", "weight_law"}, {"width"});
  TheoryEntry entry;
  entry.name = "one-hidden-variance";
  entry.description = "Exact mean and variance of the NTK and of the feature kernel with one hidden layer.";
  entry.source = "sum over independent units; Cho and Saul 2009 for the ReLU integrals";
  entry.domain = "one hidden layer, any activation and width, Gaussian first layer; exact at finite width";
  entry.params = overlap_docs() + network;
  entry.evaluate = [network](const Params& params) -> std::vector<NamedValue> {
    const Network net = network_of(params, network);
    const KernelTriple x = inner_products(params, net.shape);
    const OneHiddenNtk ntk = one_hidden_ntk(net, x);
    const EntryMoments features = one_hidden_feature_kernel(net, x);
    const double n = static_cast<double>(net.shape.widths.front());
    return {{"ntk_mean", ntk.entry.mean},
            {"ntk_variance", ntk.entry.variance},
            {"ntk_n_times_variance", n * ntk.entry.variance},
            {"ntk_cross_output_variance", ntk.cross_output_variance},
            {"nngp_mean", features.mean},
            {"nngp_variance", features.variance},
            {"nngp_n_times_variance", n * features.variance}};
  };
  return entry;
}

}  // namespace widelab::theory
