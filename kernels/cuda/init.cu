#include "widelab/ops/init.hpp"

#include <cmath>

#include "kernels/cuda/random_fill.hpp"
#include "kernels/cuda/support/device_array.hpp"
#include "kernels/cuda/support/row_tiling.cuh"
#include "widelab/base/contract.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::cuda {
namespace {

/// out (rows x cols) = in^T, in cols x rows.
__global__ void __launch_bounds__(kThreads) transpose_kernel(RowTiling tiling, const double* in, double* out) {
  for_each_element(tiling, [&](Index i, Index j) { out[i * tiling.columns + j] = in[j * tiling.rows + i]; });
}

/// Entry (i, k) of the reflectors' R factor decides the sign of column k of Q. Column-major `factors`, tall rows.
__global__ void __launch_bounds__(kThreads)
    take_signs_kernel(RowTiling tiling, const double* factors, Index tall, double* signs) {
  for_each_element(tiling, [&](Index, Index k) { signs[k] = factors[k * tall + k] < 0.0 ? -1.0 : 1.0; });
}

/// q holds column k of Q at q + k tall. W(i, j) = scale sign Q: entry (j, i) of Q for wide W, (i, j) otherwise.
template <class T>
__global__ void __launch_bounds__(kThreads) write_orthogonal_kernel(RowTiling tiling, bool wide, const double* q,
                                                                    const double* signs, double scale, T* weights) {
  for_each_element(tiling, [&](Index i, Index j) {
    const Index tall = wide ? tiling.columns : tiling.rows, t = wide ? j : i, k = wide ? i : j;
    weights[i * tiling.columns + j] = static_cast<T>(scale * signs[k] * q[k * tall + t]);
  });
}

/// The orthogonal factor of the normal draws of a layer, one member at a time, by cuSOLVER in fp64.
class OrthogonalLayer {
 public:
  OrthogonalLayer(Context& context, Index rows, Index cols)
      : context_(context),
        rows_(rows),
        cols_(cols),
        wide_(cols > rows),
        tall_(std::max(rows, cols)),
        thin_(std::min(rows, cols)),
        draws_(context, "normal draws of a layer", rows * cols),
        factors_(context, "QR factors", rows * cols),
        reflectors_(context, "Householder scalars", thin_),
        signs_(context, "signs of R", thin_),
        info_(context, "QR status", 1),
        workspace_(context, "QR workspace", 0) {
    int factorise = 0, form = 0;
    WIDELAB_REQUIRE(tall_ <= 0x7FFFFFFF && rows * cols > 0, "an orthogonal layer must have 1 to 2^31 - 1 units a side");
    WIDELAB_CUDA(cusolverDnDgeqrf_bufferSize(context.solver, tall(), thin(), factors_.data(), tall(), &factorise));
    WIDELAB_CUDA(cusolverDnDorgqr_bufferSize(context.solver, tall(), thin(), thin(), factors_.data(), tall(),
                                             reflectors_.data(), &form));
    workspace_ = DeviceArray<double>(context, "QR workspace", std::max(factorise, form));
  }

  template <class T>
  void write(const DrawId* id, int layer, double std, T* weights) {
    fill_weights(context_, FillTask<double>{id, 1, 1, Stream::weights, layer, InitKind::normal, 1.0, 0, rows_, cols_,
                                            draws_.data(), rows_ * cols_});
    // cuSOLVER is column-major: a wide row-major matrix is its transpose, tall, as it lies.
    const RowTiling all = row_tiling(rows_, cols_), turned = row_tiling(cols_, rows_), columns = row_tiling(1, thin_);
    double* factors = draws_.data();
    if (!wide_) {
      launch(context_, "transpose_kernel", turned.grid(), transpose_kernel, turned, draws_.data(), factors_.data());
      factors = factors_.data();
    }
    const int lwork = static_cast<int>(workspace_.size());
    WIDELAB_CUDA(cusolverDnDgeqrf(context_.solver, tall(), thin(), factors, tall(), reflectors_.data(),
                                  workspace_.data(), lwork, info_.data()));
    launch(context_, "take_signs_kernel", columns.grid(), take_signs_kernel, columns, factors, tall_, signs_.data());
    WIDELAB_CUDA(cusolverDnDorgqr(context_.solver, tall(), thin(), thin(), factors, tall(), reflectors_.data(),
                                  workspace_.data(), lwork, info_.data()));
    launch(context_, "write_orthogonal_kernel", all.grid(), write_orthogonal_kernel<T>, all, wide_, factors,
           signs_.data(), std * std::sqrt(static_cast<double>(tall_)), weights);
  }

 private:
  int tall() const { return static_cast<int>(tall_); }
  int thin() const { return static_cast<int>(thin_); }

  Context& context_;
  Index rows_, cols_;
  bool wide_;
  Index tall_, thin_;
  DeviceArray<double> draws_, factors_, reflectors_, signs_;
  DeviceArray<int> info_;
  DeviceArray<double> workspace_;
};

template <class T>
void run(Context& context, const InitProblem<T>& problem) {
  const DeviceGuard guard(context);
  const MlpShape& shape = problem.network->shape;
  const ParamLayout layout(shape);
  const DeviceArray<DrawId> ids(context, "replicate ids", problem.init, problem.members);
  for (Index l = 0; l < shape.layers(); ++l) {
    const auto at = static_cast<std::size_t>(l);
    const LayerScale& scale = problem.network->layers[at];
    WIDELAB_REQUIRE(scale.weight_law != InitKind::file && is_elementwise(scale.bias_law),
                    "weights from a file are read, not drawn, and biases need an elementwise law");
    const Index rows = shape.fan_out(l), cols = shape.fan_in(l);
    const int layer = static_cast<int>(l);
    T *weights = problem.parameters + layout.weight_offset[at], *biases = problem.parameters + layout.bias_offset[at];
    FillTask<T> task{ids.data(),
                     problem.members,
                     problem.members,
                     Stream::weights,
                     layer,
                     scale.weight_law,
                     scale.weight_std,
                     0,
                     rows,
                     cols,
                     weights,
                     layout.size};
    if (scale.weight_law == InitKind::orthogonal) {
      OrthogonalLayer orthogonal(context, rows, cols);
      for (Index m = 0; m < problem.members; ++m)
        orthogonal.write(ids.data() + m, layer, scale.weight_std, weights + m * layout.size);
    } else {
      fill_weights(context, task);
    }
    task = {ids.data(), problem.members, problem.members, Stream::biases, layer, scale.bias_law, scale.bias_std, 0, 1,
            rows,       biases,          layout.size};
    fill_weights(context, task);
  }
  synchronise(context);
}

}  // namespace

void init(Context& context, const InitProblem<float>& problem) { run(context, problem); }
void init(Context& context, const InitProblem<double>& problem) { run(context, problem); }

}  // namespace widelab::cuda
