// Op `hvp`: time against the machine's GEMM rate for the op's own number of operations; several vectors at once, and
// many narrow networks.
#include "widelab/ops/hvp.hpp"

#include "bench/gradient_workload.hpp"
#include "bench/harness.hpp"
#include "bench/problems.hpp"
#include "bench/train_workload.hpp"
#include "widelab/ops/init.hpp"
#include "widelab/plan/hvp_plan.hpp"

namespace widelab::bench {
namespace {

struct Case {
  GramRow row;
  Index vectors = 1;
  Curvature curvature = Curvature::hessian;

  std::string text() const {
    const char* names[] = {"Hessian", "Gauss-Newton", "gradient moment"};
    return row.text() + " vectors=" + std::to_string(vectors) + " " + names[static_cast<int>(curvature)];
  }
  HvpWorkload workload(int scalar_bytes) const {
    return {row.members, row.examples, vectors, curvature == Curvature::hessian, scalar_bytes};
  }
};

std::vector<Case> cases(bool quick) {
  if (quick) return {{{"quick", 40, 16, 24, 2, 3, 2}, 2, Curvature::hessian}};
  return {{{"wide", 2000, 784, 512, 2, 10, 1}, 1, Curvature::hessian},
          {{"wide", 2000, 784, 512, 2, 10, 1}, 8, Curvature::hessian},
          {{"wide", 2000, 784, 512, 2, 10, 1}, 1, Curvature::gauss_newton},
          {{"narrow", 2000, 784, 50, 2, 10, 1}, 1, Curvature::hessian},
          {{"narrow", 500, 784, 50, 2, 10, 32}, 1, Curvature::hessian}};
}

/// The op with its arrays.
template <class T>
class HvpRun {
 public:
  HvpRun(runtime::Backend& backend, const Case& c, const Examples& examples)
      : backend_(backend),
        network_(c.row.network()),
        inputs_(examples.inputs.begin(), examples.inputs.end()),
        targets_(examples.targets.begin(), examples.targets.end()) {
    const Index members = c.row.members, size = ParamLayout(network_.shape).size;
    parameters_.resize(static_cast<std::size_t>(members * size));
    const std::vector<DrawId> ids = draw_ids(members);
    backend.init(InitProblem<T>{&network_, ids.data(), members, parameters_.data()});
    products_.resize(static_cast<std::size_t>(members * c.vectors * size));
    for (Index i = 0; i < members * c.vectors * size; ++i)
      v_.push_back(static_cast<T>(normal_at({4, 0, Stream::test_only, 0}, 0, static_cast<std::uint32_t>(i))));
    problem_.network = &network_;
    problem_.members = members;
    problem_.parameters = parameters_.data();
    problem_.inputs = matrix_view<const T>(inputs_.data(), c.row.examples, c.row.dimension);
    problem_.targets = targets_.data();
    problem_.loss = LossKind::cross_entropy;
    problem_.curvature = c.curvature;
    problem_.vectors = c.vectors;
    problem_.v = v_.data();
    problem_.products = products_.data();
  }
  void run() { backend_.hvp(problem_); }
  std::vector<double> products() const { return {products_.begin(), products_.end()}; }

 private:
  runtime::Backend& backend_;
  Network network_;
  std::vector<T> inputs_, targets_, parameters_, v_, products_;
  HvpProblem<T> problem_;
};

void measure(runtime::Backend& backend, const Case& c, const Options& options) {
  const Examples examples = uniform_examples(c.row);
  const double flops = hvp_flops(c.row.network().shape, c.workload(4));
  HvpRun<float> op(backend, c, examples);
  GemmRate gemm;
  const auto times =
      interleave({[&] { return seconds_of([&] { op.run(); }); }, [&] { return gemm.seconds_for(flops); }}, options);
  Row out;
  out.op = "hvp";
  out.shape = c.text() + " fp32";
  out.time = summarise(times[0]);
  out.floor = summarise(times[1]);
  out.floor_over_time = ratio_of(times[1], times[0]);
  out.rates = {{"GF/s", flops / out.time.median * 1e-9}, {"GEMM GF/s", flops / out.floor.median * 1e-9}};
  HvpRun<double> exact(backend, c, examples);
  exact.run();
  out.error = relative_error(op.products(), exact.products());
  report(options, backend, out);
}

}  // namespace
}  // namespace widelab::bench

int main(int argc, char** argv) {
  using namespace widelab::bench;
  return run_benchmark(argc, argv, [](widelab::runtime::Backend& backend, const Options& options) {
    for (const Case& c : cases(options.quick))
      if (selected(options, c.text())) measure(backend, c, options);
  });
}
