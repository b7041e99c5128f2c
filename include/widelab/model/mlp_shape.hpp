// The shape of a fully connected network: what it computes, before any scale or random number is chosen.
#pragma once

#include <string>
#include <vector>

#include "widelab/base/errors.hpp"
#include "widelab/base/types.hpp"
#include "widelab/math/activations.hpp"

namespace widelab {

/// L hidden layers and a linear readout. With multipliers m, M (model/parametrization.hpp):
///   z_1 = m_1 W_1 x + M_1 b_1,   h_l = s_l phi(LN(z_l)),   z_{l+1} = m_{l+1} W_{l+1} h_l + M_{l+1} b_{l+1},
///   f = z_{L+1}.  LN (optional) is LayerNorm over the units of a layer, without affine part or epsilon
///   (a constant row maps to 0).  With residual alpha > 0, hidden-to-hidden layers become
///   z_{l+1} = z_l + alpha (m W h_l + M b); they need equal widths.  s_l are per-unit forward multipliers.
/// Layers are numbered 0 .. L in code: layer l maps fan_in(l) -> fan_out(l), layer L is the readout.
struct MlpShape {
  Index input_dim = 1;
  std::vector<Index> widths;  ///< n_1 .. n_L, at least one
  Index outputs = 1;
  Activation activation = Relu{};
  bool layer_norm = false;
  double residual = 0.0;                             ///< alpha; 0 means no residual branches
  std::vector<std::vector<float>> unit_multipliers;  ///< empty, or one vector of n_l entries for each hidden layer

  Index depth() const { return static_cast<Index>(widths.size()); }
  Index layers() const { return depth() + 1; }
  Index fan_in(Index layer) const { return layer == 0 ? input_dim : widths[static_cast<std::size_t>(layer - 1)]; }
  Index fan_out(Index layer) const { return layer == depth() ? outputs : widths[static_cast<std::size_t>(layer)]; }
  bool is_residual(Index layer) const { return residual != 0.0 && layer > 0 && layer < depth(); }
  const float* multipliers(Index hidden) const {
    return unit_multipliers.empty() ? nullptr : unit_multipliers[static_cast<std::size_t>(hidden)].data();
  }
};

/// Throws RecipeError naming the first key that is out of range.
inline void validate(const MlpShape& shape) {
  const auto positive = [](Index value, const std::string& key) {
    if (value < 1) throw RecipeError(key + " = " + std::to_string(value) + ": must be at least 1");
  };
  positive(shape.input_dim, "input dimension");
  positive(shape.outputs, "model.outputs");
  if (shape.widths.empty()) throw RecipeError("model.depth = 0: at least one hidden layer is needed");
  if (shape.depth() > 250) throw RecipeError("model.depth = " + std::to_string(shape.depth()) + ": at most 250");
  for (const Index n : shape.widths) positive(n, "width");
  if (shape.residual != 0.0) {
    for (const Index n : shape.widths)
      if (n != shape.widths.front()) throw RecipeError("model.residual needs hidden layers of equal width");
  }
  if (!shape.unit_multipliers.empty()) {
    if (shape.unit_multipliers.size() != shape.widths.size())
      throw RecipeError("unit multipliers: one vector for each hidden layer is needed");
    for (std::size_t l = 0; l < shape.widths.size(); ++l)
      if (static_cast<Index>(shape.unit_multipliers[l].size()) != shape.widths[l])
        throw RecipeError("unit multipliers of hidden layer " + std::to_string(l + 1) +
                          ": need one entry for each unit");
  }
}

}  // namespace widelab
