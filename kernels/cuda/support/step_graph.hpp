// A CUDA graph of the work of one step, replayed.
#pragma once

#include <cuda_runtime.h>

#include "kernels/cuda/support/context.hpp"
#include "kernels/cuda/support/errors.hpp"

namespace widelab::cuda {

/// Records what `work` enqueues on the context's stream. Kernels and matrix products must have run once before: what
/// they load on first use cannot be loaded while recording.
class StepGraph {
 public:
  template <class Work>
  StepGraph(Context& context, Work&& work) : context_(context) {
    cudaGraph_t graph = nullptr;
    WIDELAB_CUDA(cudaStreamBeginCapture(context.stream, cudaStreamCaptureModeThreadLocal));
    try {
      work();
    } catch (...) {
      // The stream leaves its recording state; the error that counts is the one in flight.
      if (cudaStreamEndCapture(context.stream, &graph) == cudaSuccess && graph)
        static_cast<void>(cudaGraphDestroy(graph));
      static_cast<void>(cudaGetLastError());
      throw;
    }
    WIDELAB_CUDA(cudaStreamEndCapture(context.stream, &graph));
    const cudaError_t status = cudaGraphInstantiate(&executable_, graph, 0);
    static_cast<void>(cudaGraphDestroy(graph));
    WIDELAB_CUDA(status);
  }
  ~StepGraph() {
    // The device may still be replaying it.
    static_cast<void>(cudaStreamSynchronize(context_.stream));
    static_cast<void>(cudaGraphExecDestroy(executable_));
  }
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;

  void replay() { WIDELAB_CUDA(cudaGraphLaunch(executable_, context_.stream)); }

 private:
  Context& context_;
  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace widelab::cuda
