// What a ridge path must satisfy before it is solved; every implementation asks first.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "widelab/base/contract.hpp"
#include "widelab/ops/kernel_ridge_path.hpp"
#include "widelab/ops/ridge_path.hpp"

namespace widelab {
namespace ridge_checks {

inline void sizes_and_filters(const std::vector<Index>& sizes, const std::vector<SpectralFilter>& filters) {
  if (sizes.empty()) throw RecipeError("sizes of a ridge path = []: give at least one number >= 1");
  for (std::size_t s = 0; s < sizes.size(); ++s)
    if (sizes[s] < 1 || (s > 0 && sizes[s] <= sizes[s - 1]))
      throw RecipeError("sizes of a ridge path: entry " + std::to_string(s) + " = " + std::to_string(sizes[s]) +
                        ": must be at least 1 and larger than the entry before it");
  if (filters.empty()) throw RecipeError("a ridge path without ridges and times: give at least one");
  for (const SpectralFilter& filter : filters)
    if (!(filter.value >= 0) || !std::isfinite(filter.value))
      throw RecipeError(std::string(filter.kind == SpectralFilter::Kind::ridge ? "ridge" : "time of gradient flow") +
                        " = " + std::to_string(filter.value) + ": must be a finite number, 0 or larger");
}

}  // namespace ridge_checks

/// RecipeError naming what is wrong with sizes or filters; ContractError for extents and pointers.
inline void check_ridge_path(const RidgePathProblem& problem) {
  ridge_checks::sizes_and_filters(problem.sizes, problem.filters);
  WIDELAB_REQUIRE(problem.members >= 0 && problem.examples >= 1 && problem.targets_per_example >= 1,
                  "a ridge path needs examples and targets");
  WIDELAB_REQUIRE(problem.targets && problem.features.inputs, "a ridge path needs targets and inputs");
  WIDELAB_REQUIRE(problem.features.dimension >= 1, "inputs of a ridge path need at least one coordinate");
  WIDELAB_REQUIRE(problem.features.kind == FeatureKind::given || problem.features.weights,
                  "random and tangent features need the ids of their weights");
  WIDELAB_REQUIRE(problem.features.kind != FeatureKind::given || problem.sizes.back() <= problem.features.dimension,
                  "more units are asked for than given");
  WIDELAB_REQUIRE(!problem.predictions || problem.test_inputs, "predictions need test inputs");
  if (problem.sizes.back() > 0xFFFFFFFFll)
    throw RecipeError("size of a ridge path = " + std::to_string(problem.sizes.back()) +
                      ": must be at most 4294967295 (units are numbered with 32 bits)");
}

/// The same for a kernel ridge path.
inline void check_kernel_ridge_path(const KernelRidgePathProblem& problem) {
  ridge_checks::sizes_and_filters(problem.sizes, problem.filters);
  WIDELAB_REQUIRE(problem.members >= 0 && problem.examples >= 1 && problem.targets_per_example >= 1,
                  "a kernel ridge path needs examples and targets");
  WIDELAB_REQUIRE(problem.kernels && problem.targets, "a kernel ridge path needs kernels and targets");
  WIDELAB_REQUIRE(!problem.predictions || problem.cross, "predictions need a cross kernel");
  if (problem.sizes.back() > problem.examples)
    throw RecipeError("size of a kernel ridge path = " + std::to_string(problem.sizes.back()) +
                      ": must be at most the number of examples, " + std::to_string(problem.examples));
}

}  // namespace widelab
