// The means of the Gaussian mixture.
#pragma once

#include <cstdint>
#include <vector>

#include "host/data/data_spec.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab::data {

/// Layers of the stream data_directions: who the directions belong to.
inline constexpr std::uint8_t kTeacherLayer = 0, kMixtureLayer = 1;

/// RecipeError unless 1 <= components <= d and separation >= 0.
void require_mixture(const DataSpec& spec);

/// Means of the components (k x d): mu_c = separation / sqrt(2) (u_c - average of u), u_c random orthonormal, so that
/// any two are `separation` apart, their sum is 0 and sum_c mu_c mu_c^T / k is separation^2 / (2k) times a projector
/// of rank k - 1. Two components: +-separation / 2 along one direction.
std::vector<double> mixture_means(const DataSpec& spec, DrawId data_id);

}  // namespace widelab::data
