// What the training kernels of both engines know of members, data sets and steps.
#pragma once

#include <vector>

#include "kernels/cuda/support/device_array.hpp"
#include "kernels/shared/fused_setup.hpp"
#include "widelab/ops/train.hpp"

namespace widelab::cuda {

/// Which step it is. The table's entries begin with step `table_first`.
struct StepClock {
  Index step, table_first;
};

/// The data sets of a problem in device memory; those that no member uses stay away.
template <class T>
class DeviceDatasets {
 public:
  DeviceDatasets(Context& context, const TrainProblem<T>& problem) : list_(context, "list of data sets", 0) {
    host_.resize(problem.datasets.size());
    for (const TrainGroup<T>& group : problem.groups)
      for (Index m = 0; m < group.members; ++m) {
        const auto at = static_cast<std::size_t>(group.settings[m].dataset);
        if (!host_[at].inputs) host_[at] = upload(context, group.network->shape, problem.datasets[at]);
      }
    list_ = DeviceArray<TrainData<T>>(context, "list of data sets", host_.data(), static_cast<Index>(host_.size()));
  }

  /// One entry a data set, with device pointers; in host memory, and in device memory.
  const std::vector<TrainData<T>>& on_host() const { return host_; }
  const TrainData<T>* on_device() const { return list_.data(); }

 private:
  TrainData<T> upload(Context& context, const MlpShape& shape, const TrainData<T>& data) {
    TrainData<T> there = data;
    arrays_.emplace_back(context, "training inputs", data.inputs, data.examples * shape.input_dim);
    there.inputs = arrays_.back().data();
    arrays_.emplace_back(context, "training targets", data.targets, data.examples * shape.outputs);
    there.targets = arrays_.back().data();
    if (data.order) {
      orders_.emplace_back(context, "order of batches", data.order, data.order_steps * data.order_batch);
      there.order = orders_.back().data();
    }
    return there;
  }

  std::vector<TrainData<T>> host_;
  std::vector<DeviceArray<T>> arrays_;
  std::vector<DeviceArray<std::int32_t>> orders_;
  DeviceArray<TrainData<T>> list_;
};

}  // namespace widelab::cuda
