// widelab's side of the ridge duel. `--write JOB` draws inputs, targets and weights that every side reads, and solves a
// few sizes accurately; `JOB` answers the duel's requests (bench/duels/worker.py).
#include <cblas.h>
#include <lapacke.h>
#include <omp.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/harness.hpp"
#include "bench/ridge_workload.hpp"
#include "host/data/npy_file.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/rng/normal.hpp"

namespace widelab::bench {
namespace {

struct Job {
  RidgeRow row;
  std::vector<Index> checked;  ///< numbers of features at which sides are held against an accurate solution
  std::string device, folder;

  explicit Job(const std::string& path) try {
    std::ifstream file(path);
    const nlohmann::json job = nlohmann::json::parse(file);
    row.name = job.at("name");
    row.examples = job.at("n"), row.dimension = job.at("d");
    row.sizes = multiples(job.at("step"), job.at("count"));
    row.relative_ridge = job.at("relative_ridge");
    for (const Index number : job.at("checked")) checked.push_back(number * job.at("step").get<Index>());
    device = job.at("device"), folder = job.at("folder");
  } catch (const nlohmann::json::exception& error) {
    throw DataError(path + ": no job description: " + error.what());
  }
  std::string array(const std::string& name) const { return folder + "/" + name + ".npy"; }
};

/// Row j, column c of the weights that the op draws.
std::vector<double> drawn_weights(const RidgeRun& run, const RidgeRow& row) {
  const StreamId stream = run.id(0).stream(Stream::weights, 0);
  std::vector<double> weights;
  for (Index j = 0; j < row.sizes.back(); ++j)
    for (Index c = 0; c < row.dimension; ++c)
      weights.push_back(
          static_cast<double>(normal_at(stream, static_cast<std::uint32_t>(j), static_cast<std::uint32_t>(c))));
  return weights;
}

/// relu(X W^T / sqrt d): rows x units.
std::vector<double> features(const double* x, Index rows, const std::vector<double>& weights, Index units, Index d) {
  std::vector<double> z(static_cast<std::size_t>(rows * units));
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(rows), static_cast<int>(units),
              static_cast<int>(d), 1 / std::sqrt(static_cast<double>(d)), x, static_cast<int>(d), weights.data(),
              static_cast<int>(d), 0, z.data(), static_cast<int>(units));
  for (double& value : z) value = std::max(value, 0.0);
  return z;
}

void multiply(const std::vector<double>& z, Index rows, bool transposed, const std::vector<double>& in,
              std::vector<double>& out) {
  const auto columns = static_cast<int>(static_cast<Index>(z.size()) / rows);
  cblas_dgemv(CblasRowMajor, transposed ? CblasTrans : CblasNoTrans, static_cast<int>(rows), columns, 1, z.data(),
              columns, in.data(), 1, 0, out.data(), 1);
}

/// Least squares a = (Z^T Z + ridge)^-1 Z^T y by a Cholesky factor of the smaller Gram matrix with its diagonal, and
/// refinement with residuals from Z itself until they no longer shrink.
std::vector<double> accurate(const std::vector<double>& z, Index n, const std::vector<double>& y, double ridge) {
  const Index columns = static_cast<Index>(z.size()) / n, order = std::min(n, columns);
  const bool dual = n < columns;
  std::vector<double> gram(static_cast<std::size_t>(order * order));
  cblas_dsyrk(CblasRowMajor, CblasLower, dual ? CblasNoTrans : CblasTrans, static_cast<int>(order),
              static_cast<int>(dual ? columns : n), 1, z.data(), static_cast<int>(columns), 0, gram.data(),
              static_cast<int>(order));
  for (Index i = 0; i < order; ++i) gram[static_cast<std::size_t>(i * (order + 1))] += ridge;
  if (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', static_cast<int>(order), gram.data(), static_cast<int>(order)) != 0)
    throw DataError("the duel's accurate solution: a Gram matrix is not positive definite; take a larger ridge");
  std::vector<double> a(static_cast<std::size_t>(columns), 0.0), fit(y.size()), step(a.size());
  double last = HUGE_VAL;
  for (int pass = 0; pass < 40; ++pass) {
    multiply(z, n, false, a, fit);
    std::vector<double> residual(y.size()), gradient(a.size());
    for (std::size_t i = 0; i < y.size(); ++i) residual[i] = y[i] - fit[i];
    multiply(z, n, true, residual, gradient);
    for (std::size_t k = 0; k < a.size(); ++k) gradient[k] -= ridge * a[k];
    const double size = cblas_dnrm2(static_cast<int>(columns), gradient.data(), 1);
    if (!(size < 0.5 * last)) break;
    last = size;
    if (!dual) {
      step = gradient;
      LAPACKE_dpotrs(LAPACK_ROW_MAJOR, 'L', static_cast<int>(order), 1, gram.data(), static_cast<int>(order),
                     step.data(), 1);
    } else {  // (Z^T Z + ridge)^-1 = (1 - Z^T (Z Z^T + ridge)^-1 Z) / ridge
      std::vector<double> inner(y.size());
      multiply(z, n, false, gradient, inner);
      LAPACKE_dpotrs(LAPACK_ROW_MAJOR, 'L', static_cast<int>(order), 1, gram.data(), static_cast<int>(order),
                     inner.data(), 1);
      multiply(z, n, true, inner, step);
      for (std::size_t k = 0; k < a.size(); ++k) step[k] = (gradient[k] - step[k]) / ridge;
    }
    for (std::size_t k = 0; k < a.size(); ++k) a[k] += step[k];
  }
  return a;
}

/// x (n x d), x_test (M x d), y (n), w (N x d), predictions (checked x M).
void write(const Job& job) {
  const RidgeRow& row = job.row;
  const RidgeRun run(row);
  const Index n = row.examples, d = row.dimension, tests = row.tests();
  const double* x_test = run.inputs().data() + n * d;
  const std::vector<double> weights = drawn_weights(run, row);
  data::write_npy(job.array("x"), {n, d}, std::vector<double>(run.inputs().data(), x_test));
  data::write_npy(job.array("x_test"), {tests, d}, std::vector<double>(x_test, x_test + tests * d));
  data::write_npy(job.array("y"), {n}, run.targets());
  data::write_npy(job.array("w"), {row.sizes.back(), d}, weights);
  std::vector<double> predictions;
  for (const Index size : job.checked) {
    const std::vector<double> a =
        accurate(features(run.inputs().data(), n, weights, size, d), n, run.targets(), row.ridge());
    std::vector<double> f(static_cast<std::size_t>(tests));
    multiply(features(x_test, tests, weights, size, d), tests, false, a, f);
    predictions.insert(predictions.end(), f.begin(), f.end());
  }
  data::write_npy(job.array("predictions"), {static_cast<Index>(job.checked.size()), tests}, predictions);
}

/// Largest relative error over the checked sizes.
double error_of(const Job& job, const RidgeRun& run) {
  const data::ArrayFile file = data::read_npy(job.array("predictions"));
  const Index tests = job.row.tests();
  double worst = 0;
  for (std::size_t c = 0; c < job.checked.size(); ++c) {
    const Index place = job.checked[c] / job.row.sizes.front() - 1;
    const auto begin = run.predictions().begin() + place * tests;
    std::vector<double> exact;
    for (Index k = 0; k < tests; ++k) exact.push_back(file.stored(static_cast<Index>(c) * tests + k));
    worst = std::max(worst, relative_error({begin, begin + tests}, exact));
  }
  return worst;
}

void serve(const Job& job) {
  const auto backend = runtime::make_backend(job.device);
  RidgeRun run(job.row);
  const RidgePlan plan = make_ridge_plan(ridge_workload(run.problem()), {0, omp_get_max_threads()});
  DuelSide side;
  side.variant = plan.reason;
  side.flops = side.product_flops = plan.flops;
  side.turn = [&] { return seconds_of([&] { backend->ridge_path(run.problem()); }); };
  if (backend->info().kind == "cpu") side.product = [&] { return product_seconds(plan.flops, job.row.examples); };
  side.turn();
  side.error = error_of(job, run);
  side.seconds = side.turn();
  answer_duel(*backend, side);
}

}  // namespace
}  // namespace widelab::bench

int main(int argc, char** argv) {
  using namespace widelab::bench;
  return run_duel_side<Job>(argc, argv, write, serve);
}
