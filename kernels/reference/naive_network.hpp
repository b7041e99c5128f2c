// One member of an ensemble on one input, in double precision and in plain loops: what the reference ops share.
#pragma once

#include <vector>

#include "widelab/base/types.hpp"
#include "widelab/model/parametrization.hpp"
#include "widelab/ops/member_weights.hpp"

namespace widelab::reference {

/// Everything that is computed on the way from x to f(x).
struct Trace {
  std::vector<std::vector<double>> input;          ///< layer l: x for l = 0, else h_l
  std::vector<std::vector<double>> preactivation;  ///< layer l: z_{l+1}; the last one is f
  std::vector<std::vector<double>> normalised;     ///< hidden layer l: LN(z_{l+1}), or z_{l+1} without LayerNorm
  std::vector<double> deviation;                   ///< hidden layer l: standard deviation of z_{l+1} over its units
  std::vector<std::vector<double>> unit_factor;    ///< hidden layer l: h = unit_factor phi; s_l, times a mask if any

  const std::vector<double>& output() const { return preactivation.back(); }
};

/// Parameters of one member in the layout of ParamLayout: copied, or drawn element by element.
/// Throws ContractError if a law that is not elementwise is to be drawn.
std::vector<double> member_parameters(const Network& network, const MemberWeights<double>& weights, Index member);

/// Runs x (d numbers) through the network. `masks`: empty, or a further factor on every feature of each hidden layer
/// (dropout).
Trace run(const Network& network, const std::vector<double>& parameters, const double* x,
          const std::vector<std::vector<double>>& masks = {});

/// (M_{L+1} std_b)^2 + (m_{L+1} std_w)^2 <h_{L,1}, h_{L,2}>.
double feature_covariance(const Network& network, const Trace& first, const Trace& second);

}  // namespace widelab::reference
