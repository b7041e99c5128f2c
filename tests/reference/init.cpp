// The reference's initial weights: addressing, scales, moments of each law, orthogonality.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/ops/forward.hpp"
#include "widelab/ops/init.hpp"

namespace {

using namespace widelab;

MlpShape shape(Index d, std::vector<Index> widths, Index outputs) {
  MlpShape s;
  s.input_dim = d;
  s.widths = std::move(widths);
  s.outputs = outputs;
  return s;
}

std::vector<double> draw(const Network& network, const std::vector<DrawId>& ids) {
  const ParamLayout layout(network.shape);
  std::vector<double> parameters(ids.size() * static_cast<std::size_t>(layout.size));
  reference::init({&network, ids.data(), static_cast<Index>(ids.size()), parameters.data()});
  return parameters;
}

/// f of every member on the rows of x.
std::vector<double> outputs(const Network& network, const MemberWeights<double>& weights,
                            const std::vector<double>& x) {
  const Index n = static_cast<Index>(x.size()) / network.shape.input_dim;
  std::vector<double> f(static_cast<std::size_t>(weights.members * n * network.shape.outputs));
  ForwardProblem<double> problem;
  problem.network = &network;
  problem.weights = weights;
  problem.inputs = matrix_view(x.data(), n, network.shape.input_dim);
  problem.outputs = f.data();
  reference::forward(problem);
  return f;
}

TEST(ReferenceInit, EntriesAreTheAddressedDrawsTimesTheirScale) {
  InitChoice choice;
  choice.parametrization = Parametrization::standard;
  choice.sigma_w = {2.0};
  choice.sigma_b = 0.5;
  const Network network = make_network(shape(3, {4}, 2), choice);
  const std::vector<DrawId> ids{{5, 0}, {5, 9}};
  const std::vector<double> parameters = draw(network, ids);
  // Member 1: 12 + 4 + 8 + 2 = 26 parameters on. Input std sigma_w/sqrt(d), readout std sigma_w/sqrt(n), bias std
  // sigma_b.
  const double* member = parameters.data() + 26;
  const StreamId w0 = ids[1].stream(Stream::weights, 0), b0 = ids[1].stream(Stream::biases, 0);
  const StreamId w1 = ids[1].stream(Stream::weights, 1), b1 = ids[1].stream(Stream::biases, 1);
  const auto expect_draw = [](double value, double scale, const StreamId& id, std::uint32_t row, std::uint32_t col) {
    EXPECT_NEAR(value, scale * static_cast<double>(normal_at(id, row, col)), 1e-15 * std::abs(value));
  };
  expect_draw(member[2 * 3 + 1], 2 / std::sqrt(3.0), w0, 2, 1);
  expect_draw(member[12 + 3], 0.5, b0, 0, 3);
  expect_draw(member[16 + 1 * 4 + 3], 1.0, w1, 1, 3);
  expect_draw(member[24 + 1], 0.5, b1, 0, 1);
}

TEST(ReferenceInit, StoredAndRegeneratedWeightsGiveTheSameBits) {
  for (const InitKind law : {InitKind::normal, InitKind::uniform, InitKind::rademacher}) {
    InitChoice choice;
    choice.weight_law = law;
    choice.sigma_b = 0.3;
    const Network network = make_network(shape(3, {5, 2}, 2), choice);
    const std::vector<DrawId> ids{{5, 1}, {5, 2}, {6, 1}};
    const std::vector<double> stored = draw(network, ids), x{0.1, 0.2, -0.3, 1, 2, 3};
    EXPECT_EQ(outputs(network, {3, ids.data(), nullptr}, x), outputs(network, {3, nullptr, stored.data()}, x));
  }
}

TEST(ReferenceInit, NarrowNetworkIsTheLeadingPartOfAWideOne) {
  const Network narrow = make_network(shape(3, {4}, 1), {}), wide = make_network(shape(3, {9}, 1), {});
  const std::vector<double> a = draw(narrow, {{5, 1}}), b = draw(wide, {{5, 1}});
  EXPECT_TRUE(std::equal(a.begin(), a.begin() + 12, b.begin()));
}

struct Moments {
  double mean = 0, variance = 0, fourth = 0, count = 0;
};

Moments moments(const std::vector<double>& v, std::size_t first, std::size_t count) {
  Moments m;
  m.count = static_cast<double>(count);
  for (std::size_t k = first; k < first + count; ++k) {
    m.mean += v[k] / m.count;
    m.variance += v[k] * v[k] / m.count;
    m.fourth += v[k] * v[k] * v[k] * v[k] / m.count;
  }
  return m;
}

/// Largest z-score of mean, second and fourth moment for a law with E x^2 = 1 and the given E x^4, E x^8. Even moments
/// of +-1 have no spread but rounding: adding count terms, each of at most eps.
double worst_z(const Moments& m, double fourth, double eighth) {
  const double rounding = m.count * std::numeric_limits<double>::epsilon();
  const double root = std::sqrt(m.count);
  return std::max({std::abs(m.mean) * root, std::abs(m.variance - 1) / (std::sqrt(fourth - 1) / root + rounding),
                   std::abs(m.fourth - fourth) / (std::sqrt(eighth - fourth * fourth) / root + rounding)});
}

// Three moments of three laws at |z| < 4.5: a false alarm for one seed in 16000 (9 x 6.8e-6).
TEST(ReferenceInit, LawsHaveMeanZeroVarianceOneAndTheirFourthMoment) {
  struct Law {
    InitKind kind;
    double fourth, eighth;
  };
  for (const Law law :
       {Law{InitKind::normal, 3, 105}, Law{InitKind::uniform, 9.0 / 5, 81.0 / 9}, Law{InitKind::rademacher, 1, 1}}) {
    InitChoice choice;
    choice.weight_law = law.kind;
    const Network network = make_network(shape(400, {500}, 1), choice);
    std::vector<double> w = draw(network, {{77, 3}});
    const Moments m = moments(w, 0, 200000);
    EXPECT_LT(worst_z(m, law.fourth, law.eighth), 4.5) << static_cast<int>(law.kind);
    for (double& v : w) v *= 1.02;  // the planted fault
    EXPECT_GT(worst_z(moments(w, 0, 200000), law.fourth, law.eighth), 4.5);
  }
}

TEST(ReferenceInit, PytorchDefaultIsUniformWithinOneOverRootFanIn) {
  InitChoice choice;
  choice.parametrization = Parametrization::standard;
  choice.pytorch_default = true;
  const Network network = make_network(shape(16, {1000}, 1), choice);
  const std::vector<double> p = draw(network, {{77, 4}});
  double largest = 0;
  for (std::size_t k = 0; k < 17000; ++k) largest = std::max(largest, std::abs(p[k]));
  EXPECT_LE(largest, 0.25 * (1 + 1e-6));
  EXPECT_GT(largest, 0.2499);  // 17000 draws: all below this with probability exp(-6.8)
}

TEST(ReferenceInit, ZeroReadoutIsZero) {
  InitChoice choice;
  choice.zero_readout = true;
  choice.sigma_b = 1.0;
  const Network network = make_network(shape(2, {3}, 2), choice);
  const std::vector<double> p = draw(network, {{77, 5}});
  for (std::size_t k = 9; k < p.size(); ++k) EXPECT_EQ(p[k], 0.0);
}

TEST(ReferenceInit, OrthogonalWeightsHaveOrthogonalRowsOrColumns) {
  InitChoice choice;
  choice.weight_law = InitKind::orthogonal;
  const Network network = make_network(shape(3, {7, 7, 4}, 1), choice);  // tall, square, wide, one row
  const std::vector<double> p = draw(network, {{77, 6}});
  const ParamLayout layout(network.shape);
  for (Index l = 0; l < 4; ++l) {
    const Index rows = network.shape.fan_out(l), cols = network.shape.fan_in(l);
    const bool wide = cols > rows;
    const double* w = p.data() + layout.weight_offset[static_cast<std::size_t>(l)];
    const Index thin = wide ? rows : cols, tall = wide ? cols : rows;
    for (Index a = 0; a < thin; ++a)
      for (Index b = 0; b < thin; ++b) {
        double dot = 0;
        for (Index k = 0; k < tall; ++k)
          dot += wide ? w[a * cols + k] * w[b * cols + k] : w[k * cols + a] * w[k * cols + b];
        EXPECT_NEAR(dot, a == b ? static_cast<double>(tall) : 0.0, 1e-14 * static_cast<double>(tall * tall));
      }
  }
}

// R's positive diagonal: <q_j, draws' column j> > 0 after the earlier columns are removed; for column 0, q_0 is the
// normalised first column of draws itself.
TEST(ReferenceInit, OrthogonalWeightsKeepTheDirectionOfTheFirstColumn) {
  InitChoice choice;
  choice.weight_law = InitKind::orthogonal;
  const Network network = make_network(shape(3, {7}, 1), choice);
  const DrawId id{77, 7};
  const std::vector<double> p = draw(network, {id});
  double norm = 0;
  for (std::uint32_t i = 0; i < 7; ++i)
    norm += std::pow(static_cast<double>(normal_at(id.stream(Stream::weights, 0), i, 0)), 2);
  for (std::uint32_t i = 0; i < 7; ++i)
    EXPECT_NEAR(p[3 * i], std::sqrt(7 / norm) * static_cast<double>(normal_at(id.stream(Stream::weights, 0), i, 0)),
                1e-14);
}

TEST(ReferenceInit, RefusesWhatCannotBeDrawn) {
  Network network = make_network(shape(2, {3}, 1), {});
  network.layers[0].weight_law = InitKind::file;
  EXPECT_THROW(draw(network, {{1, 0}}), ContractError);
  network.layers[0].weight_law = InitKind::orthogonal;
  const DrawId id{1, 0};
  EXPECT_THROW(outputs(network, {1, &id, nullptr}, {1, 2}), ContractError);
}

}  // namespace
