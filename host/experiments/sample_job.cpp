#include "host/experiments/sample_job.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <variant>

#include "widelab/base/errors.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<double> defined_values(const Samples& samples, Index number) {
  std::vector<double> out;
  for (Index r = 0; r < samples.replicates; ++r)
    if (const double x = samples.at(r, number); std::isfinite(x)) out.push_back(x);
  return out;
}

}  // namespace

estimators::Estimate Samples::mean(Index number) const {
  const std::vector<double> values_of = defined_values(*this, number);
  const auto count = static_cast<double>(values_of.size());
  if (values_of.size() < 2) return {kNaN, kNaN, count};
  double sum = 0, squares = 0;
  for (const double x : values_of) sum += x;
  const double mean = sum / count;
  for (const double x : values_of) squares += (x - mean) * (x - mean);
  return {mean, std::sqrt(squares / (count - 1) / count), count};
}

estimators::Estimate Samples::median(Index number) const {
  std::vector<double> sorted = defined_values(*this, number);
  const auto count = static_cast<double>(sorted.size());
  if (sorted.size() < 4) return {kNaN, kNaN, count};
  std::sort(sorted.begin(), sorted.end());
  // The number of values below the median is binomial(count, 1/2): one standard deviation is sqrt(count) / 2 ranks.
  const auto value_at = [&](double rank) {
    const double place = std::clamp(rank, 0.0, count - 1);
    const auto low = static_cast<std::size_t>(place);
    const std::size_t high = std::min(low + 1, sorted.size() - 1);
    return sorted[low] + (place - std::floor(place)) * (sorted[high] - sorted[low]);
  };
  const double middle = (count - 1) / 2, half = std::sqrt(count) / 2;
  return {value_at(middle), (value_at(middle + half) - value_at(middle - half)) / 2, count};
}

estimators::GroupSample Samples::groups() const {
  return {replicates, numbers, values, std::vector<double>(static_cast<std::size_t>(replicates), 1.0)};
}

SampleJob::SampleJob(SampleTask task, const io::Cell& cell) : task_(std::move(task)), cell_(cell) {
  samples_.numbers = task_.numbers;
}

void SampleJob::advance(Index replicates) {
  const std::size_t before = samples_.values.size();
  samples_.values.resize(before + static_cast<std::size_t>(replicates * task_.numbers), kNaN);
  task_.measure(samples_.replicates, replicates, samples_.values.data() + before);
  samples_.replicates += replicates;
}

io::ArrayFile SampleJob::state() const {
  io::ArrayFile file;
  file.attributes = {{"fingerprint", task_.fingerprint}};
  for (const auto& [label, value] : cell_.coordinates) file.attributes.emplace_back("sweep_" + label, value);
  if (samples_.replicates > 0)
    file.arrays.push_back({"samples",
                           "1",
                           "numbers of each replicate",
                           {"replicate", "number"},
                           {static_cast<std::size_t>(samples_.replicates), static_cast<std::size_t>(samples_.numbers)},
                           samples_.values,
                           {}});
  return file;
}

void SampleJob::restore(const io::ArrayFile& state) {
  if (io::attribute(state.attributes, "fingerprint") != task_.fingerprint)
    throw DataError("the file of cell \"" + cell_.name +
                    "\" was made with another seed or recipe: use --overwrite, or another --out");
  if (state.arrays.empty()) return;
  Samples stored = read_samples(state);
  if (stored.numbers != task_.numbers)
    throw DataError("the file of cell \"" + cell_.name + "\" has " + std::to_string(stored.numbers) +
                    " numbers a replicate, not " + std::to_string(task_.numbers) +
                    ": use --overwrite, or another --out");
  samples_ = std::move(stored);
}

Samples read_samples(const io::ArrayFile& file) {
  for (const io::NamedArray& array : file.arrays) {
    const auto* values = std::get_if<std::vector<double>>(&array.values);
    if (array.name != "samples" || !values || array.shape.size() != 2) continue;
    return {static_cast<Index>(array.shape[0]), static_cast<Index>(array.shape[1]), *values};
  }
  throw DataError("a cell's file holds no samples: the run was made by another experiment or release");
}

}  // namespace widelab::experiments
