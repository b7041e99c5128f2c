#include "host/experiments/linearisation.hpp"

#include <utility>

#include "widelab/base/errors.hpp"

namespace widelab::experiments {
namespace {

class PredictionObserver : public engine::Observer {
 public:
  PredictionObserver(Index outputs, Index test_examples, double first_share, bool train_loss)
      : outputs_(outputs), numbers_(test_examples * outputs), first_share_(first_share), train_loss_(train_loss) {}
  std::string name() const override { return "predictions"; }
  Index entries() const override { return numbers_ + (train_loss_ ? 1 : 0); }
  engine::ObserverNeeds needs() const override { return {.outputs = true, .train_outputs = train_loss_}; }
  void observe(const engine::MemberView& member, std::span<double> out) const override {
    if (train_loss_) {
      out[0] = loss(member);
      out = out.subspan(1);
    }
    for (std::size_t i = 0; i < member.outputs.size(); ++i)
      out[i] = member.outputs[i] - first_share_ * member.first_outputs[i];
  }

 private:
  double loss(const engine::MemberView& member) const {
    double squares = 0;
    for (std::size_t i = 0; i < member.train_outputs.size(); ++i) {
      const double residual = member.train_outputs[i] - member.train_targets[i];
      squares += residual * residual;
    }
    return squares / (static_cast<double>(member.train_outputs.size()) / static_cast<double>(outputs_));
  }

  Index outputs_, numbers_;
  double first_share_;
  bool train_loss_;
};

/// Adds factor times the outputs of the network, as it is drawn for `init`, to the targets.
void add_initial_outputs(runtime::Backend& backend, const Network& network, const DrawId& init, double factor,
                         engine::TrainSet& set) {
  std::vector<double> outputs(static_cast<std::size_t>(set.examples * network.shape.outputs));
  ForwardProblem<double> problem;
  problem.network = &network;
  problem.weights = {1, &init, nullptr};
  problem.inputs = matrix_view(set.inputs.data(), set.examples, network.shape.input_dim);
  problem.outputs = outputs.data();
  backend.forward(problem);
  for (std::size_t i = 0; i < outputs.size(); ++i) set.targets[i] += factor * outputs[i];
}

}  // namespace

Network linearise(Network network, double gamma) {
  for (LayerScale& layer : network.layers) {
    layer.weight_rate *= gamma * gamma;
    layer.bias_rate *= gamma * gamma;
  }
  network.layers.back().weight_multiplier /= gamma;
  network.layers.back().bias_multiplier /= gamma;
  return network;
}

void shift_targets(engine::TrainingSpec& spec, runtime::Backend& backend, const Network& original, double factor) {
  if (spec.online) {
    spec.online = [online = spec.online, member = spec.member, original, factor, &backend](Index dataset, Index first,
                                                                                           Index count) {
      engine::TrainSet set = online(dataset, first, count);
      add_initial_outputs(backend, original, member(static_cast<std::uint32_t>(dataset)).ids.init, factor, set);
      return set;
    };
    return;
  }
  std::vector<engine::TrainSet> own;
  for (Index r = 0; r < spec.replicates; ++r) {
    const MemberSettings settings = spec.member(static_cast<std::uint32_t>(r));
    engine::TrainSet set = spec.task.datasets[static_cast<std::size_t>(settings.dataset)];
    add_initial_outputs(backend, original, settings.ids.init, factor, set);
    own.push_back(std::move(set));
  }
  spec.task.datasets = std::move(own);
  spec.member = [member = spec.member](std::uint32_t replicate) {
    MemberSettings settings = member(replicate);
    settings.dataset = replicate;
    return settings;
  };
}

std::shared_ptr<const engine::Observer> predictions(Index outputs, Index test_examples, double first_share,
                                                    bool train_loss) {
  return std::make_shared<PredictionObserver>(outputs, test_examples, first_share, train_loss);
}

void require_squared_risk(const TrainingCell& cell) {
  if (cell.data.test.examples == 0) throw RecipeError("data.test_examples = 0: there is no risk without any");
  if (cell.curvature == 0)
    throw RecipeError("train.loss: risks are measured in squared errors here: take \"half-squared\"");
  if (cell.train.unit == RateUnit::own_kernel || cell.train.unit == RateUnit::sharpness)
    throw RecipeError(
        "train.rate_unit: networks of one cell share a learning rate here: take \"per-step\" or "
        "\"1/lambda_max\"");
}

std::optional<std::size_t> cell_beside(const io::Sweep& sweep, std::size_t cell, const std::string& label,
                                       const std::string& value) {
  for (std::size_t c = 0; c < sweep.cells.size(); ++c) {
    const auto &here = sweep.cells[cell].coordinates, &there = sweep.cells[c].coordinates;
    bool same = c != cell && here.size() == there.size();
    for (std::size_t k = 0; same && k < here.size(); ++k)
      same = here[k].first == there[k].first && there[k].second == (here[k].first == label ? value : here[k].second);
    if (same) return c;
  }
  return std::nullopt;
}

}  // namespace widelab::experiments
