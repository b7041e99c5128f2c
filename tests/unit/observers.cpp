// Observers against numbers worked out by hand, central differences, and LAPACK asked another way.
#include "host/estimators/observers.hpp"

#include <gtest/gtest.h>
#include <lapacke.h>

#include <cmath>

#include "kernels/reference/naive_network.hpp"
#include "tests/support/random_problem.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"

namespace {

using namespace widelab;
using estimators::make_observer;
using estimators::ObserverContext;
using Numbers = std::vector<double>;

Numbers observed(const std::string& name, const ObserverContext& context, const engine::MemberView& member) {
  const auto observer = make_observer(name, context);
  EXPECT_EQ(observer->name(), name);
  const std::size_t labels = observer->entry_labels().size();
  EXPECT_TRUE(labels == 0 || labels == static_cast<std::size_t>(observer->entries())) << name;
  Numbers out(static_cast<std::size_t>(observer->entries()));
  observer->observe(member, out);
  return out;
}

void expect_near(const Numbers& found, const Numbers& expected, double tolerance = 1e-14) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], tolerance) << i;
}

/// d = 2, n = 3, one hidden layer.
ObserverContext small_context(Index outputs = 1) {
  ObserverContext context;
  context.network = test::NetworkCase{.widths = {3}, .input_dim = 2, .outputs = outputs}.network();
  return context;
}

TEST(Observers, LossesAndErrorsFollowTheirConvention) {
  ObserverContext context = small_context();
  const Numbers f{1, -2, 0.5}, y{1, 1, -1};
  engine::MemberView member;
  member.train_outputs = f;
  member.train_targets = y;
  // (0 + 9 + 2.25) / 2
  expect_near(observed("train_loss", context, member), {5.625});
  expect_near(observed("train_error", context, member), {2.0 / 3});
  context.loss = LossKind::squared;
  context.reduction = Reduction::mean;
  expect_near(observed("train_loss", context, member), {3.75});

  // Test inputs are rows 1 and 2 of the evaluation inputs.
  context.test = {1, 2};
  context.test_targets = {1, -1};
  member.outputs = f;
  expect_near(observed("test_loss", context, member), {5.625});
  expect_near(observed("test_error", context, member), {1});
}

TEST(Observers, SeveralOutputsAreMeanedOverEntriesAndVoteTogether) {
  ObserverContext context = small_context(2);
  context.reduction = Reduction::mean_entries;
  context.loss = LossKind::squared;
  const Numbers f{1, 2, 3, 0}, y{1, 0, 1, 0};
  engine::MemberView member;
  member.train_outputs = f;
  member.train_targets = y;
  expect_near(observed("train_loss", context, member), {(4.0 + 4.0) / 4});
  expect_near(observed("train_error", context, member), {0.5});
}

TEST(Observers, OutputProductsAreOfThePairsAboutTheGivenMean) {
  ObserverContext context = small_context();
  context.probe = {1, 2};
  const Numbers f{9, 3, 5};
  engine::MemberView member;
  member.outputs = f;
  expect_near(observed("outputs", context, member), {3, 5});
  expect_near(observed("output_products", context, member), {9, 15, 25});
  context.probe_mean = {1, 1};
  expect_near(observed("output_products", context, member), {4, 8, 16});
  context.probe_mean = {1, 1, 2, 4};
  member.time = 1;
  expect_near(observed("output_products", context, member), {1, 1, 1});
  member.time = 2;
  EXPECT_THROW(observed("output_products", context, member), ContractError);
}

TEST(Observers, DisplacementIsByLayer) {
  // Parameters: 6 weights, 3 biases, 3 weights, 1 bias.
  const Numbers moved{3, 0, 0, -4, 0, 0, 10, 0, 0, 1, 1, -1, 0};
  engine::MemberView member;
  member.displacement = moved;
  expect_near(observed("displacement", small_context(), member),
              {std::sqrt(25.0 / 6), 1, std::sqrt(128.0 / 13), 4, 1, 10});
}

TEST(Observers, TeacherOverlapsAreOfTheFirstLayersRows) {
  ObserverContext context = small_context();
  context.directions = {2, 0, 1, 1};
  context.direction_count = 2;
  const Numbers weights{3, 4, 0, 0, 0, -2, 7, 7, 7, 1, 1, 1, 7};  // rows (3, 4), (0, 0), (0, -2)
  engine::MemberView member;
  member.parameters = weights;
  const double root = std::sqrt(0.5);
  expect_near(observed("teacher_cosines", context, member), {0.6, 1.4 * root, 0, 0, 0, -root});
  expect_near(observed("teacher_alignment", context, member),
              {std::sqrt(0.36 / 3), std::sqrt((0.98 + 0.5) / 3), 0.6, 1.4 * root});
  // Q / d over pairs, then R / d.
  expect_near(observed("order_parameters", context, member), {12.5, 0, -4, 0, 0, 2, 3, 3.5, 0, 0, 0, -1});
}

TEST(Observers, SingularValuesAreByLayerAndLargestFirst) {
  ObserverContext context = small_context();
  const Numbers weights{3, 0, 0, 0, 0, -4, 7, 7, 7, 2, 3, 6, 7};
  engine::MemberView member;
  member.parameters = weights;
  expect_near(observed("weight_singular_values", context, member), {4, 3, 7}, 1e-13);
  context.leading = 1;
  expect_near(observed("weight_singular_values", context, member), {4, 7}, 1e-13);
}

TEST(Observers, KernelNumbersOfTwoInputs) {
  ObserverContext context = small_context();
  context.kernel_count = 2;
  context.kernel_targets = {1, -1};
  const Numbers now{2, 1, 1, 2}, first{1, 0, 0, 1};  // eigenvalues 3, 1
  engine::MemberView member;
  member.ntk = now;
  member.first_ntk = first;
  expect_near(observed("ntk", context, member), {2, 1, 2});
  expect_near(observed("ntk_change", context, member), {std::sqrt(4.0) / std::sqrt(2.0)});
  expect_near(observed("ntk_spectrum", context, member), {3, 1});
  expect_near(observed("ntk_least_eigenvalue", context, member), {1});
  const double entropy = -0.75 * std::log(0.75) - 0.25 * std::log(0.25);
  expect_near(observed("ntk_effective_rank", context, member), {1.6, std::exp(entropy)});
  expect_near(observed("ntk_alignment", context, member), {2 / (std::sqrt(10.0) * 2)});
  const Numbers none(4, 0.0);
  member.ntk = member.first_ntk = none;
  for (const char* name : {"ntk_change", "ntk_alignment", "ntk_least_eigenvalue"})
    expect_near(observed(name, context, member), {0});
  expect_near(observed("ntk_effective_rank", context, member), {0, 0});
}

/// X X^T + 0.1: its eigenvalues by another driver of LAPACK (dsyevr, 'V', row-major).
TEST(Observers, KernelSpectraAreThoseOfAnotherDriver) {
  constexpr Index kSize = 23;
  const Numbers x = test::normals<double>(kSize, kSize, 3);
  Numbers kernel(kSize * kSize);
  for (Index i = 0; i < kSize; ++i)
    for (Index j = 0; j < kSize; ++j) {
      kernel[static_cast<std::size_t>(i * kSize + j)] = i == j ? 0.1 : 0.0;
      for (Index k = 0; k < kSize; ++k)
        kernel[static_cast<std::size_t>(i * kSize + j)] +=
            x[static_cast<std::size_t>(i * kSize + k)] * x[static_cast<std::size_t>(j * kSize + k)];
    }
  Numbers work = kernel, ascending(kSize), vectors(kSize * kSize);
  std::vector<lapack_int> support(2 * kSize);
  lapack_int found = 0;
  ASSERT_EQ(LAPACKE_dsyevr(LAPACK_ROW_MAJOR, 'V', 'A', 'L', kSize, work.data(), kSize, 0, 0, 0, 0, 0, &found,
                           ascending.data(), vectors.data(), kSize, support.data()),
            0);
  ObserverContext context = small_context();
  context.kernel_count = kSize;
  engine::MemberView member;
  member.ntk = kernel;
  const Numbers spectrum = observed("ntk_spectrum", context, member);
  const double tolerance = 30 * kSize * 2.2e-16 * spectrum.front();  // backward stable: a small multiple of n eps |A|
  expect_near(spectrum, {ascending.rbegin(), ascending.rend()}, tolerance);
  expect_near(observed("ntk_least_eigenvalue", context, member), {ascending.front()}, tolerance);
  context.leading = 4;
  expect_near(observed("ntk_spectrum", context, member), {ascending.rbegin(), ascending.rbegin() + 4}, tolerance);
}

/// G by central differences of the reference network; its quadratic forms and, through its own eigenvalues, its
/// spectrum. A difference of step e has an error f''' e^2 / 6 + eps |f| / e: some 1e-9 at e = 1e-5.
TEST(Observers, GradientOuterProductsAreThoseOfCentralDifferences) {
  for (const test::NetworkCase& one : test::network_cases()) {
    if (one.widths.front() > 100) continue;
    const Network network = one.network();
    const Index d = network.shape.input_dim, k = network.shape.outputs, inputs = 4;
    const Numbers points = test::normals<double>(inputs, d, 11);
    const Numbers parameters = test::normals<double>(1, ParamLayout(network.shape).size, 12);
    Numbers product(static_cast<std::size_t>(d * d), 0.0);
    for (Index i = 0; i < inputs; ++i) {
      std::vector<Numbers> gradient;  // d x k
      for (Index j = 0; j < d; ++j) {
        constexpr double kStep = 1e-5;
        Numbers up(points.begin() + i * d, points.begin() + (i + 1) * d), down = up;
        up[static_cast<std::size_t>(j)] += kStep;
        down[static_cast<std::size_t>(j)] -= kStep;
        const Numbers high = reference::run(network, parameters, up.data()).output(),
                      low = reference::run(network, parameters, down.data()).output();
        gradient.emplace_back();
        for (std::size_t o = 0; o < high.size(); ++o) gradient.back().push_back((high[o] - low[o]) / (2 * kStep));
      }
      for (Index a = 0; a < d; ++a)
        for (Index b = 0; b < d; ++b)
          for (Index o = 0; o < k; ++o)
            product[static_cast<std::size_t>(a * d + b)] +=
                gradient[static_cast<std::size_t>(a)][static_cast<std::size_t>(o)] *
                gradient[static_cast<std::size_t>(b)][static_cast<std::size_t>(o)] / static_cast<double>(inputs);
    }
    ObserverContext context;
    context.network = network;
    context.gradient_inputs = points;
    context.gradient_count = inputs;
    context.direction_count = 2;
    context.directions = test::normals<double>(2, d, 13);
    engine::MemberView member;
    member.parameters = parameters;
    double trace = 0;
    for (Index a = 0; a < d; ++a) trace += product[static_cast<std::size_t>(a * d + a)];
    Numbers alignment;
    for (Index v = 0; v < 2; ++v) {
      const double* direction = context.directions.data() + v * d;
      double along = 0, norm = 0;
      for (Index a = 0; a < d; ++a) {
        norm += direction[a] * direction[a];
        for (Index b = 0; b < d; ++b)
          along += direction[a] * product[static_cast<std::size_t>(a * d + b)] * direction[b];
      }
      alignment.push_back(trace > 0 ? along / (norm * trace) : 0.0);
    }
    SCOPED_TRACE(one.name);
    expect_near(observed("agop_alignment", context, member), alignment, 1e-6);
    Numbers eigenvalues(static_cast<std::size_t>(d));
    ASSERT_EQ(LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'N', 'U', static_cast<lapack_int>(d), product.data(),
                            static_cast<lapack_int>(d), eigenvalues.data()),
              0);
    expect_near(observed("agop_spectrum", context, member), {eigenvalues.rbegin(), eigenvalues.rend()}, 1e-6 * trace);
  }
}

TEST(Observers, UnscaledDropoutShrinksTheHiddenFeaturesOfGradients) {
  ObserverContext context = small_context();
  context.network = test::NetworkCase{.activation = "identity", .widths = {3}, .input_dim = 2}.network();
  context.gradient_inputs = {1, 2};
  context.gradient_count = 1;
  const Numbers weights(13, 1.0);
  engine::MemberView member;
  member.parameters = weights;
  const double whole = observed("agop_spectrum", context, member)[0];
  context.hidden_factor = 0.5;
  EXPECT_NEAR(observed("agop_spectrum", context, member)[0], whole / 4, 1e-13 * whole);
}

TEST(Observers, ANetworkThatBlewUpGivesNoNumberAndNoException) {
  ObserverContext context = small_context();
  context.kernel_count = 2;
  const Numbers kernel{1, NAN, NAN, 1}, weights(13, INFINITY);
  engine::MemberView member;
  member.ntk = member.first_ntk = kernel;
  member.parameters = member.displacement = weights;
  for (const char* name : {"ntk_spectrum", "ntk_effective_rank", "ntk_change", "weight_singular_values"})
    EXPECT_FALSE(std::isfinite(observed(name, context, member).front())) << name;
}

TEST(Observers, EveryNameHasADocAndUnknownNamesAreHelped) {
  for (const auto& [name, doc] : estimators::observer_list()) EXPECT_FALSE(doc.empty()) << name;
  try {
    make_observer("train_los", {});
    FAIL();
  } catch (const RecipeError& error) {
    EXPECT_NE(std::string(error.what()).find("\"train_loss\""), std::string::npos) << error.what();
  }
  for (const char* name : {"test_loss", "outputs", "ntk", "ntk_alignment", "teacher_cosines", "agop_spectrum"})
    EXPECT_THROW(make_observer(name, small_context()), RecipeError) << name;
}

}  // namespace
