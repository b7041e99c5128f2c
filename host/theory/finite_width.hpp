// Exact laws of networks of finite width: nothing here is an expansion in 1/n, except where a name says `limit`.
#pragma once

#include <string>
#include <vector>

#include "widelab/base/types.hpp"
#include "widelab/math/gaussian_moments.hpp"
#include "widelab/model/parametrization.hpp"

namespace widelab::theory {

// ---- one hidden layer: a sum of independent units --------------------------------------------------------------

/// Mean and variance of one random kernel entry.
struct EntryMoments {
  double mean = 0.0, variance = 0.0;
};

/// The NTK entry Theta(x, x') of a network with one hidden layer, any activation, biases, unit multipliers, frozen
/// parameters, and readout weights of any elementwise law. With q = k_w1 x.x' + k_b1, v = readout weight variance, a_j
/// readout draws of unit variance, p = phi(z_j), e = phi'(z_j),
///   Theta = k_b2 + sum_j s_j^2 (k_w2 p p' + v q a_j^2 e e'),
/// so the mean is the infinite-width kernel at every width and
///   Var Theta = sum_j s_j^4 {k_w2^2 E[(pp')^2] + 2 k_w2 v q E[pp'ee'] + v^2 q^2 E[a^4] E[(ee')^2] - E[summand]^2}.
/// `cross_output_variance`: variance of the entry between two different outputs (whose mean is 0).
/// Source: derived in this file from the sum over units; ReLU without biases agrees with the arc-cosine integrals of
/// Cho and Saul 2009. Throws RecipeError outside its domain (one hidden layer, Gaussian first layer, no LayerNorm).
struct OneHiddenNtk {
  EntryMoments entry;
  double cross_output_variance = 0.0;
};
OneHiddenNtk one_hidden_ntk(const Network& network, KernelTriple inner_products);

/// The entry G(x, x') = bias variance + v sum_j s_j^2 p p' of the readout's kernel given the hidden layer's weights.
EntryMoments one_hidden_feature_kernel(const Network& network, KernelTriple inner_products);

// ---- deep ReLU networks, one input -----------------------------------------------------------------------------

/// First two moments of a positive random variable. `ratio` = second / mean^2.
struct SecondMoment {
  double mean = 0.0, second = 0.0;
  double ratio() const { return second / (mean * mean); }
};

/// E[Theta(x, x)] and E[Theta(x, x)^2] (one output) of a ReLU network of any depth and widths whose hidden biases start
/// at zero (trained or not); relu'(0) = 0. Derived from Theta = sum_l (k_w |h_{l-1}|^2 + k_b) |delta_l|^2, with masks
/// that are independent Bernoulli(1/2) for even moments, and the recursion over layers of (|R|_F^4, |R R^T|_F^2) for
/// products R = D W D ... D. Bias terms carry the probability that no layer below is dead. Equal widths and
/// sigma_w^2 = 2 without biases give (1+5/n)^L {1/3 + 2/3 (L+1)^-2 sum_lm r^|l-m|}, r = (1-1/n)/(1+5/n); compare
/// Hanin and Nica 2020. Throws RecipeError outside its domain.
SecondMoment deep_relu_ntk_diagonal(const Network& network, double squared_norm);

/// lim E[Theta^2]/E[Theta]^2 for L, n -> infinity at beta = L / n, sigma_w^2 = 2, all weights trained, no biases:
/// e^{5 beta} [1/3 + (6 beta - 1 + e^{-6 beta}) / (27 beta^2)].
double deep_relu_ntk_ratio_limit(double beta);

/// The kernel G_{L+1}(x, x) given all weights but the readout's, i.e. the conditional variance of the output. Its ratio
/// is prod_l (1 + 5 / n_l) = E f^4 / (3 (E f^2)^2) for one output and Gaussian readout weights.
/// log_mean and log_variance are conditional on an output that is not identically zero, of probability `alive`:
/// G = G_1 prod_l v_l chi^2_{N_l}, N_l ~ Binomial(n_l, 1/2) given N_l >= 1. Throws RecipeError outside its domain.
struct ForwardKernel {
  SecondMoment moments;
  double log_mean = 0.0, log_variance = 0.0, alive = 1.0;
};
ForwardKernel deep_relu_forward_kernel(const Network& network, double squared_norm);

/// First four cumulants of a random variable.
struct Cumulants {
  double mean = 0.0, second = 0.0, third = 0.0, fourth = 0.0;
};

/// The same kernel's cumulants. chi^2_N with N ~ Binomial(n, 1/2) is a sum of n independent B g^2, of cumulants 1/2, 5/4,
/// 11/2, 279/8; central moments of the product over layers follow factor by factor, without cancellation at large n.
/// Derived in this file. Same domain.
Cumulants deep_relu_forward_cumulants(const Network& network, double squared_norm);

}  // namespace widelab::theory
