// The result of ntk-dynamics from the statistics of its cells.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "host/experiments/dynamics_observers.hpp"
#include "host/experiments/observables.hpp"
#include "host/experiments/training_cell.hpp"
#include "host/experiments/width_fits.hpp"

namespace widelab::experiments {

/// Observables over cells and `step`:
///   output_mean, output_covariance       against the infinite ensemble plus its allowance; NAME_mean_is_exact is 1
///                                        where the allowance was estimated on other widths, so that z is a test
///   mean_shift, covariance_shift         n (mean over networks of f_t, or of (f - m)(f - m)', minus the same of the
///                                        linearisations): the allowances themselves, tested on the wider networks
///   the numbers of path_scalars(), rms_* roots of the mean squares with fits over the width
/// and the infinite ensemble under gradient flow, 95 % limits of the probability of zero loss, the slowest rate, the
/// spectrum of the kernel, joint verdicts. E of a linearisation's f is that of the infinite ensemble at every width,
/// because f_0 has mean 0. Its covariance is so for one hidden layer (E of the feature Gram is the NNGP kernel); for
/// deeper networks the allowance of the covariance is estimated from n (covariance - limit) itself.
class DynamicsSummary {
 public:
  DynamicsSummary(const RunSetup& setup, const CellGrid& grid, const DynamicsScene& scene);

  void add(std::size_t cell, const DynamicsScene& scene, const TrainingCell& training,
           const estimators::TrainingStatistics& statistics, const io::Attributes& attributes);

  /// Axes step, point, pair, verdict and all observables.
  void write(io::Result& result);

 private:
  /// Mean or covariance: what is measured, what it is held against.
  struct Moment {
    std::string name, shift_name;
    ObservableBuilder observable, shift;
    std::vector<double> exact, shift_exact, flow, verdict;
    std::size_t entries = 0;  ///< times x inner entries
  };
  /// A cell's numbers for one Moment.
  struct Measured {
    std::vector<double> limit;
    std::vector<estimators::Estimate> deviation, shift;  ///< measured - limit; measured - linearisations
    estimators::GroupSample groups;                      ///< of the deviation
  };

  Moment make_moment(const std::string& name, const std::string& what, const std::string& dim, std::size_t entries);
  void add_measured(std::vector<Measured>& into, std::size_t cell, const estimators::TrainingStatistics& statistics,
                    const char* deviation, const char* shift, std::vector<double> limit);
  void add_scalars(std::size_t cell, const DynamicsScene& scene, const estimators::TrainingStatistics& statistics);
  void write_moment(Moment& moment, const std::vector<Measured>& measured, bool control_is_exact, io::Result& result);
  void write_axes(io::Result& result) const;
  std::vector<double>& numbers(const std::string& name, const std::string& description, std::size_t inner);

  const RunSetup& setup_;
  const CellGrid& grid_;
  std::vector<Index> steps_;
  std::vector<std::string> points_, pairs_, names_;
  bool limit_is_exact_;  ///< whether the infinite-width limit exists and is known exactly
  bool one_hidden_layer_;
  Precision precision_ = Precision::fp32;
  std::vector<double> widths_;  ///< by cell
  Moment mean_, covariance_;
  std::vector<Measured> mean_measured_, covariance_measured_;  ///< by cell; empty limit = not finished
  std::map<std::string, ObservableBuilder> scalars_;
  std::vector<std::string> rms_names_;
  WidthFits fits_;
  struct Extra {
    std::string description;
    bool by_step = false;
    std::vector<double> values;
  };
  std::map<std::string, Extra> extras_;
};

}  // namespace widelab::experiments
