#include "host/estimators/tangent_risk.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "host/estimators/population_risk.hpp"
#include "widelab/base/contract.hpp"

namespace widelab::estimators {
namespace {

/// The coefficients of the units of one size, R x (units d).
std::vector<double> gather(const PrefixSolutions& solutions, std::size_t size, Index dimension) {
  const Index stride = solutions.points * dimension, columns = solutions.sizes[size] * dimension;
  std::vector<double> out(static_cast<std::size_t>(solutions.rights * columns));
  for (Index r = 0; r < solutions.rights; ++r)
    std::copy_n(solutions.coefficients + (static_cast<Index>(size) * solutions.rights + r) * stride, columns,
                out.begin() + r * columns);
  return out;
}

}  // namespace

TangentRisk::TangentRisk(Index dimension, std::vector<double> coefficient, std::vector<double> multiplicity)
    : dimension_(dimension), coefficient_(std::move(coefficient)), multiplicity_(std::move(multiplicity)) {
  WIDELAB_REQUIRE(dimension_ >= 3 && coefficient_.size() == multiplicity_.size(),
                  "d >= 3, and as many coefficients as multiplicities");
}

PrefixMoments TangentRisk::moments(const PrefixSolutions& solutions, Index degrees) const {
  WIDELAB_REQUIRE(degrees <= static_cast<Index>(multiplicity_.size()), "as many multiplicities as degrees");
  const std::size_t sizes = solutions.sizes.size(), rights = static_cast<std::size_t>(solutions.rights),
                    last = static_cast<std::size_t>(degrees);
  const Units units{solutions.directions, solutions.points, dimension_};
  PrefixMoments out{solutions.rights, degrees, std::vector<double>(sizes * rights * rights),
                    std::vector<double>(sizes * rights * last)};
  std::vector<std::vector<double>> coefficients;
  for (std::size_t s = 0; s < sizes; ++s) coefficients.push_back(gather(solutions, s, dimension_));
  const auto row = [&](std::size_t s, std::size_t r) {
    return coefficients[s].data() + r * coefficients[s].size() / rights;
  };
#pragma omp parallel for schedule(dynamic, 1)
  for (std::size_t r = 0; r < rights; ++r) {
    std::vector<ProductBlock> blocks;
    for (std::size_t s = 0; s < sizes; ++s)
      blocks.push_back({solutions.sizes[s], 1, 1, solutions.rights, row(s, r), coefficients[s].data(),
                        out.products.data() + (s * rights + r) * rights});
    tangent_feature_products(units, units, blocks);
  }
  for (double& product : out.products) product /= static_cast<double>(dimension_);  // from |x|^2 = d to |x| = 1
  std::vector<double> target(static_cast<std::size_t>(solutions.points * dimension_));
  for (std::size_t l = 0; l < last; ++l) {
    ZonalSeries profile{std::vector<double>(l + 1), dimension_};
    profile.coefficients[l] = std::sqrt(multiplicity_[l] / static_cast<double>(dimension_)) * coefficient_[l];
    tangent_feature_target(units, profile, target.data());
    for (std::size_t s = 0; s < sizes; ++s)
      for (std::size_t r = 0; r < rights; ++r)
        out.overlaps[(s * rights + r) * last + l] =
            std::inner_product(row(s, r), row(s, r) + coefficients[s].size() / rights, target.begin(), 0.0);
  }
  return out;
}

}  // namespace widelab::estimators
