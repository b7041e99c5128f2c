// What a run of valley walkers shows: where they stay, beside the exact law of the effective potential.
#pragma once

#include "host/experiments/experiment.hpp"

namespace widelab::experiments {

/// Density along the valley, mean curvature and equilibrium across it; distances of the density from theory and from
/// the uniform law; limits of vanishing noise where valley.along is swept at one kappa.
io::Result summarise_valley(const RunSetup& setup, const CellReader& read);

}  // namespace widelab::experiments
