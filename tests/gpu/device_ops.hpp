// Kernel ops run through a backend on inputs of tests/support/random_problem.hpp.
#pragma once

#include <vector>

#include "host/runtime/backend.hpp"
#include "tests/support/random_problem.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::test {

/// The device under test, shared by the tests of an executable.
inline runtime::Backend& device() {
  static const std::unique_ptr<runtime::Backend> backend = runtime::make_backend("cuda");
  return *backend;
}

inline runtime::Backend& host() {
  static const std::unique_ptr<runtime::Backend> backend = runtime::make_backend("cpu");
  return *backend;
}

struct KernelRequest {
  Index rows = 5, cols = 0;  ///< N1, N2; N2 = 0: symmetric
  NtkBlocks blocks = NtkBlocks::full;
  DeviceLimits limits;
  bool store_weights = false;
};

template <class T>
struct Kernels {
  std::vector<double> ntk, nngp;
  std::vector<T> outputs;
};

template <class T>
std::vector<T> initial_weights(runtime::Backend& backend, const Network& network, const std::vector<DrawId>& ids) {
  std::vector<T> weights(ids.size() * static_cast<std::size_t>(ParamLayout(network.shape).size), T(NAN));
  backend.init(InitProblem<T>{&network, ids.data(), static_cast<Index>(ids.size()), weights.data()});
  return weights;
}

/// NTK, NNGP and outputs of the members `ids` on random inputs; arrays are poisoned with NaN first.
template <class T>
Kernels<T> kernels(runtime::Backend& backend, const Network& network, const std::vector<DrawId>& ids,
                   const KernelRequest& request) {
  const Index members = static_cast<Index>(ids.size()), d = network.shape.input_dim;
  const std::vector<T> x1 = normals<T>(request.rows, d, 1), x2 = normals<T>(request.cols, d, 2);
  std::vector<T> stored;
  if (request.store_weights) stored = initial_weights<T>(backend, network, ids);
  NtkProblem<T> problem;
  problem.network = &network;
  problem.weights = {members, ids.data(), request.store_weights ? stored.data() : nullptr};
  problem.x1 = matrix_view(x1.data(), request.rows, d);
  if (request.cols > 0) problem.x2 = matrix_view(x2.data(), request.cols, d);
  problem.blocks = request.blocks;
  problem.limits = request.limits;
  Kernels<T> out;
  out.ntk.assign(static_cast<std::size_t>(members * problem.entries()), NAN);
  out.nngp.assign(static_cast<std::size_t>(members * problem.rows() * problem.cols()), NAN);
  out.outputs.assign(static_cast<std::size_t>(members * request.rows * network.shape.outputs), T(NAN));
  problem.ntk = out.ntk.data();
  problem.nngp = out.nngp.data();
  problem.outputs = out.outputs.data();
  backend.ntk(problem);
  return out;
}

}  // namespace widelab::test
