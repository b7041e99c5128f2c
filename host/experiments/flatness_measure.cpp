#include "host/experiments/flatness_measure.hpp"
#include "host/estimators/power_fit.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "host/estimators/power_fit.hpp"
#include "host/experiments/flatness_point.hpp"
#include "host/experiments/flatness_window.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
using Vector = std::vector<double>;
using Lines = std::vector<estimators::LayerLine>;

Vector of_lines(const Lines& lines, double estimators::LayerLine::*part) {
  Vector out;
  for (const estimators::LayerLine& line : lines) out.push_back(line.*part);
  return out;
}

Vector widths_of(const Lines& lines) {
  Vector out;
  for (const estimators::LayerLine& line : lines) out.push_back(line.width());
  return out;
}

/// Without component 0, the drift.
Vector tail(const Vector& values) { return {values.begin() + 1, values.end()}; }

class Measurement {
 public:
  Measurement(const FlatnessCell& cell, runtime::Backend& backend, const AtCheckpoint& from, double* row)
      : cell_(cell),
        backend_(backend),
        from_(from),
        row_(row),
        size_(cell.layer_size()),
        first_(first_weight(cell)),
        start_(cell, whole_parameters(*from.trainer, from.member)) {}

  void run() {
    number(FlatnessNumber::checkpoint) = static_cast<double>(from_.trainer->step());
    window();
    if (!end_) return;
    around_checkpoint();
    linear_nulls();
    replicas();
  }

 private:
  double& number(FlatnessNumber which) { return row_[cell_.number(which)]; }
  double& component(std::size_t i, ComponentNumber which) { return row_[cell_.component(i, which)]; }
  MemberSettings settings() const { return cell_.training.spec.member(from_.replicate); }

  /// Of a flat direction within the window: variance by the noise of batches over that by rounding. Rounding is a
  /// random walk, variance W r / 6 for r a step; so are independent batches; epochs are bridges, (M + 1) eta^2 C / (6
  /// B).
  double resolution(const estimators::LayerLine& line, double rounding) const {
    const double rate = cell_.effective_rate(), step = rate * rate * line.noise / static_cast<double>(cell_.batch());
    const double bridge = static_cast<double>(cell_.steps_per_epoch() + 1) / static_cast<double>(cell_.window);
    return step / rounding * (cell_.training.train.rule.order == OrderKind::epochs ? std::min(1.0, bridge) : 1.0);
  }

  /// The layer's weights before every step; the second and further calls repeat the first bit for bit.
  void go_through_window(const std::function<void(const double*)>& visit) {
    engine::TrainTask task = cell_.training.spec.task;
    task.members = {settings()};
    engine::Trainer trainer(backend_, std::move(task));
    trainer.continue_from(*from_.trainer, std::vector<Index>{from_.member});
    for (Index t = 0; t < cell_.window; ++t) {
      visit(whole_parameters(trainer, 0).data() + first_);
      trainer.run_to(from_.trainer->step() + t + 1);
    }
    if (trainer.status().front().status == TrainStatus::diverged) return;
    if (!end_) end_ = std::make_unique<LayerPoint>(cell_, whole_parameters(trainer, 0));
    stored_ = stored_numbers(trainer, 0);
  }

  void window() {
    const WindowComponents found = window_components(
        size_, cell_.components, [&](const std::function<void(const double*)>& visit) { go_through_window(visit); });
    if (!end_) return;
    const Lines lines = end_->loss().lines(found.directions);
    const Vector rounding = rounding_along(cell_, found.directions, stored_);
    Vector variance = found.variance, time = found.time;
    double unresolved = 0, endless = 0, along = 0, square = 0;
    const auto count = static_cast<double>(lines.size());
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const double resolved = resolution(lines[i], rounding[i]);
      if (!(resolved >= cell_.least_resolution)) variance[i] = time[i] = kNaN, unresolved += 1 / count;
      if (!std::isfinite(lines[i].width())) endless += 1 / count;
      component(i, ComponentNumber::variance) = variance[i];
      component(i, ComponentNumber::flatness) = lines[i].width();
      component(i, ComponentNumber::curvature) = lines[i].curvature;
      component(i, ComponentNumber::noise) = lines[i].noise;
      component(i, ComponentNumber::time) = time[i];
      component(i, ComponentNumber::resolution) = resolved;
    }
    for (std::size_t j = 0; j < found.mean.size(); ++j) {
      along += found.directions[j] * found.mean[j];
      square += found.mean[j] * found.mean[j];
    }
    const Vector flatness = tail(widths_of(lines)),
                 curvature = tail(of_lines(lines, &estimators::LayerLine::curvature));
    number(FlatnessNumber::train_loss) = end_->loss().loss();
    number(FlatnessNumber::drift_share) = found.first_share;
    number(FlatnessNumber::drift_cosine) = std::fabs(along) / std::sqrt(square);
    number(FlatnessNumber::psi_window) = -estimators::log_slope(flatness, tail(variance));
    number(FlatnessNumber::variance_exponent) = estimators::log_slope(curvature, tail(variance));
    number(FlatnessNumber::noise_exponent) =
        estimators::log_slope(curvature, tail(of_lines(lines, &estimators::LayerLine::noise)));
    number(FlatnessNumber::curvature_exponent) = estimators::log_slope(flatness, curvature);
    number(FlatnessNumber::time_exponent) = estimators::log_slope(flatness, tail(time));
    number(FlatnessNumber::unresolved) = unresolved;
    number(FlatnessNumber::endless) = endless;
  }

  /// The layer's Hessian at the checkpoint: its basis, and noise and flatness along its leading eigenvectors.
  void around_checkpoint() {
    const Vector hessian = start_.matrix(estimators::LayerMatrix::hessian);
    basis_ = std::make_unique<theory::Eigenbasis>(matrix_view<const double>(hessian.data(), size_, size_));
    for (const double h : basis_->values()) curvature_.push_back(std::max(0.0, h));
    modes_ = leading_vectors(*basis_, 0, cell_.modes);
    mode_lines_ = start_.loss().lines(modes_);
    mode_rounding_ = rounding_along(cell_, modes_, stored_numbers(*from_.trainer, from_.member));
    for (std::size_t i = 0; i < mode_lines_.size(); ++i) {
      const auto mode = static_cast<Index>(i);
      row_[cell_.mode(mode, ModeNumber::curvature)] = mode_lines_[i].curvature;
      row_[cell_.mode(mode, ModeNumber::noise)] = mode_lines_[i].noise;
      row_[cell_.mode(mode, ModeNumber::flatness)] = mode_lines_[i].width();
    }
    number(FlatnessNumber::checkpoint_loss) = start_.loss().loss();
    number(FlatnessNumber::unresolved_modes) = 0;
    number(FlatnessNumber::mode_noise_exponent) = estimators::log_slope(
        of_lines(mode_lines_, &estimators::LayerLine::curvature), of_lines(mode_lines_, &estimators::LayerLine::noise));
  }

  /// C ~ H^null_exponent with the trace of the measured C, in the law that its noise has led to since the beginning of
  /// training; and SGD linearised at the checkpoint, with the gradient and the whole of C that are measured there.
  void linear_nulls() {
    const Vector gradient = basis_->rows_into(matrix_view<const double>(start_.gradient(backend_).data(), 1, size_));
    Vector noise = basis_->into(
        matrix_view<const double>(start_.matrix(estimators::LayerMatrix::gradient_moment).data(), size_, size_));
    double trace = 0, powers = 0;
    LinearNull power = null_model();
    for (std::size_t i = 0; i < curvature_.size(); ++i) {
      for (std::size_t j = 0; j < curvature_.size(); ++j) noise[i * curvature_.size() + j] -= gradient[i] * gradient[j];
      trace += noise[i * curvature_.size() + i];
      power.noise.push_back(curvature_[i] > 0 ? std::pow(curvature_[i], cell_.null_exponent) : 0.0);
      powers += power.noise.back();
    }
    for (double& c : power.noise) c *= trace / powers;
    power.before = from_.trainer->step();
    const theory::Eigenbasis noise_basis(matrix_view<const double>(noise.data(), size_, size_));
    LinearNull linearised = null_model();
    for (const double c : noise_basis.values()) linearised.noise.push_back(std::max(0.0, c));
    linearised.noise_basis = &noise_basis;
    linearised.gradient = gradient;
    number(FlatnessNumber::psi_null) = null_exponents(power, true);
    number(FlatnessNumber::psi_linearised) = null_exponents(linearised, false);
    number(FlatnessNumber::psi_excess) = number(FlatnessNumber::psi_window) - number(FlatnessNumber::psi_null);
    number(FlatnessNumber::psi_nonlinear) = number(FlatnessNumber::psi_window) - number(FlatnessNumber::psi_linearised);
  }

  LinearNull null_model() const {
    LinearNull null;
    null.training = layer_training(cell_);
    null.curvature = curvature_;
    null.examples = cell_.training.data.train.examples;
    null.batch = cell_.batch();
    null.order = cell_.training.train.rule.order;
    null.draws = {cell_.null_key, from_.replicate};
    return null;
  }

  /// psi of a null model; its variances and flatness go into the columns of `power`, or of the linearised one.
  double null_exponents(const LinearNull& null, bool by_power) {
    const ComponentNumber at = by_power ? ComponentNumber::null_variance : ComponentNumber::linearised_variance,
                          flatness_at =
                              by_power ? ComponentNumber::null_flatness : ComponentNumber::linearised_flatness;
    if (curvature_.back() * null.training.effective_rate() >= 2) return kNaN;  // it would diverge
    const WindowComponents found =
        window_components(size_, cell_.components,
                          [&](const std::function<void(const double*)>& visit) { null.run(cell_.window, visit); });
    const Lines lines = end_->loss().lines(basis_->rows_out_of(
        matrix_view<const double>(found.directions.data(), static_cast<Index>(cell_.components.size()), size_)));
    for (std::size_t i = 0; i < lines.size(); ++i) {
      component(i, at) = found.variance[i];
      component(i, flatness_at) = lines[i].width();
      if (by_power) component(i, ComponentNumber::null_time) = found.time[i];
    }
    const Vector flatness = tail(widths_of(lines));
    if (by_power) {
      number(FlatnessNumber::null_variance_exponent) =
          estimators::log_slope(tail(of_lines(lines, &estimators::LayerLine::curvature)), tail(found.variance));
      number(FlatnessNumber::null_time_exponent) = estimators::log_slope(flatness, tail(found.time));
    }
    return -estimators::log_slope(flatness, tail(found.variance));
  }

  /// Replicas that leave the checkpoint under orders of their own.
  void replicas() {
    engine::TrainTask task = cell_.training.spec.task;
    for (Index r = 0; r < cell_.replicas; ++r) {
      MemberSettings one = settings();
      one.ids.order = {cell_.branch_key, static_cast<std::uint32_t>(from_.replicate * cell_.replicas + r)};
      task.members.push_back(one);
    }
    engine::Trainer trainer(backend_, std::move(task));
    trainer.continue_from(*from_.trainer, std::vector<Index>(static_cast<std::size_t>(cell_.replicas), from_.member));
    for (std::size_t t = 0; t < cell_.times.size(); ++t) {
      trainer.run_to(from_.trainer->step() + cell_.times[t]);
      Vector moved;  // rows of the layer's displacement since the checkpoint
      for (Index r = 0; r < cell_.replicas; ++r) {
        if (trainer.status()[static_cast<std::size_t>(r)].status == TrainStatus::diverged) continue;
        const Vector now = whole_parameters(trainer, r);
        for (Index j = first_; j < first_ + size_; ++j)
          moved.push_back(now[static_cast<std::size_t>(j)] - start_.parameters()[static_cast<std::size_t>(j)]);
      }
      across_replicas(t, moved);
    }
    for (std::size_t t = 0; t < cell_.epochs.size(); ++t)
      if (cell_.epochs[t] == 0.5) number(FlatnessNumber::psi_replica) = row_[cell_.replica(t, ReplicaNumber::psi)];
    number(FlatnessNumber::psi_drift_free) = number(FlatnessNumber::psi_window) - number(FlatnessNumber::psi_replica);
  }

  void across_replicas(std::size_t time, const Vector& moved) {
    const auto d = static_cast<std::size_t>(size_);
    const std::size_t count = moved.size() / d;
    if (count < 2) return;
    const auto r = static_cast<double>(count);
    double trace = 0, displacement = 0;
    for (std::size_t j = 0; j < d; ++j) {
      double sum = 0, square = 0;
      for (std::size_t k = 0; k < count; ++k) sum += moved[k * d + j], square += moved[k * d + j] * moved[k * d + j];
      trace += (square - sum * sum / r) / (r - 1);
      displacement += sum * sum / (r * r);
    }
    row_[cell_.replica(time, ReplicaNumber::trace)] = trace;
    row_[cell_.replica(time, ReplicaNumber::displacement)] = displacement - trace / r;
    along_modes(time, moved, count);
  }

  void along_modes(std::size_t time, const Vector& moved, std::size_t count) {
    const auto d = static_cast<std::size_t>(size_), modes = mode_lines_.size();
    const auto r = static_cast<double>(count);
    const theory::LinearTraining training = layer_training(cell_);
    Vector variances(modes, kNaN), ratios;
    for (std::size_t i = 0; i < modes; ++i) {
      double sum = 0, square = 0;
      for (std::size_t k = 0; k < count; ++k) {
        double x = 0;
        for (std::size_t j = 0; j < d; ++j) x += modes_[i * d + j] * moved[k * d + j];
        sum += x, square += x * x;
      }
      const double variance = (square - sum * sum / r) / (r - 1);
      if (!(variance >= cell_.least_resolution * mode_rounding_[i] * static_cast<double>(cell_.times[time]))) {
        number(FlatnessNumber::unresolved_modes) += 1 / static_cast<double>(modes * cell_.times.size());
        continue;
      }
      variances[i] = variance;
      const theory::ShuffledMode mode{training, mode_lines_[i].curvature, mode_lines_[i].noise,
                                      cell_.training.data.train.examples, cell_.batch()};
      const double predicted = mode_variance(mode, cell_.training.train.rule.order, cell_.times[time]);
      row_[cell_.variance(time, static_cast<Index>(i))] = variances[i];
      row_[cell_.predicted(time, static_cast<Index>(i))] = predicted;
      if (predicted > 0) ratios.push_back(variances[i] / predicted);
    }
    row_[cell_.replica(time, ReplicaNumber::psi)] = -estimators::log_slope(widths_of(mode_lines_), variances);
    row_[cell_.replica(time, ReplicaNumber::variance_exponent)] =
        estimators::log_slope(of_lines(mode_lines_, &estimators::LayerLine::curvature), variances);
    if (ratios.empty()) return;
    double mean = 0;
    for (const double ratio : ratios) mean += ratio / static_cast<double>(ratios.size());
    std::nth_element(ratios.begin(), ratios.begin() + static_cast<std::ptrdiff_t>(ratios.size() / 2), ratios.end());
    row_[cell_.replica(time, ReplicaNumber::ratio)] = mean;
    row_[cell_.replica(time, ReplicaNumber::median_ratio)] = ratios[ratios.size() / 2];
  }

  const FlatnessCell& cell_;
  runtime::Backend& backend_;
  const AtCheckpoint& from_;
  double* row_;
  Index size_, first_;  // weights of the layer, and where they begin
  LayerPoint start_;
  std::unique_ptr<LayerPoint> end_;            // of the window; null until it is reached
  Vector stored_;                              // numbers at the end of the window
  std::unique_ptr<theory::Eigenbasis> basis_;  // of the Hessian at the checkpoint
  Vector modes_, mode_rounding_;
  Vector curvature_;  // of all eigenvectors, smallest first
  Lines mode_lines_;
};

}  // namespace

void measure_flatness(const FlatnessCell& cell, runtime::Backend& backend, const AtCheckpoint& from, double* row) {
  std::fill_n(row, cell.numbers(), kNaN);
  Measurement(cell, backend, from, row).run();
}

}  // namespace widelab::experiments
