// What a user meets when a device cannot do what was asked.
#include <gtest/gtest.h>

#include "kernels/cuda/support/device_array.hpp"
#include "tests/gpu/device_ops.hpp"
#include "widelab/base/errors.hpp"

namespace widelab {
namespace {

TEST(DeviceErrors, AWorkspaceLimitThatNothingFitsInIsAPlanError) {
  const Network network = test::NetworkCase{.widths = {600, 600}}.network();
  try {
    test::kernels<double>(test::device(), network, test::draw_ids(1), {37, 0, NtkBlocks::trace, {1000.0, 0}, false});
    FAIL() << "1000 bytes were enough";
  } catch (const PlanError& error) {
    EXPECT_NE(std::string(error.what()).find("limit"), std::string::npos) << error.what();
  }
}

TEST(DeviceErrors, AnArrayLargerThanTheDeviceIsAPlanErrorThatNamesIt) {
  const cuda::ContextHandle context = cuda::make_context(0, {});
  const double memory = cuda::description(*context).memory_bytes;
  try {
    const cuda::DeviceArray<char> array(*context, "far too large", static_cast<Index>(2 * memory));
    FAIL() << "twice the device's memory was given";
  } catch (const PlanError& error) {
    EXPECT_NE(std::string(error.what()).find("far too large"), std::string::npos) << error.what();
  }
  // The device is usable afterwards.
  const cuda::DeviceArray<char> small(*context, "small", 16);
  EXPECT_NE(small.data(), nullptr);
}

TEST(DeviceErrors, AnAbsentDeviceIsADeviceErrorAndNeverReplaced) {
  EXPECT_THROW(runtime::make_backend("cuda:4711"), DeviceError);
  EXPECT_EQ(runtime::make_backend("cuda")->info().kind, "cuda");
  EXPECT_EQ(runtime::make_backend("auto")->info().kind, "cuda");
}

TEST(DeviceErrors, WeightsOfALawThatIsNotElementwiseMustBeStored) {
  const Network network = test::NetworkCase{.law = InitKind::orthogonal}.network();
  EXPECT_THROW(test::kernels<float>(test::device(), network, test::draw_ids(1), {}), ContractError);
}

TEST(DeviceErrors, LawExactRefusesWhatItCannotIntegrateOut) {
  const Network network = test::NetworkCase{.widths = {8, 8}, .layer_norm = true}.network();
  const std::vector<DrawId> ids = test::draw_ids(1);
  const std::vector<double> x = test::normals<double>(2, 3, 1);
  std::vector<double> ntk(4);
  EXPECT_THROW(test::device().law_exact_ntk(
                   {&network, ids.data(), 1, matrix_view(x.data(), 2, 3), ntk.data(), nullptr, nullptr}),
               PlanError);
}

}  // namespace
}  // namespace widelab
