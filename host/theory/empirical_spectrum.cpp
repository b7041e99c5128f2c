#include "host/theory/empirical_spectrum.hpp"

#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "widelab/base/errors.hpp"

namespace widelab::theory {

FeatureSpectrum empirical_spectrum(std::vector<double> kernel, const std::vector<double>& targets, Index examples) {
  const auto n = static_cast<std::size_t>(examples);
  if (examples < 1 || kernel.size() != n * n || targets.empty() || targets.size() % n != 0)
    throw RecipeError("empirical spectrum: a kernel of " + std::to_string(kernel.size()) + " numbers and targets of " +
                      std::to_string(targets.size()) + " do not belong to " + std::to_string(examples) + " examples");
  const auto finite = [](double x) { return std::isfinite(x); };
  if (!std::all_of(kernel.begin(), kernel.end(), finite) || !std::all_of(targets.begin(), targets.end(), finite))
    throw RecipeError("empirical spectrum: the kernel or a target has an entry that is not a finite number");
  const std::size_t outputs = targets.size() / n;
  std::vector<double> eigenvalues(n);
  const auto order = static_cast<lapack_int>(examples);
  if (LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'L', order, kernel.data(), order, eigenvalues.data()) != 0)
    throw RecipeError("empirical spectrum: the eigenvalues of the kernel did not converge");
  const auto count = static_cast<double>(examples);
  const double rounding = count * std::numeric_limits<double>::epsilon() * eigenvalues.back();
  FeatureSpectrum spectrum;
  for (std::size_t j = n; j-- > 0;) {
    double power = 0;
    for (std::size_t o = 0; o < outputs; ++o) {
      double product = 0;
      for (std::size_t i = 0; i < n; ++i) product += kernel[j * n + i] * targets[i * outputs + o];
      power += product * product / count;
    }
    spectrum.groups.push_back({eigenvalues[j] > rounding ? eigenvalues[j] / count : 0.0, 1.0, power});
  }
  return spectrum;
}

}  // namespace widelab::theory
