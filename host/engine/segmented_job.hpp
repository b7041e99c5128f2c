// Long work in segments: progress, checkpoints, interruption and exact resume, for any job that advances by units of
// work: replicates, or pieces of replicates.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "host/io/array_file.hpp"
#include "host/io/progress.hpp"
#include "widelab/base/types.hpp"

namespace widelab::engine {

/// A cell's work. Its state after a unit is a pure function of the units done, whatever the segments were.
class SegmentedJob {
 public:
  virtual ~SegmentedJob() = default;
  virtual Index done() const = 0;                          ///< units finished
  virtual Index target() const = 0;                        ///< units wanted; may shrink when a precision is reached
  virtual Index segment() const = 0;                       ///< units in one segment
  virtual Index units_per_replicate() const { return 1; }  ///< units that make up one replicate
  virtual void advance(Index units) = 0;                   ///< the next `units`
  virtual io::ArrayFile state() const = 0;                 ///< everything needed to go on
  virtual void restore(const io::ArrayFile& state) = 0;
};

struct SegmentOptions {
  std::filesystem::path checkpoint;  ///< file of the unfinished cell
  std::chrono::duration<double> checkpoint_every{20};
  std::string label;              ///< of the cell, beside the progress bar
  double work_per_replicate = 1;  ///< in the unit of the progress bar
};

/// Advances the job to its target; restores from `checkpoint` first if that file is there and whole (a broken one is
/// dropped: the work is done again). At Ctrl-C: stops after the segment, writes the checkpoint, throws Interrupted; at
/// a second Ctrl-C the cell is dropped without a checkpoint. The caller removes the
/// checkpoint once the finished cell is on disk.
void run_to_target(SegmentedJob& job, const SegmentOptions& options, io::Progress& progress);

}  // namespace widelab::engine
