// Op `ntk`: time against the machine's GEMM rate at the op's own shapes; weights given, and weights drawn on the way.
#include "widelab/ops/ntk.hpp"

#include <optional>

#include "bench/gemm_floor.hpp"
#include "bench/harness.hpp"
#include "widelab/ops/init.hpp"
#include "widelab/plan/storage_plan.hpp"

namespace widelab::bench {
namespace {

constexpr double kMostReferenceFlops = 2e11;  ///< an fp64 reference on the CPU beyond this uses fewer inputs
constexpr double kReferenceWorkspace = 8e9;   ///< bytes; weights that need more are drawn twice

struct Case {
  std::string name;
  Size size;
  bool drawn = false;
  double goal = 0;
};

std::vector<Case> cases(const std::string& device_kind, bool quick) {
  if (quick) return {{"given", {24, 96, 3, 16, 1}, false, 0.8}, {"drawn", {24, 96, 3, 16, 2}, true, 0}};
  std::vector<Case> list = {{"given", {256, 2048, 3, 64, 1}, false, 0.8},
                            {"drawn", {256, 2048, 3, 64, 1}, true, 0},
                            {"given", {128, 1024, 3, 64, 1}, false, 0},
                            {"drawn", {128, 1024, 3, 64, 1}, true, 0},
                            {"drawn", {128, 1024, 3, 64, 32}, true, 0}};
  if (device_kind == "cuda") {  // rows K1 and K2 of the device goals
    list.push_back({"drawn-K1", {512, 4096, 3, 64, 64}, true, 0});
    list.push_back({"drawn-K2", {1024, 100000, 2, 64, 1}, true, 0});
  }
  return list;
}

/// The op on one device, with its arrays.
template <class T>
class NtkRun {
 public:
  NtkRun(runtime::Backend& backend, const Size& size, bool drawn)
      : backend_(backend),
        network_(relu_network(size)),
        ids_(draw_ids(size.members)),
        inputs_(normal_inputs<T>(size)),
        ntk_(static_cast<std::size_t>(size.members * size.inputs * size.inputs)) {
    problem_.network = &network_;
    problem_.weights = {size.members, ids_.data(), nullptr};
    problem_.x1 = matrix_view<const T>(inputs_.data(), size.inputs, size.input_dim);
    problem_.ntk = ntk_.data();
    if (drawn) return;
    weights_.resize(static_cast<std::size_t>(size.members * ParamLayout(network_.shape).size));
    backend.init(InitProblem<T>{&network_, ids_.data(), size.members, weights_.data()});
    problem_.weights.stored = weights_.data();
  }

  void limit_workspace(double bytes) { problem_.limits.workspace_bytes = bytes; }
  void run() { backend_.ntk(problem_); }
  const std::vector<double>& ntk() const { return ntk_; }

 private:
  runtime::Backend& backend_;
  Network network_;
  std::vector<DrawId> ids_;
  std::vector<T> inputs_, weights_;
  std::vector<double> ntk_;
  NtkProblem<T> problem_;
};

/// Of the first member's kernel, against fp64 on the CPU; on the leading inputs only, where all would take too long.
double error_against_fp64(runtime::Backend& backend, const Case& c) {
  Size size = c.size;
  size.members = 1;
  KernelWorkload work;
  work.rows = size.inputs;
  if (workload_flops(relu_network(size).shape, work) > kMostReferenceFlops) size.inputs = 16;
  NtkRun<float> out(backend, size, c.drawn);
  out.run();
  const auto cpu = runtime::make_backend("cpu");
  NtkRun<double> reference(*cpu, size, c.drawn);
  reference.limit_workspace(kReferenceWorkspace);
  reference.run();
  return relative_error(out.ntk(), reference.ntk());
}

void measure(runtime::Backend& backend, const Case& c, const Options& options) {
  const bool on_cpu = backend.info().kind == "cpu";
  std::optional<NtkRun<float>> op(std::in_place, backend, c.size, c.drawn);
  std::vector<Side> sides{[&] { return seconds_of([&] { op->run(); }); }};
  NtkGemms gemms(on_cpu ? c.size : Size{1, 1, 1, 1, 1});
  const double members = static_cast<double>(c.size.members);
  if (on_cpu) sides.push_back([&] { return members * gemms.run(); });
  const auto times = interleave(sides, options);
  op.reset();

  Row row;
  row.op = "ntk";
  row.shape = c.size.text() + " fp32 " + c.name;
  row.time = summarise(times[0]);
  KernelWorkload work;
  work.members = c.size.members;
  work.rows = c.size.inputs;
  row.rates = {{"GF/s", workload_flops(relu_network(c.size).shape, work) / row.time.median * 1e-9}};
  if (on_cpu) {
    row.floor = summarise(times[1]);
    row.floor_over_time = ratio_of(times[1], times[0]);
    row.rates.emplace_back("GEMM GF/s", members * gemms.flops() / row.floor.median * 1e-9);
    row.goal = c.goal;
  } else {
    row.note = c.drawn ? "inputs and results cross the bus within the time"
                       : "weights, inputs and results cross the bus within the time";
  }
  if (on_cpu && c.drawn) row.note = "the floor counts the matrix products, not the draws";
  row.error = error_against_fp64(backend, c);
  report(options, backend, row);
}

}  // namespace
}  // namespace widelab::bench

int main(int argc, char** argv) {
  using namespace widelab::bench;
  return run_benchmark(argc, argv, [](widelab::runtime::Backend& backend, const Options& options) {
    for (const Case& c : cases(backend.info().kind, options.quick))
      if (selected(options, c.size.text() + " " + c.name)) measure(backend, c, options);
  });
}
