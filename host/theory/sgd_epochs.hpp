// SGD on examples whose losses are quadratic but not alike, exact at every phase of an epoch. Each order of the
// examples gives an affine map of an epoch, and averages over orders give mean and covariance of the parameters: the
// oracle of linear regression under shuffling; with the curvatures H_n of a checkpoint frozen, the part of a network's
// variance at epoch boundaries that needs no anharmonicity.
//
// Example n has the gradient g_n + H_n e, e = theta - origin. One step of a batch acts on z = (e, u, 1) (u with
// momentum only; sgd_step.hpp) as a matrix, an order of the epoch as their product P, and Z = E[z z^T] obeys Z' = E[P Z
// P^T] (moment_operator.hpp): orders are independent from epoch to epoch. At phase n the partial product takes the
// place of P. For batches drawn anew each step the matrix of a batch is the mean of its examples' matrices P_n, so that
//   E[P_B (x) P_B] = (1 - f) Pbar (x) Pbar + f mean_n(P_n (x) P_n),  f as in sgd_regression.hpp.
// Derived here. An epoch has M = floor(N / B) steps; the N mod B examples that are last in an order are not used in it.
#pragma once

#include <cstdint>
#include <vector>

#include "host/theory/moment_operator.hpp"
#include "host/theory/quadratic_samples.hpp"
#include "host/theory/sgd_step.hpp"

namespace widelab::theory {

/// How the examples of an epoch are ordered.
struct EpochOrders {
  enum class Kind { all, sampled, fixed, with_replacement, without_replacement } kind = Kind::all;
  Index count = 1600;      ///< sampled: how many orders
  std::uint64_t seed = 1;  ///< sampled: of the generator

  /// Shuffled each epoch: average over all orders, up to what cannot be told apart; at most kMostOrders of them.
  static EpochOrders all() { return {}; }
  /// Shuffled each epoch: a sample of orders, in kGroups groups for standard errors; count a multiple of kGroups.
  static EpochOrders sampled(Index count, std::uint64_t seed) { return {Kind::sampled, count, seed}; }
  /// The data's own order in every epoch: no variance.
  static EpochOrders fixed() { return {Kind::fixed, 1, 0}; }
  /// Each step a batch of its own, independent of the others: B draws with replacement, or B different examples.
  static EpochOrders with_replacement() { return {Kind::with_replacement, 0, 0}; }
  static EpochOrders without_replacement() { return {Kind::without_replacement, 0, 0}; }

  bool independent_steps() const { return kind == Kind::with_replacement || kind == Kind::without_replacement; }
  static constexpr Index kMostOrders = 500000, kGroups = 16;
};

/// Moments of the d parameters, relative to the origin. Standard errors are those of sampled orders (spread of kGroups
/// groups, each solved by itself), 0 otherwise.
struct PhaseMoments {
  std::vector<double> mean, mean_error;              ///< d
  std::vector<double> covariance, covariance_error;  ///< d x d, centred
};

class EpochMap {
 public:
  /// Throws RecipeError for sizes out of range: a state of d (2 d with momentum) above kMostState, too many orders.
  EpochMap(const QuadraticSamples& samples, const LinearTraining& training, Index batch, const EpochOrders& orders);

  Index steps_per_epoch() const { return steps_; }
  Index orders() const { return count_; }  ///< orders averaged over; 0 for independent steps

  /// Z at an epoch boundary: for all orders together, then for each group of sampled ones.
  using State = std::vector<MomentTriangle>;
  State at_rest(const std::vector<double>& start) const;  ///< all replicas at e = start (length d), u = 0
  State after(State state, Index epochs) const;
  /// The stationary law. Throws RecipeError if the second moments grow from epoch to epoch.
  State stationary() const;

  /// Moments at the boundary itself: phase 0.
  PhaseMoments boundary(const State& state) const;
  /// Phases 0 .. M of the epoch that begins at `state`; runs through all orders once more.
  std::vector<PhaseMoments> phases(const State& state) const;

  static constexpr Index kMostState = 40;

 private:
  template <class Visit>
  void for_each_order(Visit&& visit) const;
  void check() const;
  bool sampled() const { return orders_.kind == EpochOrders::Kind::sampled; }
  std::vector<double> rest() const;
  std::vector<double> objective(const Index* rows, Index count) const;
  void advance(const std::vector<double>& objective, std::vector<double>& map) const;
  void gather_orders();
  void gather_independent_step();

  QuadraticSamples samples_;
  LinearTraining training_;
  StepForm form_;
  Index batch_, steps_, count_ = 0, state_;  // state_: order of z
  EpochOrders orders_;
  std::vector<MomentOperator> operators_;  // of an epoch, or of an independent step: all, then groups
};

}  // namespace widelab::theory
