// Bits of curvature products that must not depend on who runs beside or on how many threads there are.
#include <gtest/gtest.h>
#include <omp.h>

#include "tests/support/hvp_case.hpp"

namespace {

using namespace widelab;
using test::HvpCase;

std::vector<test::NetworkCase> cases() {
  return {test::NetworkCase{.activation = "tanh", .widths = {37, 41}, .outputs = 2},
          test::NetworkCase{.activation = "gelu", .widths = {300, 300}, .layer_norm = true, .residual = 0.5}};
}

template <class T>
struct Results {
  std::vector<T> products;
  std::vector<double> gradient, losses;
  bool operator==(const Results&) const = default;
};

/// Members [first, first + count) of a case of seven, by `threads` threads.
template <class T>
Results<T> run(const HvpCase<T>& all, Index first, Index count, int threads) {
  HvpCase<T> some = all;
  const Index p = all.size();
  some.members = count;
  some.parameters.assign(all.parameters.begin() + first * p, all.parameters.begin() + (first + count) * p);
  some.v.assign(all.v.begin() + first * all.vectors * p, all.v.begin() + (first + count) * all.vectors * p);
  omp_set_num_threads(threads);
  cpu::hvp(some.problem());
  omp_set_num_threads(omp_get_num_procs());
  return {some.products, some.gradient, some.losses};
}

template <class T>
HvpCase<T> make(const test::NetworkCase& spec, Curvature curvature) {
  HvpCase<T> c(spec.network(), LossKind::logistic, 7, 150, 2);
  c.curvature = curvature;
  return c;
}

template <class T>
void expect_same_for_all_threads() {
  for (const test::NetworkCase& spec : cases())
    for (const Curvature curvature : test::kAllCurvatures) {
      const HvpCase<T> c = make<T>(spec, curvature);
      const Results<T> one = run(c, 0, 7, 1);
      for (const int threads : {2, 3, 8}) EXPECT_EQ(run(c, 0, 7, threads), one);  // eight share a member
    }
}

template <class T>
void expect_same_alone_and_among_others() {
  for (const test::NetworkCase& spec : cases())
    for (const Curvature curvature : test::kAllCurvatures) {
      const HvpCase<T> c = make<T>(spec, curvature);
      const Results<T> all = run(c, 0, 7, 2), alone = run(c, 4, 1, 2);
      const auto products = static_cast<std::ptrdiff_t>(alone.products.size());
      EXPECT_TRUE(std::equal(alone.products.begin(), alone.products.end(), all.products.begin() + 4 * products));
      EXPECT_TRUE(std::equal(alone.gradient.begin(), alone.gradient.end(), all.gradient.begin() + 4 * c.size()));
      EXPECT_TRUE(std::equal(alone.losses.begin(), alone.losses.end(), all.losses.begin() + 4 * c.examples));
    }
}

TEST(HvpInvariance, ThreadsChangeNoBit) {
  expect_same_for_all_threads<float>();
  expect_same_for_all_threads<double>();
}

TEST(HvpInvariance, AMemberIsTheSameAloneAndAmongOthers) {
  expect_same_alone_and_among_others<float>();
  expect_same_alone_and_among_others<double>();
}

TEST(HvpInvariance, AnotherMemberIsAnotherProduct) {
  const HvpCase<float> c = make<float>(cases()[0], Curvature::hessian);
  EXPECT_NE(run(c, 3, 1, 1), run(c, 4, 1, 1));
}

}  // namespace
