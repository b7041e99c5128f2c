#include "widelab/ops/init.hpp"

#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/blas.hpp"
#include "kernels/cpu/parallel.hpp"
#include "kernels/cpu/random_fill.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::cpu {
namespace {

/// Q of the QR decomposition of the tall one of G and G^T, G the normal draws, with the signs that make R's diagonal
/// positive (Haar measure: Mezzadri 2007), times sqrt(tall side), so that the mean square entry is 1.
template <class T>
void orthogonal(const StreamId& id, Index rows, Index cols, double std, T* out) {
  const Index tall = std::max(rows, cols), narrow = std::min(rows, cols);
  std::vector<double> draws(static_cast<std::size_t>(rows * cols)), q(draws.size()),
      tau(static_cast<std::size_t>(narrow));
  for (Index i = 0; i < rows; ++i)
    fill_init_row(InitKind::normal, id, static_cast<std::uint32_t>(i), 0, cols, 1.0, draws.data() + i * cols);
  const bool is_tall = rows >= cols;
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j) q[is_tall ? i * cols + j : j * rows + i] = draws[i * cols + j];
  const auto m = static_cast<lapack_int>(tall), n = static_cast<lapack_int>(narrow);
  WIDELAB_REQUIRE(LAPACKE_dgeqrf(LAPACK_ROW_MAJOR, m, n, q.data(), n, tau.data()) == 0, "QR decomposition failed");
  std::vector<double> sign(static_cast<std::size_t>(narrow));
  for (Index k = 0; k < narrow; ++k) sign[k] = q[k * narrow + k] < 0 ? -1.0 : 1.0;
  WIDELAB_REQUIRE(LAPACKE_dorgqr(LAPACK_ROW_MAJOR, m, n, n, q.data(), n, tau.data()) == 0, "forming Q failed");
  const double scale = std * std::sqrt(static_cast<double>(tall));
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j) {
      const Index t = is_tall ? i : j, k = is_tall ? j : i;
      out[i * cols + j] = static_cast<T>(scale * sign[k] * q[t * narrow + k]);
    }
}

template <class T>
void run(const InitProblem<T>& problem) {
  use_single_threaded_blas();
  const MlpShape& shape = problem.network->shape;
  const ParamLayout layout(shape);
  for (const LayerScale& layer : problem.network->layers)
    WIDELAB_REQUIRE(layer.weight_law != InitKind::file, "weights from a file are read, not drawn");
  parallel_for(problem.members * shape.layers(), true, [&](Index piece) {
    const Index e = piece / shape.layers(), l = piece % shape.layers();
    const auto at = static_cast<std::size_t>(l);
    const LayerScale& scale = problem.network->layers[at];
    const Index rows = shape.fan_out(l), cols = shape.fan_in(l);
    T* w = problem.parameters + e * layout.size + layout.weight_offset[at];
    const StreamId id = problem.init[e].stream(Stream::weights, static_cast<std::uint8_t>(l));
    if (scale.weight_law == InitKind::orthogonal)
      orthogonal(id, rows, cols, scale.weight_std, w);
    else
      for (Index i = 0; i < rows; ++i)
        fill_init_row(scale.weight_law, id, static_cast<std::uint32_t>(i), 0, cols, scale.weight_std, w + i * cols);
    fill_init_row(scale.bias_law, problem.init[e].stream(Stream::biases, static_cast<std::uint8_t>(l)), 0, 0, rows,
                  scale.bias_std, problem.parameters + e * layout.size + layout.bias_offset[at]);
  });
}

}  // namespace

void init(const InitProblem<float>& problem) { run(problem); }
void init(const InitProblem<double>& problem) { run(problem); }

}  // namespace widelab::cpu
