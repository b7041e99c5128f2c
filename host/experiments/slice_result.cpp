#include "host/experiments/slice_result.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "host/experiments/observables.hpp"
#include "host/experiments/sampled_experiment.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr const char* kLinear = "linear theory with the checkpoint's curvature and noise";

/// One row a network, by a function of the network.
template <class Number>
estimators::Estimate over_networks(const Samples& samples, const Number& number) {
  Samples one{samples.replicates, 1, {}};
  for (Index n = 0; n < samples.replicates; ++n) one.values.push_back(number(n));
  return one.mean(0);
}

class SliceResult {
 public:
  SliceResult(const CellGrid& grid, const SliceCell& first)
      : grid_(grid),
        bins_(static_cast<std::size_t>(first.bins)),
        temperature_(grid, "temperature", "loss", "h v: curvature times variance over replicas", kLinear, "direction",
                     2),
        ratio_(grid, "temperature_ratio", "1", "of the flat direction over the sharp one; Gibbs' law: 1", kLinear),
        variance_(grid, "variance", "1", "variance over replicas along a direction, of stored parameters", kLinear,
                  "direction", 2),
        drift_(grid, "drift", "1", "way of the replicas' mean while they were noted, in standard deviations", "none",
               "direction", 2),
        potential_(grid, "effective_potential", "T_eff", "-log P", "none", plane()),
        loss_(grid, "loss_on_plane", "T_eff", "training loss over T_eff", "none", plane()),
        noise_(grid, "noise_potential", "T_eff", "L_SGD / T_eff = -log P - L / T_eff", "none", plane()),
        effective_(grid.size(), kNaN),
        curvature_(2 * grid.size(), kNaN) {}

  void add(std::size_t c, const SliceCell& cell, const Samples& samples) {
    const auto of = [&](Index n, Index direction, SliceNumber which) {
      return samples.at(n, cell.number(direction, which));
    };
    const auto heat = [&](Index n, Index i, SliceNumber which) {
      return of(n, i, SliceNumber::curvature) * of(n, i, which);
    };
    for (Index i = 0; i < 2; ++i) {
      const auto entry = static_cast<std::size_t>(i);
      const auto mean = [&](auto number) { return over_networks(samples, number); };
      temperature_.set(c, entry, mean([&](Index n) { return heat(n, i, SliceNumber::variance); }),
                       {mean([&](Index n) { return heat(n, i, SliceNumber::linear); }).value});
      variance_.set(c, entry, samples.mean(cell.number(i, SliceNumber::variance)),
                    {samples.mean(cell.number(i, SliceNumber::linear)).value});
      drift_.set(c, entry, mean([&](Index n) {
                   return of(n, i, SliceNumber::drift) / std::sqrt(of(n, i, SliceNumber::variance));
                 }),
                 Prediction::none());
      curvature_[grid_.position(c) * 2 + entry] = samples.mean(cell.number(i, SliceNumber::curvature)).value;
    }
    const auto ratio = [&](SliceNumber which) {
      return over_networks(samples, [&](Index n) { return heat(n, 1, which) / heat(n, 0, which); });
    };
    ratio_.set(c, 0, ratio(SliceNumber::variance), {ratio(SliceNumber::linear).value});
    effective_[grid_.position(c)] =
        over_networks(samples, [&](Index n) { return heat(n, 0, SliceNumber::variance); }).value;
    add_plane(c, cell, samples);
  }

  void write(const SliceCell& first, io::Result& result) {
    io::Axis direction, sharp, flat;
    direction.name = "direction";
    direction.units = sharp.units = flat.units = "1";
    direction.description = "eigenvectors of the Hessian at the checkpoint that span the plane";
    direction.values = std::vector<std::string>{"sharp", "flat"};
    sharp.name = "sharp";
    flat.name = "flat";
    sharp.description = flat.description = "middle of a bin, in standard deviations of the replicas";
    std::vector<double> middles;
    for (Index b = 0; b < first.bins; ++b) middles.push_back(first.middle(b));
    sharp.values = flat.values = middles;
    result.axes.insert(result.axes.end(), {direction, sharp, flat});
    for (ObservableBuilder* builder : {&temperature_, &ratio_, &variance_, &drift_, &potential_, &loss_, &noise_})
      result.observables.push_back(builder->take());
    // A network is not linear: what theory leaves out is the question, not an error.
    for (const char* name : {"temperature", "variance", "temperature_ratio"}) {
      const bool scalar = std::string(name) == "temperature_ratio";
      result.extras.push_back(cell_array(
          grid_, std::string(name) + "_mean_is_exact", "0: linear theory is shown beside the measurement",
          std::vector<double>(grid_.size() * (scalar ? 1 : 2), 0.0), scalar ? "" : "direction", scalar ? 1 : 2));
    }
    result.extras.push_back(cell_array(grid_, "effective_temperature",
                                       "T_eff = h_1 v_1 of the sharp direction, mean over networks", effective_));
    result.extras.push_back(
        cell_array(grid_, "curvature", "eigenvalues of the Hessian, mean over networks", curvature_, "direction", 2));
  }

 private:
  Inner plane() const { return {{"sharp", "flat"}, {bins_, bins_}}; }

  void add_plane(std::size_t c, const SliceCell& cell, const Samples& samples) {
    std::vector<SlicePotentials> all;
    for (Index n = 0; n < samples.replicates; ++n)
      all.push_back(slice_potentials(cell, samples.values.data() + n * samples.numbers));
    for (std::size_t k = 0; k < bins_ * bins_; ++k) {
      const auto mean = [&](std::vector<double> SlicePotentials::*field) {
        return over_networks(samples, [&](Index n) { return (all[static_cast<std::size_t>(n)].*field)[k]; });
      };
      potential_.set(c, k, mean(&SlicePotentials::potential), Prediction::none());
      loss_.set(c, k, mean(&SlicePotentials::loss), Prediction::none());
      noise_.set(c, k, mean(&SlicePotentials::noise), Prediction::none());
    }
  }

  const CellGrid& grid_;
  std::size_t bins_;
  ObservableBuilder temperature_, ratio_, variance_, drift_, potential_, loss_, noise_;
  std::vector<double> effective_, curvature_;
};

}  // namespace

SlicePotentials slice_potentials(const SliceCell& cell, const double* row) {
  const double temperature = row[cell.number(0, SliceNumber::curvature)] * row[cell.number(0, SliceNumber::variance)];
  SlicePotentials out;
  double visits = 0, potential = 0, loss = 0;
  for (Index a = 0; a < cell.bins; ++a)
    for (Index b = 0; b < cell.bins; ++b) {
      const double count = row[cell.visits(a, b)];
      const bool seen = count >= kLeastVisits;
      out.potential.push_back(seen ? -std::log(count) : kNaN);
      out.loss.push_back(seen ? row[cell.loss(a, b)] / temperature : kNaN);
      if (!seen) continue;
      visits += count;
      potential += count * out.potential.back();
      loss += count * out.loss.back();
    }
  for (std::size_t k = 0; k < out.potential.size(); ++k) {
    out.potential[k] -= potential / visits;
    out.loss[k] -= loss / visits;
    out.noise.push_back(out.potential[k] - out.loss[k]);
  }
  return out;
}

io::Result summarise_slice(const RunSetup& setup, const CellReader& read) {
  const CellGrid grid(setup.sweep);
  const SliceCell first = make_slice_cell(setup, setup.sweep.cells.front());
  SliceResult collected(grid, first);
  for_each_measured<make_slice_cell>(
      setup, read, [&](std::size_t c, const auto& cell, const Samples& samples) { collected.add(c, cell, samples); });
  io::Result result;
  result.attributes = training_attributes(
      setup, first.training, "networks",
      fmt::format("; {} replicas of each checkpoint (step {}), {} steps, the first {} left out; plane of Hessian "
                  "eigenvectors 0 (sharp) and {} (flat) of the mean training loss; places about the replicas' mean "
                  "of the moment; T_eff = h v of the sharp direction; potentials up to a constant, mean over visits "
                  "0; errors: over networks",
                  first.replicas, first.training.train.steps, first.steps, first.burn_in, first.flat));
  result.attributes.push_back({"landscape", "network"});
  result.axes = grid.axes();
  collected.write(first, result);
  return result;
}

}  // namespace widelab::experiments
