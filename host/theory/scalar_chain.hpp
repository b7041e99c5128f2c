// The kernels of a single input, layer by layer, as a random walk: given G_l the units of layer l are iid N(0, G_l), so
//   G_{l+1} = M^2 + v sum_j s_j^2 phi(sqrt(G_l) g_j)^2,   g_j iid N(0, 1),
// is an exact scalar Markov chain at every width.
#pragma once

#include <vector>

#include "widelab/model/parametrization.hpp"

namespace widelab::theory {

/// One layer of the chain to first order in the inverse widths: G_l has mean `mean` + O(1/n) and variance
/// `variance` + O(1/n^2). `chi_parallel` = dK_{l+1}/dK_l, absent (0) in the last entry.
struct ChainLayer {
  double mean = 0.0, variance = 0.0, chi_parallel = 0.0;
};

/// Layers 1 .. L+1 (entry 0 .. L) from x.x, any activation and any widths:
///   Var G_{l+1} = v^2 sum_j s_j^4 (E phi^4 - (E phi^2)^2) + chi_par^2 Var G_l,  chi_par = v sum_j s_j^2 chi / (2 K^2),
/// chi = E[phi^2 (z^2 - K)]; the single-input four-point vertex is V = n Var G. Source: Roberts, Yaida and Hanin 2022,
/// chapter 4, generalised to unequal widths and unit multipliers. Throws RecipeError with LayerNorm, residual branches
/// or weights and biases that are not Gaussian.
std::vector<ChainLayer> scalar_chain(const Network& network, double squared_norm);

}  // namespace widelab::theory
