// Op `law_exact_ntk`: time against its two floors, the fp64 products at its own shapes and the normals that it draws.
#include "widelab/ops/law_exact_ntk.hpp"

#include <fmt/format.h>

#include "bench/gemm_floor.hpp"
#include "bench/harness.hpp"
#include "widelab/ops/init.hpp"

namespace widelab::bench {
namespace {

struct Case {
  std::string name;
  Size size;
};

std::vector<Case> cases(const std::string& device_kind, bool quick) {
  if (quick) return {{"width 3000", {4, 3000, 3, 16, 1}}};
  std::vector<Case> list = {{"one draw", {16, 1000000, 3, 64, 1}},
                            {"ensemble", {16, 1000, 3, 64, 256}},
                            {"many inputs", {128, 20000, 3, 64, 1}}};
  if (device_kind == "cuda") list.push_back({"K4", {1024, 1000000, 4, 64, 1}});
  return list;
}

/// Normals of a member: N for a unit's pre-activations and N O for its backward signals, each drawn in both passes.
double draws(const Size& size) { return 4.0 * static_cast<double>(size.inputs * size.width * size.depth); }

/// Seconds in which op `init` writes `count` normals, from a smaller number of them.
class NormalsFloor {
 public:
  NormalsFloor(runtime::Backend& backend, double count)
      : backend_(backend), network_(relu_network({1, 1024, 2, 64, 1})), ids_(draw_ids(8)) {
    const Index size = ParamLayout(network_.shape).size * static_cast<Index>(ids_.size());
    parameters_.resize(static_cast<std::size_t>(size));
    scale_ = count / static_cast<double>(size);
  }
  double run() {
    return scale_ * seconds_of([&] {
             backend_.init(
                 InitProblem<float>{&network_, ids_.data(), static_cast<Index>(ids_.size()), parameters_.data()});
           });
  }

 private:
  runtime::Backend& backend_;
  Network network_;
  std::vector<DrawId> ids_;
  std::vector<float> parameters_;
  double scale_ = 0;
};

class LawExactRun {
 public:
  explicit LawExactRun(const Size& size)
      : network_(relu_network(size)),
        ids_(draw_ids(size.members)),
        inputs_(normal_inputs<double>(size)),
        ntk_(static_cast<std::size_t>(size.members * size.inputs * size.inputs)) {
    problem_.network = &network_;
    problem_.init = ids_.data();
    problem_.members = size.members;
    problem_.inputs = matrix_view<const double>(inputs_.data(), size.inputs, size.input_dim);
    problem_.ntk = ntk_.data();
  }
  const LawExactProblem& problem() const { return problem_; }
  const std::vector<double>& ntk() const { return ntk_; }

 private:
  Network network_;
  std::vector<DrawId> ids_;
  std::vector<double> inputs_, ntk_;
  LawExactProblem problem_;
};

/// Against the reference with the same draws, at a width that the reference can do.
double error_against_reference(runtime::Backend& backend, const Case& c) {
  Size size = c.size;
  size.members = 1;
  size.inputs = std::min<Index>(size.inputs, 16);
  size.width = std::min<Index>(size.width, 2000);
  LawExactRun out(size), reference(size);
  backend.law_exact_ntk(out.problem());
  reference::law_exact_ntk(reference.problem());
  return relative_error(out.ntk(), reference.ntk());
}

void measure(runtime::Backend& backend, const Case& c, const Options& options) {
  const bool on_cpu = backend.info().kind == "cpu";
  const double members = static_cast<double>(c.size.members);
  LawExactRun op(c.size);
  std::vector<Side> sides{[&] { return seconds_of([&] { backend.law_exact_ntk(op.problem()); }); }};
  const LawExactGemms gemms(c.size);
  NormalsFloor normals(backend, members * draws(c.size));
  if (on_cpu) {
    sides.push_back([&] { return members * gemms.run(); });
    sides.push_back([&] { return normals.run(); });
  }
  const auto times = interleave(sides, options);

  Row row;
  row.op = "law_exact_ntk";
  row.shape = c.size.text() + " fp64 " + c.name;
  row.time = summarise(times[0]);
  row.rates = {{"GF/s", members * gemms.flops() / row.time.median * 1e-9},
               {"Mnormals/s", members * draws(c.size) / row.time.median * 1e-6}};
  if (on_cpu) {
    std::vector<double> floor;
    for (std::size_t i = 0; i < times[0].size(); ++i) floor.push_back(times[1][i] + times[2][i]);
    row.floor = summarise(floor);
    row.floor_over_time = ratio_of(floor, times[0]);
    row.note = fmt::format("floor = {:.3g} s of fp64 products + {:.3g} s of normals", summarise(times[1]).median,
                           summarise(times[2]).median);
  }
  row.error = error_against_reference(backend, c);
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
