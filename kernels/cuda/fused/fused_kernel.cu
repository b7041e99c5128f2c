// Compiled with --fmad=false --ftz=false --prec-div=true --prec-sqrt=true: bitwise the CPU's fused training.
#include "kernels/cuda/fused/fused_kernel.hpp"

#include "kernels/cuda/fused/fused_body.hpp"
#include "kernels/cuda/support/launch.hpp"

namespace widelab::cuda {
namespace {

/// The threads of a block. The host side of these functions exists because a body for every device may call them, and
/// is never run.
struct BlockTeam {
#if defined(__CUDA_ARCH__)
  WIDELAB_HD int rank() const { return static_cast<int>(threadIdx.x); }
  WIDELAB_HD int size() const { return static_cast<int>(blockDim.x); }
  WIDELAB_HD void sync() const { __syncthreads(); }
#else
  WIDELAB_HD int rank() const { return 0; }
  WIDELAB_HD int size() const { return 1; }
  WIDELAB_HD void sync() const {}
#endif
};

template <class T>
__global__ void __launch_bounds__(kMostFusedThreads, 1)
    train_fused_kernel(const FusedMember<T>* members, const __grid_constant__ FusedRule rule) {
  extern __shared__ __align__(16) unsigned char memory[];
  __shared__ __align__(16) unsigned char member_bytes[sizeof(FusedMember<T>)];
  const FusedMember<T>& home = members[blockIdx.x];
  if (home.status->status != TrainStatus::running) return;
  train_in_shared(BlockTeam{}, home, rule, reinterpret_cast<T*>(memory),
                  *reinterpret_cast<FusedMember<T>*>(member_bytes));
}

template <class T>
void train(Context& context, const FusedLaunch<T>& work) {
  launch(context, "train_fused_kernel", Grid{work.count, work.threads, static_cast<int>(work.shared_bytes)},
         train_fused_kernel<T>, work.members, work.rule);
}

}  // namespace

void train_fused_members(Context& context, const FusedLaunch<float>& work) { train(context, work); }
void train_fused_members(Context& context, const FusedLaunch<double>& work) { train(context, work); }

}  // namespace widelab::cuda
