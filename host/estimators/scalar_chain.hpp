// The chain of single-input kernels, sampled without any network: an independent check of what networks give.
#pragma once

#include "widelab/model/parametrization.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab::estimators {

/// One draw of G_{L+1}, the output variance of a random network given its hidden layers, at one input of squared norm
/// `squared_norm`: G_1 = M^2 + v |x|^2, G_{l+1} = M^2 + v sum_i phi(sqrt(G_l) g_i)^2 with g_i i.i.d. N(0,1) from
/// Stream::scalar_chain. Exact in law at every width for normal weights without LayerNorm, residual branches or unit
/// multipliers. Source: derived in the conditional Gaussianity of a layer given the one below.
double sample_scalar_chain(const Network& network, double squared_norm, DrawId init);

}  // namespace widelab::estimators
