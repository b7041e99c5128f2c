#include "kernels/cpu/blas.hpp"

#include <cblas.h>
#include <dlfcn.h>
#include <lapacke.h>

#include <initializer_list>
#include <vector>

#include "widelab/base/contract.hpp"

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

void syrk(Index n, Index inner, double alpha, Operand<double> a, double beta, double* c, Index c_stride) {
  cblas_dsyrk(CblasRowMajor, CblasLower, flag(a.op), static_cast<int>(n), static_cast<int>(inner), alpha, a.data,
              static_cast<int>(a.stride), beta, c, static_cast<int>(c_stride));
}

void multiply_rows(Index rows, Index order, Operand<double> l, double* x, Index x_stride) {
  cblas_dtrmm(CblasRowMajor, CblasRight, CblasLower, flag(l.op), CblasNonUnit, static_cast<int>(rows),
              static_cast<int>(order), 1.0, l.data, static_cast<int>(l.stride), x, static_cast<int>(x_stride));
}

Index cholesky_block(Index order, double* a, Index stride) {
  // A lower triangle in rows is an upper one in columns, which LAPACK factors as U^T U.
  const lapack_int info =
      LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', static_cast<lapack_int>(order), a, static_cast<lapack_int>(stride));
  WIDELAB_REQUIRE(info >= 0, "dpotrf refused its arguments");
  return info == 0 ? order : info - 1;
}

void eigenvectors(Index order, double* a, double* values, double* vectors) {
  const auto n = static_cast<lapack_int>(order);
  std::vector<lapack_int> support(2 * static_cast<std::size_t>(order));
  lapack_int found = 0;
  const lapack_int info = LAPACKE_dsyevr(LAPACK_COL_MAJOR, 'V', 'A', 'U', n, a, n, 0.0, 0.0, 0, 0, 0.0, &found, values,
                                         vectors, n, support.data());
  WIDELAB_REQUIRE(info == 0 && found == n, "no eigenvalues: the matrix is not finite, or dsyevr did not converge");
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
