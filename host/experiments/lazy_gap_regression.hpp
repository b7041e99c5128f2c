// Least squares on the features that the networks of a cell start with: what a network that does not move its features
// can reach with the same examples.
#pragma once

#include <functional>
#include <string>

#include "host/experiments/lazy_gap_cell.hpp"
#include "host/experiments/sample_job.hpp"

namespace widelab::experiments {

/// min_a |y - Z a|^2 + ridge |a|^2 of `members` replicates, replicate r on the first examples of network r, with its
/// first-layer weights w and biases b: columns phi(z) or, tangent, x_c phi'(z) / sqrt(d), z = s <w, x> + b with the
/// network's own scale s. Without biases each w is brought to the length sqrt(d), where theory has it; with biases b is
/// drawn from its law afresh, and has a tangent column. Inputs, weights, targets and outputs are yet to be set.
RidgePathProblem regression_problem(const GapCell& cell, Index members);

/// Rows of (mean squared training residual, predictions on the test examples). `solve`: a backend's ridge_path.
SampleTask gap_regression_task(const RunSetup& setup, const io::Cell& at, const GapCell& cell,
                               std::function<void(const RidgePathProblem&)> solve);

CellPlan plan_gap_regression(const GapCell& cell, const std::string& name);

/// Expected squared test error over the variance of the test targets, label noise in both. Inputs uniform on the sphere
/// of radius sqrt(d) and a target of known power by degree: random features have the deterministic equivalent at this d
/// (Defilippis, Loureiro and Misiakiewicz 2024), tangent features of ReLU the same with N d features, a conjecture
/// (neural_tangent_regression). NaN elsewhere, with biases, and where the mean is infinite.
double predicted_regression_risk(const GapCell& cell);

}  // namespace widelab::experiments
