// Where a member's parameters lie when they are stored: layer by layer, weights (fan_out x fan_in, row-major),
// then biases (fan_out), without padding.
#pragma once

#include <vector>

#include "widelab/base/types.hpp"
#include "widelab/model/mlp_shape.hpp"

namespace widelab {

struct ParamLayout {
  std::vector<Index> weight_offset;  ///< in elements, one for each layer
  std::vector<Index> bias_offset;
  Index size = 0;  ///< elements a member takes

  explicit ParamLayout(const MlpShape& shape) {
    for (Index l = 0; l < shape.layers(); ++l) {
      weight_offset.push_back(size);
      size += shape.fan_in(l) * shape.fan_out(l);
      bias_offset.push_back(size);
      size += shape.fan_out(l);
    }
  }
};

}  // namespace widelab
