#include "host/engine/task_fingerprint.hpp"

#include <bit>
#include <string>

#include "widelab/math/activation_names.hpp"

namespace widelab::engine {
namespace {

class Hash {
 public:
  void add(std::uint64_t word) {
    state_ = (state_ ^ word) * 0x100000001B3ull;
    state_ ^= state_ >> 29;
  }
  void add(std::int64_t value) { add(static_cast<std::uint64_t>(value)); }
  void add(double value) { add(std::bit_cast<std::uint64_t>(value)); }
  void add(bool value) { add(std::uint64_t{value}); }
  template <class E>
  requires std::is_enum_v<E>
  void add(E value) { add(static_cast<std::uint64_t>(value)); }
  void add(const std::string& text) {
    for (const char ch : text) add(static_cast<std::uint64_t>(static_cast<unsigned char>(ch)));
  }
  void add(const DrawId& id) {
    add(id.key);
    add(std::uint64_t{id.replicate});
  }
  template <class V>
  void add(const std::vector<V>& values) {
    add(static_cast<std::uint64_t>(values.size()));
    for (const V& value : values) {
      if constexpr (std::is_integral_v<V>)
        add(static_cast<std::int64_t>(value));
      else if constexpr (std::is_floating_point_v<V>)
        add(static_cast<double>(value));
      else
        add(value);
    }
  }
  std::int64_t value() const { return static_cast<std::int64_t>(state_); }

 private:
  std::uint64_t state_ = 0xCBF29CE484222325ull;
};

void add_network(Hash& hash, const Network& network) {
  const MlpShape& shape = network.shape;
  hash.add(shape.input_dim);
  hash.add(shape.widths);
  hash.add(shape.outputs);
  hash.add(to_string(shape.activation));
  hash.add(shape.layer_norm);
  hash.add(shape.residual);
  hash.add(shape.unit_multipliers);
  for (const LayerScale& s : network.layers) {
    for (const double x :
         {s.weight_multiplier, s.weight_std, s.bias_multiplier, s.bias_std, s.weight_rate, s.bias_rate})
      hash.add(x);
    hash.add(s.weight_law);
    hash.add(s.bias_law);
  }
}

void add_rule(Hash& hash, const TrainRule& rule) {
  hash.add(rule.loss);
  hash.add(rule.reduction);
  hash.add(rule.update.kind);
  hash.add(rule.update.decoupled_decay);
  for (const double x : {rule.update.momentum, rule.update.beta1, rule.update.beta2, rule.update.epsilon}) hash.add(x);
  hash.add(rule.schedule.kind);
  for (const Index n : {rule.schedule.warmup, rule.schedule.horizon, rule.schedule.period}) hash.add(n);
  hash.add(rule.schedule.final_fraction);
  hash.add(rule.schedule.drop);
  hash.add(rule.order);
  hash.add(rule.dropout_keep);
  hash.add(rule.dropout_scaled);
  hash.add(rule.divergence_limit);
}

void add_member(Hash& hash, const MemberSettings& member) {
  for (const DrawId& id :
       {member.ids.init, member.ids.data, member.ids.label_noise, member.ids.order, member.ids.noise})
    hash.add(id);
  for (const double x : {member.learning_rate, member.weight_decay, member.temperature, member.label_noise})
    hash.add(x);
  hash.add(member.batch);
  hash.add(member.dataset);
}

}  // namespace

std::int64_t task_fingerprint(const TrainTask& task) {
  Hash hash;
  add_network(hash, task.network);
  add_rule(hash, task.rule);
  hash.add(task.precision);
  hash.add(task.storage);
  hash.add(static_cast<std::uint64_t>(task.members.size()));
  for (const MemberSettings& member : task.members) add_member(hash, member);
  hash.add(static_cast<std::uint64_t>(task.file_weights ? task.file_weights->size() : 0));
  hash.add(static_cast<std::uint64_t>(task.datasets.size()));
  if (task.rule.order == OrderKind::online) return hash.value();
  for (const TrainSet& set : task.datasets) {
    hash.add(set.examples);
    hash.add(set.inputs);
    hash.add(set.targets);
    hash.add(set.order);
    hash.add(set.order_batch);
  }
  return hash.value();
}

}  // namespace widelab::engine
