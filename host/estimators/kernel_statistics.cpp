#include "host/estimators/kernel_statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "widelab/base/errors.hpp"

namespace widelab::estimators {
namespace {

std::vector<double> upper_triangles(Index n, std::span<const double> ntk, std::span<const double> nngp) {
  std::vector<double> out;
  out.reserve(static_cast<std::size_t>(n * (n + 1)));
  for (const auto& kernel : {ntk, nngp})
    for (Index i = 0; i < n; ++i)
      for (Index j = i; j < n; ++j) out.push_back(kernel[static_cast<std::size_t>(i * n + j)]);
  return out;
}

io::NamedArray array(const std::string& name, const std::string& description, std::vector<std::string> dims,
                     std::vector<std::size_t> shape, std::vector<double> values) {
  return {name, "1", description, std::move(dims), std::move(shape), std::move(values), {}};
}

io::NamedArray moments_array(const std::string& name, const GroupedMoments& moments) {
  const GroupedMoments::State state = moments.state();
  return array(name, "grouped power sums: shift | sums | counts | last replicates", {name + "_number"},
               {state.values.size()}, state.values);
}

const io::NamedArray& find(const io::ArrayFile& file, const std::string& name) {
  for (const io::NamedArray& candidate : file.arrays)
    if (candidate.name == name) return candidate;
  throw DataError("cell file lacks the array '" + name + "': rerun with --resume after removing the file");
}

template <class V>
const std::vector<V>& values(const io::ArrayFile& file, const std::string& name) {
  const auto* found = std::get_if<std::vector<V>>(&find(file, name).values);
  if (!found)
    throw DataError("cell file: array '" + name +
                    "' has another type than expected; remove the file and rerun with --resume");
  return *found;
}

void restore_moments(const io::ArrayFile& file, const std::string& name, GroupedMoments& moments) {
  GroupedMoments::State state = moments.state();
  const std::vector<double>& stored = values<double>(file, name);
  const std::size_t shifts = static_cast<std::size_t>(state.entries);
  if (stored.size() != state.values.size() ||
      !std::equal(stored.begin(), stored.begin() + static_cast<std::ptrdiff_t>(shifts), state.values.begin()))
    throw DataError("cell file: '" + name +
                    "' belongs to other inputs or another network; use --overwrite, or another --out");
  state.values = stored;
  moments = GroupedMoments::from_state(state);
}

/// |K - K0| / |K0|, its square, <K, K0> / <K0, K0> - 1, K(0, 0).
void append_scalars(std::span<const double> kernel, const std::vector<double>& limit, std::vector<double>& out) {
  double distance = 0, norm = 0, overlap = 0;
  for (std::size_t k = 0; k < limit.size(); ++k) {
    const double difference = kernel[k] - limit[k];
    distance += difference * difference;
    overlap += difference * limit[k];
    norm += limit[k] * limit[k];
  }
  // A kernel whose limit vanishes altogether is measured in absolute terms.
  const double unit = norm > 0 ? norm : 1.0;
  out.insert(out.end(), {std::sqrt(distance / unit), distance / unit, overlap / unit, kernel[0]});
}

}  // namespace

KernelStatistics::KernelStatistics(Index examples, std::vector<double> ntk_limit, std::vector<double> nngp_limit,
                                   bool keep_samples)
    : examples_(examples),
      ntk_limit_(std::move(ntk_limit)),
      nngp_limit_(std::move(nngp_limit)),
      keep_samples_(keep_samples),
      entries_(upper_triangles(examples, ntk_limit_, nngp_limit_)),
      logs_({ntk_limit_[0] > 0 ? std::log(ntk_limit_[0]) : 0.0, nngp_limit_[0] > 0 ? std::log(nngp_limit_[0]) : 0.0}),
      scalars_({0, 0, 0, ntk_limit_[0], 0, 0, 0, nngp_limit_[0]}) {}

void KernelStatistics::reserve(Index replicates) {
  const auto count = static_cast<std::size_t>(replicates);
  replicate_.reserve(count);
  status_.reserve(count);
  scalar_values_.reserve(count * kNetworkScalarCount);
  if (keep_samples_) samples_.reserve(count * static_cast<std::size_t>(2 * pairs()));
}

std::vector<double> KernelStatistics::network_scalars(const engine::MemberKernels& member) const {
  std::vector<double> out;
  append_scalars(member.ntk, ntk_limit_, out);
  append_scalars(member.nngp, nngp_limit_, out);
  return out;
}

void KernelStatistics::add(const engine::MemberKernels& member) {
  replicate_.push_back(member.replicate);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  if (!member.finite) {
    status_.push_back(static_cast<std::int64_t>(MemberStatus::diverged));
    ++diverged_;
    scalar_values_.insert(scalar_values_.end(), kNetworkScalarCount, nan);
    if (keep_samples_) samples_.insert(samples_.end(), static_cast<std::size_t>(2 * pairs()), nan);
    return;
  }
  const std::vector<double> triangles = upper_triangles(examples_, member.ntk, member.nngp);
  entries_.add(member.replicate, triangles);
  const std::vector<double> scalars = network_scalars(member);
  scalars_.add(member.replicate, scalars);
  scalar_values_.insert(scalar_values_.end(), scalars.begin(), scalars.end());
  if (keep_samples_) samples_.insert(samples_.end(), triangles.begin(), triangles.end());
  const bool alive = member.ntk[0] > 0 && member.nngp[0] > 0;
  status_.push_back(static_cast<std::int64_t>(alive ? MemberStatus::finished : MemberStatus::dead));
  if (alive)
    logs_.add(member.replicate, std::vector<double>{std::log(member.ntk[0]), std::log(member.nngp[0])});
  else
    ++dead_;
}

std::vector<double> KernelStatistics::scalar_samples(Index scalar) const {
  std::vector<double> out;
  for (std::size_t r = 0; r < status_.size(); ++r)
    out.push_back(scalar_values_[r * kNetworkScalarCount + static_cast<std::size_t>(scalar)]);
  return out;
}

std::vector<io::NamedArray> KernelStatistics::state() const {
  const std::size_t count = status_.size();
  std::vector<io::NamedArray> arrays;
  arrays.push_back({"replicate", "1", "replicate id of each network", {"replicate"}, {count}, replicate_, {}});
  arrays.push_back({"status",
                    "1",
                    "0 finished, 1 dead (a layer with no active unit), 2 diverged",
                    {"replicate"},
                    {count},
                    status_,
                    {}});
  for (Index s = 0; s < kNetworkScalarCount; ++s)
    arrays.push_back(array(kNetworkScalars[s], "of each network", {"replicate"}, {count}, scalar_samples(s)));
  arrays.push_back(moments_array("entry_moments", entries_));
  arrays.push_back(moments_array("log_moments", logs_));
  arrays.push_back(moments_array("scalar_moments", scalars_));
  if (keep_samples_)
    arrays.push_back(array("samples", "kernel entries of each network: ntk pairs, then nngp pairs",
                           {"replicate", "entry"}, {count, static_cast<std::size_t>(2 * pairs())}, samples_));
  return arrays;
}

void KernelStatistics::restore(const io::ArrayFile& file) {
  restore_moments(file, "entry_moments", entries_);
  restore_moments(file, "log_moments", logs_);
  restore_moments(file, "scalar_moments", scalars_);
  replicate_ = values<std::int64_t>(file, "replicate");
  status_ = values<std::int64_t>(file, "status");
  scalar_values_.assign(status_.size() * kNetworkScalarCount, 0.0);
  for (Index s = 0; s < kNetworkScalarCount; ++s) {
    const std::vector<double>& column = values<double>(file, kNetworkScalars[s]);
    if (column.size() != status_.size())
      throw DataError("cell file: arrays over replicates differ in length; remove it and rerun with --resume");
    for (std::size_t r = 0; r < status_.size(); ++r)
      scalar_values_[r * kNetworkScalarCount + static_cast<std::size_t>(s)] = column[r];
  }
  if (keep_samples_) samples_ = values<double>(file, "samples");
  diverged_ = std::count(status_.begin(), status_.end(), static_cast<std::int64_t>(MemberStatus::diverged));
  dead_ = std::count(status_.begin(), status_.end(), static_cast<std::int64_t>(MemberStatus::dead));
}

}  // namespace widelab::estimators
