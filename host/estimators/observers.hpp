// The observers of trainings by name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/engine/training_job.hpp"
#include "widelab/math/losses.hpp"
#include "widelab/model/parametrization.hpp"

namespace widelab::estimators {

/// Rows first .. first + count - 1.
struct RowRange {
  Index first = 0, count = 0;
};

/// What observers need beside a member. Leave empty what no observer asks for: make_observer says what is missing.
/// Copied by every observer that uses it.
struct ObserverContext {
  Network network;
  LossKind loss = LossKind::half_squared;
  Reduction reduction = Reduction::sum;
  double hidden_factor = 1;  ///< hidden features in evaluation times this: keep of unscaled dropout, else 1

  /// Rows of TrainingSpec::evaluation_inputs.
  RowRange test, probe;
  std::vector<double> test_targets;  ///< test.count x k
  /// mu of output_products: probe.count k numbers, or times x probe.count k; empty = 0
  std::vector<double> probe_mean;

  Index kernel_count = 0;              ///< N, rows of TrainingSpec::kernel_inputs
  std::vector<double> kernel_targets;  ///< N x k

  std::vector<double> gradient_inputs;  ///< N x d: where input gradients are taken
  Index gradient_count = 0;

  std::vector<double> directions;  ///< A x d: teacher directions
  Index direction_count = 0;

  Index leading = 0;  ///< eigenvalues and singular values kept, largest first; 0 = all
};

struct ObserverDoc {
  std::string name, doc;
};

/// Every observer with its explanation.
std::vector<ObserverDoc> observer_list();

/// RecipeError for an unknown name (with the nearest), for something missing in the context, and for an observer of
/// more than 10^8 numbers.
std::shared_ptr<const engine::Observer> make_observer(const std::string& name, const ObserverContext& context);

}  // namespace widelab::estimators
