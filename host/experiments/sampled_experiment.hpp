// Experiments whose cells are sampled row by row (sample_job.hpp): what they do alike.
#pragma once

#include <memory>
#include <string>

#include "host/experiments/experiment.hpp"
#include "host/experiments/sample_job.hpp"

namespace widelab::experiments {

/// add(c, cell, samples) for every cell of the sweep that has been measured.
template <auto kMake, class Add>
void for_each_measured(const RunSetup& setup, const CellReader& read, const Add& add) {
  for (std::size_t c = 0; c < setup.sweep.cells.size(); ++c)
    if (const std::unique_ptr<io::ArrayFile> file = read(c))
      add(c, kMake(setup, setup.sweep.cells[c]), read_samples(*file));
}

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
