// Data laws that are read from files.
//
// Which examples: those with an allowed label are ordered by a 64-bit random key, a pure function of the data id and
// of the row's number in its file (ties by row number), or left in file order (order = "file"); examples first ..
// first + N - 1 of that order are taken. So N examples are the first N of any larger choice with the same id.
#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <utility>

#include "host/data/cifar_file.hpp"
#include "host/data/data_folder.hpp"
#include "host/data/idx_file.hpp"
#include "host/data/law_table.hpp"
#include "host/data/npy_file.hpp"
#include "host/data/spec_checks.hpp"

namespace widelab::data {

namespace {

// A data set of which only the chosen rows become doubles.
struct FileSource {
  std::string name;
  Index rows = 0, columns = 0;
  std::function<void(Index row, double* out)> copy_row;
  std::vector<int> labels;  // rows or empty
  Index class_count = 0;
  bool one_number_each = false;  ///< the file's array has one axis
};

// Position of every label in data.classes, or the label itself; -1 for labels that are left out.
std::vector<int> relabelled(const DataSpec& spec, const FileSource& source) {
  if (spec.classes.empty()) return source.labels;
  if (source.labels.empty())
    throw RecipeError("data.classes: " + source.name + " comes without labels; set data.labels_path or leave it out");
  std::vector<int> result(source.labels.size(), -1);
  for (std::size_t position = 0; position < spec.classes.size(); ++position) {
    const int label = spec.classes[position];
    if (std::count(spec.classes.begin(), spec.classes.end(), label) > 1)
      throw RecipeError("data.classes: label " + std::to_string(label) + " is given twice");
    if (std::find(source.labels.begin(), source.labels.end(), label) == source.labels.end())
      throw RecipeError("data.classes: no example of " + source.name + " has the label " + std::to_string(label) +
                        "; its labels are from 0 to " + std::to_string(source.class_count - 1));
    for (std::size_t row = 0; row < result.size(); ++row)
      if (source.labels[row] == label) result[row] = static_cast<int>(position);
  }
  return result;
}

std::vector<Index> choose_rows(const DataSpec& spec, DrawId data_id, const FileSource& source,
                               const std::vector<int>& labels) {
  std::vector<Index> rows;
  for (Index row = 0; row < source.rows; ++row)
    if (labels.empty() || labels[static_cast<std::size_t>(row)] >= 0) rows.push_back(row);
  if (spec.first + spec.examples > static_cast<Index>(rows.size()))
    throw DataError(source.name + " has " + std::to_string(rows.size()) + " examples" +
                    (spec.classes.empty() ? "" : " of the chosen classes") + ", expected at least data.first + " +
                    "data.examples = " + std::to_string(spec.first + spec.examples) + "; lower data.examples");
  if (spec.order == "random") {
    const StreamId stream = data_id.stream(Stream::example_choice);
    std::vector<std::pair<std::uint64_t, Index>> keyed;
    keyed.reserve(rows.size());
    for (const Index row : rows) {
      const PhiloxBlock block = random_block(stream, 0, static_cast<std::uint32_t>(row));
      keyed.emplace_back((static_cast<std::uint64_t>(block.w[0]) << 32) | block.w[1], row);
    }
    std::sort(keyed.begin(), keyed.end());
    std::transform(keyed.begin(), keyed.end(), rows.begin(), [](const auto& pair) { return pair.second; });
  }
  return {rows.begin() + spec.first, rows.begin() + spec.first + spec.examples};
}

RawExamples take_examples(const DataSpec& spec, DrawId data_id, const FileSource& source) {
  struct Order {
    const char* name;
  };
  find_by_name("data.order", spec.order, std::array<Order, 2>{{{"random"}, {"file"}}});
  if (spec.dimension != 0 && spec.dimension != source.columns)
    throw DataError(source.name + ": an example has " + std::to_string(source.columns) +
                    " numbers, expected data.dimension = " + std::to_string(spec.dimension) +
                    "; leave data.dimension out to take what the file has");
  const std::vector<int> labels = relabelled(spec, source);
  RawExamples raw;
  raw.rows = choose_rows(spec, data_id, source, labels);
  raw.examples = spec.examples;
  raw.dimension = source.columns;
  raw.class_count = spec.classes.empty() ? source.class_count : static_cast<Index>(spec.classes.size());
  raw.file_examples = source.rows;
  raw.source = source.name;
  raw.inputs.resize(static_cast<std::size_t>(raw.examples) * static_cast<std::size_t>(raw.dimension));
  for (Index i = 0; i < raw.examples; ++i) {
    const Index row = raw.rows[static_cast<std::size_t>(i)];
    double* const out = raw.inputs.data() + i * raw.dimension;
    source.copy_row(row, out);
    for (Index j = 0; j < raw.dimension; ++j)
      if (!std::isfinite(out[j]))
        throw DataError(source.name + ": example " + std::to_string(row) + ", coordinate " + std::to_string(j) +
                        " is " + std::to_string(out[j]) + "; every input must be finite: clean the file");
    if (!labels.empty()) raw.classes.push_back(labels[static_cast<std::size_t>(row)]);
  }
  return raw;
}

Index one_more_than_largest(const std::vector<int>& labels) {
  return labels.empty() ? 0 : Index{*std::max_element(labels.begin(), labels.end())} + 1;
}

using ReadArray = ArrayFile (*)(const std::string&);

FileSource array_source(const std::string& name, ReadArray read, const std::string& inputs_path,
                        const std::string& labels_path) {
  FileSource source;
  const auto inputs = std::make_shared<const ArrayFile>(read(inputs_path));
  source.name = name;
  source.one_number_each = inputs->shape.size() < 2;
  source.rows = inputs->rows();
  source.columns = inputs->columns();
  source.copy_row = [inputs](Index row, double* out) { inputs->copy_row(row, out); };
  if (!labels_path.empty()) {
    source.labels = as_labels(read(labels_path));
    if (static_cast<Index>(source.labels.size()) != source.rows)
      throw DataError(labels_path + ": " + std::to_string(source.labels.size()) + " labels, expected " +
                      std::to_string(source.rows) + ", one for each example of " + inputs_path +
                      "; the two files do not belong together");
    source.class_count = one_more_than_largest(source.labels);
  }
  return source;
}

RawExamples load_arrays(const DataSpec& spec, DrawId data_id, ReadArray read) {
  if (spec.paths.size() != 1)
    throw RecipeError("data.paths has " + std::to_string(spec.paths.size()) + " entries: the law \"" + spec.law +
                      "\" needs exactly one, the file of inputs");
  const std::string inputs = resolve_path(spec.paths.front(), spec.folder);
  const std::string labels = spec.labels_path.empty() ? "" : resolve_path(spec.labels_path, spec.folder);
  const FileSource source = array_source(inputs, read, inputs, labels);
  if (source.one_number_each)
    throw DataError(inputs +
                    ": holds one number for each example, as files of labels do; expected a row of numbers for "
                    "each. Name the file of inputs in data.paths, that of labels in data.labels_path");
  return take_examples(spec, data_id, source);
}

bool is_training(const DataSpec& spec) {
  struct Split {
    const char* name;
    bool training;
  };
  return find_by_name("data.split", spec.split, std::array<Split, 2>{{{"train", true}, {"test", false}}}).training;
}

RawExamples load_cifar(const DataSpec& spec, DrawId data_id, CifarKind kind, const std::string& set,
                       const std::vector<std::string>& batches) {
  std::vector<std::string> paths;
  for (const std::string& path : spec.paths) paths.push_back(resolve_path(path, spec.folder));
  if (paths.empty())
    for (const std::string& batch : batches) paths.push_back(find_in_set(set, batch, spec.folder));
  const auto images = std::make_shared<const CifarImages>(read_cifar(kind, paths));
  FileSource source;
  source.name = spec.law + (spec.paths.empty() ? " (" + spec.split + ")" : "");
  source.rows = static_cast<Index>(images->labels.size());
  source.columns = kCifarPixels;
  source.labels = images->labels;
  source.class_count = kind == CifarKind::cifar10 ? 10 : 100;
  source.copy_row = [images](Index row, double* out) {
    std::copy_n(images->pixels.begin() + row * kCifarPixels, kCifarPixels, out);
  };
  return take_examples(spec, data_id, source);
}

}  // namespace

RawExamples load_mnist(const DataSpec& spec, DrawId data_id) {
  const std::string prefix = is_training(spec) ? "train" : "t10k";
  const std::string images = find_in_set("mnist", prefix + "-images-idx3-ubyte", spec.folder);
  const std::string labels = find_in_set("mnist", prefix + "-labels-idx1-ubyte", spec.folder);
  const FileSource source = array_source("mnist (" + spec.split + ")", read_idx, images, labels);
  if (source.columns != 784)
    throw DataError(images + ": an example has " + std::to_string(source.columns) +
                    " pixels, expected 28 x 28; it is not an MNIST image file");
  return take_examples(spec, data_id, source);
}

RawExamples load_idx(const DataSpec& spec, DrawId data_id) { return load_arrays(spec, data_id, read_idx); }

RawExamples load_npy(const DataSpec& spec, DrawId data_id) { return load_arrays(spec, data_id, read_npy); }

RawExamples load_cifar10(const DataSpec& spec, DrawId data_id) {
  const std::vector<std::string> train{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
                                       "data_batch_5.bin"};
  return load_cifar(spec, data_id, CifarKind::cifar10, "cifar-10-batches-bin",
                    is_training(spec) ? train : std::vector<std::string>{"test_batch.bin"});
}

RawExamples load_cifar100(const DataSpec& spec, DrawId data_id) {
  return load_cifar(spec, data_id, CifarKind::cifar100, "cifar-100-binary",
                    {is_training(spec) ? "train.bin" : "test.bin"});
}

}  // namespace widelab::data
