// Training by the textbook: one member after the other, one example after the other.
#include "widelab/ops/train.hpp"

#include <cmath>
#include <utility>
#include <vector>

#include "kernels/reference/jacobian.hpp"
#include "kernels/reference/naive_network.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/ops/train_checks.hpp"

namespace widelab::reference {
namespace {

/// One member: what it trains with, and its rows of the group's arrays.
struct Trainee {
  const TrainRule& rule;
  const Network& network;
  const MemberSettings& settings;
  const TrainData<double>& data;
  MemberStatus& status;
  double* parameters;
  const double* start;   ///< null: in place
  double* displacement;  ///< null: in place
  double *v, *s;         ///< null where the rule has no such moment
};

Trainee make_trainee(const TrainProblem<double>& problem, const TrainGroup<double>& group, Index m) {
  const MemberSettings& settings = group.settings[m];
  const Index size = ParamLayout(group.network->shape).size, moments = moment_count(problem.rule.update.kind);
  double* v = moments > 0 ? group.moments + m * moments * size : nullptr;
  return {problem.rule,
          *group.network,
          settings,
          problem.datasets[static_cast<std::size_t>(settings.dataset)],
          group.status[m],
          group.parameters + m * size,
          group.start ? group.start + m * size : nullptr,
          group.displacement ? group.displacement + m * size : nullptr,
          v,
          moments > 1 ? v + size : nullptr};
}

/// The targets of data row `row`, in `slot` at step `t`, with the label noise of this use.
std::vector<double> targets_at_use(const Trainee& member, Index row, Index slot, Index t) {
  const Index k = member.network.shape.outputs;
  const double* clean = member.data.targets + row * k;
  std::vector<double> y(clean, clean + k);
  const double noise = member.settings.label_noise;
  const DrawId& id = member.settings.ids.label_noise;
  if (noise == 0) return y;
  if (member.rule.loss == LossKind::half_squared || member.rule.loss == LossKind::squared) {
    for (Index o = 0; o < k; ++o)
      y[static_cast<std::size_t>(o)] = noisy_target(id, noise, y[static_cast<std::size_t>(o)], slot, k, o, t);
    return y;
  }
  const Index shift = label_shift(id, noise, slot, k, t);
  if (shift == 0) return y;
  if (k == 1) {
    y[0] = -y[0];
    return y;
  }
  Index label = 0;
  for (Index o = 1; o < k; ++o)
    if (y[static_cast<std::size_t>(o)] > y[static_cast<std::size_t>(label)]) label = o;
  std::swap(y[static_cast<std::size_t>(label)], y[static_cast<std::size_t>((label + shift) % k)]);
  return y;
}

/// Factors of dropout on the features of every hidden layer; empty without dropout.
std::vector<std::vector<double>> dropout_masks(const Trainee& member, Index slot, Index t) {
  const double keep = member.rule.dropout_keep;
  std::vector<std::vector<double>> masks;
  if (keep >= 1) return masks;
  const MlpShape& shape = member.network.shape;
  for (Index l = 0; l < shape.depth(); ++l) {
    std::vector<double> mask(static_cast<std::size_t>(shape.fan_out(l)), 0.0);
    for (Index i = 0; i < shape.fan_out(l); ++i)
      if (dropout_keeps(member.settings.ids.noise, keep, l, shape.fan_out(l), slot, i, t))
        mask[static_cast<std::size_t>(i)] = member.rule.dropout_scaled ? 1.0 / keep : 1.0;
    masks.push_back(mask);
  }
  return masks;
}

/// The largest |output|; infinity and NaN win over numbers, NaN over infinity.
double largest_output(const std::vector<Trace>& batch) {
  double largest = 0;
  for (const Trace& trace : batch)
    for (const double f : trace.output())
      if (std::isnan(f) || std::fabs(f) > largest) largest = std::isnan(largest) ? largest : std::fabs(f);
  return largest;
}

/// g = c sum_s d loss_s / d theta at the member's parameters. Returns false, with the status set, if the member
/// diverges at this step.
bool batch_gradient(Trainee& member, Index t, std::vector<double>& gradient) {
  const MlpShape& shape = member.network.shape;
  const MemberSettings& settings = member.settings;
  const StepOrder order(batch_order(member.rule.order, settings, member.data), t);
  const std::vector<double> parameters(member.parameters, member.parameters + gradient.size());

  std::vector<Trace> batch;
  for (Index slot = 0; slot < settings.batch; ++slot)
    batch.push_back(run(member.network, parameters, member.data.inputs + order.example(slot) * shape.input_dim,
                        dropout_masks(member, slot, t)));
  const double largest = largest_output(batch);
  if (!std::isfinite(largest) || largest > member.rule.divergence_limit) {
    member.status = {TrainStatus::diverged, t, largest};
    return false;
  }

  const double c = reduction_factor(member.rule.reduction, settings.batch, member.data.examples, shape.outputs);
  for (Index slot = 0; slot < settings.batch; ++slot) {
    const Trace& trace = batch[static_cast<std::size_t>(slot)];
    const std::vector<double> y = targets_at_use(member, order.example(slot), slot, t);
    std::vector<double> delta(y.size());
    loss_slope(member.rule.loss, trace.output().data(), y.data(), shape.outputs, Index{1}, delta.data());
    for (double& d : delta) d *= c;
    const std::vector<double> one = pullback(member.network, parameters, trace, delta);
    for (std::size_t p = 0; p < one.size(); ++p) gradient[p] += one[p];
  }
  return true;
}

/// Moves parameter p by the rule's increment.
void move(Trainee& member, const UpdateStep<double>& step, Index p, double gradient, double draw) {
  double unused = 0;
  double& v = member.v ? member.v[p] : unused;
  double& s = member.s ? member.s[p] : unused;
  const double increment = update_increment(step, member.parameters[p], gradient, draw, v, s);
  if (member.displacement) {
    member.displacement[p] += increment;
    member.parameters[p] = member.start[p] + member.displacement[p];
  } else {
    member.parameters[p] += increment;
  }
}

/// Step `t` of the trained weights and biases of layer `l`.
void move_layer(Trainee& member, Index l, Index t, const std::vector<double>& gradient) {
  const TrainRule& rule = member.rule;
  const MemberSettings& settings = member.settings;
  const LayerScale& scale = member.network.layers[static_cast<std::size_t>(l)];
  const ParamLayout layout(member.network.shape);
  const Index rows = member.network.shape.fan_out(l), cols = member.network.shape.fan_in(l);
  const Index weights = layout.weight_offset[static_cast<std::size_t>(l)];
  const Index biases = layout.bias_offset[static_cast<std::size_t>(l)];
  const DrawId& noise = settings.ids.noise;
  const bool noisy = is_noisy(rule.update.kind);
  const auto step_at = [&](double relative_rate) {
    return make_update_step<double>(rule.update, settings.learning_rate * rule.schedule.factor(t) * relative_rate,
                                    settings.weight_decay, settings.temperature, t);
  };
  if (scale.weight_rate > 0) {
    const UpdateStep<double> step = step_at(scale.weight_rate);
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < cols; ++j) {
        const Index p = weights + i * cols + j;
        const float draw = noisy ? langevin_draw4(noise, l, i, cols, j / 4, t).v[j % 4] : 0.0f;
        move(member, step, p, gradient[static_cast<std::size_t>(p)], static_cast<double>(draw));
      }
  }
  if (scale.bias_rate > 0) {
    const UpdateStep<double> step = step_at(scale.bias_rate);
    for (Index i = 0; i < rows; ++i) {
      const float draw = noisy ? langevin_bias_draw(noise, l, i, t) : 0.0f;
      move(member, step, biases + i, gradient[static_cast<std::size_t>(biases + i)], static_cast<double>(draw));
    }
  }
}

}  // namespace

void train(const TrainProblem<double>& problem) {
  check_train(problem);
  for (const TrainGroup<double>& group : problem.groups) {
    const ParamLayout layout(group.network->shape);
    for (Index m = 0; m < group.members; ++m) {
      Trainee member = make_trainee(problem, group, m);
      for (Index t = problem.steps.first; t < problem.steps.last; ++t) {
        if (member.status.status != TrainStatus::running) break;
        std::vector<double> gradient(static_cast<std::size_t>(layout.size), 0.0);
        if (!batch_gradient(member, t, gradient)) break;
        for (Index l = 0; l < group.network->shape.layers(); ++l) move_layer(member, l, t, gradient);
      }
    }
  }
}

}  // namespace widelab::reference
