// Weights and batches on their way out and back, and what of a task cannot go that way.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "host/data/npy_file.hpp"
#include "host/engine/export.hpp"
#include "host/experiments/member_files.hpp"
#include "tests/support/command.hpp"
#include "tests/support/training_task.hpp"
#include "widelab/base/errors.hpp"
#include "widelab/model/param_layout.hpp"

namespace {

using namespace widelab;
using engine::Trainer;
using test::cpu_backend;

class Export : public ::testing::Test {
 protected:
  test::TempFolder temp_;
  std::filesystem::path folder_ = temp_.path();
};

TEST_F(Export, AnOrderThatWentOutAndCameBackIsTheSameRun) {
  for (const OrderKind kind : {OrderKind::iid, OrderKind::fresh, OrderKind::epochs, OrderKind::fixed}) {
    test::TrainingCase from;
    from.order = kind;
    from.members = 1;
    engine::TrainTask task = test::training_task(from);
    Trainer first(cpu_backend(), task);
    first.run_to(9);
    const std::vector<std::int64_t> rows = engine::minibatch_order(task, 0, 9);
    data::write_npy(folder_ / "order.npy", {9, from.batch}, rows);
    experiments::read_order(folder_ / "order.npy", task.datasets[0]);
    EXPECT_EQ(std::vector<std::int64_t>(task.datasets[0].order.begin(), task.datasets[0].order.end()), rows);
    task.rule.order = OrderKind::file;
    EXPECT_EQ(engine::minibatch_order(task, 0, 9), rows);
    EXPECT_THROW(engine::minibatch_order(task, 0, 10), RecipeError);
    Trainer second(cpu_backend(), task);
    second.run_to(9);
    EXPECT_EQ(second.parameters(0), first.parameters(0));
  }
}

TEST_F(Export, ATableThatIsNoOrderIsRefusedByEntry) {
  engine::TrainSet set;
  set.examples = 5;
  for (const double bad : {-1.0, 5.0, 1.5, std::nan("")}) {
    try {
      engine::set_order(set, {0, 1, 4, bad}, 2, "order.npy");
      FAIL() << bad;
    } catch (const DataError& error) {
      EXPECT_NE(std::string(error.what()).find("entry 1 of step 1"), std::string::npos) << error.what();
    }
  }
  EXPECT_THROW(engine::set_order(set, {0, 1, 2}, 2, "order.npy"), DataError);
  EXPECT_THROW(engine::set_order(set, {}, 2, "order.npy"), DataError);
  EXPECT_TRUE(set.order.empty());
}

TEST_F(Export, WeightsKeepTheirPrecisionAndStartANetwork) {
  for (const Precision precision : {Precision::fp32, Precision::fp64}) {
    test::TrainingCase from;
    from.precision = precision;
    from.engine = precision == Precision::fp32 ? TrainEngine::gemm : TrainEngine::reference;
    engine::TrainTask task = test::training_task(from);
    Trainer trainer(cpu_backend(), task);
    trainer.run_to(3);
    experiments::write_weights(folder_ / "w.npy", trainer, {2, 0});
    const data::ArrayFile file = data::read_npy(folder_ / "w.npy");
    const Index size = ParamLayout(task.network.shape).size;
    EXPECT_EQ(file.shape, (std::vector<Index>{2, size}));
    EXPECT_EQ(file.type, precision == Precision::fp32 ? data::ElementType::f32 : data::ElementType::f64);
    std::vector<double> rows(static_cast<std::size_t>(2 * size));
    for (const Index row : {Index(0), Index(1)}) file.copy_row(row, rows.data() + row * size);
    EXPECT_EQ(rows, engine::stacked_parameters(trainer, {2, 0}));
    for (LayerScale& layer : task.network.layers) layer.weight_law = InitKind::file;
    task.file_weights = std::make_shared<const std::vector<double>>(rows);
    task.members.resize(2);
    const Trainer again(cpu_backend(), task);
    EXPECT_EQ(again.parameters(0), trainer.parameters(2));
    EXPECT_EQ(again.start(1), trainer.parameters(0));
    task.members[1].ids.init.replicate = 2;
    EXPECT_THROW(Trainer(cpu_backend(), task), DataError);
  }
}

TEST_F(Export, TheDescriptionHoldsTheNumbersOfTheUpdate) {
  test::TrainingCase from;
  from.optimiser = OptimiserKind::nesterov;
  engine::TrainTask task = test::training_task(from);
  task.rule.schedule.warmup = 3;
  const auto json = nlohmann::json::parse(engine::replay_description(task, 1, 5));
  EXPECT_EQ(json.at("widths").get<std::vector<Index>>(), task.network.shape.widths);
  EXPECT_EQ(json.at("layers").size(), 3u);
  EXPECT_EQ(json.at("layers")[1].at("weight_multiplier").get<double>(), task.network.layers[1].weight_multiplier);
  EXPECT_EQ(json.at("factor").get<double>(), 1.0 / static_cast<double>(task.members[1].batch));
  EXPECT_EQ(json.at("momentum").get<double>(), 0.9);
  EXPECT_TRUE(json.at("nesterov").get<bool>());
  ASSERT_EQ(json.at("learning_rates").size(), 5u);
  EXPECT_EQ(json.at("learning_rates")[1].get<double>(), 0.5 * task.members[1].learning_rate);
}

TEST_F(Export, WhatCannotBeReplayedIsRefused) {
  const engine::TrainTask good = test::training_task({});
  std::vector<engine::TrainTask> bad(6, good);
  bad[0].rule.update.kind = OptimiserKind::adam;
  bad[1].rule.dropout_keep = 0.5;
  bad[2].members[0].label_noise = 0.1;
  bad[3].network.shape.activation = parse_activation("gelu");
  bad[4].rule.loss = LossKind::hinge;
  bad[5].network.shape.layer_norm = true;
  EXPECT_NO_THROW(engine::replay_description(good, 0, 2));
  for (const engine::TrainTask& task : bad) EXPECT_THROW(engine::replay_description(task, 0, 2), RecipeError);
  engine::TrainTask online = good;
  online.rule.order = OrderKind::online;
  EXPECT_THROW(engine::minibatch_order(online, 0, 2), RecipeError);
}

}  // namespace
