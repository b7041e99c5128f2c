// The result of `lazy-gap` from its cells.
#pragma once

#include "host/experiments/experiment.hpp"

namespace widelab::experiments {

/// Over cells and observed steps: risk, training loss, overlap, escapes, distance to the linearisation; over cells:
/// quantiles of the escape step, and the risk of regressions beside its prediction. Shown beside, and not held against:
///   distance_slope   d log E|f - f_lin|^2 / d log gamma0 -> 2 as gamma0 -> 0, with kinked activations 1 (lazy_slope)
///   escape_exponent  d log (escape step) / d log d -> max(1, k - 1) at information exponent k, logarithms left out
///                    (Ben Arous, Gheissari and Jagannath 2021, for one-pass steps that are small enough).
///   tangent features: see predicted_regression_risk.
io::Result summarise_gap(const RunSetup& setup, const CellReader& read);

}  // namespace widelab::experiments
