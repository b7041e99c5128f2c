// Symmetric operators whose eigenvalues are known: diagonal matrices between random reflections.
#pragma once

#include <utility>
#include <vector>

#include "tests/support/random_problem.hpp"

namespace widelab::test {

/// A = R diag(eigenvalues) R^T, R a product of Householder reflections, applied without forming A.
class KnownSpectrum {
 public:
  explicit KnownSpectrum(std::vector<double> eigenvalues, std::uint64_t mirrors = 4)
      : eigenvalues_(std::move(eigenvalues)) {
    for (std::uint64_t k = 0; k < mirrors; ++k) {
      std::vector<double> u = normals<double>(1, size(), 11 + k);
      double square = 0;
      for (const double x : u) square += x * x;
      for (double& x : u) x /= std::sqrt(square);
      mirrors_.push_back(std::move(u));
    }
  }

  Index size() const { return static_cast<Index>(eigenvalues_.size()); }

  void operator()(const double* v, double* image) const {
    std::copy_n(v, size(), image);
    for (const auto& u : mirrors_) reflect(u, image);
    for (std::size_t i = 0; i < eigenvalues_.size(); ++i) image[i] *= eigenvalues_[i];
    for (auto u = mirrors_.rbegin(); u != mirrors_.rend(); ++u) reflect(*u, image);
  }

  /// Row-major, column by column from unit vectors.
  std::vector<double> dense() const {
    std::vector<double> out(eigenvalues_.size() * eigenvalues_.size()), unit(eigenvalues_.size());
    for (std::size_t i = 0; i < unit.size(); ++i) {
      unit[i] = 1;
      (*this)(unit.data(), out.data() + i * unit.size());
      unit[i] = 0;
    }
    return out;
  }

 private:
  static void reflect(const std::vector<double>& u, double* v) {
    double along = 0;
    for (std::size_t i = 0; i < u.size(); ++i) along += u[i] * v[i];
    for (std::size_t i = 0; i < u.size(); ++i) v[i] -= 2 * along * u[i];
  }

  std::vector<double> eigenvalues_;
  std::vector<std::vector<double>> mirrors_;
};

}  // namespace widelab::test
