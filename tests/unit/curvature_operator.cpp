// Curvature operators on the counted parameters against the reference op, the covariance of gradients against explicit
// gradients, and the end of the chain: Lanczos and traces against LAPACK on the matrix formed column by column.
#include "host/estimators/curvature_operator.hpp"

#include <gtest/gtest.h>

#include "host/estimators/spectra.hpp"
#include "host/estimators/spectral_density.hpp"
#include "tests/support/hvp_case.hpp"

namespace {

using namespace widelab;
using namespace widelab::estimators;
using Vector = std::vector<double>;
using Case = test::HvpCase<double>;

constexpr CurvatureMatrix kMatrices[] = {CurvatureMatrix::hessian, CurvatureMatrix::gauss_newton,
                                         CurvatureMatrix::gradient_moment, CurvatureMatrix::gradient_covariance};

Case make_case() {
  Case c(test::NetworkCase{.activation = "tanh", .widths = {5, 6}, .outputs = 3}.network(), LossKind::cross_entropy, 3,
         11, 1);
  c.selection.weights = {false, true, true};
  c.selection.biases = {true, false, true};
  return c;
}

CurvatureProblem problem_of(const Case& c, Precision precision = Precision::fp64) {
  CurvatureProblem out;
  out.network = &c.network;
  out.members = c.members;
  out.parameters = c.parameters.data();
  out.inputs = matrix_view<const double>(c.inputs.data(), c.examples, c.network.shape.input_dim);
  out.targets = c.targets.data();
  out.loss = c.loss;
  out.selection = c.selection;
  out.precision = precision;
  return out;
}

/// The reference's product of member `e` with a vector over the counted parameters; C: minus g (g . v).
Vector by_reference(const Case& all, CurvatureMatrix matrix, Index e, const std::vector<Index>& places,
                    const double* v) {
  Case c = all;
  const Index p = c.size();
  c.members = 1;
  c.parameters.assign(all.parameters.begin() + e * p, all.parameters.begin() + (e + 1) * p);
  c.v.assign(static_cast<std::size_t>(p), NAN);  // must not be read where parameters do not count
  for (std::size_t t = 0; t < places.size(); ++t) c.v[static_cast<std::size_t>(places[t])] = v[t];
  c.curvature = matrix == CurvatureMatrix::hessian        ? Curvature::hessian
                : matrix == CurvatureMatrix::gauss_newton ? Curvature::gauss_newton
                                                          : Curvature::gradient_moment;
  c.run([](const HvpProblem<double>& problem) { reference::hvp(problem); });
  double along = 0;
  for (std::size_t t = 0; t < places.size(); ++t) along += c.gradient[static_cast<std::size_t>(places[t])] * v[t];
  Vector out;
  for (const Index at : places) {
    const auto t = static_cast<std::size_t>(at);
    out.push_back(c.products[t] - (matrix == CurvatureMatrix::gradient_covariance ? c.gradient[t] * along : 0.0));
  }
  return out;
}

TEST(CurvatureOperator, EqualsTheReferenceOnCountedParameters) {
  const auto backend = runtime::make_backend("cpu");
  const Case c = make_case();
  for (const CurvatureMatrix matrix : kMatrices) {
    CurvatureOperator a(*backend, problem_of(c), matrix), single(*backend, problem_of(c, Precision::fp32), matrix);
    ASSERT_EQ(a.dimension(), 5 + 30 + 18 + 3);
    const Vector v = test::normals<double>(2, a.dimension(), 8);
    Vector images(v.size()), rough(v.size());
    for (const Index e : {2, 0}) {
      a.apply(e, 2, v.data(), images.data());
      single.apply(e, 2, v.data(), rough.data());
      Vector exact;
      for (Index k = 0; k < 2; ++k) {
        const Vector row = by_reference(c, matrix, e, a.coordinates(), v.data() + k * a.dimension());
        exact.insert(exact.end(), row.begin(), row.end());
      }
      EXPECT_LT(test::relative_distance(images, exact), 1e-12);
      EXPECT_LT(test::relative_distance(rough, exact), 1e-4);
      EXPECT_GT(test::relative_distance(rough, exact), 1e-10);
    }
    // Members side by side: the same bits as alone.
    Vector first(static_cast<std::size_t>(a.dimension())), second(first.size());
    a.side_by_side()({2, 1}, {v.data(), v.data()}, {first.data(), second.data()});
    a.of(2)(v.data(), images.data());
    EXPECT_TRUE(std::equal(first.begin(), first.end(), images.begin()));
    EXPECT_NE(first, second);
  }
}

TEST(CurvatureOperator, HandsOutGradientsAndLosses) {
  const auto backend = runtime::make_backend("cpu");
  Case c = make_case();
  CurvatureOperator a(*backend, problem_of(c), CurvatureMatrix::gauss_newton);
  c.run([](const HvpProblem<double>& problem) { reference::hvp(problem); });
  for (Index e = 0; e < c.members; ++e) {
    Vector g;
    for (const Index at : a.coordinates()) g.push_back(c.gradient[static_cast<std::size_t>(e * c.size() + at)]);
    EXPECT_LT(test::relative_distance(a.gradient(e), g), 1e-13);
    const Vector losses(c.losses.begin() + e * c.examples, c.losses.begin() + (e + 1) * c.examples);
    EXPECT_LT(test::relative_distance(a.losses(e), losses), 1e-13);
  }
  EXPECT_THROW(a.of(3)(c.v.data(), c.v.data()), ContractError);
  c.selection.weights = c.selection.biases = {false, false, false};
  EXPECT_THROW(CurvatureOperator(*backend, problem_of(c), CurvatureMatrix::hessian), ContractError);
}

TEST(CurvatureOperator, SpectraOfASmallNetworkAreThoseOfItsDenseMatrix) {
  const auto backend = runtime::make_backend("cpu");
  const Case c = make_case();
  for (const CurvatureMatrix matrix : kMatrices) {
    CurvatureOperator a(*backend, problem_of(c), matrix);
    const Index n = a.dimension();
    Vector dense, unit(static_cast<std::size_t>(n)), column(unit.size());
    double trace = 0;
    for (std::size_t t = 0; t < unit.size(); ++t) {
      unit[t] = 1;
      a.apply(1, 1, unit.data(), column.data());
      unit[t] = 0;
      trace += column[t];
      dense.insert(dense.end(), column.begin(), column.end());
    }
    const Vector eigenvalues = symmetric_eigenvalues(dense, n);
    LanczosOptions options;
    options.largest = 3;
    options.smallest = matrix == CurvatureMatrix::hessian ? 3 : 0;  // the others have many zeros there
    options.tolerance = 1e-9;
    options.max_basis = 40;
    const LanczosResult found = lanczos(n, a.of(1), options);
    EXPECT_NE(found.stop, LanczosStop::steps_used);
    for (std::size_t k = 0; k < 3; ++k)
      EXPECT_NEAR(found.largest[k].value, eigenvalues[k], found.largest[k].bound + 1e-13 * found.scale);
    for (std::size_t k = 0; k < found.smallest.size(); ++k)
      EXPECT_NEAR(found.smallest[k].value, eigenvalues[eigenvalues.size() - 1 - k],
                  found.smallest[k].bound + 1e-13 * found.scale);
    const Estimate estimate = hutchinson_trace(n, a.of(1), 200, {5, 0});
    EXPECT_LT(std::abs(estimate.value - trace), 4.5 * estimate.se);
    const SpectralSample sample = sample_spectrum(n, a.of(1), {50, 30, {5, 0}});
    const Estimate squares = spectral_trace(sample, [](double x) { return x * x; });
    double frobenius = 0;
    for (const double x : dense) frobenius += x * x;
    EXPECT_LT(std::abs(squares.value - frobenius), 4.5 * squares.se);
  }
}

}  // namespace
