#include "host/theory/domain.hpp"
#include "host/theory/laws.hpp"
#include "widelab/math/activation_names.hpp"

namespace widelab::theory {

TheoryEntry dual_moments_entry() {
  TheoryEntry entry;
  entry.name = "dual-moments";
  entry.description = "E[phi(u) phi(v)] and E[phi'(u) phi'(v)] for (u, v) Gaussian with the given covariances.";
  entry.source = "Cho and Saul 2009 (ReLU), Williams 1997 (erf), Hermite series or quadrature elsewhere";
  entry.domain = "k11, k22 >= 0, k12^2 <= k11 k22; relu'(0) = 0";
  entry.params = std::vector<ParamDoc>{{"k11", "1", "Var u"}, {"k12", "1", "Cov(u, v)"}, {"k22", "1", "Var v"}} +
                 network_docs({"activation"});
  entry.evaluate = [](const Params& params) -> std::vector<NamedValue> {
    const KernelTriple k{params.number("k11"), params.number("k12"), params.number("k22")};
    require_covariance(k, "k");
    const DualMoments dual = dual_moments(parse_activation(params.text("activation")), k);
    return {{"value", dual.value}, {"slope", dual.slope}};
  };
  return entry;
}

TheoryEntry hermite_coefficients_entry() {
  TheoryEntry entry;
  entry.name = "hermite-coefficients";
  entry.description = "Coefficients of phi(sqrt(variance) g) in normalised Hermite polynomials of g ~ N(0, 1).";
  entry.source = "E[phi(sqrt(variance) g) He_k(g)] / sqrt(k!)";
  entry.domain = "variance >= 0, max_degree >= 0";
  entry.params = network_docs({"activation"}) +
                 std::vector<ParamDoc>{{"variance", "1", "variance of the argument of phi"},
                                       {"max_degree", "10", "largest degree, at most 200"}};
  entry.evaluate = [](const Params& params) -> std::vector<NamedValue> {
    const Index degree = params.count("max_degree", 0);
    if (degree > 200) throw RecipeError("max_degree = " + params.text("max_degree") + ": at most 200");
    return {{"coefficients", hermite_coefficients(parse_activation(params.text("activation")),
                                                  params.number_at_least("variance", 0.0), static_cast<int>(degree))}};
  };
  return entry;
}

}  // namespace widelab::theory
