#include "host/experiments/member_files.hpp"

#include <string>

#include "host/data/npy_file.hpp"
#include "host/engine/export.hpp"
#include "host/io/atomic_file.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::experiments {
namespace {

std::vector<double> all_of(const data::ArrayFile& file) {
  const Index columns = file.columns();
  std::vector<double> out(static_cast<std::size_t>(file.rows() * columns));
  for (Index row = 0; row < file.rows(); ++row) file.copy_row(row, out.data() + row * columns);
  return out;
}

}  // namespace

void write_weights(const std::filesystem::path& path, const engine::Trainer& trainer,
                   const std::vector<Index>& members) {
  const std::vector<double> weights = engine::stacked_parameters(trainer, members);
  const std::vector<Index> shape{static_cast<Index>(members.size()), ParamLayout(trainer.task().network.shape).size};
  if (trainer.task().precision == Precision::fp64)
    data::write_npy(path, shape, weights);
  else
    data::write_npy(path, shape, std::vector<float>(weights.begin(), weights.end()));
}

void export_member(const std::filesystem::path& folder, const engine::Trainer& trainer, Index member) {
  const engine::TrainTask& task = trainer.task();
  const MemberSettings& settings = task.members.at(static_cast<std::size_t>(member));
  const engine::TrainSet& set = task.datasets.at(static_cast<std::size_t>(settings.dataset));
  const MlpShape& shape = task.network.shape;
  const Index steps = trainer.step();
  const std::string description = engine::replay_description(task, member, steps);
  const std::vector<std::int64_t> order = engine::minibatch_order(task, member, steps);
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) throw OutputError("cannot create '" + folder.string() + "': " + failed.message() + "; check the path");
  io::publish_file(folder / "member.json", description);
  data::write_npy(folder / "inputs.npy", {set.examples, shape.input_dim}, set.inputs);
  data::write_npy(folder / "targets.npy", {set.examples, shape.outputs}, set.targets);
  data::write_npy(folder / "order.npy", {steps, settings.batch}, order);
  const Index size = ParamLayout(shape).size;
  data::write_npy(folder / "start.npy", {size}, trainer.start(member));
  data::write_npy(folder / "final.npy", {size}, trainer.parameters(member));
}

void read_order(const std::filesystem::path& path, engine::TrainSet& set) {
  const data::ArrayFile file = data::read_npy(path);
  engine::set_order(set, all_of(file), file.columns(), path.string());
}

}  // namespace widelab::experiments
