#include "kernels/cpu/blas.hpp"

#include <cblas.h>
#include <dlfcn.h>

#include <initializer_list>

namespace widelab::cpu {
namespace {

CBLAS_TRANSPOSE flag(Op op) { return op == Op::plain ? CblasNoTrans : CblasTrans; }

}  // namespace

void gemm(Index rows, Index cols, Index inner, float alpha, Operand<float> a, Operand<float> b, float beta, float* c,
          Index c_stride) {
  cblas_sgemm(CblasRowMajor, flag(a.op), flag(b.op), static_cast<int>(rows), static_cast<int>(cols),
              static_cast<int>(inner), alpha, a.data, static_cast<int>(a.stride), b.data, static_cast<int>(b.stride),
              beta, c, static_cast<int>(c_stride));
}

void gemm(Index rows, Index cols, Index inner, double alpha, Operand<double> a, Operand<double> b, double beta,
          double* c, Index c_stride) {
  cblas_dgemm(CblasRowMajor, flag(a.op), flag(b.op), static_cast<int>(rows), static_cast<int>(cols),
              static_cast<int>(inner), alpha, a.data, static_cast<int>(a.stride), b.data, static_cast<int>(b.stride),
              beta, c, static_cast<int>(c_stride));
}

void use_single_threaded_blas() {
  // Each library has a setter of its own; only the one that is loaded is found.
  static const bool done = [] {
    for (const char* setter : {"openblas_set_num_threads", "MKL_Set_Num_Threads", "bli_thread_set_num_threads"}) {
      if (void* symbol = dlsym(RTLD_DEFAULT, setter)) {
        if (setter[0] == 'b')  // BLIS counts in dim_t
          reinterpret_cast<void (*)(Index)>(symbol)(1);
        else
          reinterpret_cast<void (*)(int)>(symbol)(1);
      }
    }
    return true;
  }();
  (void)done;
}

}  // namespace widelab::cpu
