// Op `init`: normals a second, against the time that the same bytes take to be written.
#include "widelab/ops/init.hpp"

#include <algorithm>

#include "bench/harness.hpp"
#include "bench/problems.hpp"

namespace widelab::bench {
namespace {

constexpr Index kCheckedWidth = 61;  ///< of the network that is compared with the reference

std::vector<Size> cases(bool quick) {
  if (quick) return {{1, 64, 2, 16, 2}};
  return {{1, 1024, 3, 64, 16}, {1, 64, 3, 64, 2048}};
}

/// Bits are equal everywhere: any difference at all is a fault.
double error_against_reference(runtime::Backend& backend) {
  const Size size{1, kCheckedWidth, 2, 7, 3};
  const Network network = relu_network(size);
  const std::vector<DrawId> ids = draw_ids(size.members);
  std::vector<double> out(static_cast<std::size_t>(size.members * ParamLayout(network.shape).size)), reference = out;
  backend.init(InitProblem<double>{&network, ids.data(), size.members, out.data()});
  reference::init(InitProblem<double>{&network, ids.data(), size.members, reference.data()});
  return relative_error(out, reference);
}

void measure(runtime::Backend& backend, const Size& size, const Options& options) {
  const Network network = relu_network(size);
  const std::vector<DrawId> ids = draw_ids(size.members);
  const Index count = size.members * ParamLayout(network.shape).size;
  std::vector<float> parameters(static_cast<std::size_t>(count));
  const auto write = [&] {
#pragma omp parallel for
    for (Index e = 0; e < size.members; ++e)
      std::fill_n(parameters.begin() + e * (count / size.members), count / size.members, static_cast<float>(e));
  };
  const auto times =
      interleave({[&] {
                    return seconds_of([&] {
                      backend.init(InitProblem<float>{&network, ids.data(), size.members, parameters.data()});
                    });
                  },
                  [&] { return seconds_of(write); }},
                 options);

  Row row;
  row.op = "init";
  row.shape = size.text() + " fp32 normal";
  row.time = summarise(times[0]);
  row.rates = {{"Mnormals/s", static_cast<double>(count) / row.time.median * 1e-6}};
  if (backend.info().kind == "cpu") {
    row.floor = summarise(times[1]);
    row.floor_over_time = ratio_of(times[1], times[0]);
    row.note = "floor = writing the array; the draws are arithmetic, not memory, bound";
  } else {
    row.note = "results cross the bus within the time";
  }
  row.error = error_against_reference(backend);
  report(options, backend, row);
}

}  // namespace
}  // namespace widelab::bench

int main(int argc, char** argv) {
  using namespace widelab::bench;
  return run_benchmark(argc, argv, [](widelab::runtime::Backend& backend, const Options& options) {
    for (const Size& size : cases(options.quick))
      if (selected(options, size.text())) measure(backend, size, options);
  });
}
