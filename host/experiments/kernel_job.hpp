// The cell job that the kernel experiments share: sample networks, feed KernelStatistics, stop at a size or a
// precision.
#pragma once

#include <memory>
#include <vector>

#include "host/engine/kernel_sampler.hpp"
#include "host/engine/segmented_job.hpp"
#include "host/estimators/kernel_statistics.hpp"
#include "host/estimators/stop_rule.hpp"
#include "host/experiments/experiment.hpp"

namespace widelab::experiments {

/// Keys of `[seeds]`, `[measure]` and `[until]` that every kernel experiment has.
std::vector<io::KeySpec> kernel_keys(const std::string& default_method, int default_replicates);

/// A cell before any network is drawn: what is sampled, and the limits that it is held against.
struct KernelCell {
  engine::KernelTask task;
  std::vector<double> ntk_limit, nngp_limit;  ///< N x N, row-major
  std::uint64_t init_key = 0;
  Index replicates = 0;
  double se_rel = 0;  ///< 0: stop at `replicates`
  Index max_replicates = 0;
  bool keep_samples = false;
};

/// Weights from model.weights_path. Throws DataError if the file has other networks than the recipe asks for.
std::shared_ptr<const std::vector<double>> read_weights(const io::Recipe& recipe, const MlpShape& shape);

/// Builds the cell of a recipe at one point of its sweep: draws the data, computes the limits.
KernelCell make_kernel_cell(const RunSetup& setup, const io::Cell& cell);

CellPlan plan_kernel_cell(const KernelCell& kernel, const std::string& name);

class KernelJob : public engine::SegmentedJob {
 public:
  KernelJob(KernelCell kernel, const io::Cell& cell, runtime::Backend& backend);

  Index done() const override { return statistics_.replicates(); }
  Index target() const override { return target_; }
  Index segment() const override { return segment_; }
  void advance(Index replicates) override;
  io::ArrayFile state() const override;
  void restore(const io::ArrayFile& state) override;

 private:
  void move_target();

  KernelCell kernel_;
  io::Cell cell_;
  engine::KernelSampler sampler_;
  estimators::KernelStatistics statistics_;
  Index target_ = 0, segment_ = 1;
};

/// The statistics in a finished cell's file.
estimators::KernelStatistics read_statistics(const KernelCell& kernel, const io::ArrayFile& file);

}  // namespace widelab::experiments
