// The fused training body: all steps of a range of one member, written once for every device against the Block concept.
//
// Signals are stored one unit a row, examples next to each other: h and delta are n x Bp. W is n_out x n_in, row-major.
// Then forward  Z = W H,  backward  dH = W^T delta  and gradient  G = delta H^T  are products of stored matrices or
// their transposes, and the update of W happens where G appears. The results do not depend on the Block's size:
// products and sums have a fixed order (base/block.hpp), everything else is elementwise or belongs to one example, and
// transcendental functions in fp32 come from math/portable.hpp.
#pragma once

#include "kernels/shared/fused_block.hpp"
#include "kernels/shared/fused_member.hpp"
#include "kernels/shared/fused_update.hpp"
#include "widelab/base/block.hpp"

namespace widelab {

template <Block B>
class FusedTraining {
 public:
  using T = typename B::Scalar;

  WIDELAB_HD FusedTraining(B& block, const FusedMember<T>& member)
      : block_(block),
        m_(member),
        net_(*member.network),
        rule_(*member.rule),
        at_(fused_workspace(net_, member.settings.batch)),
        batch_(member.settings.batch) {}

  /// Every step of the range, or up to the one that diverges.
  WIDELAB_HD void run() {
    clear_padding();
    for (Index t = rule_.steps.first; t < rule_.steps.last; ++t) {
      choose_examples(t);
      read_batch(t);
      forward(t);
      if (diverged(t)) return;
      differentiate_loss();
      backward(t);
    }
  }

 private:
  using Matrix = StridedView<const T>;

  WIDELAB_HD T* array(Index offset) const { return m_.workspace + offset; }
  WIDELAB_HD T* units(Index offset, Index l) const { return array(offset) + net_.layers[l].first_unit * at_.rows; }
  WIDELAB_HD T* features(Index l) const { return units(at_.features, l); }
  WIDELAB_HD T* slopes(Index l) const { return units(at_.slopes, l); }
  WIDELAB_HD T* normalised(Index l) const { return units(at_.normalised, l); }
  WIDELAB_HD std::int32_t* examples() const { return reinterpret_cast<std::int32_t*>(array(at_.examples)); }
  /// d loss / d z of layer l once the backward pass has reached it; for the readout d loss / d f.
  WIDELAB_HD T* delta(Index l) const { return l == net_.depth ? array(at_.outputs) : slopes(l); }
  /// What enters layer l, fan_in x Bp.
  WIDELAB_HD Matrix entering(Index l) const {
    if (l == 0) return {array(at_.inputs), 1, at_.input_stride};
    return {features(l - 1), at_.rows, 1};
  }
  WIDELAB_HD Matrix weights(Index l) const {
    return {m_.parameters + net_.layers[l].weights, net_.layers[l].fan_in, 1};
  }
  WIDELAB_HD T unit_multiplier(const FusedLayer<T>& layer, Index unit) const {
    return layer.unit_multipliers < 0 ? T(1) : static_cast<T>(net_.unit_multipliers[layer.unit_multipliers + unit]);
  }

  /// x_s = 0 for s >= B, and the columns that round d up.
  WIDELAB_HD void clear_padding() {
    T* x = array(at_.inputs);
    block_.for_each(at_.rows * at_.input_stride, [=](Index e) { x[e] = T(0); });
    block_.sync();
  }

  /// Row of the data set in each slot.
  WIDELAB_HD void choose_examples(Index t) {
    const StepOrder step(batch_order(rule_.order, m_.settings, m_.data), t);
    std::int32_t* rows = examples();
    step.examples(block_.rank(), block_.size(), rows);
    block_.sync();
  }

  /// x_s, and y_s with fresh label noise.
  WIDELAB_HD void read_batch(Index t) {
    constexpr Index kRun = fused::copy_run<B>();
    const Index dim = net_.input_dim, stride = at_.input_stride, runs = ceil_div(dim, kRun);
    const std::int32_t* rows = examples();
    T* x = array(at_.inputs);
    const T* data = m_.data.inputs;
    block_.for_each(batch_ * runs, [=](Index e) {
      const Index s = e / runs, first = (e - s * runs) * kRun, count = dim - first < kRun ? dim - first : kRun;
      const T* from = data + rows[s] * dim + first;
      T* to = x + s * stride + first;
      WIDELAB_ELEMENTWISE
      for (Index j = 0; j < count; ++j) to[j] = from[j];
    });
    block_.for_each(batch_, [&](Index s) { read_targets(s, m_.data.targets + rows[s] * net_.outputs, t); });
    block_.sync();
  }

  WIDELAB_HD void read_targets(Index s, const T* from, Index t) {
    const Index outputs = net_.outputs, stride = at_.rows;
    const double noise = m_.settings.label_noise;
    const DrawId& id = m_.settings.ids.label_noise;
    T* y = array(at_.targets) + s;
    for (Index o = 0; o < outputs; ++o) y[o * stride] = from[o];
    if (noise <= 0) return;
    if (rule_.loss == LossKind::half_squared || rule_.loss == LossKind::squared) {
      for (Index o = 0; o < outputs; ++o)
        y[o * stride] = static_cast<T>(noisy_target(id, noise, static_cast<double>(from[o]), s, outputs, o, t));
      return;
    }
    const Index shift = label_shift(id, noise, s, outputs, t);
    if (shift == 0) return;
    if (outputs == 1) {
      y[0] = -y[0];
      return;
    }
    Index label = 0;
    for (Index o = 1; o < outputs; ++o) label = from[o] > from[label] ? o : label;
    const Index other = (label + shift) % outputs;
    y[label * stride] = from[other];
    y[other * stride] = from[label];
  }

  /// z_{l+1} = m W h_l + M b;  h = s phi(z), or s phi(LN(z));  f = m W h_L + M b.
  WIDELAB_HD void forward(Index t) {
    for (Index l = 0; l < net_.depth; ++l) {
      const bool direct = !net_.layer_norm && !net_.residual;
      if (direct) {
        visit(net_.activation, [&](const auto& phi) { activate_product(l, phi); });
      } else {
        keep_product(l);
        block_.sync();
        if (net_.layer_norm) normalise(l);
        visit(net_.activation, [&](const auto& phi) { activate_kept(l, phi); });
      }
      block_.sync();
      if (rule_.dropout_keep < 1) drop(l, t);
    }
    T* f = array(at_.outputs);
    multiply(net_.depth, [=, rows = at_.rows](Index i, Index j, Index count, const T* c, T scale, T shift) {
      WIDELAB_ELEMENTWISE
      for (Index e = 0; e < count; ++e) f[i * rows + j + e] = update_rules::fused(scale, c[e], shift);
    });
    block_.sync();
  }

  /// finish(i, j, count, c, m, M b_i) for runs of W h.
  template <class Finish>
  WIDELAB_HD void multiply(Index l, const Finish& finish) {
    const FusedLayer<T>& layer = net_.layers[l];
    const T scale = layer.weight_multiplier, gain = layer.bias_multiplier;
    const T* biases = m_.parameters + layer.biases;
    block_.matmul(layer.fan_out, at_.rows, layer.fan_in, weights(l), entering(l),
                  [=](Index i, Index j, Index count, const T* c) { finish(i, j, count, c, scale, gain * biases[i]); });
  }

  /// z = m W h + M b,  h = s phi(z),  slope = s phi'(z).
  template <class Phi>
  WIDELAB_HD void activate_product(Index l, const Phi& phi) {
    const FusedLayer<T>& layer = net_.layers[l];
    T *h = features(l), *slope = slopes(l);
    multiply(l, [=, this, rows = at_.rows, &layer](Index i, Index j, Index count, const T* c, T scale, T shift) {
      const T s = unit_multiplier(layer, i);
      T *h_run = h + i * rows + j, *slope_run = slope + i * rows + j;
      WIDELAB_ELEMENTWISE
      for (Index e = 0; e < count; ++e) {
        const T z = update_rules::fused(scale, c[e], shift);
        h_run[e] = s * phi.value(z);
        slope_run[e] = s * phi.first(z);
      }
    });
  }

  /// z = m W h + M b, in residual layers z = z_previous + alpha (m W h + M b); kept where the next phase finds it.
  WIDELAB_HD void keep_product(Index l) {
    const bool adds = net_.layers[l].residual, streams = net_.residual;
    T *z = net_.layer_norm ? normalised(l) : slopes(l), *stream = array(at_.stream);
    multiply(l, [=, rows = at_.rows](Index i, Index j, Index count, const T* c, T scale, T shift) {
      const Index at = i * rows + j;
      for (Index e = 0; e < count; ++e) {
        const T branch = update_rules::fused(scale, c[e], shift), sum = adds ? stream[at + e] + branch : branch;
        if (streams) stream[at + e] = sum;
        z[at + e] = sum;
      }
    });
  }

  /// y = (z - mean) / sd over the units of an example; a constant z maps to 0.
  WIDELAB_HD void normalise(Index l) {
    constexpr Index kGroup = fused::column_group<B>();
    const Index n = net_.layers[l].fan_out, rows = at_.rows;
    T *y = normalised(l), *inverse_sd = array(at_.inverse_sd) + l * rows;
    block_.for_each(rows / kGroup, [=](Index group) {
      T* at = y + group * kGroup;
      double mean[kGroup] = {}, square[kGroup] = {}, inverse[kGroup] = {};
      for (Index i = 0; i < n; ++i)
        for (Index g = 0; g < kGroup; ++g) mean[g] += static_cast<double>(at[i * rows + g]);
      for (Index g = 0; g < kGroup; ++g) mean[g] /= static_cast<double>(n);
      for (Index i = 0; i < n; ++i)
        for (Index g = 0; g < kGroup; ++g) {
          const double centred = static_cast<double>(at[i * rows + g]) - mean[g];
          square[g] = fma(centred, centred, square[g]);
        }
      for (Index g = 0; g < kGroup; ++g) {
        inverse[g] = square[g] > 0 ? 1.0 / sqrt(square[g] / static_cast<double>(n)) : 0.0;
        inverse_sd[group * kGroup + g] = static_cast<T>(inverse[g]);
      }
      for (Index i = 0; i < n; ++i)
        for (Index g = 0; g < kGroup; ++g)
          at[i * rows + g] = static_cast<T>((static_cast<double>(at[i * rows + g]) - mean[g]) * inverse[g]);
    });
    block_.sync();
  }

  /// h = s phi(y),  slope = s phi'(y), y what the phase before kept.
  template <class Phi>
  WIDELAB_HD void activate_kept(Index l, const Phi& phi) {
    const FusedLayer<T>& layer = net_.layers[l];
    constexpr Index kGroup = fused::column_group<B>();
    const Index groups = at_.rows / kGroup;
    T *h = features(l), *slope = slopes(l);
    const T* y = net_.layer_norm ? normalised(l) : slopes(l);
    block_.for_each(layer.fan_out * groups, [=, this, &layer](Index at) {
      const T s = unit_multiplier(layer, at / groups);
      WIDELAB_ELEMENTWISE
      for (Index e = at * kGroup; e < (at + 1) * kGroup; ++e) {
        const T z = y[e];
        h[e] = s * phi.value(z);
        slope[e] = s * phi.first(z);
      }
    });
  }

  /// h and slope times 0, or 1 (scaled: 1 / keep), one random block for four units of an example.
  WIDELAB_HD void drop(Index l, Index t) {
    constexpr Index kGroup = fused::column_group<B>();
    const Index n = net_.layers[l].fan_out, rows = at_.rows, groups = ceil_div(batch_, kGroup);
    const double keep = rule_.dropout_keep;
    const T kept = rule_.dropout_scaled ? static_cast<T>(1.0 / keep) : T(1);
    const DrawId noise = m_.settings.ids.noise;
    T *h = features(l), *slope = slopes(l);
    block_.for_each(ceil_div(n, 4) * groups, [=](Index at) {
      const Index quad = at / groups, first = (at - quad * groups) * kGroup;
      T mask[4][kGroup];
      WIDELAB_ELEMENTWISE
      for (Index e = 0; e < kGroup; ++e) {
        const PhiloxBlock block = dropout_block(noise, l, n, first + e, quad, t);
        for (int k = 0; k < 4; ++k) mask[k][e] = dropout_keeps(block.w[k], keep) ? kept : T(0);
      }
      for (int k = 0; k < 4 && 4 * quad + k < n; ++k) {
        T *h_run = h + (4 * quad + k) * rows + first, *slope_run = slope + (4 * quad + k) * rows + first;
        WIDELAB_ELEMENTWISE
        for (Index e = 0; e < kGroup; ++e) {
          h_run[e] *= mask[k][e];
          slope_run[e] *= mask[k][e];
        }
      }
    });
    block_.sync();
  }

  /// Whether an output of the batch is not a number or beyond the limit; then the member's status says so.
  WIDELAB_HD bool diverged(Index t) {
    const T* f = array(at_.outputs);
    const Index outputs = net_.outputs, batch = batch_, rows = at_.rows;
    const double limit = rule_.divergence_limit;
    const auto beyond = [=](Index s) {
      T found = T(0);
      for (Index o = 0; o < outputs; ++o) found = fabs(static_cast<double>(f[o * rows + s])) <= limit ? found : T(1);
      return found;
    };
    if (block_.sum(batch, beyond) == T(0)) return false;
    if (block_.rank() == 0) {
      double largest = 0;
      for (Index e = 0; e < outputs * batch; ++e) {
        const double now = fabs(static_cast<double>(f[e / batch * rows + e % batch]));
        largest = now > largest || now != now ? now : largest;
        if (largest != largest) break;
      }
      *m_.status = {TrainStatus::diverged, t, largest};
    }
    return true;
  }

  /// delta_{L+1} = c d loss / d f, in place of f.
  WIDELAB_HD void differentiate_loss() {
    const Index outputs = net_.outputs, rows = at_.rows;
    const LossKind loss = rule_.loss;
    const T c = static_cast<T>(reduction_factor(rule_.reduction, batch_, m_.data.examples, outputs));
    T* f = array(at_.outputs);
    const T* y = array(at_.targets);
    block_.for_each(batch_, [=](Index s) {
      loss_slope(loss, f + s, y + s, outputs, rows, f + s);
      for (Index o = 0; o < outputs; ++o) f[o * rows + s] *= c;
    });
    block_.sync();
  }

  /// Down to the lowest trained layer: delta of the layer below by the old weights, then the layer's own update.
  WIDELAB_HD void backward(Index t) {
    for (Index l = net_.depth; l >= net_.lowest_trained; --l) {
      if (l > net_.lowest_trained) {
        propagate_back(l);
        block_.sync();
        if (net_.layer_norm) normalise_back(l - 1);
      }
      const FusedLayer<T>& layer = net_.layers[l];
      if (layer.weight_rate > 0) update_weights(l, step_at(layer.weight_rate, t), t);
      if (layer.bias_rate > 0) update_biases(l, step_at(layer.bias_rate, t), t);
    }
    block_.sync();
  }

  /// delta_{l-1} = (m W_l^T delta_l) slope, plus delta_l through a residual stream without LayerNorm.
  WIDELAB_HD void propagate_back(Index l) {
    const FusedLayer<T>& layer = net_.layers[l];
    const T scale = layer.weight_multiplier;
    const T* above = delta(l);
    T* below = slopes(l - 1);
    const bool adds = layer.residual && !net_.layer_norm;
    const Matrix signals{above, at_.rows, 1};
    block_.matmul(layer.fan_in, at_.rows, layer.fan_out, weights(l).transposed(), signals,
                  [=, rows = at_.rows](Index i, Index j, Index count, const T* c) {
                    T* run = below + i * rows + j;
                    const T* stream = above + i * rows + j;
                    if (adds) {
                      WIDELAB_ELEMENTWISE
                      for (Index e = 0; e < count; ++e) run[e] = update_rules::fused(scale * c[e], run[e], stream[e]);
                    } else {
                      WIDELAB_ELEMENTWISE
                      for (Index e = 0; e < count; ++e) run[e] *= scale * c[e];
                    }
                  });
  }

  /// dz = (g - mean(g) - y mean(g y)) / sd over the units of an example, g = dy, in place; plus delta of the layer
  /// above through a residual stream.
  WIDELAB_HD void normalise_back(Index l) {
    constexpr Index kGroup = fused::column_group<B>();
    const Index n = net_.layers[l].fan_out, rows = at_.rows;
    T* g = slopes(l);
    const T *y = normalised(l), *inverse_sd = array(at_.inverse_sd) + l * rows;
    const T* stream = net_.layers[l + 1].residual ? delta(l + 1) : nullptr;
    block_.for_each(rows / kGroup, [=](Index group) {
      const Index first = group * kGroup;
      double mean[kGroup] = {}, overlap[kGroup] = {};
      for (Index i = 0; i < n; ++i)
        for (Index j = 0; j < kGroup; ++j) {
          const double slope = static_cast<double>(g[i * rows + first + j]);
          mean[j] += slope;
          overlap[j] = fma(slope, static_cast<double>(y[i * rows + first + j]), overlap[j]);
        }
      for (Index j = 0; j < kGroup; ++j) {
        mean[j] /= static_cast<double>(n);
        overlap[j] /= static_cast<double>(n);
      }
      for (Index i = 0; i < n; ++i)
        for (Index j = 0; j < kGroup; ++j) {
          const Index at = i * rows + first + j;
          const double centred = fma(-static_cast<double>(y[at]), overlap[j], static_cast<double>(g[at]) - mean[j]);
          const T dz = static_cast<T>(centred * static_cast<double>(inverse_sd[first + j]));
          g[at] = stream ? dz + stream[at] : dz;
        }
    });
    block_.sync();
  }

  WIDELAB_HD UpdateStep<T> step_at(double relative_rate, Index t) const {
    const StepFactors& now = rule_.factors[t - rule_.steps.first];
    return make_update_step<T>(rule_.update, m_.settings.learning_rate * now.schedule * relative_rate,
                               m_.settings.weight_decay, m_.settings.temperature, now.adam);
  }

  WIDELAB_HD ParameterState<T> state(Index at) const {
    T* v = m_.moments;
    T* s = v && moment_count(rule_.update.kind) > 1 ? v + net_.parameters : nullptr;
    return ParameterState<T>{m_.parameters, m_.start, m_.displacement, v, s}.from(at);
  }

  /// W += increment(m delta h^T).
  WIDELAB_HD void update_weights(Index l, const UpdateStep<T>& step, Index t) {
    const FusedLayer<T>& layer = net_.layers[l];
    const Matrix signals{delta(l), at_.rows, 1}, features_below = entering(l).transposed();
    const ParameterState<T> weights = state(layer.weights);
    const Index quads = ceil_div(layer.fan_in, 4);
    const StreamId noise = m_.settings.ids.noise.stream(Stream::langevin_weights, static_cast<std::uint8_t>(l));
    const T* draws = step.noise == T(0) ? nullptr : fused::normal_draws(block_, noise, layer.fan_out * quads, t);
    fused::with_rule(rule_.update.kind, [&](auto rule) {
      block_.matmul(layer.fan_out, layer.fan_in, batch_, signals, features_below,
                    [=, this, &layer](Index i, Index j, Index count, const T* c) {
                      fused::update_weights<decltype(rule)::kKind>(
                          step, weights.from(i * layer.fan_in + j), {l, i, layer.fan_in, j, t}, m_.settings.ids.noise,
                          draws ? draws + i * quads * 4 + j : nullptr, count, layer.weight_multiplier, c);
                    });
    });
  }

  /// b += increment(M delta 1). Biases that enter no signal (M = 0) have gradient 0; decay and noise still move them.
  WIDELAB_HD void update_biases(Index l, const UpdateStep<T>& step, Index t) {
    constexpr Index kGroup = fused::column_group<B>();
    const FusedLayer<T>& layer = net_.layers[l];
    const ParameterState<T> biases = state(layer.biases);
    const DrawId noise = m_.settings.ids.noise;
    const StreamId stream = noise.stream(Stream::langevin_biases, static_cast<std::uint8_t>(l));
    const T* drawn = step.noise == T(0) ? nullptr : fused::normal_draws(block_, stream, ceil_div(layer.fan_out, 4), t);
    fused::with_rule(rule_.update.kind, [&](auto rule) {
      const auto move = [=, scale = layer.bias_multiplier](Index i, Index count, const T* sums) {
        T draws[kGroup] = {};
        if (step.noise != T(0))
          for (Index e = 0; e < count; ++e)
            draws[e] = drawn ? drawn[i + e] : static_cast<T>(langevin_bias_draw(noise, l, i + e, t));
        fused::update_as<decltype(rule)::kKind>(step, biases.from(i), count, scale, sums, draws);
      };
      if (layer.bias_multiplier != T(0))
        fused::row_sums(block_, layer.fan_out, batch_, Matrix{delta(l), at_.rows, 1}, move);
      else
        leave_out(layer.fan_out, move);
    });
  }

  /// move(i, count, 0) for i < n.
  template <class Move>
  WIDELAB_HD void leave_out(Index n, const Move& move) {
    constexpr Index kGroup = fused::column_group<B>();
    block_.for_each(ceil_div(n, kGroup), [=](Index group) {
      const T none[kGroup] = {};
      const Index first = group * kGroup;
      move(first, n - first < kGroup ? n - first : kGroup, none);
    });
  }

  B& block_;
  const FusedMember<T>& m_;
  const FusedNetwork<T>& net_;
  const FusedRule& rule_;
  const FusedWorkspace at_;
  const Index batch_;
};

/// Trains one member through the steps of its rule; every worker of the Block calls it with the same arguments. A
/// member that is not running must not be passed.
template <Block B>
WIDELAB_HD void train_fused_member(B& block, const FusedMember<typename B::Scalar>& member) {
  FusedTraining<B>(block, member).run();
}

}  // namespace widelab
