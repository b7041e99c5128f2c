#include "host/theory/sgd_regression.hpp"

#include <cblas.h>
#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "widelab/base/contract.hpp"

namespace widelab::theory {
namespace {

/// f: covariance of a batch's mean over that of one example.
double batch_factor(const RegressionSgd& sgd, Index examples) {
  const auto n = static_cast<double>(examples), b = static_cast<double>(sgd.batch);
  if (sgd.batch < 1) throw RecipeError("batch = " + std::to_string(sgd.batch) + ": must be at least 1");
  if (sgd.sampling == BatchSampling::with_replacement) return 1.0 / b;
  if (sgd.batch > examples)
    throw RecipeError("batch = " + std::to_string(sgd.batch) + ": without replacement it must not exceed the " +
                      std::to_string(examples) + " examples");
  return examples == 1 ? 0.0 : (n - b) / (b * (n - 1.0));
}

void check_numbers(const RegressionSgd& sgd) {
  const auto require = [](const char* name, double value) {
    if (!(value >= 0.0 && std::isfinite(value)))
      throw RecipeError(std::string(name) + " = " + std::to_string(value) + ": must be a finite number, 0 or larger");
  };
  require("weight_decay", sgd.weight_decay);
  require("label_noise", sgd.label_noise);
  require("injected_noise", sgd.injected_noise);
  if (sgd.injected_noise > 0.0 && sgd.training.rule != LinearRule::gradient_descent)
    throw RecipeError("injected_noise = " + std::to_string(sgd.injected_noise) +
                      ": Langevin noise goes with steps without momentum; use gradient descent");
}

/// X^T X / N + lambda, d x d.
std::vector<double> ridge_curvature(MatrixView<const double> x, double weight_decay) {
  if (x.rows < 1 || x.cols < 1)
    throw RecipeError("linear regression needs at least one example with one input, not " + std::to_string(x.rows) +
                      " x " + std::to_string(x.cols));
  std::vector<double> h(static_cast<std::size_t>(x.cols * x.cols));
  const auto d = static_cast<int>(x.cols);
  cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, d, d, static_cast<int>(x.rows),
              1.0 / static_cast<double>(x.rows), x.data, static_cast<int>(x.stride), x.data, static_cast<int>(x.stride),
              0.0, h.data(), d);
  for (Index i = 0; i < x.cols; ++i) h[static_cast<std::size_t>(i * x.cols + i)] += weight_decay;
  return h;
}

QuadraticSgd ridge_quadratic(MatrixView<const double> x, const RegressionSgd& sgd) {
  const std::vector<double> h = ridge_curvature(x, sgd.weight_decay);
  return {matrix_view(h.data(), x.cols, x.cols), sgd.training};
}

/// Entries (i, j), i <= j, in the order of their number j (j + 1) / 2 + i.
struct Pair {
  std::size_t i, j;
};
std::vector<Pair> upper_triangle(std::size_t d) {
  std::vector<Pair> pairs;
  for (std::size_t j = 0; j < d; ++j)
    for (std::size_t i = 0; i <= j; ++i) pairs.push_back({i, j});
  return pairs;
}

}  // namespace

RegressionSgd sgld_regression(const SgldPosterior& posterior, Index examples, Index batch, BatchSampling sampling) {
  const auto n = static_cast<double>(examples);
  RegressionSgd sgd;
  sgd.training.learning_rate = 0.5 * posterior.step * n / posterior.noise_variance;
  sgd.sampling = sampling;
  sgd.batch = batch;
  sgd.weight_decay = posterior.prior_precision * posterior.noise_variance / n;
  sgd.injected_noise = posterior.step * posterior.temperature;
  return sgd;
}

RegressionNoise::RegressionNoise(MatrixView<const double> inputs, const std::vector<double>& targets,
                                 const RegressionSgd& sgd)
    : sgd_(sgd), factor_(batch_factor(sgd, inputs.rows)), quadratic_(ridge_quadratic(inputs, sgd)) {
  check_numbers(sgd);
  const auto n = static_cast<std::size_t>(inputs.rows), d = static_cast<std::size_t>(inputs.cols);
  if (targets.size() != n)
    throw RecipeError("linear regression: " + std::to_string(targets.size()) + " targets for " + std::to_string(n) +
                      " examples");
  inputs_ = quadratic_.basis().rows_into(inputs);
  modes_of_minimiser_.assign(d, 0.0);
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t i = 0; i < d; ++i)
      modes_of_minimiser_[i] += inputs_[k * d + i] * targets[k] / static_cast<double>(n);
  for (std::size_t i = 0; i < d; ++i) {
    const auto mode = static_cast<Index>(i);
    modes_of_minimiser_[i] = quadratic_.flat(mode) ? 0.0 : modes_of_minimiser_[i] / quadratic_.curvature(mode);
  }
  minimiser_ = quadratic_.basis().rows_out_of(matrix_view<const double>(modes_of_minimiser_.data(), 1, inputs.cols));
  residuals_ = targets;
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t i = 0; i < d; ++i) residuals_[k] -= inputs_[k * d + i] * modes_of_minimiser_[i];
}

double RegressionNoise::data_curvature(Index mode) const {
  return std::max(0.0, quadratic_.curvature(mode) - sgd_.weight_decay);
}

RegressionNoise::Matrix RegressionNoise::weighted_gram(const std::vector<double>& weights) const {
  const std::size_t n = residuals_.size(), d = inputs_.size() / n;
  Matrix scaled = inputs_, gram(d * d);
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t i = 0; i < d; ++i) scaled[k * d + i] *= weights[k] / static_cast<double>(n);
  cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, static_cast<int>(d), static_cast<int>(d), static_cast<int>(n),
              1.0, inputs_.data(), static_cast<int>(d), scaled.data(), static_cast<int>(d), 0.0, gram.data(),
              static_cast<int>(d));
  return gram;
}

/// x_n.S x_n for all n.
std::vector<double> RegressionNoise::quadratic_forms(const Matrix& second) const {
  const std::size_t n = residuals_.size(), d = inputs_.size() / n;
  Matrix moved(n * d);
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(n), static_cast<int>(d), static_cast<int>(d),
              1.0, inputs_.data(), static_cast<int>(d), second.data(), static_cast<int>(d), 0.0, moved.data(),
              static_cast<int>(d));
  std::vector<double> forms(n);
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t i = 0; i < d; ++i) forms[k] += moved[k * d + i] * inputs_[k * d + i];
  return forms;
}

/// C(S) - C(0).
RegressionNoise::Matrix RegressionNoise::growing_noise(const Matrix& second) const {
  const Index d = quadratic_.basis().dim();
  Matrix noise = weighted_gram(quadratic_forms(second));
  for (Index i = 0; i < d; ++i)
    for (Index j = 0; j < d; ++j) {
      const auto at = static_cast<std::size_t>(i * d + j);
      noise[at] = factor_ * (noise[at] - data_curvature(i) * data_curvature(j) * second[at]);
    }
  return noise;
}

/// C of given moments of e.
RegressionNoise::Matrix RegressionNoise::noise_of(const std::vector<double>& mean, const Matrix& second) const {
  const std::size_t n = residuals_.size();
  const Index d = quadratic_.basis().dim();
  const double lambda = sgd_.weight_decay;
  std::vector<double> squares = quadratic_forms(second);  // E (x.e - r)^2
  for (std::size_t k = 0; k < n; ++k) {
    double moved = 0.0;
    for (std::size_t i = 0; i < mean.size(); ++i) moved += inputs_[k * mean.size() + i] * mean[i];
    squares[k] += residuals_[k] * (residuals_[k] - 2.0 * moved);
  }
  Matrix noise = weighted_gram(squares);
  for (Index i = 0; i < d; ++i)
    for (Index j = 0; j < d; ++j) {
      const auto at = static_cast<std::size_t>(i * d + j);
      const double hi = data_curvature(i), hj = data_curvature(j);
      const double wi = modes_of_minimiser_[static_cast<std::size_t>(i)];
      const double wj = modes_of_minimiser_[static_cast<std::size_t>(j)];
      const double mi = mean[static_cast<std::size_t>(i)], mj = mean[static_cast<std::size_t>(j)];
      // E (H e - lambda w*)(H e - lambda w*)^T
      const double drift = hi * hj * second[at] - lambda * (hi * mi * wj + wi * hj * mj) + lambda * lambda * wi * wj;
      const double labels = i == j ? sgd_.label_noise * hi / static_cast<double>(sgd_.batch) : 0.0;
      noise[at] = factor_ * (noise[at] - drift) + labels;
    }
  return noise;
}

/// C(0) and the injected noise, as noise of the gradient.
RegressionNoise::Matrix RegressionNoise::source() const {
  const auto d = static_cast<std::size_t>(quadratic_.basis().dim());
  Matrix noise = noise_of(std::vector<double>(d), Matrix(d * d));
  for (std::size_t i = 0; i < d; ++i) noise[i * d + i] += sgd_.injected_noise / (effective_rate() * effective_rate());
  return noise;
}

std::vector<double> RegressionNoise::noise_at_minimum() const {
  const auto d = static_cast<std::size_t>(quadratic_.basis().dim());
  return quadratic_.basis().out_of(noise_of(std::vector<double>(d), Matrix(d * d)));
}

/// (1 - response . (C(.) - C(0))) S = response . source, as a system in the upper triangle of S.
RegressionNoise::Matrix RegressionNoise::solve_dense(const Matrix& response, const Matrix& source) const {
  const std::size_t n = residuals_.size(), d = inputs_.size() / n;
  const std::vector<Pair> pairs = upper_triangle(d);
  const std::size_t unknowns = pairs.size();
  std::vector<double> products(n * unknowns), system(unknowns * unknowns), solution(unknowns);
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t p = 0; p < unknowns; ++p)
      products[k * unknowns + p] = inputs_[k * d + pairs[p].i] * inputs_[k * d + pairs[p].j];
  const auto order = static_cast<int>(unknowns);
  cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, order, order, static_cast<int>(n), 1.0 / static_cast<double>(n),
              products.data(), order, products.data(), order, 0.0, system.data(), order);
  for (std::size_t p = 0; p < unknowns; ++p) {
    const Pair at = pairs[p];
    const double k = response[at.i * d + at.j];
    const double hh = data_curvature(static_cast<Index>(at.i)) * data_curvature(static_cast<Index>(at.j));
    for (std::size_t q = 0; q < unknowns; ++q)
      system[p * unknowns + q] *= -k * factor_ * (pairs[q].i == pairs[q].j ? 1.0 : 2.0);
    system[p * unknowns + p] += 1.0 + k * factor_ * hh;
    solution[p] = k * source[at.i * d + at.j];
  }
  std::vector<lapack_int> pivots(unknowns);
  const lapack_int info =
      LAPACKE_dgesv(LAPACK_ROW_MAJOR, order, 1, system.data(), order, pivots.data(), solution.data(), 1);
  WIDELAB_REQUIRE(info == 0, "the second-moment system of a stable problem is singular");
  Matrix second(d * d);
  for (std::size_t p = 0; p < unknowns; ++p)
    second[pairs[p].i * d + pairs[p].j] = second[pairs[p].j * d + pairs[p].i] = solution[p];
  return second;
}

RegressionNoise::Matrix RegressionNoise::solve_by_iteration(const Matrix& response, const Matrix& source) const {
  constexpr int kMostSteps = 200000;
  Matrix second(source.size());
  double change = 1.0, size = 0.0;
  for (int step = 0; step < kMostSteps && change > 1e-15 * size; ++step) {
    const Matrix growing = growing_noise(second);
    change = size = 0.0;
    for (std::size_t e = 0; e < second.size(); ++e) {
      const double next = response[e] * (growing[e] + source[e]);
      change = std::max(change, std::abs(next - second[e]));
      size = std::max(size, std::abs(next));
      second[e] = next;
    }
  }
  return second;
}

StateCovariance RegressionNoise::stationary() const {
  const Index d = quadratic_.basis().dim();
  const bool growing = factor_ > 0.0 && quadratic_.stable();
  if (!quadratic_.stable() || (growing && gain(effective_rate(), 1.0) >= 1.0))
    throw RecipeError("learning_rate = " + std::to_string(sgd_.training.learning_rate) +
                      ": the second moments grow without limit; the learning rate must be below " +
                      std::to_string(critical_learning_rate()) + " for this data, batch and momentum");
  const Matrix noise = source();
  const Matrix k = response(effective_rate(), 1.0);
  const Matrix second = d <= kDense ? solve_dense(k, noise) : solve_by_iteration(k, noise);
  Matrix total = growing_noise(second);
  for (std::size_t e = 0; e < total.size(); ++e) total[e] += noise[e];
  total = quadratic_.basis().out_of(total);
  return quadratic_.stationary(matrix_view<const double>(total.data(), d, d));
}

StateCovariance RegressionNoise::frozen_noise() const {
  const Index d = quadratic_.basis().dim();
  const Matrix noise = quadratic_.basis().out_of(source());
  return quadratic_.stationary(matrix_view<const double>(noise.data(), d, d));
}

RegressionMoments RegressionNoise::at(const std::vector<double>& w) const {
  const std::size_t d = minimiser_.size();
  WIDELAB_REQUIRE(w.size() == d, "a point of another dimension");
  RegressionMoments moments{w, std::vector<double>(d), StateCovariance::zero(static_cast<Index>(d))};
  for (std::size_t i = 0; i < d; ++i) moments.mean[i] -= minimiser_[i];
  for (std::size_t i = 0; i < d; ++i)
    for (std::size_t j = 0; j < d; ++j) moments.second.parameter[i * d + j] = moments.mean[i] * moments.mean[j];
  return moments;
}

RegressionMoments RegressionNoise::after(const RegressionMoments& start, Index steps) const {
  const Index d = quadratic_.basis().dim();
  const Eigenbasis& basis = quadratic_.basis();
  const StepForm form = step_form(sgd_.training);
  const double rate = effective_rate();
  const auto matrix = [&](const Matrix& m) { return basis.into(matrix_view(m.data(), d, d)); };
  const auto row = [&](const std::vector<double>& v) { return matrix_view(v.data(), Index{1}, d); };
  StateCovariance second{d, matrix(start.second.parameter), matrix(start.second.cross), matrix(start.second.velocity)};
  std::vector<double> mean = basis.rows_into(row(start.mean)), velocity = basis.rows_into(row(start.mean_velocity));
  std::vector<Matrix2> maps;
  for (Index i = 0; i < d; ++i) maps.push_back(add(kIdentity2, mode_increment(form, rate * quadratic_.curvature(i))));
  for (Index step = 0; step < steps; ++step) {
    Matrix noise = noise_of(mean, second.parameter);
    for (std::size_t i = 0; i < mean.size(); ++i) noise[i * mean.size() + i] += sgd_.injected_noise / (rate * rate);
    for (Index i = 0; i < d; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const Matrix2& f = maps[at];
      const double e = mean[at], u = velocity[at];
      mean[at] = f[0] * e + f[1] * u;
      velocity[at] = f[2] * e + f[3] * u;
      for (Index j = i; j < d; ++j) {
        const Matrix2 carried = multiply(multiply(f, second.pair(i, j)), transpose(maps[static_cast<std::size_t>(j)]));
        second.set_pair(i, j, add(carried, noise_gain(form), rate * rate * noise[static_cast<std::size_t>(i * d + j)]));
      }
    }
  }
  return {basis.rows_out_of(row(mean)),
          basis.rows_out_of(row(velocity)),
          {d, basis.out_of(second.parameter), basis.out_of(second.cross), basis.out_of(second.velocity)}};
}

}  // namespace widelab::theory
