// Dense layer matrices against products of the reference op with unit vectors, for every layer, loss and structure.
#include "host/estimators/layer_curvature.hpp"

#include <gtest/gtest.h>

#include "tests/support/hvp_case.hpp"
#include "widelab/base/errors.hpp"

namespace {

using namespace widelab;
using namespace widelab::estimators;
using Vector = std::vector<double>;
using Case = test::HvpCase<double>;

/// The reference's matrix over the weights of one layer, row by row, on the examples [first, first + count).
Vector by_unit_vectors(const Case& all, Index layer, Curvature curvature, Index first, Index count) {
  const ParamLayout layout(all.network.shape);
  const Index size = all.network.shape.fan_in(layer) * all.network.shape.fan_out(layer);
  const Index d = all.network.shape.input_dim, k = all.network.shape.outputs;
  const Index offset = layout.weight_offset[static_cast<std::size_t>(layer)];
  Case c = all;
  c.curvature = curvature;
  c.vectors = size;
  c.examples = count;
  c.inputs.assign(all.inputs.begin() + first * d, all.inputs.begin() + (first + count) * d);
  c.targets.assign(all.targets.begin() + first * k, all.targets.begin() + (first + count) * k);
  c.v.assign(static_cast<std::size_t>(size * layout.size), 0.0);
  for (Index t = 0; t < size; ++t) c.v[static_cast<std::size_t>(t * layout.size + offset + t)] = 1;
  c.run([](const HvpProblem<double>& problem) { reference::hvp(problem); });
  Vector out;
  for (Index t = 0; t < size; ++t)
    for (Index u = 0; u < size; ++u) out.push_back(c.products[static_cast<std::size_t>(t * layout.size + offset + u)]);
  return out;
}

/// E_n[h_n h_n], h_n from the reference on one example.
Vector squared_by_unit_vectors(const Case& c, Index layer) {
  const Index size = c.network.shape.fan_in(layer) * c.network.shape.fan_out(layer);
  Vector out(static_cast<std::size_t>(size * size), 0.0);
  for (Index p = 0; p < c.examples; ++p) {
    const Vector h = by_unit_vectors(c, layer, Curvature::hessian, p, 1);
    for (Index i = 0; i < size; ++i)
      for (Index j = 0; j < size; ++j)
        for (Index t = 0; t < size; ++t)
          out[static_cast<std::size_t>(i * size + j)] += h[static_cast<std::size_t>(i * size + t)] *
                                                         h[static_cast<std::size_t>(t * size + j)] /
                                                         static_cast<double>(c.examples);
  }
  return out;
}

Vector dense(const Case& c, Index layer, LayerMatrix matrix) {
  LayerCurvatureProblem problem;
  problem.network = &c.network;
  problem.parameters = c.parameters.data();
  problem.inputs = matrix_view<const double>(c.inputs.data(), c.examples, c.network.shape.input_dim);
  problem.targets = c.targets.data();
  problem.loss = c.loss;
  problem.layer = layer;
  return layer_curvature(problem, matrix);
}

std::vector<test::NetworkCase> piecewise_linear() {
  return {test::NetworkCase{.widths = {5, 4}, .outputs = 3},
          test::NetworkCase{.activation = "ab-relu(-0.3,1.2)", .widths = {4, 4, 4}, .outputs = 2, .residual = 0.7},
          test::NetworkCase{.widths = {4, 3}, .outputs = 2, .unit_multipliers = true},
          test::NetworkCase{.activation = "identity", .widths = {3}, .input_dim = 2}};
}

TEST(LayerCurvature, EqualsProductsWithUnitVectors) {
  for (const test::NetworkCase& spec : piecewise_linear())
    for (const LossKind loss : test::kAllLosses) {
      const Case c(spec.network(), loss, 1, 9, 1);
      for (Index l = 0; l < c.network.shape.layers(); ++l) {
        const auto expect = [&](LayerMatrix matrix, const Vector& exact) {
          EXPECT_LT(test::relative_distance(dense(c, l, matrix), exact), 1e-12)
              << spec.activation << ", loss " << static_cast<int>(loss) << ", layer " << l << ", matrix "
              << static_cast<int>(matrix);
        };
        const Vector hessian = by_unit_vectors(c, l, Curvature::hessian, 0, c.examples);
        expect(LayerMatrix::hessian, hessian);
        expect(LayerMatrix::gauss_newton, hessian);
        expect(LayerMatrix::gradient_moment, by_unit_vectors(c, l, Curvature::gradient_moment, 0, c.examples));
        expect(LayerMatrix::squared_hessians, squared_by_unit_vectors(c, l));
      }
    }
}

TEST(LayerCurvature, SmoothActivationsHaveAGaussNewtonMatrix) {
  const Case c(test::NetworkCase{.activation = "tanh", .widths = {4, 5}, .outputs = 2}.network(),
               LossKind::cross_entropy, 1, 300, 1);  // more than one tile
  for (Index l = 0; l < 3; ++l) {
    EXPECT_LT(test::relative_distance(dense(c, l, LayerMatrix::gauss_newton),
                                      by_unit_vectors(c, l, Curvature::gauss_newton, 0, 300)),
              1e-12);
  }
  EXPECT_LT(
      test::relative_distance(dense(c, 2, LayerMatrix::hessian), by_unit_vectors(c, 2, Curvature::hessian, 0, 300)),
      1e-12);
  // The Hessian of a hidden layer has a second term, and the comparison sees that it is missing.
  EXPECT_GT(test::relative_distance(dense(c, 1, LayerMatrix::gauss_newton),
                                    by_unit_vectors(c, 1, Curvature::hessian, 0, 300)),
            1e-3);
  EXPECT_THROW(dense(c, 1, LayerMatrix::hessian), RecipeError);
  EXPECT_THROW(dense(c, 1, LayerMatrix::squared_hessians), RecipeError);
}

TEST(LayerCurvature, RefusesWhatItCannotForm) {
  const Case norm(test::NetworkCase{.layer_norm = true}.network(), LossKind::half_squared, 1, 3, 1);
  EXPECT_THROW(dense(norm, 1, LayerMatrix::gauss_newton), RecipeError);
  const Case wide(test::NetworkCase{.widths = {200, 100}}.network(), LossKind::half_squared, 1, 3, 1);
  EXPECT_THROW(dense(wide, 1, LayerMatrix::gauss_newton), PlanError);
  EXPECT_THROW(dense(wide, 3, LayerMatrix::gauss_newton), ContractError);
}

}  // namespace
