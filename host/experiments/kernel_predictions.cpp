#include "host/experiments/kernel_predictions.hpp"

#include <functional>
#include <limits>

#include "host/theory/finite_width.hpp"

namespace widelab::experiments {
namespace {

KernelTriple inner_products(const KernelCell& kernel, Index i, Index j) {
  const Index d = kernel.task.network.shape.input_dim;
  const auto dot = [&](Index a, Index b) {
    double sum = 0;
    for (Index k = 0; k < d; ++k)
      sum += kernel.task.inputs[static_cast<std::size_t>(a * d + k)] *
             kernel.task.inputs[static_cast<std::size_t>(b * d + k)];
    return sum;
  };
  return {dot(i, i), dot(i, j), dot(j, j)};
}

/// Theory refuses what is outside its domain; an entry without a law is NaN.
theory::EntryMoments law_or_nan(const std::function<theory::EntryMoments()>& law) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  try {
    return law();
  } catch (const RecipeError&) {
    return {nan, nan};
  }
}

EntryLaws entry_laws(const KernelCell& kernel, const std::function<theory::EntryMoments(KernelTriple)>& one_hidden,
                     const std::function<theory::EntryMoments(double)>& diagonal) {
  EntryLaws laws;
  const bool shallow = kernel.task.network.shape.depth() == 1;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (Index i = 0; i < kernel.task.examples; ++i)
    for (Index j = i; j < kernel.task.examples; ++j) {
      theory::EntryMoments moments{nan, nan};
      if (shallow)
        moments = law_or_nan([&] { return one_hidden(inner_products(kernel, i, j)); });
      else if (i == j)
        moments = law_or_nan([&] { return diagonal(inner_products(kernel, i, i).k11); });
      laws.mean.push_back(moments.mean);
      laws.variance.push_back(moments.variance);
    }
  laws.third.assign(laws.mean.size(), nan);
  laws.fourth.assign(laws.mean.size(), nan);
  return laws;
}

theory::EntryMoments from_second(const theory::SecondMoment& m) { return {m.mean, m.second - m.mean * m.mean}; }

}  // namespace

EntryLaws exact_ntk_laws(const KernelCell& kernel) {
  const Network& network = kernel.task.network;
  EntryLaws laws = entry_laws(
      kernel, [&](KernelTriple k) { return theory::one_hidden_ntk(network, k).entry; },
      [&](double q) { return from_second(theory::deep_relu_ntk_diagonal(network, q)); });
  if (network.shape.outputs > 1)
    for (double& v : laws.variance) v = std::numeric_limits<double>::quiet_NaN();
  return laws;
}

EntryLaws exact_nngp_laws(const KernelCell& kernel) {
  const Network& network = kernel.task.network;
  EntryLaws laws = entry_laws(
      kernel, [&](KernelTriple k) { return theory::one_hidden_feature_kernel(network, k); },
      [&](double q) { return from_second(theory::deep_relu_forward_kernel(network, q).moments); });
  std::size_t diagonal = 0;
  for (Index i = 0; i < kernel.task.examples; ++i) {
    try {
      const theory::Cumulants law = theory::deep_relu_forward_cumulants(network, inner_products(kernel, i, i).k11);
      laws.third[diagonal] = law.third;
      laws.fourth[diagonal] = law.fourth;
    } catch (const RecipeError&) {
      break;  // not a deep ReLU network
    }
    diagonal += static_cast<std::size_t>(kernel.task.examples - i);
  }
  return laws;
}

}  // namespace widelab::experiments
