#include "host/data/targets.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "host/data/data_folder.hpp"
#include "host/data/directions.hpp"
#include "host/data/index_targets.hpp"
#include "host/data/label_coding.hpp"
#include "host/data/mixture.hpp"
#include "host/data/npy_file.hpp"
#include "host/data/spec_checks.hpp"
#include "host/data/teacher_network.hpp"
#include "widelab/rng/distributions.hpp"
#include "widelab/rng/normal.hpp"

namespace widelab::data {

namespace {

struct TargetInputs {
  const DataSpec& spec;
  DrawId data_id;
  const RawExamples& raw;
};

void no_targets(const TargetInputs&, Dataset&) {}

void set_labels(const TargetInputs& from, const std::vector<int>& classes, Index class_count, Dataset& set) {
  CodedLabels coded = code_labels(from.spec.target.label_coding, classes, class_count);
  set.targets = std::move(coded.values);
  set.outputs = coded.outputs;
}

void class_targets(const TargetInputs& from, Dataset& set) {
  if (from.raw.classes.empty())
    throw RecipeError("data.target.kind = \"classes\": " + from.raw.source +
                      " has no labels; set data.labels_path, or choose another target");
  set_labels(from, from.raw.classes, from.raw.class_count, set);
}

void random_label_targets(const TargetInputs& from, Dataset& set) {
  const Index classes = from.spec.target.random_classes;
  require_in_range("data.target.random_classes", classes, Index{2}, Index{1} << 16);
  const StreamId stream = from.data_id.stream(Stream::random_labels);
  set.classes.clear();
  for (Index i = 0; i < set.examples; ++i)
    set.classes.push_back(
        static_cast<int>(uniform_index_at(stream, 0, static_cast<std::uint32_t>(from.spec.first + i), classes)));
  set.class_count = classes;
  set_labels(from, set.classes, classes, set);
}

void file_targets(const TargetInputs& from, Dataset& set) {
  const RawExamples& raw = from.raw;
  if (raw.rows.empty())
    throw RecipeError("data.target.kind = \"file\": the law \"" + from.spec.law +
                      "\" draws its inputs, so that no file can hold their targets; use a law that reads files");
  if (from.spec.target.path.empty())
    throw RecipeError("data.target.kind = \"file\" needs data.target.path, a .npy file of targets");
  const ArrayFile array = read_npy(resolve_path(from.spec.target.path, from.spec.folder));
  if (array.rows() != raw.file_examples)
    throw DataError(array.path + ": " + std::to_string(array.rows()) + " rows, expected " +
                    std::to_string(raw.file_examples) + ", one for each example of " + raw.source);
  set.outputs = array.columns();
  set.targets.resize(static_cast<std::size_t>(set.examples) * static_cast<std::size_t>(set.outputs));
  for (Index i = 0; i < set.examples; ++i)
    array.copy_row(raw.rows[static_cast<std::size_t>(i)], set.targets.data() + i * set.outputs);
}

void teacher_targets(const TargetInputs& from, Dataset& set) {
  MlpShape shape = from.spec.target.teacher_shape;
  shape.input_dim = set.dimension;
  set.outputs = shape.outputs;
  set.targets =
      teacher_outputs(make_network(shape, from.spec.target.teacher_init), from.data_id, set.inputs, set.examples);
}

void index_targets(const TargetInputs& from, Dataset& set) {
  const std::vector<double> directions = target_directions(from.spec, from.data_id, set.dimension);
  const Index per_output = directions_per_output(from.spec.target);
  set.outputs = from.spec.target.outputs;
  set.targets.assign(static_cast<std::size_t>(set.examples * set.outputs), 0.0);
  for (Index i = 0; i < set.examples; ++i)
    for (Index o = 0; o < set.outputs; ++o)
      for (Index r = 0; r < per_output; ++r) {
        const double* const u = directions.data() + (o * per_output + r) * set.dimension;
        double t = 0.0;
        for (Index j = 0; j < set.dimension; ++j) t += u[j] * set.inputs[i * set.dimension + j];
        set.targets[i * set.outputs + o] += index_value(from.spec.target, r, t, set.dimension);
      }
}

struct TargetKind {
  const char* name;
  void (*make)(const TargetInputs&, Dataset&);
  const char* doc;
};

constexpr std::array<TargetKind, 10> kKinds{{
    {"none", no_targets, "no targets"},
    {"classes", class_targets, "the labels of the data, coded by label_coding"},
    {"random-labels", random_label_targets, "independent uniform labels, coded by label_coding"},
    {"file", file_targets, "rows of the .npy file target.path"},
    {"linear", index_targets, "y = <u, x>, u a random unit vector"},
    {"hermite", index_targets, "y = sum_k c_k h_k(t), orthonormal Hermite polynomials of one projection"},
    {"gegenbauer", index_targets, "y = sum_k c_k P_k(t), orthonormal Gegenbauer polynomials; inputs on the sphere"},
    {"single-index", index_targets, "y = link(t), the link an activation"},
    {"multi-index", index_targets, "y = sum over directions r and degrees k of c_rk h_k(t_r)"},
    {"teacher", teacher_targets, "the outputs of a random network"},
}};

std::vector<double> metric_of(const DataSpec& spec, Index dimension) {
  const std::string& kind = spec.target.kind;
  if (kind == "linear" || kind == "gegenbauer") return std::vector<double>(static_cast<std::size_t>(dimension), 1.0);
  return coordinate_variances(spec, dimension);
}

// E[<u, x>^2] of a linear target; nothing for a law whose covariance is not known.
std::optional<double> linear_power(const DataSpec& spec, DrawId data_id, const double* u) {
  const InputLaw law = input_law(spec);
  if (law == InputLaw::unknown) return std::nullopt;
  const std::vector<double> variances = coordinate_variances(spec, spec.dimension);
  double power = 0.0;
  for (Index j = 0; j < spec.dimension; ++j) power += variances[j] * u[j] * u[j];
  if (law != InputLaw::mixture) return power;
  const std::vector<double> means = mixture_means(spec, data_id);
  for (Index c = 0; c < spec.components; ++c) {
    double overlap = 0.0;
    for (Index j = 0; j < spec.dimension; ++j) overlap += means[c * spec.dimension + j] * u[j];
    power += overlap * overlap / static_cast<double>(spec.components);
  }
  return power;
}

}  // namespace

std::vector<NameDoc> target_list() { return names_and_docs(kKinds); }

std::vector<double> target_directions(const DataSpec& spec, DrawId data_id, Index dimension) {
  const TargetSpec& target = spec.target;
  if (find_by_name("data.target.kind", target.kind, kKinds).make != index_targets) return {};
  require_index_target(spec, dimension);
  const std::vector<double> metric = metric_of(spec, dimension);
  const Index per_output = directions_per_output(target);
  std::vector<double> all;
  for (Index o = 0; o < target.outputs; ++o) {
    const std::vector<double> some =
        orthonormal_directions(data_id.stream(Stream::data_directions, kTeacherLayer), o * per_output, per_output,
                               metric, "number of rows of data.target.coefficients");
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

std::optional<std::vector<double>> power_by_degree(const DataSpec& spec, DrawId data_id, Index output, int max_degree) {
  checked_law(spec);
  const TargetSpec& target = spec.target;
  if (find_by_name("data.target.kind", target.kind, kKinds).make != index_targets) return std::nullopt;
  require_in_range("output", output, Index{0}, target.outputs - 1);
  require_in_range("largest degree", max_degree, 0, 300);
  const InputLaw law = input_law(spec);
  if (law == InputLaw::unknown) return std::nullopt;
  if (target.kind == "linear") {
    const std::vector<double> directions = target_directions(spec, data_id, spec.dimension);
    const std::optional<double> power = linear_power(spec, data_id, directions.data() + output * spec.dimension);
    return power ? std::optional(std::vector<double>{0.0, *power}) : std::nullopt;
  }
  require_index_target(spec, spec.dimension);
  return index_power(spec, law, max_degree);
}

void make_targets(const DataSpec& spec, DrawId data_id, const RawExamples& raw, Dataset& set) {
  find_by_name("data.target.kind", spec.target.kind, kKinds).make({spec, data_id, raw}, set);
}

void mislabel(const DataSpec& spec, DrawId label_noise_id, RawExamples& raw) {
  const double wrong = spec.target.wrong_labels;
  require_in_range("data.target.wrong_labels", wrong, 0.0, 1.0);
  if (wrong == 0.0) return;
  if (spec.target.kind != "classes" || raw.classes.empty() || raw.class_count < 2)
    throw RecipeError("data.target.wrong_labels is set, but data.target.kind = \"" + spec.target.kind +
                      "\" has no labels of two or more classes that could be wrong: take \"classes\", or set it to 0");
  const StreamId stream = label_noise_id.stream(Stream::wrong_labels);
  for (std::size_t i = 0; i < raw.classes.size(); ++i) {
    const auto row = static_cast<std::uint32_t>(spec.first + static_cast<Index>(i));
    if (uniform53_at(stream, row, 0) >= wrong) continue;
    const Index shift = 1 + uniform_index_at(stream, row, 1, raw.class_count - 1);
    raw.classes[i] = static_cast<int>((raw.classes[i] + shift) % raw.class_count);
  }
}

void add_label_noise(const DataSpec& spec, DrawId label_noise_id, Dataset& set) {
  require_in_range("data.target.noise", spec.target.noise, 0.0, 1e100);
  if (spec.target.noise == 0.0) return;
  if (set.outputs == 0)
    throw RecipeError("data.target.noise is set, but data.target.kind = \"none\": there is no target to add it to");
  const StreamId stream = label_noise_id.stream(Stream::label_noise);
  for (Index i = 0; i < set.examples; ++i)
    for (Index o = 0; o < set.outputs; ++o)
      set.targets[i * set.outputs + o] +=
          spec.target.noise * static_cast<double>(normal_at(stream, static_cast<std::uint32_t>(spec.first + i),
                                                            static_cast<std::uint32_t>(o)));
}

}  // namespace widelab::data
