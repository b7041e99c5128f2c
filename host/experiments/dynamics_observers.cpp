#include "host/experiments/dynamics_observers.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace widelab::experiments {
namespace {

using engine::MemberView;
using engine::Observer;
using engine::ObserverNeeds;
using Scene = std::shared_ptr<const DynamicsScene>;

std::size_t at(Index k) { return static_cast<std::size_t>(k); }

/// f (points x k) minus the mean of the infinite ensemble at probe p, output o.
double centred(const DynamicsScene& scene, std::size_t time, std::span<const double> f, std::size_t p, Index o) {
  const DynamicsPrediction& prediction = scene.prediction;
  const Index point = scene.probes[p];
  return f[at(point * prediction.outputs + o)] - prediction.mean(time, point, o);
}

class OutputObserver : public Observer {
 public:
  OutputObserver(Scene scene, bool against_linearisation) : scene_(std::move(scene)), shift_(against_linearisation) {}
  std::string name() const override { return shift_ ? "shift" : "centred"; }
  Index entries() const override { return static_cast<Index>(scene_->probes.size()) * scene_->prediction.outputs; }
  ObserverNeeds needs() const override {
    ObserverNeeds needs;
    needs.outputs = true;
    return needs;
  }
  void observe(const MemberView& member, std::span<double> out) const override {
    const Index k = scene_->prediction.outputs;
    std::vector<double> path;
    if (shift_) path = linearised(scene_->prediction, member.time, member.first_outputs);
    for (std::size_t p = 0; p < scene_->probes.size(); ++p)
      for (Index o = 0; o < k; ++o) {
        const std::size_t from = at(scene_->probes[p] * k + o);
        out[p * at(k) + at(o)] =
            shift_ ? member.outputs[from] - path[from] : centred(*scene_, member.time, member.outputs, p, o);
      }
  }

 private:
  Scene scene_;
  bool shift_;
};

class ProductObserver : public Observer {
 public:
  ProductObserver(Scene scene, bool against_linearisation) : scene_(std::move(scene)), shift_(against_linearisation) {}
  std::string name() const override { return shift_ ? "product_shift" : "products"; }
  Index entries() const override { return scene_->pairs(); }
  ObserverNeeds needs() const override {
    ObserverNeeds needs;
    needs.outputs = true;
    return needs;
  }
  void observe(const MemberView& member, std::span<double> out) const override {
    const Index k = scene_->prediction.outputs;
    std::vector<double> path;
    if (shift_) path = linearised(scene_->prediction, member.time, member.first_outputs);
    std::size_t pair = 0;
    for (std::size_t p = 0; p < scene_->probes.size(); ++p)
      for (std::size_t q = p; q < scene_->probes.size(); ++q, ++pair) {
        double sum = 0;
        for (Index o = 0; o < k; ++o) {
          sum += product(member.time, member.outputs, p, q, o);
          if (shift_) sum -= product(member.time, path, p, q, o);
        }
        const double limit =
            shift_ ? 0.0 : scene_->prediction.covariance(member.time, scene_->probes[p], scene_->probes[q]);
        out[pair] = sum / static_cast<double>(k) - limit;
      }
  }

 private:
  double product(std::size_t time, std::span<const double> f, std::size_t p, std::size_t q, Index o) const {
    return centred(*scene_, time, f, p, o) * centred(*scene_, time, f, q, o);
  }

  Scene scene_;
  bool shift_;
};

/// Mean of (f - g)^2 over the entries of points [first, first + count).
double mean_square(std::span<const double> f, std::span<const double> g, Index first, Index count, Index outputs) {
  double sum = 0;
  for (std::size_t e = at(first * outputs); e < at((first + count) * outputs); ++e)
    sum += (f[e] - g[e]) * (f[e] - g[e]);
  return sum / static_cast<double>(count * outputs);
}

class NetworkObserver : public Observer {
 public:
  explicit NetworkObserver(Scene scene) : scene_(std::move(scene)), names_(path_scalars(*scene_)) {}
  std::string name() const override { return "network"; }
  Index entries() const override { return static_cast<Index>(names_.size()); }
  std::vector<std::string> entry_labels() const override { return names_; }
  ObserverNeeds needs() const override {
    ObserverNeeds needs;
    needs.outputs = needs.ntk = true;
    return needs;
  }

  void observe(const MemberView& member, std::span<double> out) const override {
    std::map<std::string, double> values;
    outputs_of(member, values);
    kernels_of(member, values);
    for (std::size_t e = 0; e < names_.size(); ++e) out[e] = values.at(names_[e]);
  }

 private:
  /// The objective on the training set.
  double objective(std::span<const double> f) const {
    const DynamicsPrediction& p = scene_->prediction;
    return reduction_factor(scene_->reduction, p.train, p.train, p.outputs) * summed_loss(f, 0, p.train);
  }
  double summed_loss(std::span<const double> f, Index first, Index count) const {
    const DynamicsPrediction& p = scene_->prediction;
    double sum = 0;
    for (Index i = first; i < first + count; ++i)
      sum += loss_value(scene_->loss, &f[at(i * p.outputs)], &p.targets[at(i * p.outputs)], p.outputs);
    return sum;
  }
  double decay_rate(std::span<const double> f, const MemberView& member) const {
    const DynamicsPrediction& p = scene_->prediction;
    if (member.step == 0) return 0;
    const double now = mean_square(f, p.targets, 0, p.train, p.outputs),
                 then = mean_square(member.first_outputs, p.targets, 0, p.train, p.outputs);
    return -0.5 * std::log(std::max(now, 1e-300) / std::max(then, 1e-300)) / static_cast<double>(member.step);
  }

  void outputs_of(const MemberView& member, std::map<std::string, double>& values) const {
    const DynamicsPrediction& p = scene_->prediction;
    const std::vector<double> path = linearised(p, member.time, member.first_outputs);
    values["train_loss"] = objective(member.outputs);
    values["zero_loss"] = objective(member.outputs) < scene_->zero_loss ? 1 : 0;
    values["zero_loss_linearised"] = objective(path) < scene_->zero_loss ? 1 : 0;
    values["decay_rate"] = decay_rate(member.outputs, member);
    values["decay_rate_linearised"] = decay_rate(path, member);
    deviations("path_limit", member, path, values);
    if (p.test > 0) values["test_loss"] = summed_loss(member.outputs, p.train, p.test) / static_cast<double>(p.test);
  }

  void kernels_of(const MemberView& member, std::map<std::string, double>& values) const {
    const DynamicsPrediction& p = scene_->prediction;
    double change = 0, norm = 0;
    for (std::size_t e = 0; e < member.ntk.size(); ++e) {
      change += (member.ntk[e] - member.first_ntk[e]) * (member.ntk[e] - member.first_ntk[e]);
      norm += member.first_ntk[e] * member.first_ntk[e];
    }
    values["kernel_change"] = norm > 0 ? change / norm : 0;
    values["least_eigenvalue"] = OwnLinearisation(p, member.ntk, scene_->kernel_rounding).least_eigenvalue();
    if (p.outputs > 1) return;
    const OwnLinearisation own(p, member.first_ntk, scene_->kernel_rounding);
    deviations("path_own", member, own.outputs(member.time, member.first_outputs), values);
  }

  void deviations(const std::string& name, const MemberView& member, const std::vector<double>& path,
                  std::map<std::string, double>& values) const {
    const DynamicsPrediction& p = scene_->prediction;
    values[name + "_train"] = mean_square(member.outputs, path, 0, p.train, p.outputs) / p.residual_scale;
    if (p.test > 0)
      values[name + "_test"] = mean_square(member.outputs, path, p.train, p.test, p.outputs) / p.residual_scale;
  }

  Scene scene_;
  std::vector<std::string> names_;
};

}  // namespace

std::vector<std::string> path_scalars(const DynamicsScene& scene) {
  const bool test = scene.prediction.test > 0, own = scene.prediction.outputs == 1;
  std::vector<std::string> names{"train_loss"};
  if (test) names.emplace_back("test_loss");
  names.emplace_back("path_limit_train");
  if (test) names.emplace_back("path_limit_test");
  if (own) names.emplace_back("path_own_train");
  if (own && test) names.emplace_back("path_own_test");
  for (const char* name : {"kernel_change", "least_eigenvalue", "zero_loss", "zero_loss_linearised", "decay_rate",
                           "decay_rate_linearised"})
    names.emplace_back(name);
  return names;
}

std::vector<std::shared_ptr<const Observer>> dynamics_observers(const Scene& scene) {
  return {std::make_shared<OutputObserver>(scene, false), std::make_shared<OutputObserver>(scene, true),
          std::make_shared<ProductObserver>(scene, false), std::make_shared<ProductObserver>(scene, true),
          std::make_shared<NetworkObserver>(scene)};
}

}  // namespace widelab::experiments
