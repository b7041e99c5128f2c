#include "host/estimators/training_statistics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

#include "widelab/base/contract.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::estimators {
namespace {

constexpr std::int64_t kDiverged = static_cast<std::int64_t>(TrainStatus::diverged);
constexpr std::int64_t kConverged = static_cast<std::int64_t>(TrainStatus::converged);

template <class V>
io::NamedArray array(std::string name, std::string description, std::vector<std::string> dims,
                     std::vector<std::size_t> shape, V values) {
  return {std::move(name), "1", std::move(description), std::move(dims), std::move(shape), std::move(values), {}};
}

const io::NamedArray* find_array(const io::ArrayFile& file, const std::string& name) {
  for (const io::NamedArray& candidate : file.arrays)
    if (candidate.name == name) return &candidate;
  return nullptr;
}

template <class V>
const std::vector<V>& values(const io::ArrayFile& file, const std::string& name) {
  const io::NamedArray* found = find_array(file, name);
  const auto* out = found ? std::get_if<std::vector<V>>(&found->values) : nullptr;
  if (!out)
    throw DataError("cell file: the array '" + name +
                    "' is missing or of another type; remove the file and rerun with --resume");
  return *out;
}

[[noreturn]] void other_problem(const std::string& what) {
  throw DataError("cell file: " + what + " belongs to another recipe; use --overwrite, or another --out");
}

GroupedMoments restored_moments(const io::ArrayFile& file, const std::string& name, const GroupedMoments& fresh) {
  GroupedMoments::State state = fresh.state();
  const std::vector<double>& stored = values<double>(file, name);
  if (stored.size() != state.values.size() ||
      !std::equal(stored.begin(), stored.begin() + state.entries, state.values.begin()))
    other_problem("'" + name + "'");
  state.values = stored;
  return GroupedMoments::from_state(state);
}

/// All sketches of a quantity one after another: how many buckets each, then buckets, counts and extremes.
void append_sketches(const std::string& name, const std::vector<QuantileSketch>& sketches,
                     std::vector<io::NamedArray>& arrays) {
  std::vector<std::int64_t> sizes, buckets, counts;
  std::vector<double> extremes;
  for (const QuantileSketch& sketch : sketches) {
    const QuantileSketch::State state = sketch.state();
    sizes.push_back(static_cast<std::int64_t>(state.buckets.size()));
    buckets.insert(buckets.end(), state.buckets.begin(), state.buckets.end());
    counts.insert(counts.end(), state.counts.begin(), state.counts.end());
    extremes.insert(extremes.end(), {state.smallest, state.largest});
  }
  const std::size_t all = buckets.size();
  if (all == 0) return;
  arrays.push_back(array(name + "_bucket_counts", "buckets in the quantile sketch of each number", {name + "_number"},
                         {sizes.size()}, sizes));
  arrays.push_back(array(name + "_bucket", "filled buckets of all sketches", {name + "_bucket_place"}, {all}, buckets));
  arrays.push_back(array(name + "_bucket_hits", "numbers in each bucket", {name + "_bucket_place"}, {all}, counts));
  arrays.push_back(array(name + "_extremes", "smallest and largest of each number", {name + "_number", "extreme"},
                         {sketches.size(), 2}, extremes));
}

std::vector<QuantileSketch> restored_sketches(const io::ArrayFile& file, const std::string& name, std::size_t number) {
  std::vector<QuantileSketch> out(number);
  if (!find_array(file, name + "_bucket")) return out;
  const auto& sizes = values<std::int64_t>(file, name + "_bucket_counts");
  const auto& buckets = values<std::int64_t>(file, name + "_bucket");
  const auto& counts = values<std::int64_t>(file, name + "_bucket_hits");
  const auto& extremes = values<double>(file, name + "_extremes");
  if (sizes.size() != number || extremes.size() != 2 * number || counts.size() != buckets.size())
    other_problem("'" + name + "_bucket'");
  std::int64_t at = 0;
  for (std::size_t i = 0; i < number; ++i) {
    const std::int64_t end = at + sizes[i];
    if (sizes[i] < 0 || end > static_cast<std::int64_t>(buckets.size())) other_problem("'" + name + "_bucket'");
    out[i] = QuantileSketch::from_state({{buckets.begin() + at, buckets.begin() + end},
                                         {counts.begin() + at, counts.begin() + end},
                                         extremes[2 * i],
                                         extremes[2 * i + 1]});
    at = end;
  }
  return out;
}

}  // namespace

Keep parse_keep(const std::string& key, const std::string& text) {
  if (text == "mean") return Keep::mean;
  if (text == "samples") return Keep::samples;
  if (text == "quantiles") return Keep::quantiles;
  throw RecipeError(key + " = \"" + text + "\": must be \"mean\", \"samples\" or \"quantiles\"");
}

TrainingStatistics::TrainingStatistics(std::vector<ObservedQuantity> quantities, std::vector<Index> observed)
    : quantities_(std::move(quantities)), observed_(std::move(observed)) {
  WIDELAB_REQUIRE(!observed_.empty(), "statistics of a training need observed steps");
  std::set<std::string> names;
  for (std::size_t q = 0; q < quantities_.size(); ++q) {
    const ObservedQuantity& quantity = quantities_[q];
    WIDELAB_REQUIRE(names.insert(quantity.name).second, "two observers are called " + quantity.name);
    WIDELAB_REQUIRE(quantity.entries >= 1, "observer " + quantity.name + " has no entries");
    std::vector<double> shift = quantity.shift.empty() ? std::vector<double>(numbers(q), 0.0) : quantity.shift;
    WIDELAB_REQUIRE(shift.size() == numbers(q), "observer " + quantity.name + ": one shift for each time and entry");
    moments_.emplace_back(std::move(shift), quantity.order);
    samples_.emplace_back();
    sketches_.emplace_back(quantity.keep == Keep::quantiles ? numbers(q) : 0);
  }
}

std::size_t TrainingStatistics::numbers(std::size_t quantity) const {
  return observed_.size() * static_cast<std::size_t>(quantities_[quantity].entries);
}

std::size_t TrainingStatistics::find(const std::string& name) const {
  for (std::size_t q = 0; q < quantities_.size(); ++q)
    if (quantities_[q].name == name) return q;
  contract_failed("find(name)", __func__, "no observer is called " + name);
}

const QuantileSketch& TrainingStatistics::sketch(std::size_t quantity, Index time, Index entry) const {
  WIDELAB_REQUIRE(quantities_[quantity].keep == Keep::quantiles, quantities_[quantity].name + " keeps no quantiles");
  return sketches_[quantity][static_cast<std::size_t>(time * quantities_[quantity].entries + entry)];
}

Index TrainingStatistics::diverged() const { return std::count(status_.begin(), status_.end(), kDiverged); }
Index TrainingStatistics::converged() const { return std::count(status_.begin(), status_.end(), kConverged); }

void TrainingStatistics::add(const engine::MemberRecord& record) {
  WIDELAB_REQUIRE(static_cast<Index>(record.replicate) == replicates(), "records come in increasing replicate order");
  std::size_t stride = 0, first = 0;
  for (const ObservedQuantity& quantity : quantities_) stride += static_cast<std::size_t>(quantity.entries);
  WIDELAB_REQUIRE(record.values.size() == stride * observed_.size(), "a record has times x entries numbers");
  status_.push_back(static_cast<std::int64_t>(record.status.status));
  status_step_.push_back(record.status.step);
  status_quantity_.push_back(record.status.quantity);
  for (std::size_t q = 0; q < quantities_.size(); ++q) {
    const auto entries = static_cast<std::size_t>(quantities_[q].entries);
    std::vector<double> own;
    own.reserve(numbers(q));
    for (std::size_t t = 0; t < observed_.size(); ++t) {
      const auto row = record.values.begin() + static_cast<std::ptrdiff_t>(t * stride + first);
      own.insert(own.end(), row, row + static_cast<std::ptrdiff_t>(entries));
    }
    first += entries;
    if (quantities_[q].keep == Keep::samples) samples_[q].insert(samples_[q].end(), own.begin(), own.end());
    if (status_.back() == kDiverged) continue;
    moments_[q].add(record.replicate, own);
    for (std::size_t i = 0; i < sketches_[q].size(); ++i) sketches_[q][i].add(own[i]);
  }
}

std::vector<io::NamedArray> TrainingStatistics::state() const {
  std::vector<io::NamedArray> arrays;
  const std::size_t count = status_.size();
  arrays.push_back(array("observed_step", "steps done when observed", {"time"}, {observed_.size()},
                         std::vector<std::int64_t>(observed_.begin(), observed_.end())));
  if (count == 0) return arrays;
  arrays.push_back(
      array("status", "0 reached the last step, 1 converged, 2 diverged", {"replicate"}, {count}, status_));
  arrays.push_back(array("status_step", "step of convergence or divergence", {"replicate"}, {count}, status_step_));
  arrays.push_back(array("status_quantity", "diverged: largest |output| of the batch, or the number that is not finite",
                         {"replicate"}, {count}, status_quantity_));
  for (std::size_t q = 0; q < quantities_.size(); ++q) {
    const std::string& name = quantities_[q].name;
    const GroupedMoments::State moments = moments_[q].state();
    arrays.push_back(array(name + "_moments", "grouped power sums: shift | sums | counts | last replicates",
                           {name + "_moment"}, {moments.values.size()}, moments.values));
    if (quantities_[q].keep == Keep::samples)
      arrays.push_back(array(name + "_samples", "of each replicate", {"replicate", "time", name + "_entry"},
                             {count, observed_.size(), static_cast<std::size_t>(quantities_[q].entries)}, samples_[q]));
    append_sketches(name, sketches_[q], arrays);
  }
  return arrays;
}

void TrainingStatistics::restore(const io::ArrayFile& file) {
  TrainingStatistics fresh(quantities_, observed_);
  if (values<std::int64_t>(file, "observed_step") != std::vector<std::int64_t>(observed_.begin(), observed_.end()))
    other_problem("the list of observed steps");
  if (find_array(file, "status")) {
    fresh.status_ = values<std::int64_t>(file, "status");
    fresh.status_step_ = values<std::int64_t>(file, "status_step");
    fresh.status_quantity_ = values<double>(file, "status_quantity");
    const std::size_t count = fresh.status_.size();
    if (fresh.status_step_.size() != count || fresh.status_quantity_.size() != count)
      other_problem("an array over replicates");
    for (std::size_t q = 0; q < quantities_.size(); ++q) {
      const std::string& name = quantities_[q].name;
      fresh.moments_[q] = restored_moments(file, name + "_moments", fresh.moments_[q]);
      if (quantities_[q].keep == Keep::samples) {
        fresh.samples_[q] = values<double>(file, name + "_samples");
        if (fresh.samples_[q].size() != count * numbers(q)) other_problem("'" + name + "_samples'");
      }
      fresh.sketches_[q] = restored_sketches(file, name, fresh.sketches_[q].size());
    }
  }
  *this = std::move(fresh);
}

double TrainingStatistics::bytes(Index replicates) const {
  // A filled bucket: a node of a map. Numbers of one law rarely span more buckets than there are replicates, nor more
  // than a factor 10^6, some 1400 buckets.
  constexpr double kNodeBytes = 48, kBuckets = 1400;
  const double count = static_cast<double>(replicates);
  double out = 24 * count;
  for (std::size_t q = 0; q < quantities_.size(); ++q) {
    const double all = static_cast<double>(numbers(q));
    out += 8 * all * (1 + static_cast<double>(quantities_[q].order * GroupedMoments::kDefaultGroups));
    if (quantities_[q].keep == Keep::samples) out += 8 * all * count;
    if (quantities_[q].keep == Keep::quantiles) out += kNodeBytes * all * std::min(count, kBuckets);
  }
  return out;
}

}  // namespace widelab::estimators
