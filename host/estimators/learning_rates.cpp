#include "host/estimators/learning_rates.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "host/engine/typed_trainer.hpp"
#include "host/estimators/lanczos.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::estimators {
namespace {

using engine::TrainSet;
using engine::TrainTask;
using Vectors = std::vector<std::vector<double>>;

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

void add(double factor, const std::vector<double>& from, std::vector<double>& to) {
  for (std::size_t i = 0; i < from.size(); ++i) to[i] += factor * from[i];
}

// Of a step along a unit vector, relative to the root mean square of the parameters: truncation of the central
// difference is then about 1e-8 of the result, its rounding 1e-11.
constexpr double kRelativeStep = 1e-4;
// Lanczos bases of members computed side by side.
constexpr double kBasisBytes = 256e6;
constexpr Index kBasis = 40;

/// R of every parameter.
std::vector<double> relative_rates(const Network& network) {
  const ParamLayout layout(network.shape);
  std::vector<double> rates(static_cast<std::size_t>(layout.size));
  for (std::size_t l = 0; l < network.layers.size(); ++l) {
    const auto weights = rates.begin() + layout.weight_offset[l], biases = rates.begin() + layout.bias_offset[l];
    std::fill(weights, biases, network.layers[l].weight_rate);
    std::fill_n(biases, network.shape.fan_out(static_cast<Index>(l)), network.layers[l].bias_rate);
  }
  return rates;
}

/// Outputs and gradients over their whole data sets of some members of a task, at and around initialisation.
class ObjectiveProbe {
 public:
  ObjectiveProbe(runtime::Backend& backend, const TrainTask& task, Index first, Index count)
      : backend_(backend), task_(task), first_(first), count_(count), rates_(relative_rates(task.network)) {
    std::vector<DrawId> ids;
    TrainWorkload work;
    work.members = count;
    work.scalar_bytes = 8;
    work.displacement = true;
    work.on_gpu = backend.info().kind == "cuda";
    for (Index m = 0; m < count; ++m) {
      ids.push_back(member(m).ids.init);
      work.batch = std::max(work.batch, set(m).examples);
    }
    engine_ = task.engine == TrainEngine::reference ? TrainEngine::reference
                                                    : make_train_plan(task.network.shape, work, task.limits).engine;
    const std::vector<double> drawn = draw_parameters<double>(backend, task, ids);
    for (auto begin = drawn.begin(); begin != drawn.end(); begin += parameters())
      theta_.emplace_back(begin, begin + parameters());
  }

  Index outputs(Index m) const { return set(m).examples * task_.network.shape.outputs; }
  Index parameters() const { return static_cast<Index>(rates_.size()); }
  const std::vector<double>& rates() const { return rates_; }

  /// F of the class comment of RateUnit.
  double factor(Index m) const {
    const double batch = static_cast<double>(member(m).batch), examples = static_cast<double>(set(m).examples);
    return reduction_factor(task_.rule.reduction, member(m).batch, set(m).examples, task_.network.shape.outputs) *
           batch / examples;
  }
  /// The coupled decay, divided by F.
  double decay(Index m) const { return task_.rule.update.decoupled_decay ? 0 : member(m).weight_decay / factor(m); }

  /// Length of a difference step for a direction of that length.
  double step(Index m, const std::vector<double>& direction) const {
    const std::vector<double>& theta = theta_[static_cast<std::size_t>(m)];
    const double rms = std::sqrt(dot(theta, theta) / static_cast<double>(theta.size()));
    const double length = std::sqrt(dot(direction, direction));
    return length > 0 ? kRelativeStep * (rms > 0 ? rms : 1.0) / length : 1.0;
  }

  /// theta_0 + sign steps_m directions_m.
  Vectors moved(double sign, const std::vector<double>& steps, const Vectors& directions) const {
    Vectors out = theta_;
    for (std::size_t m = 0; m < out.size(); ++m) add(sign * steps[m], directions[m], out[m]);
    return out;
  }
  const Vectors& start() const { return theta_; }

  /// f on the member's inputs, N x k.
  Vectors forward(const Vectors& theta) const {
    Vectors out(theta.size());
    for (Index m = 0; m < count_; ++m) {
      const auto e = static_cast<std::size_t>(m);
      out[e].resize(static_cast<std::size_t>(outputs(m)));
      backend_.forward(ForwardProblem<double>{
          &task_.network,
          {1, nullptr, theta[e].data()},
          matrix_view<const double>(set(m).inputs.data(), set(m).examples, task_.network.shape.input_dim),
          out[e].data(),
          task_.limits});
    }
    return out;
  }

  /// R sum_i grad loss_i, and R lambda/F theta if `decayed`; targets: the data sets', or one array for each member.
  Vectors gradient(const Vectors& theta, LossKind loss, const Vectors* targets, bool decayed) const {
    TrainProblem<double> problem;
    problem.rule.loss = loss;
    problem.rule.order = OrderKind::fixed;
    problem.rule.divergence_limit = 1e300;
    problem.steps = {0, 1};
    problem.engine = engine_;
    problem.limits = task_.limits;
    std::vector<MemberSettings> settings(theta.size());
    std::vector<MemberStatus> status(theta.size());
    std::vector<double> start;
    for (std::size_t e = 0; e < theta.size(); ++e) {
      const TrainSet& data = set(static_cast<Index>(e));
      settings[e].ids = member(static_cast<Index>(e)).ids;
      settings[e].learning_rate = 1;
      settings[e].batch = data.examples;
      settings[e].weight_decay = decayed ? decay(static_cast<Index>(e)) : 0;
      settings[e].dataset = static_cast<Index>(e);
      problem.datasets.push_back(view_of(data, data.inputs, targets ? (*targets)[e] : data.targets));
      start.insert(start.end(), theta[e].begin(), theta[e].end());
    }
    std::vector<double> theta_now = start, displacement(start.size());
    TrainGroup<double> group;
    group.network = &task_.network;
    group.members = count_;
    group.settings = settings.data();
    group.status = status.data();
    group.parameters = theta_now.data();
    group.start = start.data();
    group.displacement = displacement.data();
    problem.groups.push_back(group);
    backend_.train(problem);
    Vectors out;
    for (std::size_t e = 0; e < theta.size(); ++e) {
      const auto begin = displacement.begin() + static_cast<Index>(e) * parameters();
      out.emplace_back(begin, begin + parameters());
      for (double& x : out.back()) x = -x;
    }
    return out;
  }

 private:
  const MemberSettings& member(Index m) const { return task_.members[static_cast<std::size_t>(first_ + m)]; }
  const TrainSet& set(Index m) const { return task_.datasets.at(static_cast<std::size_t>(member(m).dataset)); }

  runtime::Backend& backend_;
  const TrainTask& task_;
  Index first_, count_;
  TrainEngine engine_;
  std::vector<double> rates_;
  Vectors theta_;
};

/// v -> F J R J^T v, twice that for `squared`.
void kernel_product(const ObjectiveProbe& probe, LossKind loss, const Vectors& v, Vectors& y) {
  // Half-squared slopes at targets f - v are v.
  Vectors targets = probe.forward(probe.start());
  for (std::size_t m = 0; m < v.size(); ++m) add(-1, v[m], targets[m]);
  const Vectors u = probe.gradient(probe.start(), LossKind::half_squared, &targets, false);
  std::vector<double> steps(v.size());
  for (std::size_t m = 0; m < v.size(); ++m) steps[m] = probe.step(static_cast<Index>(m), u[m]);
  y = probe.forward(probe.moved(1, steps, u));
  const Vectors behind = probe.forward(probe.moved(-1, steps, u));
  for (std::size_t m = 0; m < v.size(); ++m) {
    add(-1, behind[m], y[m]);
    const double scale = probe.factor(static_cast<Index>(m)) * (loss == LossKind::squared ? 2.0 : 1.0);
    for (double& x : y[m]) x *= scale / (2 * steps[m]);
  }
}

/// v -> R^1/2 H R^1/2 v.
void hessian_product(const ObjectiveProbe& probe, LossKind loss, const Vectors& v, Vectors& y) {
  const std::vector<double>& rates = probe.rates();
  Vectors directions = v;
  std::vector<double> steps(v.size());
  for (std::size_t m = 0; m < v.size(); ++m) {
    for (std::size_t p = 0; p < rates.size(); ++p) directions[m][p] *= std::sqrt(rates[p]);
    steps[m] = probe.step(static_cast<Index>(m), directions[m]);
  }
  y = probe.gradient(probe.moved(1, steps, directions), loss, nullptr, true);
  const Vectors behind = probe.gradient(probe.moved(-1, steps, directions), loss, nullptr, true);
  for (std::size_t m = 0; m < v.size(); ++m) {
    add(-1, behind[m], y[m]);
    const double scale = probe.factor(static_cast<Index>(m)) / (2 * steps[m]);
    for (std::size_t p = 0; p < rates.size(); ++p) y[m][p] = rates[p] > 0 ? y[m][p] * scale / std::sqrt(rates[p]) : 0;
  }
}

}  // namespace

std::vector<TopEigenvalue> top_eigenvalues(const std::vector<Index>& dimensions, const BatchedOperator& apply,
                                           double tolerance, Index most) {
  constexpr std::uint64_t kKey = role_key(0, "lanczos", "");
  const Index largest = *std::max_element(dimensions.begin(), dimensions.end());
  std::vector<DrawId> starts;
  for (std::size_t m = 0; m < dimensions.size(); ++m) starts.push_back({kKey, static_cast<std::uint32_t>(m)});
  Vectors v, y(dimensions.size());
  for (const Index dimension : dimensions) v.emplace_back(static_cast<std::size_t>(dimension));
  // All operators work in every round: one that is done goes over its last direction again. Beyond an operator's own
  // dimension it is 0.
  const auto round = [&](const std::vector<Index>& which, const std::vector<const double*>& directions,
                         const std::vector<double*>& images) {
    for (std::size_t k = 0; k < which.size(); ++k)
      std::copy_n(directions[k], v[static_cast<std::size_t>(which[k])].size(),
                  v[static_cast<std::size_t>(which[k])].begin());
    apply(v, y);
    for (std::size_t k = 0; k < which.size(); ++k) {
      const std::vector<double>& image = y[static_cast<std::size_t>(which[k])];
      std::fill(std::copy(image.begin(), image.end(), images[k]), images[k] + largest, 0.0);
    }
  };
  LanczosOptions options;
  options.tolerance = tolerance;
  options.relative = true;
  options.max_products = most;
  options.max_basis = kBasis;
  std::vector<TopEigenvalue> out;
  for (const LanczosResult& found :
       lanczos_side_by_side(largest, static_cast<Index>(dimensions.size()), round, options, starts)) {
    if (found.stop == LanczosStop::steps_used)
      throw DataError("learning-rate unit: the largest eigenvalue is not known to " + std::to_string(tolerance) +
                      " after " + std::to_string(most) + " products; state the learning rate per step");
    const RitzValue& top = found.largest.front();
    out.push_back({top.value, top.bound / std::max(std::abs(top.value), 1e-300), found.products});
  }
  return out;
}

std::vector<TopEigenvalue> objective_curvature(runtime::Backend& backend, const TrainTask& task, RateUnit unit) {
  WIDELAB_REQUIRE(unit != RateUnit::per_step, "a rate per step needs no curvature");
  const bool kernel = unit == RateUnit::kernel_top;
  const Index members = static_cast<Index>(task.members.size());
  Index largest = 0;
  for (const TrainSet& set : task.datasets) largest = std::max(largest, set.examples);
  const double dimension = static_cast<double>(kernel ? largest * task.network.shape.outputs : 0) +
                           static_cast<double>(ParamLayout(task.network.shape).size);
  const Index chunk = std::clamp<Index>(static_cast<Index>(kBasisBytes / (8 * static_cast<double>(kBasis) * dimension)),
                                        1, std::max<Index>(1, members));
  std::vector<TopEigenvalue> out;
  for (Index first = 0; first < members; first += chunk) {
    const Index count = std::min(chunk, members - first);
    const ObjectiveProbe probe(backend, task, first, count);
    std::vector<Index> dimensions;
    for (Index m = 0; m < count; ++m) dimensions.push_back(kernel ? probe.outputs(m) : probe.parameters());
    const std::vector<TopEigenvalue> found = top_eigenvalues(dimensions, [&](const Vectors& v, Vectors& y) {
      kernel ? kernel_product(probe, task.rule.loss, v, y) : hessian_product(probe, task.rule.loss, v, y);
    });
    out.insert(out.end(), found.begin(), found.end());
  }
  return out;
}

std::vector<TopEigenvalue> to_rates_per_step(runtime::Backend& backend, TrainTask& task, RateUnit unit) {
  if (unit == RateUnit::per_step) return {};
  const std::vector<TopEigenvalue> tops = objective_curvature(backend, task, unit);
  for (std::size_t m = 0; m < tops.size(); ++m) {
    if (!(tops[m].value > 0))
      throw RecipeError("train.learning_rate_unit: the largest eigenvalue of network " + std::to_string(m) + " is " +
                        std::to_string(tops[m].value) + ", not positive: state the learning rate per step");
    task.members[m].learning_rate *= (unit == RateUnit::sharpness ? 2.0 : 1.0) / tops[m].value;
  }
  return tops;
}

}  // namespace widelab::estimators
