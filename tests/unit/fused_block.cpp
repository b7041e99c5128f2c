// The index maps of the device's Block, run for every worker in turn: each element of a product is handed out once,
// with the bits that base/block.hpp promises, whatever the number of workers.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cuda/fused/fused_plan.hpp"
#include "kernels/shared/fused_setup.hpp"
#include "tests/support/random_problem.hpp"

namespace widelab::cuda {
namespace {

/// A team of which one member speaks at a time; nobody waits.
struct OneOf {
  int rank_, size_;
  int rank() const { return rank_; }
  int size() const { return size_; }
  void sync() const {}
};

float product_term(float a, float b, float c) { return std::fmaf(a, b, c); }
double product_term(double a, double b, double c) { return std::fma(a, b, c); }

/// c(i, j) as the contract of Block::matmul says.
template <class T>
T element(const StridedView<const T>& a, const StridedView<const T>& b, Index inner, Index i, Index j) {
  T c = 0;
  for (Index q = 0; q < inner; ++q) c = product_term(a(i, q), b(q, j), c);
  return c;
}

template <class T>
void expect_every_element_once(Index rows, Index cols, Index inner, bool transpose_a, bool transpose_b, int workers) {
  const std::vector<T> a_data = test::normals<T>(rows, inner, 1), b_data = test::normals<T>(inner, cols, 2);
  const StridedView<const T> a =
      transpose_a ? StridedView<const T>{a_data.data(), 1, rows} : StridedView<const T>{a_data.data(), inner, 1};
  const StridedView<const T> b =
      transpose_b ? StridedView<const T>{b_data.data(), 1, inner} : StridedView<const T>{b_data.data(), cols, 1};
  std::vector<int> visits(static_cast<std::size_t>(rows * cols), 0);
  std::vector<T> scratch(static_cast<std::size_t>(block_scratch(workers)));
  Index wrong = 0, misplaced = 0;
  for (int rank = 0; rank < workers; ++rank) {
    TileBlock<T, OneOf> block({rank, workers}, scratch.data());
    block.matmul(rows, cols, inner, a, b, [&](Index i, Index j, Index count, const T* c) {
      misplaced += j % 4 != 0 || j + count > cols || count < 1 || i >= rows;
      for (Index e = 0; e < count; ++e) {
        ++visits[static_cast<std::size_t>(i * cols + j + e)];
        wrong += c[e] != element(a, b, inner, i, j + e);
      }
    });
  }
  const std::string label = std::to_string(rows) + " x " + std::to_string(cols) + " x " + std::to_string(inner) +
                            ", workers " + std::to_string(workers);
  EXPECT_EQ(wrong, 0) << label;
  EXPECT_EQ(misplaced, 0) << label;
  EXPECT_EQ(std::count(visits.begin(), visits.end(), 1), rows * cols) << label;
}

TEST(FusedBlock, ProductsHaveTheContractsBitsForAnyNumberOfWorkers) {
  for (const int workers : {1, 5, 32, 64, 256})
    for (const Index rows : {1, 3, 4, 17, 37})
      for (const Index cols : {1, 4, 6, 16, 33})
        for (const Index inner : {1, 5, 31})
          for (const bool transposed : {false, true}) {
            expect_every_element_once<float>(rows, cols, inner, transposed, !transposed, workers);
            expect_every_element_once<double>(rows, cols, inner, transposed, transposed, workers);
          }
}

/// The sum as the contract says, lane by lane.
template <class T>
T contract_sum(const std::vector<T>& values) {
  std::vector<T> lanes(32, T(0));
  for (std::size_t i = 0; i < values.size(); ++i) lanes[i % 32] += values[i];
  for (std::size_t step = 16; step > 0; step /= 2)
    for (std::size_t j = 0; j < step; ++j) lanes[j] += lanes[j + step];
  return lanes[0];
}

template <class T>
void expect_contract_sum(Index count, int workers) {
  const std::vector<T> values = test::normals<T>(1, count, 3);
  std::vector<T> lanes(kSumLanes);
  for (int rank = 0; rank < workers; ++rank)
    for (Index lane = rank; lane < kSumLanes; lane += workers)
      lanes[static_cast<std::size_t>(lane)] =
          lane_sum<T>(lane, count, [&](Index i) { return values[static_cast<std::size_t>(i)]; });
  EXPECT_EQ(halving_sum(lanes.data()), contract_sum(values)) << count << " values, " << workers << " workers";
}

TEST(FusedBlock, SumsHaveTheContractsBitsForAnyNumberOfWorkers) {
  for (const int workers : {1, 7, 32, 128})
    for (const Index count : {1, 31, 32, 33, 100, 1000}) {
      expect_contract_sum<float>(count, workers);
      expect_contract_sum<double>(count, workers);
    }
}

TEST(FusedBlock, AnotherOrderOfAdditionIsSeen) {
  const std::vector<float> values = test::normals<float>(1, 1000, 3);
  float in_turn = 0;
  for (const float v : values) in_turn += v;
  EXPECT_NE(in_turn, contract_sum(values));
}

MlpShape shape_of(std::vector<Index> widths, Index input_dim) {
  MlpShape shape;
  shape.input_dim = input_dim;
  shape.widths = std::move(widths);
  return shape;
}

TEST(FusedPlan, ThreadsFollowTheLargestProduct) {
  EXPECT_EQ(fused_threads(shape_of({16, 16}, 3), 16), 64);
  EXPECT_EQ(fused_threads(shape_of({64, 64}, 16), 32), 128);
  EXPECT_EQ(fused_threads(shape_of({16, 128}, 16), 32), 256);
  EXPECT_EQ(fused_threads(shape_of({4096}, 16), 256), 256);
}

TEST(FusedPlan, PiecesOfSharedMemoryDoNotOverlap) {
  MlpShape shape = shape_of({13, 7}, 5);
  shape.layer_norm = true;
  const FusedNetworkArrays<float> network(make_network(shape, {}));
  for (const int moments : {0, 1, 2})
    for (const bool displacement : {false, true}) {
      const SharedLayout at = shared_layout(network.numbers, 9, 64, moments, displacement);
      const Index parameters = network.numbers.parameters;
      EXPECT_GE(at.parameters, block_scratch(64));
      EXPECT_GE(at.displacement, at.parameters + parameters);
      EXPECT_GE(at.moments, at.displacement + (displacement ? parameters : 0));
      EXPECT_GE(at.workspace, at.moments + moments * parameters);
      EXPECT_EQ(at.size, at.workspace + fused_workspace(network.numbers, 9).size);
      for (const Index piece : {at.parameters, at.displacement, at.moments, at.workspace}) EXPECT_EQ(piece % 16, 0);
    }
}

/// Bytes of shared memory that a member takes.
double shared_bytes(const MlpShape& shape, Index batch, int moments) {
  const FusedNetworkArrays<float> network(make_network(shape, {}));
  return 4.0 *
         static_cast<double>(shared_layout(network.numbers, batch, fused_threads(shape, batch), moments, false).size);
}

TEST(FusedPlan, WhatThePlanSaysFitsFits) {
  // The planner's bytes include those that the block needs for itself.
  for (const Index width : {1, 2, 16, 64, 100, 160, 200})
    for (const Index dim : {1, 3, 50, 784})
      for (const Index batch : {1, 16, 50, 64}) {
        const MlpShape shape = shape_of({width, width}, dim);
        TrainWorkload work;
        work.batch = batch;
        work.moments = 1;
        work.on_gpu = true;
        if (make_train_plan(shape, work, {}).engine != TrainEngine::fused) continue;
        EXPECT_LE(shared_bytes(shape, batch, 1), kHopperSharedBytes) << width << " " << dim << " " << batch;
      }
}

TEST(FusedPlan, AMemberBeyondABlocksMemoryIsAPlanErrorWithTheInequality) {
  const MlpShape shape = shape_of({300, 300}, 10);
  const double bytes = shared_bytes(shape, 32, 0);
  try {
    fused_bucket(shape, 32, bytes, kHopperSharedBytes);
    FAIL() << "300 x 300 weights fitted in 227 KB";
  } catch (const PlanError& error) {
    EXPECT_NE(std::string(error.what()).find(" > 232448"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("gemm"), std::string::npos) << error.what();
  }
}

TEST(FusedPlan, SmallMembersShareAMultiprocessor) {
  const MlpShape small = shape_of({32, 32}, 16), large = shape_of({128}, 16);
  const FusedBucket one = fused_bucket(small, 32, shared_bytes(small, 32, 0), kHopperSharedBytes);
  const FusedBucket other = fused_bucket(large, 32, shared_bytes(large, 32, 0), kHopperSharedBytes);
  EXPECT_GE(one.resident, 4);
  EXPECT_GE(other.resident, 1);
  EXPECT_GT(one.resident, other.resident);
  EXPECT_EQ(blocks_per_multiprocessor(kHopperSharedBytes, 256), 1);
  EXPECT_EQ(blocks_per_multiprocessor(100, 64), 4);
}

TEST(FusedPlan, LaunchesStayShort) {
  EXPECT_EQ(steps_per_launch(1e12, 1000, 132), 1);
  EXPECT_NEAR(static_cast<double>(steps_per_launch(0, 1, 132)), 0.25 / 5e-6, 1);
  Index last = kMostFusedSteps;
  for (const Index members : {1, 100, 1000, 10000, 1000000}) {
    const Index steps = steps_per_launch(1e6, members, 528);
    EXPECT_LE(steps, last);
    EXPECT_GE(steps, 1);
    last = steps;
  }
}

TEST(FusedPlan, MembersAtOnceFitTheLimit) {
  EXPECT_EQ(members_at_once(1e6, 50, 1e9), 50);
  EXPECT_EQ(members_at_once(1e6, 5000, 1e9), 1000);
  EXPECT_THROW(members_at_once(2e9, 1, 1e9), PlanError);
}

}  // namespace
}  // namespace widelab::cuda
