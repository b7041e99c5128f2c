// SGD on linear regression: the closure against references, against all batches there are, and against itself.
#include <gtest/gtest.h>
#include <lapacke.h>

#include <array>
#include <cmath>
#include <random>

#include "host/theory/langevin.hpp"
#include "host/theory/sgd_regression.hpp"
#include "tests/unit/sgd_noise_golden.hpp"
#include "widelab/base/errors.hpp"

namespace widelab {
namespace {

using test::expect_relative;
using test::kGoldenTolerance;
using test::number;
using test::numbers;
using theory::BatchSampling;
using theory::LinearRule;
using theory::RegressionMoments;
using theory::RegressionNoise;
using theory::RegressionSgd;
using theory::StateCovariance;
using Vector = std::vector<double>;

constexpr std::array kRules{LinearRule::gradient_descent, LinearRule::heavy_ball, LinearRule::nesterov};
constexpr std::array kSamplings{BatchSampling::with_replacement, BatchSampling::without_replacement};

struct Data {
  Index examples = 0, dim = 0;
  Vector x, y;
  MatrixView<const double> inputs() const { return matrix_view(x.data(), examples, dim); }
};

/// The data set of the references.
Data integer_formula_data() {
  Data data{16, 3, {}, {}};
  for (int n = 0; n < 16; ++n) {
    for (int i = 0; i < 3; ++i) data.x.push_back(((7 * n + 3 * i * i + 5 * i + n * n * (i + 1)) % 11 - 5) / 5.0);
    data.y.push_back(((3 * n * n + 2 * n + 1) % 13 - 6) / 4.0);
  }
  return data;
}

Data random_data(Index examples, Index dim, unsigned seed) {
  std::mt19937_64 bits(seed);
  std::normal_distribution<double> normal;
  Data data{examples, dim, {}, {}};
  for (Index e = 0; e < examples * dim; ++e) data.x.push_back(normal(bits));
  for (Index e = 0; e < examples; ++e) data.y.push_back(data.x[static_cast<std::size_t>(e * dim)] + normal(bits));
  return data;
}

RegressionSgd problem(LinearRule rule, double rate, double momentum, Index batch, BatchSampling sampling,
                      double decay = 0.0) {
  RegressionSgd sgd;
  sgd.training.rule = rule;
  sgd.training.learning_rate = rate;
  sgd.training.momentum = momentum;
  sgd.batch = batch;
  sgd.sampling = sampling;
  sgd.weight_decay = decay;
  return sgd;
}

TEST(SgdRegression, ValuesEqualTheReferences) {
  const Data data = integer_formula_data();
  for (const std::string name : {"finite_linreg_iid_B4", "finite_linreg_worepl_B4", "finite_linreg_iid_B1_wd",
                                 "finite_linreg_HB_iid_B4", "finite_linreg_HB_worepl_B8_wd"}) {
    SCOPED_TRACE(name);
    const nlohmann::json entry = test::sgd_noise_golden(name), params = entry.at("params"), value = entry.at("value");
    const double mu = number(params.at("mu"));
    const RegressionNoise noise(data.inputs(), data.y,
                                problem(mu == 0 ? LinearRule::gradient_descent : LinearRule::heavy_ball,
                                        number(params.at("eta")), mu, params.at("B").get<Index>(),
                                        params.at("with_replacement").get<bool>() ? BatchSampling::with_replacement
                                                                                  : BatchSampling::without_replacement,
                                        number(params.at("wd"))));
    const StateCovariance s = noise.stationary();
    const Vector diagonal = numbers(value.at("diag")), minimiser = numbers(value.at("wstar"));
    const Vector at_minimum = noise.noise_at_minimum();
    double trace = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      expect_relative(s.parameter[4 * i], diagonal[i], kGoldenTolerance);
      expect_relative(noise.minimiser()[i], minimiser[i], kGoldenTolerance);
      trace += at_minimum[4 * i];
    }
    expect_relative(s.trace(), number(value.at("trace")), kGoldenTolerance);
    expect_relative(noise.excess_loss(s), number(value.at("mean_excess_loss")), kGoldenTolerance);
    expect_relative(trace, number(value.at("tr_noise_at_min")), kGoldenTolerance);
  }
}

/// All batches of `sgd`, equally likely, as lists of examples.
std::vector<std::vector<std::size_t>> all_batches(std::size_t examples, const RegressionSgd& sgd) {
  std::vector<std::vector<std::size_t>> batches{{}};
  for (Index slot = 0; slot < sgd.batch; ++slot) {
    std::vector<std::vector<std::size_t>> longer;
    for (const auto& batch : batches)
      for (std::size_t n = 0; n < examples; ++n) {
        if (sgd.sampling == BatchSampling::without_replacement && std::count(batch.begin(), batch.end(), n) > 0)
          continue;
        longer.push_back(batch);
        longer.back().push_back(n);
      }
    batches = longer;
  }
  return batches;
}

/// Parameters w and PyTorch's velocity, d each.
struct Walker {
  Vector w, v;
};

/// One step of training on a batch; `flip` bit k gives slot k label noise of -sqrt(s2) instead of +sqrt(s2).
Walker stepped(const Data& data, const RegressionSgd& sgd, Walker at, const std::vector<std::size_t>& batch,
               unsigned flip) {
  const auto d = static_cast<std::size_t>(data.dim);
  Vector g(d);
  for (std::size_t slot = 0; slot < batch.size(); ++slot) {
    double error = -data.y[batch[slot]] - (((flip >> slot) & 1U) != 0 ? -1 : 1) * std::sqrt(sgd.label_noise);
    for (std::size_t i = 0; i < d; ++i) error += data.x[batch[slot] * d + i] * at.w[i];
    for (std::size_t i = 0; i < d; ++i) g[i] += error * data.x[batch[slot] * d + i] / static_cast<double>(batch.size());
  }
  const double eta = sgd.training.effective_rate();
  const double mu = sgd.training.rule == LinearRule::gradient_descent ? 0.0 : sgd.training.momentum;
  for (std::size_t i = 0; i < d; ++i) {
    g[i] += sgd.weight_decay * at.w[i];
    at.v[i] = mu * at.v[i] + g[i];
    at.w[i] -= eta * (sgd.training.rule == LinearRule::nesterov ? g[i] + mu * at.v[i] : at.v[i]);
  }
  return at;
}

/// Mean and second moments about w* over every sequence of `steps` batches and label flips.
RegressionMoments enumerated(const Data& data, const RegressionSgd& sgd, const Vector& start, const Vector& minimiser,
                             int steps) {
  std::vector<Walker> walkers{{start, Vector(start.size())}};
  const auto batches = all_batches(static_cast<std::size_t>(data.examples), sgd);
  const unsigned flips = sgd.label_noise > 0 ? 1U << static_cast<unsigned>(sgd.batch) : 1U;
  for (int t = 0; t < steps; ++t) {
    std::vector<Walker> next;
    for (const Walker& walker : walkers)
      for (const auto& batch : batches)
        for (unsigned flip = 0; flip < flips; ++flip) next.push_back(stepped(data, sgd, walker, batch, flip));
    walkers = std::move(next);
  }
  const std::size_t d = start.size();
  RegressionMoments out{Vector(d), Vector(d), StateCovariance::zero(static_cast<Index>(d))};
  const double weight = 1.0 / static_cast<double>(walkers.size()), eta = sgd.training.effective_rate();
  for (const Walker& walker : walkers)
    for (std::size_t i = 0; i < d; ++i) {
      const double e = walker.w[i] - minimiser[i], u = -eta * walker.v[i];
      out.mean[i] += weight * e;
      out.mean_velocity[i] += weight * u;
      for (std::size_t j = 0; j < d; ++j) {
        out.second.parameter[i * d + j] += weight * e * (walker.w[j] - minimiser[j]);
        out.second.cross[i * d + j] += weight * e * -eta * walker.v[j];
        out.second.velocity[i * d + j] += weight * u * -eta * walker.v[j];
      }
    }
  return out;
}

double largest_difference(const Vector& a, const Vector& b) {
  double largest = 0;
  for (std::size_t e = 0; e < a.size(); ++e) largest = std::max(largest, std::abs(a[e] - b[e]));
  return largest;
}

void expect_moments(const RegressionMoments& got, const RegressionMoments& expected, double tolerance) {
  EXPECT_LT(largest_difference(got.mean, expected.mean), tolerance);
  EXPECT_LT(largest_difference(got.mean_velocity, expected.mean_velocity), tolerance);
  EXPECT_LT(largest_difference(got.second.parameter, expected.second.parameter), tolerance);
  EXPECT_LT(largest_difference(got.second.cross, expected.second.cross), tolerance);
  EXPECT_LT(largest_difference(got.second.velocity, expected.second.velocity), tolerance);
}

// Three steps from a point away from the minimum: every sequence of batches, with nothing assumed about the closure.
TEST(SgdRegression, TransientsEqualTheAverageOverAllBatches) {
  const Data data = random_data(5, 2, 1);
  for (const LinearRule rule : kRules)
    for (const BatchSampling sampling : kSamplings) {
      RegressionSgd sgd = problem(rule, 0.2, 0.6, 2, sampling, 0.3);
      sgd.training.curvature = 1.5;
      const RegressionNoise noise(data.inputs(), data.y, sgd);
      const Vector start{0.7, -0.4};
      // a thousand walkers of size 1
      expect_moments(noise.after(noise.at(start), 3), enumerated(data, sgd, start, noise.minimiser(), 3), 1e-13);
      // the planted fault: the other sampling
      sgd.sampling = kSamplings[sampling == kSamplings[0] ? 1 : 0];
      const RegressionNoise other(data.inputs(), data.y, sgd);
      EXPECT_GT(largest_difference(other.after(noise.at(start), 3).second.parameter,
                                   noise.after(noise.at(start), 3).second.parameter),
                1e-3);
    }
}

TEST(SgdRegression, FreshLabelNoiseIsAveragedOverTheBatch) {
  const Data data = random_data(4, 2, 2);
  for (const BatchSampling sampling : kSamplings)
    for (const Index batch : {1, 2}) {
      RegressionSgd sgd = problem(LinearRule::heavy_ball, 0.2, 0.6, batch, sampling);
      sgd.label_noise = 0.6;
      const RegressionNoise noise(data.inputs(), data.y, sgd);
      const Vector start{0.7, -0.4};
      expect_moments(noise.after(noise.at(start), 3), enumerated(data, sgd, start, noise.minimiser(), 3), 1e-13);
    }
}

TEST(SgdRegression, StationaryLawIsUnchangedByAStepAndEndsEveryTransient) {
  const Data data = random_data(12, 3, 3);
  for (const LinearRule rule : kRules)
    for (const BatchSampling sampling : kSamplings) {
      const RegressionNoise noise(data.inputs(), data.y, problem(rule, 0.05, 0.7, 3, sampling, 0.1));
      const RegressionMoments rest{Vector(3), Vector(3), noise.stationary()};
      expect_moments(noise.after(rest, 1), rest, 1e-14);
      expect_moments(noise.after(noise.at({1, 1, 1}), 3000), rest, 1e-13);
    }
}

TEST(SgdRegression, ManyDirectionsAreSolvedAsFewAre) {
  const Data data = random_data(120, RegressionNoise::kDense + 8, 4);
  const RegressionNoise noise(data.inputs(), data.y,
                              problem(LinearRule::heavy_ball, 0.02, 0.5, 4, BatchSampling::with_replacement));
  const RegressionMoments rest{Vector(40), Vector(40), noise.stationary()};
  ASSERT_LT(noise.mean_square_radius(), 1.0);
  expect_moments(noise.after(rest, 1), rest, 1e-14);
  EXPECT_GT(rest.second.trace(), 1.1 * noise.frozen_noise().trace());
}

TEST(SgdRegression, MoreInputsThanExamplesLeaveTheRestAlone) {
  const Data data = random_data(5, 7, 5);
  RegressionSgd sgd = problem(LinearRule::gradient_descent, 0.02, 0, 1, BatchSampling::with_replacement);
  const RegressionNoise fitted(data.inputs(), data.y, sgd);
  for (const double r : fitted.residuals()) EXPECT_NEAR(r, 0, 1e-12);
  EXPECT_LT(fitted.stationary().trace(), 1e-24);  // all examples fitted: no noise is left
  sgd.label_noise = 0.5;
  const RegressionNoise noise(data.inputs(), data.y, sgd);
  const RegressionMoments rest{Vector(7), Vector(7), noise.stationary()};
  EXPECT_GT(rest.second.trace(), 1e-3);
  expect_moments(noise.after(rest, 1), rest, 1e-13);
  sgd.injected_noise = 0.1;
  EXPECT_THROW(RegressionNoise(data.inputs(), data.y, sgd).stationary(), RecipeError);  // a walk in two directions
}

/// Largest |eigenvalue| of the average of F (x) F over all batches, F the step's matrix.
double dense_radius(const Data& data, const RegressionSgd& sgd) {
  const auto d = static_cast<std::size_t>(data.dim), m = 2 * d;
  const auto batches = all_batches(static_cast<std::size_t>(data.examples), sgd);
  Data noiseless = data;
  for (double& y : noiseless.y) y = 0;
  RegressionSgd quiet = sgd;
  quiet.label_noise = 0;
  Vector average(m * m * m * m);
  for (const auto& batch : batches) {
    Vector f(m * m);
    for (std::size_t c = 0; c < m; ++c) {
      Walker basis{Vector(d), Vector(d)};
      (c < d ? basis.w[c] : basis.v[c - d]) = 1;
      basis = stepped(noiseless, quiet, basis, batch, 0);
      for (std::size_t r = 0; r < m; ++r) f[r * m + c] = r < d ? basis.w[r] : basis.v[r - d];
    }
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < m; ++j)
        for (std::size_t k = 0; k < m; ++k)
          for (std::size_t l = 0; l < m; ++l)
            average[(i * m + j) * m * m + k * m + l] +=
                f[i * m + k] * f[j * m + l] / static_cast<double>(batches.size());
  }
  const auto order = static_cast<lapack_int>(m * m);
  Vector real(m * m), imaginary(m * m);
  EXPECT_EQ(LAPACKE_dgeev(LAPACK_ROW_MAJOR, 'N', 'N', order, average.data(), order, real.data(), imaginary.data(),
                          nullptr, order, nullptr, order),
            0);
  double largest = 0;
  for (std::size_t k = 0; k < real.size(); ++k) largest = std::max(largest, std::hypot(real[k], imaginary[k]));
  return largest;
}

TEST(SgdRegression, MeanSquareRadiusIsThatOfAllBatches) {
  const Data data = random_data(6, 2, 6);
  for (const LinearRule rule : kRules)
    for (const BatchSampling sampling : kSamplings)
      for (const double rate : {0.02, 0.2, 0.9}) {
        const RegressionSgd sgd = problem(rule, rate, 0.6, 2, sampling, 0.1);
        const RegressionNoise noise(data.inputs(), data.y, sgd);
        expect_relative(noise.mean_square_radius(), dense_radius(data, sgd), 1e-9, std::to_string(rate));
      }
}

TEST(SgdRegression, CriticalLearningRateIsWhereTheRadiusIsOne) {
  const Data data = random_data(6, 2, 7);
  for (const LinearRule rule : kRules)
    for (const BatchSampling sampling : kSamplings) {
      RegressionSgd sgd = problem(rule, 0.01, 0.6, 2, sampling);
      sgd.training.curvature = 2.0;
      const double critical = RegressionNoise(data.inputs(), data.y, sgd).critical_learning_rate();
      sgd.training.learning_rate = critical;
      EXPECT_NEAR(dense_radius(data, sgd), 1.0, 1e-9);
      sgd.training.learning_rate = 1.001 * critical;
      EXPECT_THROW(RegressionNoise(data.inputs(), data.y, sgd).stationary(), RecipeError);
      sgd.training.learning_rate = 0.999 * critical;
      EXPECT_GT(RegressionNoise(data.inputs(), data.y, sgd).stationary().trace(), 0.0);
    }
}

TEST(SgdRegression, FullBatchesLeaveTheStabilityOfTheMeanAndNoNoise) {
  const Data data = random_data(6, 2, 8);
  const RegressionSgd sgd = problem(LinearRule::gradient_descent, 0.1, 0, 6, BatchSampling::without_replacement);
  const RegressionNoise noise(data.inputs(), data.y, sgd);
  EXPECT_EQ(noise.stationary().trace(), 0.0);
  expect_relative(noise.critical_learning_rate(), 2 / noise.quadratic().curvature(1), 1e-13);
  expect_relative(noise.mean_square_radius(), std::pow(1 - 0.1 * noise.quadratic().curvature(0), 2), 1e-12);
}

TEST(SgdRegression, FrozenNoiseIsTheLyapunovSolutionAndNotTheLaw) {
  const Data data = random_data(64, 6, 9);
  const RegressionNoise noise(data.inputs(), data.y,
                              problem(LinearRule::gradient_descent, 0.1, 0, 2, BatchSampling::with_replacement));
  const Vector c = noise.noise_at_minimum();
  const double expected = noise.quadratic().stationary(matrix_view<const double>(c.data(), 6, 6)).trace();
  expect_relative(noise.frozen_noise().trace(), expected, 1e-13);
  EXPECT_LT(noise.frozen_noise().trace(), 0.9 * noise.stationary().trace());
}

TEST(SgdRegression, SmallStepsRecoverTheFrozenNoise) {
  const Data data = random_data(64, 6, 9);
  const RegressionNoise noise(data.inputs(), data.y,
                              problem(LinearRule::gradient_descent, 1e-6, 0, 2, BatchSampling::with_replacement));
  expect_relative(noise.stationary().trace(), noise.frozen_noise().trace(), 1e-4);
}

// Langevin dynamics on a posterior: full batches have T [Lambda (1 - eps Lambda / 4)]^-1, batches of a part more.
TEST(SgdRegression, SgldWithFullBatchesIsTheDiscreteLangevinLaw) {
  const Data data = random_data(20, 3, 10);
  const theory::SgldPosterior posterior{0.004, 0.5, 2.0, 1.3};
  const RegressionNoise noise(data.inputs(), data.y,
                              sgld_regression(posterior, 20, 20, BatchSampling::without_replacement));
  Vector precision(9), none(9);
  for (std::size_t n = 0; n < 20; ++n)
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 3; ++j) precision[3 * i + j] += data.x[3 * n + i] * data.x[3 * n + j] / 0.5;
  for (std::size_t i = 0; i < 3; ++i) precision[4 * i] += 2.0;
  const auto view = [](const Vector& m) { return matrix_view(m.data(), Index{3}, Index{3}); };
  const Vector expected = theory::langevin_covariance(view(precision), view(none), 0.004, 1.3, true);
  EXPECT_LT(largest_difference(noise.stationary().parameter, expected), 1e-14);
  const RegressionNoise part(data.inputs(), data.y, sgld_regression(posterior, 20, 2));
  EXPECT_GT(part.stationary().trace(), 1.1 * noise.stationary().trace());
}

TEST(SgdRegression, MistakesAreNamed) {
  const Data data = random_data(6, 2, 11);
  const auto message = [&](const RegressionSgd& sgd) -> std::string {
    try {
      RegressionNoise(data.inputs(), data.y, sgd).stationary();
    } catch (const RecipeError& error) {
      return error.what();
    }
    return "";
  };
  const auto fresh = BatchSampling::without_replacement;
  EXPECT_NE(message(problem(LinearRule::gradient_descent, 0.1, 0, 7, fresh)).find("batch = 7"), std::string::npos);
  EXPECT_NE(message(problem(LinearRule::gradient_descent, 0.1, 0, 0, fresh)).find("batch = 0"), std::string::npos);
  EXPECT_NE(message(problem(LinearRule::gradient_descent, 50, 0, 1, fresh)).find("below"), std::string::npos);
  EXPECT_NE(message(problem(LinearRule::gradient_descent, 0.1, 0, 1, fresh, -1)).find("weight_decay"),
            std::string::npos);
  RegressionSgd sgd = problem(LinearRule::heavy_ball, 0.1, 0.5, 1, fresh);
  sgd.injected_noise = 1;
  EXPECT_NE(message(sgd).find("injected_noise"), std::string::npos);
  EXPECT_THROW(RegressionNoise(data.inputs(), {1.0}, problem(LinearRule::gradient_descent, 0.1, 0, 1, fresh)),
               RecipeError);
}

}  // namespace
}  // namespace widelab
