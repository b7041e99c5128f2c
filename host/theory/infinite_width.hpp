// NNGP and NTK of a fully connected network in the limit of infinite width, for every activation, parametrisation,
// trained subset of layers, LayerNorm, residual branches and per-unit multipliers that model/ can express.
//
// With the scales of one layer (model/parametrization.hpp) and fan-in n,
//   K_1 = M^2 + v x.x',             T_1 = k_w x.x' + k_b,
//   K' = M^2 + v n F,               T' = k_w n F + k_b + v n D T,
// where M^2 = bias variance, v = weight variance, k_w and k_b = the kernel weights of a layer's parameters (0 when
// frozen), F = mean(s^2) E[phi(u) phi(v)] and D = mean(s^2) E[phi'(u) phi'(v)] for (u, v) ~ N(0, K). LayerNorm
// replaces K and T by K / sqrt(K11 K22) and T / sqrt(K11 K22) in front of phi; a residual branch of strength alpha
// gives K + alpha^2 K' and T + alpha^2 T'. Finite widths enter only through the scales, so that in the standard,
// muP and mean-field parametrisations the result is the leading order at the network's own widths.
// Sources: Lee et al. 2018 (NNGP), Jacot et al. 2018 (NTK); LayerNorm and residual branches derived here: the Jacobian
// of LayerNorm differs from 1 / sqrt(K11) by projections of rank two, and skip and branch are uncorrelated.
#pragma once

#include <string>
#include <vector>

#include "widelab/base/types.hpp"
#include "widelab/base/view.hpp"
#include "widelab/math/gaussian_moments.hpp"
#include "widelab/model/parametrization.hpp"

namespace widelab::theory {

/// Kernels between two sets of inputs, row-major rows x cols; for several outputs they multiply the identity.
struct KernelPair {
  Index rows = 0, cols = 0;
  std::vector<double> nngp, ntk;
};

/// Kernels of the pre-activations of one layer for one pair of inputs, the diagonal entries included.
struct LayerKernels {
  KernelTriple nngp{}, ntk{};
};

/// One input: NNGP and NTK of a layer's pre-activations.
struct DiagonalKernels {
  double nngp = 0.0, ntk = 0.0;
};

/// Symmetric Gram matrices of `x` (one input a row, N x input_dim). Equal inputs give equal entries, bit for bit.
KernelPair infinite_width_kernels(const Network& network, MatrixView<const double> x);

/// Gram matrices between the rows of `x1` (N1 x input_dim) and of `x2` (N2 x input_dim).
KernelPair infinite_width_kernels(const Network& network, MatrixView<const double> x1, MatrixView<const double> x2);

/// Kernels of layers 1 .. L+1 (entry 0 .. L) of one pair, from its inner products (x.x, x.x', x'.x').
/// Throws RecipeError if they are not the inner products of two vectors.
std::vector<LayerKernels> kernels_by_layer(const Network& network, KernelTriple inner_products);

/// The same on the diagonal, from x.x.
std::vector<DiagonalKernels> diagonal_by_layer(const Network& network, double squared_norm);

/// In words, what keeps the formulas from being the exact limit of this network (weights of the first layer or
/// biases that are not Gaussian, unequal unit multipliers); empty if nothing does.
std::string infinite_width_caveat(const Network& network);

}  // namespace widelab::theory
