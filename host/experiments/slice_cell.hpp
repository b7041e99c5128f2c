// One cell of `effective-landscape`, the network: replicas that go on from trained networks, seen in a plane through
// each, and the loss on that plane.
//
// A network is trained for train.steps steps; its plane is spanned by e_1, the leading eigenvector of the Hessian of
// the mean training loss there, and e_2, a later one (slice.flat). Replicas go on with batches of their own; after
// slice.burn_in steps every slice.thin steps their places x_i = e_i.(theta - <theta>) are noted, <theta> the mean over
// the replicas at that step, so that drift of all of them is left out. With v_i the variance of x_i over replicas,
// averaged over the noted steps, u_i = x_i / sqrt(v_i) is counted on a grid. The loss is that of the training set at
// <<theta>> + u_1 sqrt(v_1) e_1 + u_2 sqrt(v_2) e_2, <<theta>> the mean over replicas and noted steps.
#pragma once

#include <string>
#include <vector>

#include "host/experiments/sample_job.hpp"
#include "host/experiments/training_cell.hpp"

namespace widelab::experiments {

/// Numbers of each of the two directions.
enum class SliceNumber : Index {
  curvature,       ///< h, eigenvalue at the checkpoint
  gradient_noise,  ///< c, variance of single examples' gradients along it
  variance,        ///< v
  linear,          ///< v of linear theory: v' = (1 - eta h)^2 v + eta^2 f c from 0 on, averaged as v is
  drift            ///< distance that the replicas' mean goes from the first to the last noted step
};
inline constexpr Index kSliceNumbers = 5;

struct SliceCell {
  TrainingCell training;
  Index replicas = 0, steps = 0, burn_in = 0, thin = 1;
  Index flat = 9;         ///< eigenvector number of e_2, from 0; e_1 is number 0
  Index bins = 12;        ///< a side
  double extent = 2.5;    ///< the grid covers -extent .. extent in u
  std::uint64_t key = 0;  ///< of the replicas' batches
  std::string fingerprint;

  Index draws() const { return (steps - burn_in) / thin; }
  double middle(Index bin) const {
    return extent * (2 * (static_cast<double>(bin) + 0.5) / static_cast<double>(bins) - 1);
  }

  // Columns of a network's row. Grids: u_1 (sharp) outermost.
  Index number(Index direction, SliceNumber which) const {
    return direction * kSliceNumbers + static_cast<Index>(which);
  }
  Index visits(Index sharp, Index flat_bin) const { return 2 * kSliceNumbers + sharp * bins + flat_bin; }  ///< counts
  Index loss(Index sharp, Index flat_bin) const { return visits(bins, 0) + sharp * bins + flat_bin; }
  Index numbers() const { return loss(bins, 0); }
};

/// Keys of `[slice]`.
std::vector<io::KeySpec> slice_keys();

/// Throws RecipeError for a design without draws, rules but plain sgd at one rate, and noise besides batches.
SliceCell make_slice_cell(const RunSetup& setup, const io::Cell& at);

SampleTask slice_task(const SliceCell& cell, runtime::Backend& backend);
CellPlan plan_slice_cell(const SliceCell& cell, const std::string& name);

}  // namespace widelab::experiments
