// widelab's side of the Lanczos duel: the largest eigenvalues of the Hessian of a classifier's mean loss. `--write JOB`
// writes MNIST examples, weights and the eigenvalues in fp64; `JOB` answers the duel's requests
// (bench/duels/worker.py).
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/gradient_workload.hpp"
#include "bench/harness.hpp"
#include "bench/problems.hpp"
#include "bench/train_workload.hpp"
#include "host/data/npy_file.hpp"
#include "host/estimators/curvature_operator.hpp"
#include "widelab/ops/init.hpp"
#include "widelab/plan/hvp_plan.hpp"

namespace widelab::bench {
namespace {

constexpr double kExactTolerance = 1e-9;

struct LanczosJob {
  GradientJob gradient;
  Index count = 1;
  double tolerance = 1e-3;  // of residuals, in units of the largest eigenvalue

  explicit LanczosJob(const std::string& path) : gradient(path) {
    std::ifstream file(path);
    const nlohmann::json job = nlohmann::json::parse(file);
    count = job.at("count"), tolerance = job.at("tolerance");
  }
};

/// The network with its data, and Lanczos on its Hessian.
class Problem {
 public:
  Problem(runtime::Backend& backend, const LanczosJob& job)
      : backend_(backend),
        job_(job),
        network_(job.gradient.row.network()),
        examples_(mnist_examples(job.gradient.row)) {
    inputs_.assign(examples_.inputs.begin(), examples_.inputs.end());
    targets_.assign(examples_.targets.begin(), examples_.targets.end());
    parameters_.resize(static_cast<std::size_t>(ParamLayout(network_.shape).size));
    const std::vector<DrawId> ids = draw_ids(1);
    runtime::make_backend("cpu")->init(InitProblem<double>{&network_, ids.data(), 1, parameters_.data()});
  }

  estimators::CurvatureOperator hessian(Precision precision) const {
    estimators::CurvatureProblem problem;
    problem.network = &network_;
    problem.parameters = parameters_.data();
    problem.inputs = matrix_view<const double>(inputs_.data(), job_.gradient.row.examples, job_.gradient.row.dimension);
    problem.targets = targets_.data();
    problem.loss = LossKind::cross_entropy;
    problem.precision = precision;
    return {backend_, problem, estimators::CurvatureMatrix::hessian};
  }

  estimators::LanczosResult largest(Precision precision, double tolerance) const {
    estimators::CurvatureOperator op = hessian(precision);
    estimators::LanczosOptions options;
    options.largest = job_.count;
    options.tolerance = tolerance;
    options.vectors = true;
    return estimators::lanczos(op.dimension(), op.of(0), options);
  }

  /// Largest |H v - value v| over the largest eigenvalue, in fp64.
  double residual(const estimators::LanczosResult& found) const {
    estimators::CurvatureOperator op = hessian(Precision::fp64);
    double worst = 0;
    std::vector<double> image(static_cast<std::size_t>(op.dimension()));
    for (const estimators::RitzValue& pair : found.largest) {
      op.apply(0, 1, pair.vector.data(), image.data());
      double square = 0;
      for (std::size_t k = 0; k < image.size(); ++k) square += std::pow(image[k] - pair.value * pair.vector[k], 2);
      worst = std::max(worst, std::sqrt(square) / found.largest.front().value);
    }
    return worst;
  }

  const Examples& examples() const { return examples_; }
  const std::vector<double>& parameters() const { return parameters_; }
  /// Operations of one product.
  double flops() const { return hvp_flops(network_.shape, {1, job_.gradient.row.examples, 1, true, 4}); }

 private:
  runtime::Backend& backend_;
  LanczosJob job_;
  Network network_;
  Examples examples_;
  std::vector<double> inputs_, targets_, parameters_;
};

/// The problem, and values (count, of fp64 arithmetic).
void write(const LanczosJob& job) {
  const auto backend = runtime::make_backend("cpu");
  const Problem problem(*backend, job);
  job.gradient.write_problem(problem.examples(), problem.parameters());
  std::vector<double> values;
  for (const estimators::RitzValue& pair : problem.largest(Precision::fp64, kExactTolerance).largest)
    values.push_back(pair.value);
  data::write_npy(job.gradient.array("values"), {job.count}, values);
}

void serve(const LanczosJob& job) {
  const auto backend = runtime::make_backend(job.gradient.device);
  const Problem problem(*backend, job);
  GemmRate gemm;
  DuelSide side;
  // Bounds are those of the products as they are rounded: a little below what is asked for.
  const auto solve = [&] { return problem.largest(Precision::fp32, job.tolerance / 2); };
  const estimators::LanczosResult found = solve();
  side.error = problem.residual(found);
  side.variant = "Lanczos, full reorthogonalisation in fp64, " + std::to_string(found.products) + " products; " +
                 problem.examples().source;
  side.flops = side.product_flops = problem.flops() * static_cast<double>(found.products);
  side.turn = [&] { return seconds_of([&] { solve(); }); };
  if (backend->info().kind == "cpu") side.product = [&] { return gemm.seconds_for(side.product_flops); };
  side.seconds = side.turn();
  answer_duel(*backend, side);
}

}  // namespace
}  // namespace widelab::bench

int main(int argc, char** argv) {
  using namespace widelab::bench;
  return run_duel_side(
      argc, argv, [](const std::string& path) { write(LanczosJob(path)); },
      [](const std::string& path) { serve(LanczosJob(path)); });
}
