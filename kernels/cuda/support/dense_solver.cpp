#include "kernels/cuda/support/dense_solver.hpp"

#include <string>

#include "kernels/cuda/support/errors.hpp"

namespace widelab::cuda {
namespace {

// cuBLAS and cuSOLVER are column-major, so that to them a row-major lower triangle L is the upper triangle U = L^T, and
// rows of vectors are columns.
constexpr cublasFillMode_t kLower = CUBLAS_FILL_MODE_UPPER;

}  // namespace

DenseSolver::DenseSolver(Context& context)
    : context_(context), info_(context, "solver status", 1), device_workspace_(context, "solver workspace", 0) {
  WIDELAB_CUDA(cusolverDnCreateParams(&parameters_));
}

DenseSolver::~DenseSolver() { static_cast<void>(cusolverDnDestroyParams(parameters_)); }

// The queries look at sizes alone: no matrix exists yet.

DenseSolver::Bytes DenseSolver::cholesky_workspace(Index order, Index stride) {
  Bytes bytes;
  WIDELAB_CUDA(cusolverDnXpotrf_bufferSize(context_.solver, parameters_, kLower, order, CUDA_R_64F, nullptr, stride,
                                           CUDA_R_64F, &bytes.device, &bytes.host));
  return bytes;
}

DenseSolver::Bytes DenseSolver::eigenvector_workspace(Index order) {
  Bytes bytes;
  WIDELAB_CUDA(cusolverDnXsyevd_bufferSize(context_.solver, parameters_, CUSOLVER_EIG_MODE_VECTOR, kLower, order,
                                           CUDA_R_64F, nullptr, order, CUDA_R_64F, nullptr, CUDA_R_64F, &bytes.device,
                                           &bytes.host));
  return bytes;
}

double DenseSolver::cholesky_bytes(Index order) { return static_cast<double>(cholesky_workspace(order, order).device); }
double DenseSolver::eigenvector_bytes(Index order) { return static_cast<double>(eigenvector_workspace(order).device); }

// The library is told of no more room than it asked for, whatever an earlier matrix needed: bits might depend on it.
void DenseSolver::make_room(const Bytes& bytes) {
  if (static_cast<std::size_t>(device_workspace_.size()) < bytes.device) {
    device_workspace_ = DeviceArray<unsigned char>(context_, "solver workspace", 0);
    device_workspace_ = DeviceArray<unsigned char>(context_, "solver workspace", static_cast<Index>(bytes.device));
  }
  // The library may still read host memory that it was given.
  if (host_workspace_.size() < bytes.host) {
    synchronise(context_);
    host_workspace_.resize(bytes.host);
  }
}

void DenseSolver::syrk(Index order, Index inner, double alpha, Operand a, double beta, double* c, Index stride) {
  WIDELAB_CUDA(cublasSetMathMode(context_.blas, CUBLAS_DEFAULT_MATH));
  const cublasOperation_t op = a.op == Op::plain ? CUBLAS_OP_T : CUBLAS_OP_N;
  WIDELAB_CUDA(cublasDsyrk_64(context_.blas, kLower, op, order, inner, &alpha, a.data, a.stride, &beta, c, stride));
}

Index DenseSolver::cholesky(Index order, double* a, Index stride) {
  const Bytes bytes = cholesky_workspace(order, stride);
  make_room(bytes);
  WIDELAB_CUDA(cusolverDnXpotrf(context_.solver, parameters_, kLower, order, CUDA_R_64F, a, stride, CUDA_R_64F,
                                device_workspace_.data(), bytes.device, host_workspace_.data(), bytes.host,
                                info_.data()));
  int info = 0;
  info_.download(&info);
  if (info < 0) throw CudaError("cuSOLVER's Cholesky factor refused argument " + std::to_string(-info));
  return info == 0 ? order : static_cast<Index>(info) - 1;
}

void DenseSolver::solve_rows(Index rows, Index order, Operand l, double* x, Index stride) {
  if (rows == 0 || order == 0) return;
  const double one = 1.0;
  const cublasOperation_t op = l.op == Op::plain ? CUBLAS_OP_N : CUBLAS_OP_T;
  WIDELAB_CUDA(cublasDtrsm_64(context_.blas, CUBLAS_SIDE_LEFT, kLower, op, CUBLAS_DIAG_NON_UNIT, order, rows, &one,
                              l.data, l.stride, x, stride));
}

void DenseSolver::multiply_rows(Index rows, Index order, Operand l, double* x, Index stride) {
  if (rows == 0 || order == 0) return;
  const double one = 1.0;
  const cublasOperation_t op = l.op == Op::plain ? CUBLAS_OP_N : CUBLAS_OP_T;
  // In place, because result and operand are the same array with the same stride.
  WIDELAB_CUDA(cublasDtrmm_64(context_.blas, CUBLAS_SIDE_LEFT, kLower, op, CUBLAS_DIAG_NON_UNIT, order, rows, &one,
                              l.data, l.stride, x, stride, x, stride));
}

void DenseSolver::eigenvectors(Index order, double* a, double* values, int* info) {
  if (order == 1) {
    const double one = 1.0;
    WIDELAB_CUDA(cudaMemcpyAsync(values, a, sizeof(double), cudaMemcpyDeviceToDevice, context_.stream));
    WIDELAB_CUDA(cudaMemcpyAsync(a, &one, sizeof(double), cudaMemcpyHostToDevice, context_.stream));
    WIDELAB_CUDA(cudaMemsetAsync(info, 0, sizeof(int), context_.stream));
    return;
  }
  const Bytes bytes = eigenvector_workspace(order);
  make_room(bytes);
  // Eigenvector k comes back as column k, which is row k here.
  WIDELAB_CUDA(cusolverDnXsyevd(context_.solver, parameters_, CUSOLVER_EIG_MODE_VECTOR, kLower, order, CUDA_R_64F, a,
                                order, CUDA_R_64F, values, CUDA_R_64F, device_workspace_.data(), bytes.device,
                                host_workspace_.data(), bytes.host, info));
}

}  // namespace widelab::cuda
