#include "host/theory/gaussian_posterior.hpp"

#include <limits>
#include <string>

#include "host/theory/eigenbasis.hpp"
#include "widelab/base/contract.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::theory {

GaussianPosterior gaussian_posterior(MatrixView<const double> kernel, const std::vector<double>& targets,
                                     double noise_variance) {
  const Index points = kernel.rows, n = static_cast<Index>(targets.size());
  WIDELAB_REQUIRE(kernel.cols == points && n >= 1 && n <= points, "a kernel of all points, the observed ones first");
  if (!(noise_variance > 0) || !(noise_variance <= std::numeric_limits<double>::max()))
    throw RecipeError("noise variance " + std::to_string(noise_variance) + ": must be positive and finite");
  const Eigenbasis basis(MatrixView<const double>{&kernel(0, 0), n, n, kernel.stride});
  const double largest = basis.values().back(), rounding = 1e-10 * (largest > 0 ? largest : 1.0);
  if (basis.values().front() < -rounding)
    throw RecipeError("the kernel on the training set has the eigenvalue " + std::to_string(basis.values().front()) +
                      ": a covariance has none below 0");
  // K(x, X) U and U^T y.
  const std::vector<double> cross = basis.rows_into(MatrixView<const double>{&kernel(0, 0), points, n, kernel.stride}),
                            seen = basis.rows_into(matrix_view<const double>(targets.data(), 1, n));
  GaussianPosterior out;
  for (Index p = 0; p < points; ++p) {
    double mean = 0;
    for (Index i = 0; i < n; ++i)
      mean += cross[static_cast<std::size_t>(p * n + i)] * seen[static_cast<std::size_t>(i)] /
              (basis.values()[static_cast<std::size_t>(i)] + noise_variance);
    out.mean.push_back(mean);
    for (Index q = 0; q < points; ++q) {
      double known = 0;
      for (Index i = 0; i < n; ++i)
        known += cross[static_cast<std::size_t>(p * n + i)] * cross[static_cast<std::size_t>(q * n + i)] /
                 (basis.values()[static_cast<std::size_t>(i)] + noise_variance);
      out.covariance.push_back(kernel(p, q) - known);
    }
  }
  return out;
}

}  // namespace widelab::theory
