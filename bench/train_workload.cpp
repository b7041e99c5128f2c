#include "bench/train_workload.hpp"

#include <cblas.h>
#include <omp.h>

#include <algorithm>
#include <cmath>

#include "bench/harness.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/ops/init.hpp"
#include "widelab/plan/train_plan.hpp"

namespace widelab::bench {
namespace {

constexpr std::uint64_t kInitKey = 2, kOrderKey = 3;
constexpr Index kProduct = 1024;  ///< edge of the products behind the machine's rate

Network network_of(const TrainRow& row, Index width) {
  MlpShape shape;
  shape.input_dim = row.input_dim;
  shape.widths.assign(static_cast<std::size_t>(row.square + 1), width);
  shape.outputs = row.outputs;
  InitChoice choice;
  choice.sigma_w = {std::sqrt(2.0)};
  return make_network(shape, choice);
}

MemberSettings settings_of(const TrainRow& row, Index member) {
  MemberSettings settings;
  const auto replicate = static_cast<std::uint32_t>(member);
  settings.ids.init = {kInitKey, replicate};
  settings.ids.order = {kOrderKey, replicate};
  settings.learning_rate = 0.01 * (1.0 + static_cast<double>(member % 8) / 8.0);
  settings.batch = row.batch;
  if (is_noisy(row.optimiser)) settings.temperature = 1e-3;
  return settings;
}

template <class T>
std::vector<T> normals(Index rows, Index cols, std::uint32_t replicate, double scale) {
  std::vector<T> out;
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j)
      out.push_back(static_cast<T>(
          scale * static_cast<double>(normal_at({1, replicate, Stream::test_only, 0}, static_cast<std::uint32_t>(i),
                                                static_cast<std::uint32_t>(j)))));
  return out;
}

}  // namespace

Index TrainRow::members() const {
  Index total = 0;
  for (const Group& group : groups) total += group.members;
  return total;
}

std::string TrainRow::text() const {
  std::string widths, members;
  for (const Group& group : groups) {
    widths += (widths.empty() ? "" : "/") + std::to_string(group.width);
    members += (members.empty() ? "" : "+") + std::to_string(group.members);
  }
  return name + ": n=" + widths + " H=" + std::to_string(square) + " d=" + std::to_string(input_dim) +
         " k=" + std::to_string(outputs) + " B=" + std::to_string(batch) + " E=" + members;
}

template <class T>
TrainRun<T>::TrainRun(runtime::Backend& backend, const TrainRow& row)
    : backend_(backend),
      inputs_(normals<T>(row.examples, row.input_dim, 0, 1.0)),
      targets_(normals<T>(row.examples, row.outputs, 1, 1.0)) {
  const bool on_gpu = backend.info().kind != "cpu";
  problem_.rule.reduction = Reduction::mean;
  problem_.rule.update.kind = row.optimiser;
  problem_.rule.order = OrderKind::epochs;
  problem_.datasets.push_back({inputs_.data(), targets_.data(), row.examples, 0});
  TrainWorkload work;
  work.batch = row.batch;
  work.scalar_bytes = static_cast<int>(sizeof(T));
  work.moments = moment_count(row.optimiser);
  work.engine = row.engine;
  work.on_gpu = on_gpu;
  // One launch has one engine: that of the widest member.
  Index widest = 0, first = 0;
  for (const TrainRow::Group& group : row.groups) widest = std::max(widest, group.width);
  const TrainPlan plan = make_train_plan(network_of(row, widest).shape, work, {});
  problem_.engine = plan.engine;
  problem_.window = row.window;
  plan_text_ = std::string(engine_name(plan.engine)) + " (" + plan.reason + ")";
  networks_.reserve(row.groups.size());
  for (const TrainRow::Group& group : row.groups) {
    networks_.push_back(network_of(row, group.width));
    const auto numbers = static_cast<std::size_t>(group.members * ParamLayout(networks_.back().shape).size);
    std::vector<DrawId> ids;
    settings_.emplace_back();
    for (Index m = 0; m < group.members; ++m) {
      settings_.back().push_back(settings_of(row, first + m));
      ids.push_back(settings_.back().back().ids.init);
    }
    first += group.members;
    status_.emplace_back(static_cast<std::size_t>(group.members));
    initial_.emplace_back(numbers);
    moments_.emplace_back(numbers * static_cast<std::size_t>(work.moments));
    backend.init(InitProblem<T>{&networks_.back(), ids.data(), group.members, initial_.back().data()});
    flops_ += static_cast<double>(group.members) * train_flops(networks_.back().shape, row.batch);
  }
  parameters_ = initial_;
  for (std::size_t g = 0; g < row.groups.size(); ++g) {
    TrainGroup<T> group;
    group.network = &networks_[g];
    group.members = row.groups[g].members;
    group.settings = settings_[g].data();
    group.status = status_[g].data();
    group.parameters = parameters_[g].data();
    group.moments = moments_[g].empty() ? nullptr : moments_[g].data();
    problem_.groups.push_back(group);
  }
}

template <class T>
void TrainRun<T>::reset() {
  for (std::size_t g = 0; g < initial_.size(); ++g) {
    std::copy(initial_[g].begin(), initial_[g].end(), parameters_[g].begin());
    std::fill(moments_[g].begin(), moments_[g].end(), T(0));
    std::fill(status_[g].begin(), status_[g].end(), MemberStatus{});
  }
}

template <class T>
void TrainRun<T>::run(Index steps) {
  problem_.steps = {0, steps};
  backend_.train(problem_);
}

template <class T>
std::vector<double> TrainRun<T>::first_member(std::size_t group) const {
  const auto size = static_cast<std::ptrdiff_t>(ParamLayout(networks_[group].shape).size);
  return {parameters_[group].begin(), parameters_[group].begin() + size};
}

template class TrainRun<float>;
template class TrainRun<double>;

GemmRate::GemmRate()
    : a_(kProduct * kProduct, 0.5f),
      b_(kProduct * kProduct, 0.25f),
      c_(static_cast<std::size_t>(omp_get_max_threads()), std::vector<float>(kProduct * kProduct)) {}

double GemmRate::seconds_for(double flops) {
  const double seconds = seconds_of([&] {
#pragma omp parallel
    {
      const int n = static_cast<int>(kProduct);
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1.0f, a_.data(), n, b_.data(), n, 0.0f,
                  c_[static_cast<std::size_t>(omp_get_thread_num())].data(), n);
    }
  });
  const double product = 2.0 * kProduct * kProduct * kProduct;
  return flops * seconds / (product * static_cast<double>(c_.size()));
}

}  // namespace widelab::bench
