// What is known exactly of a finite network's kernels, entry by entry, for the experiments on kernels.
#pragma once

#include <vector>

#include "host/experiments/kernel_job.hpp"

namespace widelab::experiments {

/// Exact laws of one kernel's entries on and above the diagonal; NaN where no exact law is known.
struct EntryLaws {
  std::vector<double> mean, variance, third, fourth;  ///< third and fourth: cumulants
};

/// One hidden layer: every entry (any activation). Deep ReLU networks with zero-initialised biases: diagonal entries.
/// Second moments of a mean over several outputs are not known here: variances need one output.
EntryLaws exact_ntk_laws(const KernelCell& kernel);
EntryLaws exact_nngp_laws(const KernelCell& kernel);

}  // namespace widelab::experiments
