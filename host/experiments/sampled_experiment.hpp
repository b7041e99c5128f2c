// Experiments whose cells are sampled row by row (sample_job.hpp): what they do alike.
#pragma once

#include <memory>
#include <string>

#include "host/experiments/experiment.hpp"
#include "host/experiments/sample_job.hpp"

namespace widelab::experiments {

/// kMake makes a cell from setup and place, kPlan states its cost under a name, kTask samples it on a backend.
template <auto kMake, auto kPlan, auto kTask>
class SampledExperiment : public Experiment {
 public:
  CellPlan plan(const RunSetup& setup, const io::Cell& at) const override { return kPlan(kMake(setup, at), at.name); }

  std::unique_ptr<engine::SegmentedJob> make_job(const RunSetup& setup, const io::Cell& at,
                                                 runtime::Backend& backend) const override {
    return std::make_unique<SampleJob>(kTask(kMake(setup, at), backend), at);
  }
};

}  // namespace widelab::experiments
