// Deep ReLU networks at one input, with and without planted faults: what the tests of their exact laws draw.
#pragma once

#include <cstdio>
#include "tests/validation/ensemble.hpp"
#include "widelab/model/param_layout.hpp"

namespace widelab::test {

/// Chance fails each test of a correct program in at most this share of choices of its seeds.
inline constexpr double kFamily = 1e-3;
inline const std::vector<double> kReluInput{0.9, -0.4, 1.3, 0.7};

/// L and n.
struct Pair {
  Index depth, width;
};
/// The faults that a test must see.
enum class Fault { none, sigma_w, bias_twice, reused_stream };

inline Network deep_relu_network(Pair pair, bool biases, Fault fault = Fault::none) {
  MlpShape shape;
  shape.input_dim = static_cast<Index>(kReluInput.size());
  shape.widths.assign(static_cast<std::size_t>(pair.depth), pair.width);
  InitChoice choice;
  choice.sigma_w = {std::sqrt(fault == Fault::sigma_w ? 2.04 : 2.0)};
  choice.sigma_b = biases ? 1.0 : 0.0;
  choice.bias_init_std = 0.0;
  Network network = make_network(shape, choice);
  if (fault == Fault::bias_twice)
    for (LayerScale& layer : network.layers) layer.bias_rate *= 2;
  return network;
}

inline double relu_input_norm() {
  double sum = 0;
  for (const double x : kReluInput) sum += x * x;
  return sum;
}

/// Theta(x, x) and the forward kernel G(x, x) of every network.
struct Samples {
  std::vector<double> ntk, forward;
};

/// Networks whose layers all take the draws of layer 1, as if the layer number had been left out of the counter.
inline Samples draw_with_reused_stream(const Network& network, Index networks, std::uint64_t seed) {
  const ParamLayout layout(network.shape);
  const std::vector<float> input(kReluInput.begin(), kReluInput.end());
  Samples out;
  constexpr Index kBatch = 1000;
  for (Index first = 0; first < networks; first += kBatch) {
    std::vector<DrawId> ids;
    for (Index r = first; r < first + kBatch; ++r) ids.push_back({seed, static_cast<std::uint32_t>(r)});
    std::vector<float> stored(static_cast<std::size_t>(kBatch * layout.size));
    cpu().init(InitProblem<float>{&network, ids.data(), kBatch, stored.data()});
    for (Index m = 0; m < kBatch; ++m) {
      float* member = stored.data() + m * layout.size;
      const float* source = member + layout.weight_offset[1];
      for (std::size_t l = 2; l < network.layers.size(); ++l)
        std::copy_n(source, network.shape.fan_in(static_cast<Index>(l)) * network.shape.fan_out(static_cast<Index>(l)),
                    member + layout.weight_offset[l]);
    }
    std::vector<double> ntk(kBatch), forward(kBatch);
    NtkProblem<float> problem;
    problem.network = &network;
    problem.weights = {kBatch, ids.data(), stored.data()};
    problem.x1 = matrix_view<const float>(input.data(), 1, network.shape.input_dim);
    problem.ntk = ntk.data();
    problem.nngp = forward.data();
    cpu().ntk(problem);
    out.ntk.insert(out.ntk.end(), ntk.begin(), ntk.end());
    out.forward.insert(out.forward.end(), forward.begin(), forward.end());
  }
  return out;
}

inline Samples draw(Pair pair, Index networks, bool biases, KernelMethod method, Fault fault = Fault::none) {
  const Network network = deep_relu_network(pair, biases, fault);
  const auto seed = static_cast<std::uint64_t>(1000 * pair.depth + pair.width + (biases ? 500000 : 0));
  if (fault == Fault::reused_stream) return draw_with_reused_stream(network, networks, seed);
  Samples out;
  draw({network, kReluInput, networks, seed, method}, [&](const engine::MemberKernels& m) {
    out.ntk.push_back(m.ntk[0]);
    out.forward.push_back(m.nngp[0]);
  });
  return out;
}

inline std::vector<double> squares(const std::vector<double>& sample) {
  std::vector<double> out;
  for (const double x : sample) out.push_back(x * x);
  return out;
}

/// Exact laws of the network without a fault.
inline theory::SecondMoment ntk_law(Pair pair, bool biases = false) {
  return theory::deep_relu_ntk_diagonal(deep_relu_network(pair, biases), relu_input_norm());
}
inline theory::ForwardKernel forward_law(Pair pair) {
  return theory::deep_relu_forward_kernel(deep_relu_network(pair, false), relu_input_norm());
}

/// z of E[Theta] and E[Theta^2] against the exact law.
struct MomentScores {
  double first = 0, second = 0;
  double largest() const { return std::max(std::abs(first), std::abs(second)); }
};

inline MomentScores moment_scores(const Samples& samples, Pair pair, bool biases) {
  const theory::SecondMoment law = ntk_law(pair, biases);
  return {skew_corrected_z(samples.ntk, law.mean), skew_corrected_z(squares(samples.ntk), law.second)};
}

/// z of mean and variance of log G over living networks (`alive` of them) against the exact law.
struct LogScores {
  double mean = 0, variance = 0;
  Index alive = 0;
  double largest() const { return std::max(std::abs(mean), std::abs(variance)); }
};

inline LogScores log_scores(const Samples& samples, Pair pair) {
  const theory::ForwardKernel law = forward_law(pair);
  std::vector<double> logs, deviations;
  for (const double g : samples.forward) {
    if (g <= 0) continue;
    logs.push_back(std::log(g));
    deviations.push_back(std::pow(logs.back() - law.log_mean, 2));
  }
  return {skew_corrected_z(logs, law.log_mean), skew_corrected_z(deviations, law.log_variance),
          static_cast<Index>(logs.size())};
}

/// E[Theta^2] / E[Theta]^2 with the exact mean, in batches of networks, ascending.
inline std::vector<double> batch_ratios(Pair pair, Index batches, Index networks) {
  const Samples samples = draw(pair, batches * networks, false, KernelMethod::law_exact);
  const double mean = ntk_law(pair).mean;
  std::vector<double> ratios;
  for (Index b = 0; b < batches; ++b) {
    double sum = 0;
    for (Index r = b * networks; r < (b + 1) * networks; ++r)
      sum += std::pow(samples.ntk[static_cast<std::size_t>(r)] / mean, 2);
    ratios.push_back(sum / static_cast<double>(networks));
  }
  std::sort(ratios.begin(), ratios.end());
  return ratios;
}

/// `falls_short`: more batches lie below the exact ratio than a fair coin explains at rate kFamily.
struct BatchVerdict {
  double median = 0;
  bool falls_short = false;
};

/// Judges the plain ratio of many batches, and prints its quartiles.
inline BatchVerdict judge_batches(Pair pair, Index batches, Index networks) {
  const double law = ntk_law(pair).ratio();
  const std::vector<double> ratios = batch_ratios(pair, batches, networks);
  const auto quartile = [&](Index k) { return ratios[static_cast<std::size_t>(batches * k / 4)]; };
  const auto below = static_cast<Index>(std::lower_bound(ratios.begin(), ratios.end(), law) - ratios.begin());
  std::printf("  L %ld, n %ld, %ld x %ld networks: quartiles %.3f %.3f %.3f, law %.3f, %ld below it\n",
              static_cast<long>(pair.depth), static_cast<long>(pair.width), static_cast<long>(batches),
              static_cast<long>(networks), quartile(1), quartile(2), quartile(3), law, static_cast<long>(below));
  return {quartile(2), below > estimators::binomial_acceptance(batches, 0.5, kFamily).second};
}

}  // namespace widelab::test
