// Targets: exact values, exact power by degree, and the power judged by Monte Carlo.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>

#include "host/data/data_laws.hpp"
#include "host/data/make_dataset.hpp"
#include "host/data/orthogonal_polynomials.hpp"
#include "host/data/targets.hpp"
#include "host/data/teacher_network.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::data {
namespace {

const DrawId kId{0xFEEDF00Dull, 2};
constexpr double kLargestZ = 4.5;  // two-sided 7e-6 for a fresh seed; the seeds are fixed

double z_score(const std::vector<double>& terms, double expected) {
  const auto n = static_cast<double>(terms.size());
  const double mean = std::accumulate(terms.begin(), terms.end(), 0.0) / n;
  double square = 0.0;
  for (const double term : terms) square += (term - mean) * (term - mean);
  return (mean - expected) / std::sqrt(square / (n - 1.0) / n + 1e-28);
}

DataSpec spec_of(const std::string& law, Index d, const std::string& kind) {
  DataSpec spec;
  spec.law = law;
  spec.dimension = d;
  spec.examples = 40000;
  spec.target.kind = kind;
  return spec;
}

double total(const std::vector<double>& power) { return std::accumulate(power.begin(), power.end(), 0.0); }

// z-score of the mean square of output 0 against a claim.
double power_z(const DataSpec& spec, double claimed) {
  const Dataset set = make_dataset(spec, kId);
  std::vector<double> squares;
  for (Index i = 0; i < set.examples; ++i) squares.push_back(std::pow(set.target_view()(i, 0), 2));
  return std::fabs(z_score(squares, claimed));
}

TEST(Polynomials, HermiteAndGegenbauerHaveTheirClosedForms) {
  for (const double t : {-1.3, 0.0, 0.4, 1.1}) {
    EXPECT_NEAR(polynomial_value(HermiteRecurrence{}, 3, t), (t * t * t - 3 * t) / std::sqrt(6.0), 1e-14);
    EXPECT_NEAR(polynomial_value(HermiteRecurrence{}, 4, t), (std::pow(t, 4) - 6 * t * t + 3) / std::sqrt(24.0), 1e-14);
    // d = 3: sqrt(2k + 1) times the Legendre polynomial of t / sqrt(3).
    const double x = t / std::sqrt(3.0);
    EXPECT_NEAR(polynomial_value(GegenbauerRecurrence{3}, 3, t), std::sqrt(7.0) * (5 * x * x * x - 3 * x) / 2, 1e-14);
    // d = 2: sqrt(2) cos(k theta), t = sqrt(2) cos(theta).
    const double theta = std::acos(t / std::sqrt(2.0));
    EXPECT_NEAR(polynomial_value(GegenbauerRecurrence{2}, 5, t), std::sqrt(2.0) * std::cos(5 * theta), 1e-13);
  }
}

TEST(Polynomials, GegenbauerAtThePoleIsTheRootOfTheNumberOfHarmonics) {
  for (const Index d : {2, 3, 5, 20}) {
    const auto n = static_cast<double>(d);
    const std::vector<double> harmonics{1.0, n, (n + 2) * (n - 1) / 2, n * (n + 4) * (n - 1) / 6};
    for (std::size_t k = 0; k < harmonics.size(); ++k)
      EXPECT_NEAR(polynomial_value(GegenbauerRecurrence{d}, k, std::sqrt(n)), std::sqrt(harmonics[k]), 1e-12 * n);
  }
}

TEST(Polynomials, HermiteSeriesEqualsItsGegenbauerSeriesEverywhere) {
  const std::vector<double> hermite{0.3, -1.0, 0.7, 0.2, -0.4, 0.9, 0.1};
  for (const Index d : {2, 3, 4, 17, 1000}) {
    const std::vector<double> converted = hermite_to_gegenbauer(hermite, d);
    for (const double t : {-1.4, -0.2, 0.0, 0.9, 1.41})
      EXPECT_NEAR(polynomial_series(HermiteRecurrence{}, hermite, t),
                  polynomial_series(GegenbauerRecurrence{d}, converted, t), 1e-12);
  }
}

// Eleven products of degrees on the sphere in d = 5; the polynomials of another dimension are not orthonormal there.
TEST(Targets, GegenbauerTargetsAreOrthonormalOnTheSphere) {
  const auto worst_z = [](Index assumed_dimension) {
    const Dataset set = make_dataset(spec_of("sphere", 5, "linear"), kId);  // its target is t = <u, x>
    double worst = 0.0;
    for (std::size_t j = 0; j <= 4; ++j)
      for (std::size_t k = 1; k <= j; ++k) {
        std::vector<double> products;
        for (const double t : set.targets)
          products.push_back(polynomial_value(GegenbauerRecurrence{assumed_dimension}, j, t) *
                             polynomial_value(GegenbauerRecurrence{assumed_dimension}, k, t));
        worst = std::max(worst, std::fabs(z_score(products, j == k ? 1.0 : 0.0)));
      }
    return worst;
  };
  EXPECT_LT(worst_z(5), kLargestZ);
  EXPECT_GT(worst_z(6), 2 * kLargestZ);
}

TEST(Targets, GegenbauerTargetIsItsSeriesInTheProjection) {
  DataSpec spec = spec_of("sphere", 6, "gegenbauer");
  spec.examples = 50;
  spec.target.coefficients = {{0.5, 0.0, 2.0, -1.0}};
  const Dataset set = make_dataset(spec, kId);
  const std::vector<double> u = target_directions(spec, kId, 6);
  EXPECT_NEAR(std::inner_product(u.begin(), u.end(), u.begin(), 0.0), 1.0, 1e-14);
  for (Index i = 0; i < 50; ++i) {
    const double t = std::inner_product(u.begin(), u.end(), set.input_view().row(i), 0.0);
    EXPECT_NEAR(set.targets[i], polynomial_series(GegenbauerRecurrence{6}, spec.target.coefficients[0], t), 1e-12);
  }
  EXPECT_EQ(*power_by_degree(spec, kId), (std::vector<double>{0.25, 0.0, 4.0, 1.0}));
}

TEST(Targets, TotalPowerIsTheMeanSquare) {
  std::vector<DataSpec> specs;
  for (const std::string law : {"sphere", "gaussian", "hypercube", "mixture"}) {
    specs.push_back(spec_of(law, 6, "linear"));
    specs.back().spectrum = "power-law";
  }
  for (const std::string law : {"sphere", "gaussian"})
    for (const std::string kind : {"hermite", "single-index", "multi-index"}) {
      DataSpec spec = spec_of(law, 6, kind);
      spec.spectrum = "two-scale";
      spec.target.coefficients = {{0.2, 1.0, -0.5, 0.3}};
      if (kind == "multi-index") spec.target.coefficients.push_back({0.1, 0.0, 0.8, 0.0, 0.2});
      spec.target.link = Quadratic{};
      specs.push_back(spec);
    }
  for (const DataSpec& spec : specs) {
    const auto power = power_by_degree(spec, kId);
    ASSERT_TRUE(power) << spec.law << spec.target.kind;
    EXPECT_LT(power_z(spec, total(*power)), kLargestZ) << spec.law << " " << spec.target.kind;
    EXPECT_GT(power_z(spec, total(*power) * 1.2), kLargestZ) << spec.law << " " << spec.target.kind;
  }
}

// On the sphere terms of one even degree in orthogonal directions overlap; leaving the overlap out must be seen.
TEST(Targets, PowerOfAMultiIndexTargetCountsTheOverlapOfItsDirections) {
  DataSpec spec = spec_of("sphere", 3, "multi-index");
  spec.target.coefficients = {{0, 0, 1}, {0, 0, 1}, {0, 0, 1}};
  const auto power = power_by_degree(spec, kId);
  EXPECT_NEAR(total(*power), 0.0, 1e-14);  // sum over all axes of t^2 - 1 vanishes on the sphere
  for (const double y : make_dataset(spec, kId).targets) EXPECT_NEAR(y, 0.0, 1e-13);
  spec.target.coefficients.pop_back();
  EXPECT_LT(power_z(spec, total(*power_by_degree(spec, kId))), kLargestZ);
  EXPECT_GT(power_z(spec, 2.0), 2 * kLargestZ);
}

// The degree-k part, seen by the kernel estimator E[y(x) y(x') P_k(<x,x'>/sqrt d) / ...]: projecting on the zonal
// polynomial of an independent point gives E[y y' P_k(x.x'/sqrt d)] P_k(sqrt d) = power_k sqrt(harmonics).
TEST(Targets, PowerByDegreeIsTheProjectionOnEachDegree) {
  DataSpec spec = spec_of("sphere", 3, "multi-index");
  spec.target.coefficients = {{0.2, 1.0, -0.5, 0.9}, {0.1, 0.0, 0.8, 0.5}};
  const std::vector<double> power = *power_by_degree(spec, kId);
  const Dataset set = make_dataset(spec, kId);
  const auto degree_z = [&](std::size_t k, double claimed) {
    const double pole = polynomial_value(GegenbauerRecurrence{3}, k, std::sqrt(3.0));
    std::vector<double> terms;
    for (Index i = 0; i + 1 < set.examples; i += 2) {
      const double* x = set.input_view().row(i);
      const double overlap = std::inner_product(x, x + 3, set.input_view().row(i + 1), 0.0) / std::sqrt(3.0);
      const double zonal = polynomial_value(GegenbauerRecurrence{3}, k, overlap) * pole;
      terms.push_back(set.targets[i] * set.targets[i + 1] * zonal);
    }
    return std::fabs(z_score(terms, claimed));
  };
  for (std::size_t k = 0; k < power.size(); ++k) EXPECT_LT(degree_z(k, power[k]), kLargestZ) << k;
  EXPECT_GT(degree_z(1, power[3]), kLargestZ);
  EXPECT_GT(degree_z(3, power[1]), kLargestZ);
}

TEST(Targets, GaussianProjectionsAreOrthonormalInTheCovariance) {
  DataSpec spec = spec_of("gaussian", 8, "multi-index");
  spec.spectrum = "power-law";
  spec.target.coefficients = {{0, 1}, {0, 1}, {0, 1}};
  spec.target.outputs = 2;
  const std::vector<double> u = target_directions(spec, kId, 8), variances = coordinate_variances(spec, 8);
  ASSERT_EQ(u.size(), 48u);
  for (int output = 0; output < 2; ++output)
    for (int r = 0; r < 3; ++r)
      for (int s = 0; s < 3; ++s) {
        double sum = 0.0;
        for (int j = 0; j < 8; ++j) sum += variances[j] * u[(3 * output + r) * 8 + j] * u[(3 * output + s) * 8 + j];
        EXPECT_NEAR(sum, r == s ? 1.0 : 0.0, 1e-13);
      }
}

// E relu(g)^2 = 1/2, of which 1/(2 pi) has degree 0 and 1/4 degree 1.
TEST(Targets, PowerOfAReluLinkIsItsHermiteExpansion) {
  DataSpec spec = spec_of("gaussian", 6, "single-index");
  spec.spectrum = "power-law";
  spec.target.link = Relu{};
  const std::vector<double> power = *power_by_degree(spec, kId, 0, 300);
  ASSERT_EQ(power.size(), 301u);
  EXPECT_NEAR(power[0], 0.5 / std::acos(-1.0), 1e-14);
  EXPECT_NEAR(power[1], 0.25, 1e-14);
  EXPECT_LT(total(power), 0.5);
  EXPECT_GT(total(power), 0.4999);
  EXPECT_LT(power_z(spec, 0.5), kLargestZ);
  EXPECT_GT(power_z(spec, 0.6), kLargestZ);
}

TEST(Targets, PowerIsUnknownWhereItIsNotExact) {
  EXPECT_FALSE(power_by_degree(spec_of("sphere", 6, "teacher"), kId));
  EXPECT_FALSE(power_by_degree(spec_of("hypercube", 6, "hermite"), kId));
  DataSpec spec = spec_of("sphere", 6, "single-index");
  spec.target.link = Tanh{};
  EXPECT_FALSE(power_by_degree(spec, kId));
  spec.law = "gaussian";
  EXPECT_TRUE(power_by_degree(spec, kId));
  spec.preprocessing = {"centred"};
  EXPECT_FALSE(power_by_degree(spec, kId));
  spec.preprocessing = {"sphere"};
  spec.target.link = Quadratic{};
  EXPECT_TRUE(power_by_degree(spec, kId));
}

TEST(Targets, NoiseHasItsOwnIdAndStandardDeviation) {
  DataSpec spec = spec_of("sphere", 4, "linear");
  const Dataset clean = make_dataset(spec, kId);
  spec.target.noise = 0.3;
  EXPECT_THROW(make_dataset(spec, kId), RecipeError);
  const Dataset noisy = make_dataset(spec, kId, DrawId{1, 1}), other = make_dataset(spec, kId, DrawId{1, 2});
  EXPECT_EQ(noisy.inputs, clean.inputs);
  EXPECT_NE(noisy.targets, other.targets);
  std::vector<double> squares;
  for (std::size_t i = 0; i < noisy.targets.size(); ++i)
    squares.push_back(std::pow(noisy.targets[i] - clean.targets[i], 2));
  EXPECT_LT(std::fabs(z_score(squares, 0.09)), kLargestZ);
  EXPECT_GT(std::fabs(z_score(squares, 0.1)), kLargestZ);
}

DataSpec teacher_spec(Index hidden_layers) {
  DataSpec spec = spec_of("gaussian", 3, "teacher");
  spec.examples = 9;
  spec.target.teacher_shape.widths.assign(static_cast<std::size_t>(hidden_layers), 4);
  spec.target.teacher_shape.outputs = 2;
  spec.target.teacher_init.sigma_b = 0.5;
  return spec;
}

// z = m W h + M b by its definition, one entry at a time.
double affine_entry(const Network& network, Index layer, const std::vector<double>& h, Index unit) {
  const LayerScale& scale = network.layers[static_cast<std::size_t>(layer)];
  const auto tag = static_cast<std::uint8_t>(layer);
  const auto row = static_cast<std::uint32_t>(unit);
  double z = scale.bias_multiplier * scale.bias_std *
             static_cast<double>(normal_at(kId.stream(Stream::teacher_biases, tag), 0, row));
  for (std::size_t j = 0; j < h.size(); ++j)
    z += scale.weight_multiplier * scale.weight_std * h[j] *
         static_cast<double>(normal_at(kId.stream(Stream::teacher_weights, tag), row, static_cast<std::uint32_t>(j)));
  return z;
}

TEST(Targets, TeacherIsTheNetworkOfItsDefinition) {
  DataSpec spec = teacher_spec(2);
  spec.target.teacher_shape.activation = Tanh{};
  spec.target.teacher_shape.layer_norm = true;
  spec.target.teacher_shape.residual = 0.7;
  spec.target.teacher_shape.unit_multipliers = {{1.0f, 2.0f, 0.5f, 1.5f}, {0.0f, 1.0f, 3.0f, 0.25f}};
  const Dataset set = make_dataset(spec, kId);
  ASSERT_EQ(set.outputs, 2);
  MlpShape shape = spec.target.teacher_shape;
  shape.input_dim = 3;
  const Network network = make_network(shape, spec.target.teacher_init);
  for (Index i = 0; i < set.examples; ++i) {
    std::vector<double> h(set.input_view().row(i), set.input_view().row(i) + 3), z(4, 0.0);
    for (Index layer = 0; layer < 2; ++layer) {
      std::vector<double> next(4);
      for (Index unit = 0; unit < 4; ++unit)
        next[unit] = (layer == 0 ? 0.0 : z[unit]) + (layer == 0 ? 1.0 : 0.7) * affine_entry(network, layer, h, unit);
      z = next;
      const double mean = std::accumulate(z.begin(), z.end(), 0.0) / 4.0;
      double variance = 0.0;
      for (const double value : z) variance += (value - mean) * (value - mean) / 4.0;
      h.assign(4, 0.0);
      for (Index unit = 0; unit < 4; ++unit)
        h[unit] = shape.multipliers(layer)[unit] * std::tanh((z[unit] - mean) / std::sqrt(variance));
    }
    for (Index o = 0; o < 2; ++o) EXPECT_NEAR(set.target_view()(i, o), affine_entry(network, 2, h, o), 1e-12);
  }
}

TEST(Targets, TeacherDoesNotShareItsDrawsWithANetworkOfTheSameId) {
  const DataSpec spec = teacher_spec(1);
  const StreamId teacher = kId.stream(Stream::teacher_weights), student = kId.stream(Stream::weights);
  EXPECT_NE(normal_at(teacher, 0, 0), normal_at(student, 0, 0));
  EXPECT_EQ(make_dataset(spec, kId).targets, make_dataset(spec, kId).targets);
  EXPECT_NE(make_dataset(spec, kId).targets, make_dataset(spec, DrawId{kId.key, 9}).targets);
}

TEST(Targets, ImpossibleTargetsAreRecipeErrors) {
  using Change = std::function<void(DataSpec&)>;
  const std::vector<Change> faults{
      [](DataSpec& s) { s.target.outputs = 0; },
      [](DataSpec& s) { s.target.coefficients = {}; },
      [](DataSpec& s) { s.target.coefficients = {{}}; },
      [](DataSpec& s) { s.target.coefficients = {{1.0}, {2.0}}; },
      [](DataSpec& s) { s.target.coefficients = {{0.0, std::nan("")}}; },
      [](DataSpec& s) { s.target.kind = "gegenbauer", s.law = "gaussian"; },
      [](DataSpec& s) { s.target.kind = "gegenbauer", s.dimension = 1; },
      [](DataSpec& s) { s.target.kind = "multi-index", s.dimension = 2, s.target.coefficients.assign(3, {0.0, 1.0}); },
      [](DataSpec& s) { s.target.kind = "classes"; },
      [](DataSpec& s) { s.target.kind = "file"; },
      [](DataSpec& s) { s.target.kind = "random-labels", s.target.random_classes = 1; },
      [](DataSpec& s) { s.target.kind = "teacher"; },
      [](DataSpec& s) { s.target.kind = "none", s.target.noise = 0.1; },
      [](DataSpec& s) { s.target.noise = -0.1; },
      [](DataSpec& s) {
        s.target.kind = "teacher", s.target.teacher_shape.widths = {4};
        s.target.teacher_init.weight_law = InitKind::orthogonal;
      },
  };
  for (std::size_t k = 0; k < faults.size(); ++k) {
    DataSpec spec = spec_of("sphere", 4, "hermite");
    spec.examples = 5;
    faults[k](spec);
    EXPECT_THROW(make_dataset(spec, kId, DrawId{}), RecipeError) << "fault " << k;
  }
}

TEST(Targets, EveryKindInTheListIsExplained) {
  for (const NameDoc& kind : target_list()) EXPECT_FALSE(kind.doc.empty()) << kind.name;
}

}  // namespace
}  // namespace widelab::data
