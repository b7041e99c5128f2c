#include "host/engine/segmented_job.hpp"

#include <algorithm>

#include "host/io/interrupt.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::engine {
namespace {

namespace fs = std::filesystem;

/// A checkpoint that cannot be read costs its work, not the run.
void restore_if_possible(SegmentedJob& job, const fs::path& checkpoint, io::Progress& progress) {
  if (!fs::exists(checkpoint)) return;
  try {
    job.restore(io::read_arrays(checkpoint));
  } catch (const DataError& error) {
    progress.note(std::string("checkpoint dropped, its work is done again: ") + error.what());
  }
}

}  // namespace

void run_to_target(SegmentedJob& job, const SegmentOptions& options, io::Progress& progress) {
  restore_if_possible(job, options.checkpoint, progress);
  const double work_per_unit = options.work_per_replicate / static_cast<double>(job.units_per_replicate());
  progress.skip(work_per_unit * static_cast<double>(job.done()));
  auto last_checkpoint = std::chrono::steady_clock::now();
  while (job.done() < job.target()) {
    const Index step = std::min(job.segment(), job.target() - job.done());
    job.advance(step);
    progress.advance(work_per_unit * static_cast<double>(step), options.label);
    const bool stop = io::interrupts() > 0, drop = io::interrupts() > 1;
    const auto now = std::chrono::steady_clock::now();
    const bool unfinished = job.done() < job.target();
    if (unfinished && !drop && (stop || now - last_checkpoint > options.checkpoint_every)) {
      fs::create_directories(options.checkpoint.parent_path());
      io::publish(options.checkpoint, job.state());
      last_checkpoint = now;
    }
    if (unfinished && stop)
      throw Interrupted(
          drop ? "interrupted: the unfinished cell was dropped, finished cells are on disk; go on with --resume"
               : "interrupted: everything done so far is on disk; go on with --resume");
  }
}

}  // namespace widelab::engine
