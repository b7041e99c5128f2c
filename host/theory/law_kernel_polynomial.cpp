#include "host/theory/laws.hpp"
#include "host/theory/sphere_spectrum.hpp"

namespace widelab::theory {

TheoryEntry kernel_polynomial_entry() {
  TheoryEntry entry;
  entry.name = "kernel-polynomial";
  entry.description =
      "Kernel ridge regression on the sphere in the limit n / B(d, l) -> ratio: the risk while degree l is being "
      "learned, with a peak near ratio = 1 where tail and ridge are small.";
  entry.source = "Misiakiewicz 2022; Hu and Lu 2022; Xiao et al. 2022";
  entry.domain = "d -> infinity; degrees below l are learned, those above act as noise and ridge";
  entry.params = {{"ratio", "1", "n / B(d, l)"},
                  {"level_trace", "0.5", "mu_l = lim B(d, l) lambda_l; h^(l)(0) / l! (exp at l = 2: 0.5)"},
                  {"tail_trace", "0.21828182845904509", "sum of mu_k over k > l (exp at l = 2: e - 2.5)"},
                  {"ridge", "0", "added to the diagonal of the kernel matrix"},
                  {"level_power", "0.3", "power of the target at degree l"},
                  {"tail_power", "0.3", "power of the target above degree l"},
                  {"noise", "0.05", "variance of the label noise"}};
  entry.evaluate = [](const Params& params) -> std::vector<NamedValue> {
    const PolynomialRegime regime{params.number("ratio"),
                                  params.number("level_trace"),
                                  params.number_at_least("tail_trace", 0.0),
                                  params.number_at_least("ridge", 0.0),
                                  params.number_at_least("level_power", 0.0),
                                  params.number_at_least("tail_power", 0.0),
                                  params.number_at_least("noise", 0.0)};
    const PolynomialRisk risk = polynomial_risk(regime);
    return {{"excess", risk.excess},
            {"test", risk.excess + regime.noise_variance},
            {"learned", risk.learned},
            {"effective_ridge", risk.effective_ridge},
            {"upsilon", risk.upsilon}};
  };
  return entry;
}

}  // namespace widelab::theory
