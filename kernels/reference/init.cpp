#include "widelab/ops/init.hpp"

#include <lapacke.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "widelab/base/contract.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::reference {
namespace {

double draw(InitKind law, const StreamId& stream, Index row, Index col) {
  return static_cast<double>(
      init_draw_at(law, stream, static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(col)));
}

/// Orthonormal columns that span those of q (rows x cols, rows >= cols, row-major): the factor Q of q = QR, R's
/// diagonal made positive, which makes Q uniform on the Stiefel manifold (Mezzadri 2007).
void orthonormalise(std::vector<double>& q, Index rows, Index cols) {
  const auto r = static_cast<lapack_int>(rows), c = static_cast<lapack_int>(cols);
  std::vector<double> tau(static_cast<std::size_t>(cols));
  WIDELAB_REQUIRE(LAPACKE_dgeqrf(LAPACK_ROW_MAJOR, r, c, q.data(), c, tau.data()) == 0, "QR decomposition failed");
  std::vector<double> sign(static_cast<std::size_t>(cols));
  for (Index j = 0; j < cols; ++j)
    sign[static_cast<std::size_t>(j)] = q[static_cast<std::size_t>(j * cols + j)] < 0 ? -1.0 : 1.0;
  WIDELAB_REQUIRE(LAPACKE_dorgqr(LAPACK_ROW_MAJOR, r, c, c, q.data(), c, tau.data()) == 0, "QR decomposition failed");
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j) q[static_cast<std::size_t>(i * cols + j)] *= sign[static_cast<std::size_t>(j)];
}

void orthogonal_weights(const StreamId& stream, Index rows, Index cols, double scale, double* w) {
  const bool wide = cols > rows;
  const Index tall = wide ? cols : rows, thin = wide ? rows : cols;
  std::vector<double> q(static_cast<std::size_t>(tall * thin));
  for (Index i = 0; i < tall; ++i)
    for (Index j = 0; j < thin; ++j)
      q[static_cast<std::size_t>(i * thin + j)] =
          wide ? draw(InitKind::normal, stream, j, i) : draw(InitKind::normal, stream, i, j);
  orthonormalise(q, tall, thin);
  // thin unit columns hold thin of squared mass in tall * thin entries.
  const double unit_mean_square = std::sqrt(static_cast<double>(tall));
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < cols; ++j)
      w[i * cols + j] = scale * unit_mean_square * q[static_cast<std::size_t>(wide ? j * thin + i : i * thin + j)];
}

}  // namespace

void init(const InitProblem<double>& problem) {
  const MlpShape& shape = problem.network->shape;
  const ParamLayout layout(shape);
  for (Index m = 0; m < problem.members; ++m)
    for (Index l = 0; l < shape.layers(); ++l) {
      const LayerScale& scale = problem.network->layers[static_cast<std::size_t>(l)];
      WIDELAB_REQUIRE(scale.weight_law != InitKind::file && is_elementwise(scale.bias_law),
                      "weights from a file are read, not drawn, and biases need an elementwise law");
      const StreamId weight_stream = problem.init[m].stream(Stream::weights, static_cast<std::uint8_t>(l));
      const StreamId bias_stream = problem.init[m].stream(Stream::biases, static_cast<std::uint8_t>(l));
      const Index rows = shape.fan_out(l), cols = shape.fan_in(l);
      double* w = problem.parameters + m * layout.size + layout.weight_offset[static_cast<std::size_t>(l)];
      double* b = problem.parameters + m * layout.size + layout.bias_offset[static_cast<std::size_t>(l)];
      if (scale.weight_law == InitKind::orthogonal) {
        orthogonal_weights(weight_stream, rows, cols, scale.weight_std, w);
      } else {
        for (Index i = 0; i < rows; ++i)
          for (Index j = 0; j < cols; ++j)
            w[i * cols + j] = scale.weight_std * draw(scale.weight_law, weight_stream, i, j);
      }
      for (Index i = 0; i < rows; ++i) b[i] = scale.bias_std * draw(scale.bias_law, bias_stream, 0, i);
    }
}

}  // namespace widelab::reference
