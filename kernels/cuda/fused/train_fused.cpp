#include "kernels/cuda/fused/train_fused.hpp"

#include <map>
#include <utility>

#include "kernels/cuda/fused/fused_kernel.hpp"
#include "kernels/cuda/workspace_limit.hpp"

namespace widelab::cuda {
namespace {

/// A member of a group, by number, and how it is launched.
struct Place {
  std::size_t group;
  Index member;
  Index shared_bytes;
  double flops;
};

/// The networks of all groups in device memory.
template <class T>
class DeviceNetworks {
 public:
  DeviceNetworks(Context& context, const std::vector<FusedNetworkArrays<T>>& networks)
      : list_(context, "list of networks", static_cast<Index>(networks.size())) {
    std::vector<FusedNetwork<T>> list;
    for (const FusedNetworkArrays<T>& network : networks) {
      layers_.emplace_back(context, "layers of a network", network.layers.data(),
                           static_cast<Index>(network.layers.size()));
      multipliers_.emplace_back(context, "unit multipliers", network.unit_multipliers.data(),
                                static_cast<Index>(network.unit_multipliers.size()));
      list.push_back(network.view(layers_.back().data(), multipliers_.back().data()));
    }
    list_.upload(list.data());
  }
  const FusedNetwork<T>* list() const { return list_.data(); }

 private:
  std::vector<DeviceArray<FusedLayer<T>>> layers_;
  std::vector<DeviceArray<float>> multipliers_;
  DeviceArray<FusedNetwork<T>> list_;
};

/// The state of some members in device memory, one after the other.
template <class T>
class MemberStates {
 public:
  MemberStates(Context& context, const TrainProblem<T>& problem, std::vector<Place> places)
      : problem_(problem),
        places_(std::move(places)),
        moment_count_(moment_count(problem.rule.update.kind)),
        total_(measure()),
        parameters_(context, "parameters", total_),
        start_(context, "initial parameters", displaced_ ? total_ : 0),
        displacement_(context, "displacement", displaced_ ? total_ : 0),
        moments_(context, "moments", moment_count_ * total_),
        status_(context, "status of members", static_cast<Index>(places_.size())) {
    load(parameters_, 1, &TrainGroup<T>::parameters);
    load(start_, 1, &TrainGroup<T>::start);
    load(displacement_, 1, &TrainGroup<T>::displacement);
    load(moments_, moment_count_, &TrainGroup<T>::moments);
    std::vector<MemberStatus> status;
    for (const Place& place : places_) status.push_back(group(place).status[place.member]);
    status_.upload(status.data());
  }

  /// Members as the kernel sees them; `networks` and what `datasets` point to are device memory.
  std::vector<FusedMember<T>> members(const FusedNetwork<T>* networks,
                                      const std::vector<TrainData<T>>& datasets) const {
    std::vector<FusedMember<T>> out;
    for (std::size_t p = 0; p < places_.size(); ++p) {
      const TrainGroup<T>& home = group(places_[p]);
      FusedMember<T> member;
      member.network = networks + places_[p].group;
      member.settings = home.settings[places_[p].member];
      member.data = datasets[static_cast<std::size_t>(member.settings.dataset)];
      member.parameters = parameters_.data() + offset_[p];
      if (home.displacement) {
        member.start = start_.data() + offset_[p];
        member.displacement = displacement_.data() + offset_[p];
      }
      if (moment_count_ > 0) member.moments = moments_.data() + moment_count_ * offset_[p];
      member.status = status_.data() + p;
      out.push_back(member);
    }
    return out;
  }

  void store() const {
    store(parameters_, 1, &TrainGroup<T>::parameters);
    store(displacement_, 1, &TrainGroup<T>::displacement);
    store(moments_, moment_count_, &TrainGroup<T>::moments);
    const std::vector<MemberStatus> status = status_.to_host();
    for (std::size_t p = 0; p < places_.size(); ++p) group(places_[p]).status[places_[p].member] = status[p];
  }

 private:
  const TrainGroup<T>& group(const Place& place) const { return problem_.groups[place.group]; }
  Index size(std::size_t p) const { return ParamLayout(group(places_[p]).network->shape).size; }

  Index measure() {
    Index total = 0;
    for (std::size_t p = 0; p < places_.size(); ++p) {
      offset_.push_back(total);
      total += size(p);
      displaced_ = displaced_ || group(places_[p]).displacement;
    }
    return total;
  }

  /// `copies` times P numbers of every member, from the group's array; nothing of groups without it.
  template <class Source>
  void load(DeviceArray<T>& array, Index copies, Source source) {
    std::vector<T> staging(static_cast<std::size_t>(array.size()), T(0));
    if (staging.empty()) return;
    for (std::size_t p = 0; p < places_.size(); ++p) {
      const Index count = copies * size(p);
      if (const T* from = group(places_[p]).*source)
        std::copy_n(from + places_[p].member * count, count, staging.data() + copies * offset_[p]);
    }
    array.upload(staging.data());
  }

  template <class Target>
  void store(const DeviceArray<T>& array, Index copies, Target target) const {
    const std::vector<T> staging = array.to_host();
    if (staging.empty()) return;
    for (std::size_t p = 0; p < places_.size(); ++p) {
      const Index count = copies * size(p);
      if (T* to = group(places_[p]).*target)
        std::copy_n(staging.data() + copies * offset_[p], count, to + places_[p].member * count);
    }
  }

  const TrainProblem<T>& problem_;
  std::vector<Place> places_;
  Index moment_count_;
  std::vector<Index> offset_;  ///< of a member's parameters
  bool displaced_ = false;
  Index total_;  ///< parameters of all members
  DeviceArray<T> parameters_, start_, displacement_, moments_;
  DeviceArray<MemberStatus> status_;
};

template <class T>
class FusedTrainer {
 public:
  FusedTrainer(Context& context, const TrainProblem<T>& problem, const std::vector<TrainData<T>>& datasets)
      : context_(context),
        problem_(problem),
        datasets_(datasets),
        arrays_(describe(problem)),
        networks_(context, arrays_) {
    plan();
  }

  void run() {
    for (const auto& [bucket, places] : buckets_) run_bucket(bucket, places);
  }

 private:
  static std::vector<FusedNetworkArrays<T>> describe(const TrainProblem<T>& problem) {
    std::vector<FusedNetworkArrays<T>> arrays;
    for (const TrainGroup<T>& group : problem.groups) arrays.emplace_back(*group.network);
    return arrays;
  }

  Index state_bytes(const Place& place) const {
    const TrainGroup<T>& group = problem_.groups[place.group];
    const Index copies = 1 + moment_count(problem_.rule.update.kind) + (group.displacement ? 2 : 0);
    return ParamLayout(group.network->shape).size * copies * static_cast<Index>(sizeof(T));
  }

  /// Sorts the running members into launches; every member is checked before the first one runs.
  void plan() {
    const double limit =
        problem_.limits.fast_bytes > 0 ? std::min(problem_.limits.fast_bytes, kHopperSharedBytes) : kHopperSharedBytes;
    const int moments = moment_count(problem_.rule.update.kind);
    for (std::size_t g = 0; g < problem_.groups.size(); ++g) {
      const TrainGroup<T>& group = problem_.groups[g];
      const MlpShape& shape = group.network->shape;
      for (Index m = 0; m < group.members; ++m) {
        if (group.status[m].status != TrainStatus::running) continue;
        const Index batch = group.settings[m].batch;
        const SharedLayout at = shared_layout(arrays_[g].numbers, batch, fused_threads(shape, batch), moments,
                                              group.displacement != nullptr);
        const Index bytes = at.size * static_cast<Index>(sizeof(T));
        const FusedBucket bucket = fused_bucket(shape, batch, static_cast<double>(bytes), limit);
        buckets_[bucket].push_back({g, m, bytes, train_flops(shape, batch)});
      }
    }
    // The longest first, so that the last block of a launch is a short one.
    for (auto& [bucket, places] : buckets_)
      std::stable_sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.flops > b.flops; });
  }

  void run_bucket(const FusedBucket& bucket, const std::vector<Place>& places) {
    double largest = 0;
    for (const Place& place : places) largest = std::max(largest, static_cast<double>(state_bytes(place)));
    const auto total = static_cast<Index>(places.size());
    const Index at_once = members_at_once(largest, total, workspace_limit(context_, problem_.limits));
    for (Index first = 0; first < total; first += at_once)
      run_members(bucket, {places.begin() + first, places.begin() + std::min(first + at_once, total)});
  }

  void run_members(const FusedBucket& bucket, const std::vector<Place>& places) {
    const MemberStates<T> states(context_, problem_, places);
    const std::vector<FusedMember<T>> list = states.members(networks_.list(), datasets_);
    const DeviceArray<FusedMember<T>> members(context_, "list of members", list.data(),
                                              static_cast<Index>(list.size()));
    FusedLaunch<T> launch;
    launch.members = members.data();
    launch.count = members.size();
    launch.threads = bucket.threads;
    for (const Place& place : places) launch.shared_bytes = std::max(launch.shared_bytes, place.shared_bytes);
    const Index resident = static_cast<Index>(bucket.resident) * context_.device.multiprocessors;
    const Index stride = steps_per_launch(places.front().flops, launch.count, resident);
    DeviceArray<StepFactors> table(context_, "schedule", stride);
    for (Index first = problem_.steps.first; first < problem_.steps.last; first += stride) {
      const StepRange steps{first, std::min(first + stride, problem_.steps.last)};
      std::vector<StepFactors> factors = fused_step_factors(problem_.rule, steps);
      factors.resize(static_cast<std::size_t>(stride));
      table.upload(factors.data());
      launch.rule = fused_rule(problem_.rule, steps, table.data());
      train_fused_members(context_, launch);
      synchronise(context_);
    }
    states.store();
  }

  Context& context_;
  const TrainProblem<T>& problem_;
  const std::vector<TrainData<T>>& datasets_;
  std::vector<FusedNetworkArrays<T>> arrays_;
  DeviceNetworks<T> networks_;
  std::map<FusedBucket, std::vector<Place>> buckets_;
};

}  // namespace

void train_fused(Context& context, const TrainProblem<float>& problem, const std::vector<TrainData<float>>& datasets) {
  FusedTrainer<float>(context, problem, datasets).run();
}
void train_fused(Context& context, const TrainProblem<double>& problem,
                 const std::vector<TrainData<double>>& datasets) {
  FusedTrainer<double>(context, problem, datasets).run();
}

}  // namespace widelab::cuda
