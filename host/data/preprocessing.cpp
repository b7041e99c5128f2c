#include "host/data/preprocessing.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "host/data/spec_checks.hpp"
#include "widelab/model/minibatch_order.hpp"

namespace widelab::data {

namespace {

void divide_by_255(Dataset& set) {
  for (double& value : set.inputs) value /= 255.0;
}

void centre_columns(Dataset& set) {
  const Index n = set.examples, d = set.dimension;
  std::vector<double> mean(static_cast<std::size_t>(d), 0.0);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < d; ++j) mean[j] += set.inputs[i * d + j];
  for (double& value : mean) value /= static_cast<double>(n);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < d; ++j) set.inputs[i * d + j] -= mean[j];
}

void centre_rows(Dataset& set) {
  const Index d = set.dimension;
  for (Index i = 0; i < set.examples; ++i) {
    double* const row = set.inputs.data() + i * d;
    double mean = 0.0;
    for (Index j = 0; j < d; ++j) mean += row[j];
    mean /= static_cast<double>(d);
    for (Index j = 0; j < d; ++j) row[j] -= mean;
  }
}

void scale_all(Dataset& set) {
  double square = 0.0;
  for (const double value : set.inputs) square += value * value;
  const double scale = std::sqrt(square / static_cast<double>(set.inputs.size()));
  if (!std::isnormal(scale))
    throw DataError("preprocessing \"unit-scale\": the root mean square of all inputs is " + std::to_string(scale) +
                    "; it must be positive and finite");
  for (double& value : set.inputs) value /= scale;
}

void scale_rows_to_sphere(Dataset& set) {
  const Index d = set.dimension;
  for (Index i = 0; i < set.examples; ++i) {
    double* const row = set.inputs.data() + i * d;
    double largest = 0.0;  // divided out first, so that no square overflows or underflows
    for (Index j = 0; j < d; ++j) largest = std::max(largest, std::fabs(row[j]));
    if (largest == 0.0)
      throw DataError("preprocessing \"sphere\": example " + std::to_string(i) +
                      " of the data set is the zero vector, "
                      "which has no direction; leave it out or choose other preprocessing");
    double square = 0.0;
    for (Index j = 0; j < d; ++j) square += (row[j] / largest) * (row[j] / largest);
    const double scale = std::sqrt(static_cast<double>(d) / square);
    for (Index j = 0; j < d; ++j) row[j] = row[j] / largest * scale;
  }
}

/// Where random steps draw, and the number of the first example.
struct Draws {
  DrawId id;
  Index first = 0;
};

void shuffle_rows(Dataset& set, const Draws& draws) {
  const Index d = set.dimension;
  std::vector<double> before(static_cast<std::size_t>(d));
  for (Index i = 0; i < set.examples; ++i) {
    double* const row = set.inputs.data() + i * d;
    std::copy_n(row, d, before.begin());
    const bijections::Permutation permutation(draws.id.stream(Stream::pixel_order),
                                              static_cast<std::uint64_t>(draws.first + i), d);
    for (Index j = 0; j < d; ++j) row[j] = before[static_cast<std::size_t>(permutation.at(j))];
  }
}

template <void (*apply)(Dataset&)>
void without_draws(Dataset& set, const Draws& /*draws*/) {
  apply(set);
}

struct Step {
  const char* name;
  void (*apply)(Dataset&, const Draws&);
  const char* doc;
};

constexpr std::array<Step, 6> kSteps{{
    {"pixel/255", without_draws<divide_by_255>, "divide by 255"},
    {"centred", without_draws<centre_columns>, "subtract from each coordinate its mean over the examples"},
    {"row-centred", without_draws<centre_rows>, "subtract from each example the mean of its coordinates"},
    {"unit-scale", without_draws<scale_all>, "divide by the root mean square of all inputs"},
    {"sphere", without_draws<scale_rows_to_sphere>, "scale each example to norm sqrt(d)"},
    {"shuffled", shuffle_rows, "permute each example's coordinates by a permutation of its own"},
}};

}  // namespace

std::vector<NameDoc> preprocessing_list() { return names_and_docs(kSteps); }

void preprocess(const std::vector<std::string>& steps, Dataset& dataset, DrawId data_id, Index first) {
  for (const std::string& name : steps) {
    find_by_name("data.preprocessing", name, kSteps).apply(dataset, {data_id, first});
    dataset.description += ", " + name;
  }
}

}  // namespace widelab::data
