#include "host/estimators/curvature_operator.hpp"

#include <cblas.h>

#include <algorithm>
#include <numeric>
#include <type_traits>

#include "widelab/base/contract.hpp"

namespace widelab::estimators {
namespace {

std::vector<Index> counted(const Network& network, const ParameterSelection& selection) {
  const Network marked = with_unit_rates(network, selection);
  const ParamLayout layout(network.shape);
  std::vector<Index> out;
  const auto add = [&out](Index first, Index count) {
    for (Index t = first; t < first + count; ++t) out.push_back(t);
  };
  for (std::size_t l = 0; l < marked.layers.size(); ++l) {
    const Index units = network.shape.fan_out(static_cast<Index>(l));
    if (marked.layers[l].weight_rate > 0) add(layout.weight_offset[l], layout.bias_offset[l] - layout.weight_offset[l]);
    if (marked.layers[l].bias_rate > 0) add(layout.bias_offset[l], units);
  }
  return out;
}

/// count numbers into another precision.
template <class T>
void narrow(const double* from, Index count, T* to) {
  std::transform(from, from + count, to, [](double x) { return static_cast<T>(x); });
}

Curvature of_op(CurvatureMatrix matrix) {
  if (matrix == CurvatureMatrix::hessian) return Curvature::hessian;
  if (matrix == CurvatureMatrix::gauss_newton) return Curvature::gauss_newton;
  return Curvature::gradient_moment;
}

}  // namespace

CurvatureOperator::CurvatureOperator(runtime::Backend& backend, const CurvatureProblem& problem, CurvatureMatrix matrix)
    : backend_(backend),
      problem_(problem),
      matrix_(matrix),
      size_(ParamLayout(problem.network->shape).size),
      coordinates_(counted(*problem.network, problem.selection)) {
  WIDELAB_REQUIRE(!coordinates_.empty(), "no parameter counts: the selection is empty, or nothing of it is trained");
  if (problem.precision == Precision::fp64) return;
  const MatrixView<const double> x = problem.inputs;
  inputs_.resize(static_cast<std::size_t>(x.size()));
  for (Index i = 0; i < x.rows; ++i) narrow(x.row(i), x.cols, inputs_.data() + i * x.cols);
  targets_.resize(static_cast<std::size_t>(x.rows * problem.network->shape.outputs));
  narrow(problem.targets, static_cast<Index>(targets_.size()), targets_.data());
}

template <class T>
void CurvatureOperator::multiply(const std::vector<Index>& which, Index vectors, const std::vector<const double*>& v,
                                 const std::vector<double*>& images, const GradientArrays& also) {
  const Index members = static_cast<Index>(which.size()), n = dimension();
  std::vector<T> parameters(static_cast<std::size_t>(members * size_)),
      full(static_cast<std::size_t>(members * vectors * size_)), products(full.size());
  const auto place = [&](std::size_t m, Index j, Index t) {
    return static_cast<std::size_t>((static_cast<Index>(m) * vectors + j) * size_ +
                                    coordinates_[static_cast<std::size_t>(t)]);
  };
  for (std::size_t m = 0; m < which.size(); ++m) {
    narrow(problem_.parameters + which[m] * size_, size_, parameters.data() + static_cast<Index>(m) * size_);
    for (Index j = 0; j < vectors; ++j)
      for (Index t = 0; t < n; ++t) full[place(m, j, t)] = static_cast<T>(v[m][j * n + t]);
  }
  HvpProblem<T> op;
  op.network = problem_.network;
  op.members = members;
  op.parameters = parameters.data();
  if constexpr (std::is_same_v<T, double>) {
    op.inputs = problem_.inputs;
    op.targets = problem_.targets;
  } else {
    op.inputs = matrix_view<const float>(inputs_.data(), problem_.inputs.rows, problem_.inputs.cols);
    op.targets = targets_.data();
  }
  op.loss = problem_.loss;
  op.selection = problem_.selection;
  op.curvature = of_op(matrix_);
  op.vectors = vectors;
  op.v = full.data();
  op.products = products.data();
  op.gradient = also.gradient;
  op.losses = also.losses;
  op.limits = problem_.limits;
  backend_.hvp(op);
  for (std::size_t m = 0; m < which.size(); ++m)
    for (Index j = 0; j < vectors; ++j)
      for (Index t = 0; t < n; ++t) images[m][j * n + t] = static_cast<double>(products[place(m, j, t)]);
}

void CurvatureOperator::multiply_in_precision(const std::vector<Index>& which, Index vectors,
                                              const std::vector<const double*>& v, const std::vector<double*>& images,
                                              const GradientArrays& also) {
  for (const Index member : which)
    WIDELAB_REQUIRE(member >= 0 && member < problem_.members, "a curvature operator has no such member");
  if (problem_.precision == Precision::fp64)
    multiply<double>(which, vectors, v, images, also);
  else
    multiply<float>(which, vectors, v, images, also);
}

/// One product with 0, for what falls out beside it.
void CurvatureOperator::find_gradients() {
  if (!gradients_.empty()) return;
  const Index members = problem_.members, examples = problem_.inputs.rows;
  std::vector<double> full(static_cast<std::size_t>(members * size_)), zero(static_cast<std::size_t>(dimension())),
      losses(static_cast<std::size_t>(members * examples));
  std::vector<Index> which(static_cast<std::size_t>(members));
  std::iota(which.begin(), which.end(), Index{0});
  multiply_in_precision(which, 1, std::vector<const double*>(which.size(), zero.data()),
                        std::vector<double*>(which.size(), zero.data()), {full.data(), losses.data()});
  for (Index m = 0; m < members; ++m) {
    gradients_.emplace_back();
    for (const Index at : coordinates_) gradients_.back().push_back(full[static_cast<std::size_t>(m * size_ + at)]);
    losses_.emplace_back(losses.begin() + m * examples, losses.begin() + (m + 1) * examples);
  }
}

const std::vector<double>& CurvatureOperator::gradient(Index member) {
  find_gradients();
  return gradients_.at(static_cast<std::size_t>(member));
}

const std::vector<double>& CurvatureOperator::losses(Index member) {
  find_gradients();
  return losses_.at(static_cast<std::size_t>(member));
}

/// images -= g (g . v).
void CurvatureOperator::subtract_mean(Index member, Index vectors, const double* v, double* images) {
  const std::vector<double>& g = gradient(member);
  const int n = static_cast<int>(dimension());
  for (Index j = 0; j < vectors; ++j)
    cblas_daxpy(n, -cblas_ddot(n, g.data(), 1, v + j * n, 1), g.data(), 1, images + j * n, 1);
}

void CurvatureOperator::apply(Index member, Index vectors, const double* v, double* images) {
  multiply_in_precision({member}, vectors, {v}, {images}, {});
  if (matrix_ == CurvatureMatrix::gradient_covariance) subtract_mean(member, vectors, v, images);
}

void CurvatureOperator::apply_each(const std::vector<Index>& which, const std::vector<const double*>& v,
                                   const std::vector<double*>& images) {
  multiply_in_precision(which, 1, v, images, {});
  for (std::size_t m = 0; m < which.size() && matrix_ == CurvatureMatrix::gradient_covariance; ++m)
    subtract_mean(which[m], 1, v[m], images[m]);
}

SymmetricOperator CurvatureOperator::of(Index member) {
  return [this, member](const double* v, double* image) { apply(member, 1, v, image); };
}

ManyOperators CurvatureOperator::side_by_side() {
  return [this](const std::vector<Index>& which, const std::vector<const double*>& v,
                const std::vector<double*>& images) { apply_each(which, v, images); };
}

}  // namespace widelab::estimators
