#include "host/theory/finite_width.hpp"
#include "host/theory/laws.hpp"

namespace widelab::theory {

TheoryEntry forward_kurtosis_entry() {
  std::vector<ParamDoc> network = network_docs({"depth", "width", "sigma_w2"}, {"depth", "width"});
  network.back().fallback = std::string("2");
  TheoryEntry entry;
  entry.name = "forward-kurtosis";
  entry.description = "Conditional output variance G of a deep ReLU network: E G^2/(E G)^2 = prod(1 + 5/n_l), the "
                      "output's kurtosis (3 times that), and mean and variance of log G.";
  entry.source = "G = G_1 prod v chi^2_N with N ~ Binomial(n, 1/2); Hanin and Nica 2020 for the log-normal limit";
  entry.domain = "ReLU, one input, no biases, Gaussian weights; log-moments given a live output (probability `alive`)";
  entry.params = std::vector<ParamDoc>{{"q", "1", "squared norm of the input |x|^2/d, positive"}} + network;
  entry.evaluate = [network](const Params& params) -> std::vector<NamedValue> {
    const Network net = network_of(params, network);
    const ForwardKernel g = deep_relu_forward_kernel(net, params.number("q"));
    return {{"mean", g.moments.mean},      {"ratio", g.moments.ratio()}, {"kurtosis", 3.0 * g.moments.ratio()},
            {"log_mean", g.log_mean},      {"log_variance", g.log_variance}, {"alive", g.alive}};
  };
  return entry;
}

}  // namespace widelab::theory
