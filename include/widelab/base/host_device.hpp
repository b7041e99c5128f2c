// Marks functions that both the host compiler and nvcc's device pass must accept.
#pragma once

#if defined(__CUDACC__)
#define WIDELAB_HD __host__ __device__ inline
#else
#define WIDELAB_HD inline
#endif
