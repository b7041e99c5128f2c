// Does the deterministic equivalent predict regression on real data? Learning curves of kernel and random-feature
// regression on a pool of examples, beside the equivalent fed with the eigen-system of the kernel on that pool.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "host/experiments/experiments.hpp"
#include "host/experiments/observables.hpp"
#include "host/experiments/pool_cell.hpp"
#include "host/experiments/recipe_data.hpp"
#include "host/experiments/recipe_model.hpp"
#include "host/experiments/recipe_seeds.hpp"
#include "host/experiments/recipe_target.hpp"
#include "host/experiments/sampled_experiment.hpp"

namespace widelab::experiments {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr const char* kTheory =
    "deterministic equivalent with the eigen-system of the kernel on the pool (Defilippis, Loureiro and Misiakiewicz "
    "2024)";

class PoolResult {
 public:
  PoolResult(const CellGrid& grid, const PoolCell& first)
      : grid_(grid),
        size_(first.kind == PoolCell::Kind::kernel ? "examples" : "features"),
        count_(first.sizes.size()),
        test_(grid, "test", "1", "mean over the pool of |f - y|^2, summed over outputs", kTheory, size_, count_),
        train_(grid, "train", "1", "mean over the training set of |f - y|^2", kTheory, size_, count_),
        error_(grid, "test_error", "1", "share of the pool in a wrong class", "none", size_, count_),
        condition_(grid.size() * count_, kNaN),
        nu_(grid.size() * count_, kNaN) {}

  void add(std::size_t c, const PoolCell& cell, const Samples& samples) {
    const PoolPrediction prediction(cell);
    for (std::size_t s = 0; s < count_; ++s) {
      const theory::RegressionRisk risk = prediction.at(s);
      const auto mean = [&](PoolNumber which) { return samples.mean(cell.number(s, which)); };
      test_.set(c, s, mean(PoolNumber::test), {risk.excess});
      train_.set(c, s, mean(PoolNumber::train), {risk.train});
      error_.set(c, s, mean(PoolNumber::error), Prediction::none());
      double worst = 0;
      for (Index r = 0; r < samples.replicates; ++r)
        worst = std::max(worst, samples.at(r, cell.number(s, PoolNumber::condition)));
      condition_[grid_.position(c) * count_ + s] = worst;
      nu_[grid_.position(c) * count_ + s] = risk.nu2;
    }
  }

  void write(const PoolCell& first, io::Result& result) {
    io::Axis sizes;
    sizes.name = size_;
    sizes.units = "1";
    sizes.description = size_ == "examples" ? "training examples n" : "random features N";
    sizes.values = std::vector<double>(first.sizes.begin(), first.sizes.end());
    result.axes.push_back(sizes);
    for (ObservableBuilder* builder : {&test_, &train_, &error_}) {
      result.observables.push_back(builder->take());
      const io::Observable& observable = result.observables.back();
      if (builder != &error_)
        result.extras.push_back(cell_array(grid_, observable.name + "_mean_is_exact",
                                           "0: no theorem says that the equivalent holds for this data; it is shown "
                                           "beside the measurement",
                                           std::vector<double>(observable.mean.size(), 0.0), size_, count_));
    }
    result.extras.push_back(cell_array(grid_, "effective_ridge",
                                       "nu: half of an eigenvector of that eigenvalue is learned", nu_, size_, count_));
    result.extras.push_back(
        cell_array(grid_, "condition", "worst condition of a matrix that was factored", condition_, size_, count_));
  }

 private:
  const CellGrid& grid_;
  std::string size_;
  std::size_t count_;
  ObservableBuilder test_, train_, error_;
  std::vector<double> condition_, nu_;
};

class PoolRegression : public Experiment {
 public:
  std::string question() const override {
    return "Does the deterministic equivalent predict the learning curves of regression on real data?";
  }

  io::Schema schema() const override {
    io::Schema schema = io::make_schema(
        "pool-regression",
        question() +
            "\nTraining sets are drawn with replacement from a pool of data.examples, and tested on all of it, beside "
            "the equivalent fed with the eigen-system of the infinitely wide network's kernel on the pool.",
        {pool_keys(), data_keys(1000, 20), target_keys("linear", 0), model_keys(), seed_keys(20)});
    schema.example_sweep = {{"kernel", "[\"nngp\", \"ntk\"]"}};
    return schema;
  }

  CellPlan plan(const RunSetup& setup, const io::Cell& cell) const override {
    return plan_pool_cell(make_pool_cell(setup, cell), cell.name);
  }

  std::unique_ptr<engine::SegmentedJob> make_job(const RunSetup& setup, const io::Cell& cell,
                                                 runtime::Backend& backend) const override {
    return std::make_unique<SampleJob>(pool_task(make_pool_cell(setup, cell), curve_solver(backend)), cell);
  }

  io::Result summarise(const RunSetup& setup, const CellReader& read) const override {
    const CellGrid grid(setup.sweep);
    const PoolCell first = make_pool_cell(setup, setup.sweep.cells.front());
    PoolResult collected(grid, first);
    for_each_measured<make_pool_cell>(
        setup, read, [&](std::size_t c, const auto& cell, const Samples& samples) { collected.add(c, cell, samples); });
    io::Result result;
    const std::string what = first.kind == PoolCell::Kind::kernel
                                 ? "kernel ridge regression"
                                 : fmt::format("random features, n = {}", first.examples);
    result.attributes = {{"experiment", "pool-regression"},
                         {"counted", "replicates"},
                         {"title", what + ", " + describe_network(*setup.recipe)},
                         {"data", first.pool.description},
                         {"conventions",
                          "population: the pool, every example equally likely; training sets drawn from it with "
                          "replacement; risk: exact "
                          "mean over the pool, summed over outputs, training examples included; ridge as a sum; "
                          "errors: over replicates"}};
    result.axes = grid.axes();
    collected.write(first, result);
    return result;
  }
};

}  // namespace

const Experiment& pool_regression() {
  static const PoolRegression experiment;
  return experiment;
}

}  // namespace widelab::experiments
