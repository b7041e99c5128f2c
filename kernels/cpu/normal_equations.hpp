// Z^T Z and Z^T y of one member.
#pragma once

#include "kernels/cpu/ridge_path_member.hpp"

namespace widelab::cpu {

/// Z^T Z (lower triangle) and the rows y^T Z of the first `columns` columns, by panels of examples.
struct NormalEquations {
  NormalEquations(const RidgeMember& member, Index columns);

  Buffer<double> gram;   ///< columns x columns
  Buffer<double> right;  ///< R x columns
};

}  // namespace widelab::cpu
