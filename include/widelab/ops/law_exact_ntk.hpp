// Op `law_exact_ntk`: draws (f, NNGP Gram, NTK) of random networks exactly in law, without weight matrices.
#pragma once

#include <limits>
#include <string>

#include "widelab/base/errors.hpp"
#include "widelab/base/types.hpp"
#include "widelab/base/view.hpp"
#include "widelab/model/parametrization.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab {

/// Given G = A^T A (A the layer's augmented input, fan_in x N), a layer's pre-activations are rows N(0, G); given them,
/// W^T B = A G^+ (Z^T B - A^T xi) + xi with xi rows N(0, B^T B). Only G_l, Z_l^T B_l and B_l^T B_l are kept: memory is
/// O(L (N O)^2), the width is a loop count. Exact for normal weights at every width, below N too (pseudo-inverse).
/// Source: derived in Gaussian conditioning (Bolthausen 2014; Yang 2020); checked against explicit weights by KS tests.
/// Biases enter as one more column of W, with the input sqrt(bias variance); a bias that starts at 0 does not enter.
/// Refused with PlanError: laws other than normal, LayerNorm, residual branches, per-unit multipliers, widths >= 2^32.
/// Draws: rows of white noise, multiplied by the symmetric square root of their covariance. Pre-activations of layer
/// l = 0 .. L: stream law_exact_forward, layer l, row = unit, col = input. xi of layer l >= 1: stream
/// law_exact_backward, layer l - 1 (whose units it reaches), row = unit, col = (input, output); bias row: row `width`.
/// Directions whose variance is below law_exact_rank_tolerance times the largest are dropped, and an input whose
/// features are all exactly 0 (dead units) has pre-activations exactly 0, as it has in a network.
struct LawExactProblem {
  const Network* network = nullptr;
  const DrawId* init = nullptr;  ///< `members` ids
  Index members = 0;
  MatrixView<const double> inputs;  ///< N x d
  double* ntk = nullptr;            ///< out: members x (N O) x (N O)
  double* nngp = nullptr;           ///< out, or null: members x N x N
  double* outputs = nullptr;        ///< out, or null: members x N x O
};

/// Relative size below which an eigenvalue of a Gram of `columns` vectors is rounding: Grams are summed in blocks of at
/// most 512 units, so that an entry carries at most 512 eps of its diagonal and the eigenvalue solver adds `columns`
/// eps.
inline double law_exact_rank_tolerance(Index columns) {
  return static_cast<double>(columns + 512) * std::numeric_limits<double>::epsilon();
}

/// Throws PlanError unless the network is one whose weights can be integrated out.
inline void check_law_exact(const Network& network) {
  const auto refuse = [](const std::string& what) {
    throw PlanError("law-exact sampling needs " + what + "; use explicit weights for this network");
  };
  const MlpShape& shape = network.shape;
  if (shape.layer_norm) refuse("model.layer_norm = false");
  if (shape.residual != 0.0) refuse("model.residual = 0, not " + std::to_string(shape.residual));
  if (!shape.unit_multipliers.empty()) refuse("a model without per-unit multipliers");
  for (const LayerScale& layer : network.layers)
    if (layer.weight_law != InitKind::normal || (layer.bias_variance() > 0.0 && layer.bias_law != InitKind::normal))
      refuse("model.init = \"normal\" in every layer");
  for (const Index n : shape.widths)
    if (n > 0xFFFFFFFFll) refuse("widths up to 4294967295 (units are numbered with 32 bits), not " + std::to_string(n));
}

namespace reference {
void law_exact_ntk(const LawExactProblem& problem);
}
namespace cpu {
void law_exact_ntk(const LawExactProblem& problem);
}
/// CUDA: inputs and results in device memory, ids and the network in host memory; returns when the results are there.
namespace cuda {
struct Context;
void law_exact_ntk(Context& context, const LawExactProblem& problem);
}  // namespace cuda

}  // namespace widelab
