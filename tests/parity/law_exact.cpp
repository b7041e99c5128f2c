// The streamed law-exact sampler against the one that stores every matrix, at awkward sizes; and its bits against
// thread count, ensemble size and position.
#include <gtest/gtest.h>
#include <lapacke.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "kernels/cpu/law_exact_ntk_noise.hpp"
#include "tests/support/nan_memory.hpp"
#include "widelab/ops/law_exact_ntk.hpp"

namespace {

using namespace widelab;

struct Case {
  Index width, inputs, outputs, depth;
  double sigma_b, bias_init_std;
  Activation activation;
};

struct Sample {
  std::vector<double> ntk, nngp, outputs;
};

/// Inputs N x 3 without special structure; the last is a copy of the first if `duplicate`, the middle one 0 if `zero`.
std::vector<double> make_inputs(Index n, bool duplicate = false, bool zero = false) {
  std::vector<double> x(static_cast<std::size_t>(3 * n));
  for (std::size_t k = 0; k < x.size(); ++k)
    x[k] = static_cast<double>(normal_at({99, 0, Stream::test_only, 0}, 0, static_cast<std::uint32_t>(k)));
  for (std::size_t k = 0; duplicate && k < 3; ++k) x[static_cast<std::size_t>(3 * (n - 1)) + k] = x[k];
  for (std::size_t k = 0; zero && k < 3; ++k) x[static_cast<std::size_t>(3 * (n / 2)) + k] = 0.0;
  return x;
}

Network make(const Case& c) {
  MlpShape shape;
  shape.input_dim = 3;
  shape.widths.assign(static_cast<std::size_t>(c.depth), c.width);
  shape.outputs = c.outputs;
  shape.activation = c.activation;
  InitChoice choice;
  choice.sigma_w = {1.4};
  choice.sigma_b = c.sigma_b;
  choice.bias_init_std = c.bias_init_std;
  return make_network(shape, choice);
}

std::vector<DrawId> members(Index count, std::uint32_t first = 0) {
  std::vector<DrawId> ids;
  for (Index m = 0; m < count; ++m) ids.push_back({0x5EED, first + static_cast<std::uint32_t>(m)});
  return ids;
}

template <class Op>
Sample sample(Op op, const Network& network, const std::vector<double>& x, const std::vector<DrawId>& ids) {
  const Index n = static_cast<Index>(x.size()) / 3, columns = n * network.shape.outputs;
  const auto size = [&](Index each) { return ids.size() * static_cast<std::size_t>(each); };
  Sample s{std::vector<double>(size(columns * columns)), std::vector<double>(size(n * n)),
           std::vector<double>(size(columns))};
  op({&network, ids.data(), static_cast<Index>(ids.size()), matrix_view(x.data(), n, 3), s.ntk.data(), s.nngp.data(),
      s.outputs.data()});
  return s;
}

Sample on_cpu(const Network& network, const std::vector<double>& x, const std::vector<DrawId>& ids) {
  return sample([](const LawExactProblem& p) { cpu::law_exact_ntk(p); }, network, x, ids);
}

Sample by_reference(const Network& network, const std::vector<double>& x, const std::vector<DrawId>& ids) {
  return sample([](const LawExactProblem& p) { reference::law_exact_ntk(p); }, network, x, ids);
}

/// Largest difference relative to the largest entry: entries that cancel are judged on the scale of their array.
double distance(const std::vector<double>& a, const std::vector<double>& b) {
  double scale = 1e-300, worst = 0;
  for (const double v : b) scale = std::max(scale, std::abs(v));
  for (std::size_t k = 0; k < a.size(); ++k) worst = std::max(worst, std::isnan(a[k]) ? 1e300 : std::abs(a[k] - b[k]));
  return worst / scale;
}

/// Largest ratio of kept eigenvalues over the Grams G_1 .. G_L of all members: G_l is the feature Gram of the network
/// that is cut off after l hidden layers, which has the same draws.
double worst_condition(const Network& network, const std::vector<double>& x, const std::vector<DrawId>& ids) {
  const auto n = static_cast<Index>(x.size()) / 3;
  double worst = 1;
  for (Index l = 1; l <= network.shape.depth(); ++l) {
    Network cut = network;
    cut.shape.widths.resize(static_cast<std::size_t>(l));
    cut.layers.resize(static_cast<std::size_t>(l + 1));
    const Sample s = by_reference(cut, x, ids);
    for (std::size_t m = 0; m < ids.size(); ++m) {
      std::vector<double> gram(s.nngp.begin() + static_cast<Index>(m) * n * n,
                               s.nngp.begin() + static_cast<Index>(m + 1) * n * n);
      std::vector<double> values(static_cast<std::size_t>(n));
      LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'N', 'U', static_cast<int>(n), gram.data(), static_cast<int>(n), values.data());
      for (const double v : values)
        if (v > law_exact_rank_tolerance(n) * values.back()) worst = std::max(worst, values.back() / v);
    }
  }
  return worst;
}

void expect_parity(const Case& c, const std::vector<double>& x, const std::string& label) {
  const Network network = make(c);
  const Sample fast = on_cpu(network, x, members(3)), slow = by_reference(network, x, members(3));
  // A Gram carries n + N roundings, its inverse and square root as many times the condition of the Gram.
  const double rounding = static_cast<double>(c.width + c.inputs) * std::numeric_limits<double>::epsilon();
  const double tolerance = 4 * static_cast<double>(c.depth) * rounding * worst_condition(network, x, members(3));
  EXPECT_LT(tolerance, 1e-6) << label << ": too ill-conditioned to be a test";
  EXPECT_LT(distance(fast.ntk, slow.ntk), tolerance) << label;
  EXPECT_LT(distance(fast.nngp, slow.nngp), tolerance) << label;
  EXPECT_LT(distance(fast.outputs, slow.outputs), tolerance) << label;
}

TEST(LawExactNtk, NoiseColumnsAreTheAddressedDraws) {
  const StreamId id{0xABCD, 3, Stream::law_exact_backward, 2};
  for (const Index first_row : {Index{0}, Index{512}, Index{0xFFFFFF00}})
    for (const Index rows : {1, 16, 37})
      for (const Index cols : {1, 2, 3, 4, 5, 11}) {
        const Index stride = 48;
        std::vector<double> noise(static_cast<std::size_t>(cols * stride));
        cpu::fill_noise_columns(id, first_row, rows, cols, stride, noise.data());
        for (Index r = 0; r < rows; ++r)
          for (Index c = 0; c < cols; ++c)
            ASSERT_EQ(noise[static_cast<std::size_t>(c * stride + r)],
                      static_cast<double>(
                          normal_at(id, static_cast<std::uint32_t>(first_row + r), static_cast<std::uint32_t>(c))))
                << "row " << first_row + r << ", column " << c;
      }
}

TEST(LawExactNtk, StreamedEqualsStoredAtAwkwardSizes) {
  for (const Index inputs : {1, 2, 5, 7})
    for (const Index width : {1, 2, 3, 17})
      for (const Index outputs : {1, 3})
        for (const double sigma_b : {0.0, 0.5})
          for (const double bias_init : {0.0, 1.0})
            for (const Activation& activation : {Activation(Relu{}), Activation(Erf{})}) {
              if (sigma_b == 0.0 && bias_init == 0.0) continue;
              const std::string label = "N=" + std::to_string(inputs) + " n=" + std::to_string(width) +
                                        " O=" + std::to_string(outputs) + " sb=" + std::to_string(sigma_b) +
                                        " init=" + std::to_string(bias_init) +
                                        " phi=" + std::to_string(activation.kind());
              expect_parity({width, inputs, outputs, 3, sigma_b, bias_init, activation}, make_inputs(inputs), label);
            }
}

TEST(LawExactNtk, StreamedEqualsStoredForDuplicateAndZeroInputs) {
  for (const Index width : {2, 3, 17})
    for (const double sigma_b : {0.0, 0.5})
      for (const double bias_init : {0.0, 1.0}) {
        const std::string label = "n=" + std::to_string(width) + " sb=" + std::to_string(sigma_b);
        const Case c{width, 5, 2, 3, sigma_b, bias_init, Relu{}};
        expect_parity(c, make_inputs(5, true, false), label + " duplicate");
        expect_parity(c, make_inputs(5, false, true), label + " zero");
      }
}

TEST(LawExactNtk, StreamedEqualsStoredAcrossBlocksAndLanes) {
  // 1300 units are three blocks, the last one not full.
  expect_parity({1300, 3, 2, 2, 0.3, 1.0, Tanh{}}, make_inputs(3), "n=1300");
}

TEST(LawExactNtk, UnequalWidthsAndOneHiddenLayer) {
  Case c{5, 3, 2, 3, 0.4, 1.0, Gelu{}};
  Network network = make(c);
  network.shape.widths = {7, 2, 19};
  const std::vector<double> x = make_inputs(3);
  EXPECT_LT(distance(on_cpu(network, x, members(4)).ntk, by_reference(network, x, members(4)).ntk), 1e-10);
  c.depth = 1;
  expect_parity(c, x, "one hidden layer");
}

TEST(LawExactNtk, DuplicateInputsHaveEqualRows) {
  const Network network = make({9, 4, 1, 3, 0.0, 1.0, Relu{}});
  const Sample s = on_cpu(network, make_inputs(4, true), members(1));
  for (std::size_t j = 0; j < 4; ++j) EXPECT_NEAR(s.ntk[j], s.ntk[12 + j], 1e-12 * std::abs(s.ntk[0]));
  EXPECT_NEAR(s.outputs[0], s.outputs[3], 1e-12 * std::abs(s.outputs[0]));
}

TEST(LawExactNtk, BitsDoNotDependOnThreadsMembersOrPosition) {
  const std::vector<double> x = make_inputs(5);
  for (const Index width : {17, 9001}) {
    const Network network = make({width, 5, 2, 3, 0.3, 1.0, Relu{}});
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    const Sample one = on_cpu(network, x, members(4));
    const Sample last = on_cpu(network, x, members(1, 3));
    omp_set_num_threads(3);
    const Sample three = on_cpu(network, x, members(4));
    const Sample alone = on_cpu(network, x, members(1, 3));
    omp_set_num_threads(threads);
    EXPECT_EQ(one.ntk, three.ntk);
    EXPECT_EQ(one.outputs, three.outputs);
    EXPECT_EQ(one.nngp, three.nngp);
    EXPECT_EQ(last.ntk, alone.ntk);
    EXPECT_TRUE(std::equal(alone.ntk.begin(), alone.ntk.end(), one.ntk.end() - static_cast<Index>(alone.ntk.size())));
  }
}

TEST(LawExactNtk, RefusesWhatItCannotIntegrateOut) {
  const std::vector<double> x = make_inputs(2);
  const Network good = make({4, 2, 1, 2, 0.3, 1.0, Relu{}});
  const auto refused = [&](const Network& network) {
    EXPECT_THROW(on_cpu(network, x, members(1)), PlanError);
    EXPECT_THROW(by_reference(network, x, members(1)), PlanError);
  };
  Network bad = good;
  bad.shape.layer_norm = true;
  refused(bad);
  bad = good;
  bad.shape.residual = 0.5;
  refused(bad);
  bad = good;
  bad.shape.unit_multipliers.assign(2, std::vector<float>(4, 1.0f));
  refused(bad);
  bad = good;
  bad.layers[1].weight_law = InitKind::uniform;
  refused(bad);
  bad = good;
  bad.layers[1].bias_law = InitKind::rademacher;
  refused(bad);
  bad = good;
  bad.shape.widths[0] = Index{1} << 32;
  refused(bad);
}

}  // namespace
