// A handful of members on one data set, trained by the oracle: for tests whose numbers are worked out by hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "widelab/model/param_layout.hpp"
#include "widelab/ops/train.hpp"

namespace widelab::test {

/// f_o = v_o w x, one identity unit, no biases; w is trained only if `trains_input`.
inline Network one_identity_unit(Index outputs, bool trains_input) {
  MlpShape shape;
  shape.widths = {1};
  shape.outputs = outputs;
  shape.activation = Identity{};
  InitChoice choice;
  choice.train_bias = false;
  choice.train_weights = {trains_input, true};
  return make_network(shape, choice);
}

struct SmallTraining {
  Network network;
  std::vector<double> inputs, targets;  ///< N x d, N x k
  TrainRule rule;
  std::vector<MemberSettings> settings;
  std::vector<MemberStatus> status;
  std::vector<double> parameters, moments;  ///< members x P, members x moments x P
  std::vector<double> start, displacement;  ///< empty: in place
  std::vector<std::int32_t> order_table;    ///< OrderKind::file: steps x B of the first member

  /// Full-batch descent of `members` members from the same parameters; change what the test is about, then run().
  SmallTraining(Network network_in, std::vector<double> inputs_in, std::vector<double> targets_in,
                const std::vector<double>& theta, Index members = 1)
      : network(std::move(network_in)), inputs(std::move(inputs_in)), targets(std::move(targets_in)) {
    MemberSettings one;
    one.batch = examples();
    for (Index m = 0; m < members; ++m) {
      one.ids = ids(static_cast<std::uint32_t>(m));
      settings.push_back(one);
      parameters.insert(parameters.end(), theta.begin(), theta.end());
    }
    status.resize(settings.size());
  }

  static ReplicateIds ids(std::uint32_t replicate) {
    return {{11, replicate}, {12, replicate}, {13, replicate}, {14, replicate}, {15, replicate}};
  }

  Index examples() const { return static_cast<Index>(inputs.size()) / network.shape.input_dim; }

  /// Stores theta_0 and D beside the parameters.
  void use_displacement() {
    start = parameters;
    displacement.assign(parameters.size(), 0.0);
  }

  void run(Index first, Index last) {
    moments.resize(static_cast<std::size_t>(moment_count(rule.update.kind)) * parameters.size());
    TrainGroup<double> group;
    group.network = &network;
    group.members = static_cast<Index>(settings.size());
    group.settings = settings.data();
    group.status = status.data();
    group.parameters = parameters.data();
    group.start = start.empty() ? nullptr : start.data();
    group.displacement = displacement.empty() ? nullptr : displacement.data();
    group.moments = moments.empty() ? nullptr : moments.data();
    TrainProblem<double> problem;
    problem.rule = rule;
    problem.groups = {group};
    problem.datasets = {{inputs.data(), targets.data(), examples()}};
    if (!order_table.empty()) {
      TrainData<double>& data = problem.datasets[0];
      data.order = order_table.data();
      data.order_batch = settings[0].batch;
      data.order_steps = static_cast<Index>(order_table.size()) / data.order_batch;
    }
    problem.steps = {first, last};
    reference::train(problem);
  }

  /// The parameters of member `m`.
  std::vector<double> theta(Index m = 0) const {
    const Index size = ParamLayout(network.shape).size;
    return {parameters.begin() + m * size, parameters.begin() + (m + 1) * size};
  }
};

/// f(x) = v phi(w x) with multipliers 1 and biases that are 0 and not trained; parameters are (w, 0, v, 0).
inline Network one_unit(const Activation& activation, bool train_input_weight) {
  MlpShape shape;
  shape.widths = {1};
  shape.activation = activation;
  InitChoice choice;
  choice.train_bias = false;
  choice.train_weights = {train_input_weight, true};
  return make_network(shape, choice);
}

}  // namespace widelab::test
