// Observers of the average gradient outer product in input space.
#include <algorithm>
#include <cmath>
#include <memory>

#include "host/estimators/input_gradient.hpp"
#include "host/estimators/observer_parts.hpp"
#include "host/estimators/spectra.hpp"
#include "widelab/base/contract.hpp"

namespace widelab::estimators {
namespace {

using engine::MemberView;

constexpr engine::ObserverNeeds kParameters{.parameters = true};

/// Input gradients of all outputs at all inputs.
struct Gradients {
  Network network;
  double factor = 1;
  Index inputs = 0;
  std::shared_ptr<const std::vector<double>> points;  ///< N x d

  Gradients(const ObserverContext& context, const std::string& name)
      : network(context.network), factor(context.hidden_factor), inputs(context.gradient_count) {
    require_context(inputs > 0, name, "inputs at which gradients are taken");
    WIDELAB_REQUIRE(static_cast<Index>(context.gradient_inputs.size()) == inputs * dimension(),
                    "gradient inputs are N x d numbers");
    points = std::make_shared<const std::vector<double>>(context.gradient_inputs);
  }

  Index dimension() const { return network.shape.input_dim; }
  Index rows() const { return inputs * network.shape.outputs; }

  /// N k x d, each row over sqrt(N): G = rows^T rows.
  std::vector<double> of(const MemberView& member) const {
    std::vector<double> all;
    const double scale = 1.0 / std::sqrt(static_cast<double>(inputs));
    for (Index i = 0; i < inputs; ++i)
      for (const double g : input_gradient(network, member.parameters, factor, points->data() + i * dimension()))
        all.push_back(scale * g);
    return all;
  }
};

}  // namespace

ObserverParts agop_spectrum(const ObserverContext& context, const std::string& name) {
  const Gradients gradients(context, name);
  const Index d = gradients.dimension();
  const Index count = context.leading > 0 ? std::min(context.leading, d) : d;
  const auto measure = [gradients, d, count](const MemberView& member, std::span<double> out) {
    // Squared singular values of the gradients: no eigenvalue loses half its digits. Beyond N k, all are 0.
    std::vector<double> values = singular_values(gradients.of(member), gradients.rows(), d);
    values.resize(static_cast<std::size_t>(d), 0.0);
    for (Index i = 0; i < count; ++i) {
      const double value = values[static_cast<std::size_t>(i)];
      out[static_cast<std::size_t>(i)] = value * value;
    }
  };
  return {count, kParameters, measure, {}};
}

ObserverParts agop_alignment(const ObserverContext& context, const std::string& name) {
  const Gradients gradients(context, name);
  const Index d = gradients.dimension(), count = context.direction_count;
  require_context(count > 0, name, "teacher directions");
  WIDELAB_REQUIRE(static_cast<Index>(context.directions.size()) == count * d, "directions are A x d numbers");
  const auto directions = std::make_shared<const std::vector<double>>(context.directions);
  const auto measure = [gradients, d, count, directions](const MemberView& member, std::span<double> out) {
    const std::vector<double> rows = gradients.of(member);
    double trace = 0;
    for (const double g : rows) trace += g * g;
    for (Index a = 0; a < count; ++a) {
      const double* v = directions->data() + a * d;
      double along = 0, norm = 0;
      for (Index j = 0; j < d; ++j) norm += v[j] * v[j];
      for (Index i = 0; i < gradients.rows(); ++i) {
        double projection = 0;
        for (Index j = 0; j < d; ++j) projection += rows[static_cast<std::size_t>(i * d + j)] * v[j];
        along += projection * projection;
      }
      const double scale = norm * trace;
      out[static_cast<std::size_t>(a)] = scale == 0 ? 0.0 : along / scale;
    }
  };
  return {count, kParameters, measure, {}};
}

}  // namespace widelab::estimators
