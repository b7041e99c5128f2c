// Where an op finds the weights of the members of an ensemble.
#pragma once

#include "widelab/base/types.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab {

/// Weights of `members` networks of one shape: `stored` (members x ParamLayout::size, on the op's device), or, where
/// that is null, regenerated from `init` (members ids, in host memory) whenever a tile of them is needed. Both give
/// the same bits. Laws that are not elementwise (orthogonal, file) exist only as stored weights.
template <class T>
struct MemberWeights {
  Index members = 0;
  const DrawId* init = nullptr;
  const T* stored = nullptr;
};

}  // namespace widelab
