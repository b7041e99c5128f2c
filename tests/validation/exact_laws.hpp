// Every kernel entry of a network that has an exact law at finite width.
#pragma once

#include "tests/validation/ensemble.hpp"

namespace widelab::test {

/// Entries of [NTK pairs | NNGP pairs] with their exact means and variances: all of them for one hidden layer, the
/// diagonals for deep ReLU networks.
struct ExactLaws {
  std::vector<std::size_t> entries;
  std::vector<double> mean, variance;

  void add(std::size_t entry, theory::EntryMoments law) {
    entries.push_back(entry);
    mean.push_back(law.mean);
    variance.push_back(law.variance);
  }
};

inline double inner_product(const std::vector<double>& inputs, Index dimension, Index i, Index j) {
  double sum = 0;
  for (Index k = 0; k < dimension; ++k)
    sum += inputs[static_cast<std::size_t>(i * dimension + k)] * inputs[static_cast<std::size_t>(j * dimension + k)];
  return sum;
}

inline theory::EntryMoments entry_moments(theory::SecondMoment m) { return {m.mean, m.second - m.mean * m.mean}; }

inline ExactLaws exact_laws(const Network& network, const std::vector<double>& inputs) {
  const Index d = network.shape.input_dim, n = static_cast<Index>(inputs.size()) / d;
  const auto pairs = static_cast<std::size_t>(n * (n + 1) / 2);
  ExactLaws laws;
  std::size_t entry = 0;
  for_pairs(n, [&](Index i, Index j) {
    const KernelTriple x{inner_product(inputs, d, i, i), inner_product(inputs, d, i, j),
                         inner_product(inputs, d, j, j)};
    if (network.shape.depth() == 1) {
      laws.add(entry, theory::one_hidden_ntk(network, x).entry);
      laws.add(pairs + entry, theory::one_hidden_feature_kernel(network, x));
    } else if (i == j) {
      laws.add(entry, entry_moments(theory::deep_relu_ntk_diagonal(network, x.k11)));
      laws.add(pairs + entry, entry_moments(theory::deep_relu_forward_kernel(network, x.k11).moments));
    }
    ++entry;
  });
  return laws;
}

inline GroupSample chosen_entries(const GroupSample& all, const std::vector<std::size_t>& entries) {
  GroupSample out{all.groups, static_cast<Index>(entries.size()), {}, all.counts};
  for (Index g = 0; g < all.groups; ++g)
    for (const std::size_t e : entries) out.values.push_back(all.at(g, static_cast<Index>(e)));
  return out;
}

/// Means and variances of all entries that have a law, jointly against the laws of `assumed`.
inline estimators::JointVerdict judge_exact_laws(const Ensemble& ensemble, const Network& assumed) {
  const ExactLaws laws = exact_laws(assumed, ensemble.inputs);
  const auto moments = kernel_moments(ensemble, limit_pairs(assumed, ensemble.inputs), 2);
  const auto of = [&](Statistic s) { return chosen_entries(moments.group_sample(s), laws.entries); };
  return judge(side_by_side(of(Statistic::mean), of(Statistic::variance)), joined(laws.mean, laws.variance));
}

}  // namespace widelab::test
