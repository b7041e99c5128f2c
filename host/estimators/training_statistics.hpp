// What is kept of an ensemble in training: moments, quantiles or all samples of each observer at each observed step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/engine/training_job.hpp"
#include "host/estimators/grouped_moments.hpp"
#include "host/estimators/quantile_sketch.hpp"

namespace widelab::estimators {

/// mean: moments only. samples: every member's numbers as well. quantiles: a sketch of every number as well.
enum class Keep { mean, samples, quantiles };

/// "mean", "samples" or "quantiles"; RecipeError naming `key` otherwise.
Keep parse_keep(const std::string& key, const std::string& text);

/// One observer's numbers, in the order in which the job has its observers.
struct ObservedQuantity {
  std::string name;  ///< different from all others: names arrays in the cell's file
  Index entries = 1;
  Keep keep = Keep::mean;
  int order = 2;              ///< highest power kept, 1 to 4
  std::vector<double> shift;  ///< of the power sums (GroupedMoments): times x entries, or empty = 0
  bool operator==(const ObservedQuantity&) const = default;
};

/// The sink of a TrainingJob. Averages are over members that reached the last step or converged; a diverged member is
/// counted, its status, step and quantity are kept, its numbers enter nothing (samples: NaN from its divergence on).
class TrainingStatistics : public engine::RecordSink {
 public:
  /// `observed`: the steps. Errors: ContractError for equal names, no entries, or a shift of another length.
  TrainingStatistics(std::vector<ObservedQuantity> quantities, std::vector<Index> observed);

  void add(const engine::MemberRecord& record) override;
  Index replicates() const override { return static_cast<Index>(status_.size()); }
  std::vector<io::NamedArray> state() const override;
  void restore(const io::ArrayFile& file) override;
  double bytes(Index replicates) const override;

  const std::vector<ObservedQuantity>& quantities() const { return quantities_; }
  const std::vector<Index>& observed() const { return observed_; }
  Index times() const { return static_cast<Index>(observed_.size()); }
  /// Position of the quantity with that name. Errors: ContractError if there is none.
  std::size_t find(const std::string& name) const;

  Index diverged() const;
  Index converged() const;
  /// Of every replicate: MemberStatus as numbers.
  const std::vector<std::int64_t>& status() const { return status_; }
  const std::vector<std::int64_t>& status_step() const { return status_step_; }
  const std::vector<double>& status_quantity() const { return status_quantity_; }

  /// Moments of times x entries numbers, number time * entries + entry.
  const GroupedMoments& moments(std::size_t quantity) const { return moments_[quantity]; }
  /// Keep::samples: replicates x times x entries; empty otherwise.
  const std::vector<double>& samples(std::size_t quantity) const { return samples_[quantity]; }
  /// Keep::quantiles only (ContractError otherwise).
  const QuantileSketch& sketch(std::size_t quantity, Index time, Index entry) const;

 private:
  std::size_t numbers(std::size_t quantity) const;  ///< times x entries

  std::vector<ObservedQuantity> quantities_;
  std::vector<Index> observed_;
  std::vector<GroupedMoments> moments_;
  std::vector<std::vector<double>> samples_;
  std::vector<std::vector<QuantileSketch>> sketches_;
  std::vector<std::int64_t> status_, status_step_;
  std::vector<double> status_quantity_;
};

}  // namespace widelab::estimators
