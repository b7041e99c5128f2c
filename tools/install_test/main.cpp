// What a user of the installed package writes first: a network, its infinite-width NTK, and the mean NTK of an
// ensemble.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "host/theory/infinite_width.hpp"
#include "widelab/model/parametrization.hpp"
#include "widelab/ops/ntk.hpp"

int main() {
  widelab::MlpShape shape;
  shape.input_dim = 2;
  shape.widths = {64, 64, 64};
  widelab::InitChoice choice;
  choice.sigma_w = {std::sqrt(2.0)};
  const widelab::Network network = widelab::make_network(shape, choice);
  const std::vector<double> x{1.0, 1.0};
  const auto inputs = widelab::matrix_view(x.data(), 1, 2);

  const double limit = widelab::theory::infinite_width_kernels(network, inputs).ntk.front();
  const double expected = 8.0;  // 2 (L + 1) |x|^2 / d
  if (std::abs(limit - expected) > 1e-12 * expected) {
    std::printf("infinite-width NTK %.17g, expected %.17g\n", limit, expected);
    return 1;
  }

  const std::uint32_t members = 400;
  std::vector<widelab::DrawId> ids(members);
  for (std::uint32_t m = 0; m < members; ++m) ids[m] = {widelab::role_key(1, "init", ""), m};
  std::vector<double> kernels(members);
  widelab::NtkProblem<double> problem;
  problem.network = &network;
  problem.weights = {members, ids.data(), nullptr};
  problem.x1 = inputs;
  problem.ntk = kernels.data();
  widelab::cpu::ntk(problem);

  double mean = 0, square = 0;
  for (const double kernel : kernels) mean += kernel / members;
  for (const double kernel : kernels) square += (kernel - mean) * (kernel - mean) / (members - 1);
  const double z = (mean - expected) / std::sqrt(square / members);  // E Theta has no finite-width correction here
  std::printf("infinite-width NTK %g, mean over %u networks %g, z = %.2f\n", limit, members, mean, z);
  return std::abs(z) < 4.0 ? 0 : 1;
}
