#include "bench/gradient_workload.hpp"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "bench/problems.hpp"
#include "host/data/data_folder.hpp"
#include "host/data/idx_file.hpp"
#include "host/data/npy_file.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"
#include "widelab/ops/init.hpp"
#include "widelab/plan/storage_plan.hpp"

namespace widelab::bench {

std::string GramRow::text() const {
  return fmt::format("{}: N={} n={} H={} d={} k={}{}", name, examples, width, depth, dimension, classes,
                     members > 1 ? fmt::format(" E={}", members) : "");
}

Network GramRow::network() const {
  MlpShape shape;
  shape.input_dim = dimension;
  shape.widths.assign(static_cast<std::size_t>(depth), width);
  shape.outputs = classes;
  InitChoice choice;
  choice.parametrization = Parametrization::standard;
  return make_network(shape, choice);
}

double GramRow::flops() const {
  KernelWorkload work;
  work.members = members;
  work.rows = examples;
  work.of_loss = true;
  return workload_flops(network().shape, work);
}

Examples mnist_examples(const GramRow& row) try {
  const data::ArrayFile images = data::read_idx(data::find_in_set("mnist", "train-images-idx3-ubyte", "")),
                        labels = data::read_idx(data::find_in_set("mnist", "train-labels-idx1-ubyte", ""));
  Examples out;
  for (Index k = 0; k < row.examples * row.dimension; ++k)
    out.inputs.push_back(static_cast<float>(images.stored(k) / 255));
  for (Index i = 0; i < row.examples; ++i)
    for (Index o = 0; o < row.classes; ++o)
      out.targets.push_back(labels.stored(i) == static_cast<double>(o) ? 1.0f : 0.0f);
  out.source = "MNIST";
  return out;
} catch (const DataError&) {
  return uniform_examples(row);
}

Examples uniform_examples(const GramRow& row) {
  Examples out;
  out.source = "uniform inputs";
  const StreamId id{3, 0, Stream::test_only, 0};
  for (Index i = 0; i < row.examples; ++i) {
    for (Index j = 0; j < row.dimension; ++j)
      out.inputs.push_back(static_cast<float>(
          uniform53(random_block(id, static_cast<std::uint32_t>(j), static_cast<std::uint32_t>(i)), 0)));
    for (Index o = 0; o < row.classes; ++o) out.targets.push_back(o == i % row.classes ? 1.0f : 0.0f);
  }
  return out;
}

GradientJob::GradientJob(const std::string& path) try {
  std::ifstream file(path);
  const nlohmann::json job = nlohmann::json::parse(file);
  row.name = job.at("name");
  row.examples = job.at("N"), row.dimension = job.at("d"), row.width = job.at("n");
  row.depth = job.at("H"), row.classes = job.at("k");
  device = job.at("device"), folder = job.at("folder");
} catch (const nlohmann::json::exception& error) {
  throw DataError(path + ": no job description: " + error.what());
}

void GradientJob::write_problem(const Examples& examples, const std::vector<double>& weights) const {
  data::write_npy(array("x"), {row.examples, row.dimension}, examples.inputs);
  data::write_npy(array("y"), {row.examples, row.classes}, examples.targets);
  const Network network = row.network();
  const ParamLayout layout(network.shape);
  for (Index l = 0; l < network.shape.layers(); ++l) {
    const double* first = weights.data() + layout.weight_offset[static_cast<std::size_t>(l)];
    const Index rows = network.shape.fan_out(l), cols = network.shape.fan_in(l);
    data::write_npy(array("w" + std::to_string(l)), {rows, cols}, std::vector<float>(first, first + rows * cols));
  }
}

template <class T>
GramRun<T>::GramRun(runtime::Backend& backend, const GramRow& row, const Examples& examples)
    : backend_(backend),
      network_(row.network()),
      inputs_(examples.inputs.begin(), examples.inputs.end()),
      targets_(examples.targets.begin(), examples.targets.end()),
      weights_(static_cast<std::size_t>(row.members * ParamLayout(network_.shape).size)),
      gram_(static_cast<std::size_t>(row.members * row.examples * row.examples)) {
  const std::vector<DrawId> ids = draw_ids(row.members);
  backend.init(InitProblem<T>{&network_, ids.data(), row.members, weights_.data()});
  problem_.network = &network_;
  problem_.weights = {row.members, nullptr, weights_.data()};
  problem_.inputs = matrix_view<const T>(inputs_.data(), row.examples, row.dimension);
  problem_.targets = targets_.data();
  problem_.loss = LossKind::cross_entropy;
  problem_.gram = gram_.data();
}

template class GramRun<float>;
template class GramRun<double>;

}  // namespace widelab::bench
