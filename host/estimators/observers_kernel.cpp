// Observers of the empirical tangent kernel.
#include <algorithm>
#include <cmath>
#include <memory>

#include "host/estimators/observer_parts.hpp"
#include "host/estimators/spectra.hpp"
#include "widelab/base/contract.hpp"

namespace widelab::estimators {
namespace {

using engine::MemberView;

constexpr engine::ObserverNeeds kNtk{.ntk = true};

Index kernel_size(const ObserverContext& context, const std::string& name) {
  require_context(context.kernel_count > 0, name, "kernel inputs");
  return context.kernel_count;
}

double frobenius(std::span<const double> a) {
  double sum = 0;
  for (const double x : a) sum += x * x;
  return std::sqrt(sum);
}

}  // namespace

ObserverParts ntk_entries(const ObserverContext& context, const std::string& name) {
  const Index n = kernel_size(context, name);
  return {n * (n + 1) / 2,
          kNtk,
          [n](const MemberView& member, std::span<double> out) {
            std::size_t at = 0;
            for (Index i = 0; i < n; ++i)
              for (Index j = i; j < n; ++j) out[at++] = member.ntk[static_cast<std::size_t>(i * n + j)];
          },
          {}};
}

ObserverParts ntk_change(const ObserverContext& context, const std::string& name) {
  kernel_size(context, name);
  return {1,
          kNtk,
          [](const MemberView& member, std::span<double> out) {
            std::vector<double> difference(member.ntk.begin(), member.ntk.end());
            for (std::size_t i = 0; i < difference.size(); ++i) difference[i] -= member.first_ntk[i];
            const double size = frobenius(member.first_ntk);
            out[0] = frobenius(difference) / (size > 0 ? size : 1.0);
          },
          {}};
}

ObserverParts ntk_spectrum(const ObserverContext& context, const std::string& name) {
  const Index n = kernel_size(context, name);
  const Index count = context.leading > 0 ? std::min(context.leading, n) : n;
  return {count,
          kNtk,
          [n, count](const MemberView& member, std::span<double> out) {
            const std::vector<double> values = symmetric_eigenvalues(member.ntk, n);
            std::copy_n(values.begin(), count, out.begin());
          },
          {}};
}

ObserverParts ntk_least_eigenvalue(const ObserverContext& context, const std::string& name) {
  const Index n = kernel_size(context, name);
  return {
      1,
      kNtk,
      [n](const MemberView& member, std::span<double> out) { out[0] = symmetric_eigenvalues(member.ntk, n).back(); },
      {}};
}

ObserverParts ntk_effective_rank(const ObserverContext& context, const std::string& name) {
  const Index n = kernel_size(context, name);
  return {2,
          kNtk,
          [n](const MemberView& member, std::span<double> out) {
            double trace = 0, squares = 0, entropy = 0;
            const std::vector<double> values = symmetric_eigenvalues(member.ntk, n);
            for (const double value : values) {
              trace += value;
              squares += value * value;
            }
            for (const double value : values) {
              const double share = value / trace;  // rounding may leave it just below 0
              if (share > 0 || std::isnan(share)) entropy -= share * std::log(share);
            }
            out[0] = squares == 0 ? 0.0 : trace * trace / squares;
            out[1] = squares == 0 ? 0.0 : std::exp(entropy);
          },
          {"participation ratio", "exponential of entropy"}};
}

ObserverParts ntk_alignment(const ObserverContext& context, const std::string& name) {
  const Index n = kernel_size(context, name), k = context.network.shape.outputs;
  require_context(!context.kernel_targets.empty(), name, "targets of the kernel inputs");
  WIDELAB_REQUIRE(static_cast<Index>(context.kernel_targets.size()) == n * k, "kernel targets are N x k numbers");
  const auto targets = std::make_shared<const std::vector<double>>(context.kernel_targets);
  return {1,
          kNtk,
          [n, k, targets](const MemberView& member, std::span<double> out) {
            double overlap = 0, norm = 0;
            for (Index i = 0; i < n; ++i)
              for (Index o = 0; o < k; ++o) {
                double row = 0;
                for (Index j = 0; j < n; ++j)
                  row +=
                      member.ntk[static_cast<std::size_t>(i * n + j)] * (*targets)[static_cast<std::size_t>(j * k + o)];
                const double y = (*targets)[static_cast<std::size_t>(i * k + o)];
                overlap += y * row;
                norm += y * y;
              }
            const double scale = frobenius(member.ntk) * norm;
            out[0] = scale == 0 ? 0.0 : overlap / scale;
          },
          {}};
}

}  // namespace widelab::estimators
