// Initial parameters of a batch of members, drawn on the device: the same bits as on the CPU.
#pragma once

#include "kernels/cuda/support/context.hpp"
#include "widelab/base/types.hpp"
#include "widelab/model/init_law.hpp"
#include "widelab/rng/replicate_ids.hpp"
#include "widelab/rng/streams.hpp"

namespace widelab::cuda {

/// Rows [first_row, first_row + rows) of a stream, `columns` draws each, for each member of a batch.
/// Element (s, i, j) lies at out + s * slot_stride + i * columns + j. Slots from `members` to `slots` are zeroed.
template <class T>
struct FillTask {
  const DrawId* ids = nullptr;  ///< device memory, `members` ids
  Index members = 0, slots = 0;
  Stream stream = Stream::weights;
  int layer = 0;
  InitKind law = InitKind::normal;
  double scale = 1;
  Index first_row = 0, rows = 0, columns = 0;
  T* out = nullptr;
  Index slot_stride = 0;
};

/// out = T(scale) * T(draw), the draw an fp32 number. ContractError for laws that are not elementwise.
void fill_weights(Context& context, const FillTask<float>& task);
void fill_weights(Context& context, const FillTask<double>& task);

}  // namespace widelab::cuda
