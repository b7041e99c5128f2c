#include "widelab/ops/hvp.hpp"

#include <algorithm>
#include <vector>

#include "kernels/reference/jacobian.hpp"
#include "kernels/reference/naive_network.hpp"

namespace widelab::reference {
namespace {

using Vector = std::vector<double>;

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/// Derivatives along v of everything that Trace holds.
struct TangentTrace {
  std::vector<Vector> input, normalised;  ///< as in Trace
  Vector deviation;                       ///< hidden layer l
  Vector output;
};

/// One example's R-operator: R{q} = derivative of q along v.
class Tangent {
 public:
  Tangent(const Network& network, const Vector& parameters, const Vector& v, const Trace& trace)
      : network_(network), shape_(network.shape), layout_(shape_), parameters_(parameters), v_(v), trace_(trace) {
    forward();
  }

  const Vector& output() const { return tangent_.output; }

  /// R{gradient}, for slope = d loss/df and its own R.
  Vector backward(const Vector& slope, const Vector& slope_tangent) const {
    Vector product(static_cast<std::size_t>(layout_.size), 0.0), dz = slope, rdz = slope_tangent;
    for (Index l = shape_.depth();; --l) {
      outer_products(l, dz, rdz, product);
      if (l == 0) return product;
      // df/dh = c W^T dz, so R{df/dh} = c (V^T dz + W^T R{dz}).
      Vector g = transposed(l, parameters_, dz), rg = transposed(l, v_, dz);
      const Vector through = transposed(l, parameters_, rdz);
      for (std::size_t i = 0; i < rg.size(); ++i) rg[i] += through[i];
      through_activation(l - 1, g, rg);
      through_normalisation(l - 1, g, rg);
      for (std::size_t i = 0; shape_.is_residual(l) && i < g.size(); ++i) {
        g[i] += dz[i];
        rg[i] += rdz[i];
      }
      dz = g;
      rdz = rg;
    }
  }

 private:
  const LayerScale& scale(Index l) const { return network_.layers[static_cast<std::size_t>(l)]; }
  double branch(Index l) const { return shape_.is_residual(l) ? shape_.residual : 1.0; }

  void forward() {
    Vector rz;
    tangent_.input.emplace_back(static_cast<std::size_t>(shape_.input_dim), 0.0);
    for (Index l = 0; l < shape_.layers(); ++l) {
      Vector next = affine(l);
      for (std::size_t i = 0; shape_.is_residual(l) && i < next.size(); ++i) next[i] += rz[i];
      rz = next;
      if (l < shape_.depth()) features(l, rz);
    }
    tangent_.output = rz;
  }

  /// R{branch (m W h + M b)} = branch (m (V h + W R{h}) + M v_b).
  Vector affine(Index l) const {
    const auto at = static_cast<std::size_t>(l);
    const Index rows = shape_.fan_out(l), cols = shape_.fan_in(l);
    const Vector &h = trace_.input[at], &rh = tangent_.input[at];
    Vector out(static_cast<std::size_t>(rows));
    for (Index i = 0; i < rows; ++i) {
      double sum = 0;
      for (Index j = 0; j < cols; ++j) {
        const auto t = static_cast<std::size_t>(layout_.weight_offset[at] + i * cols + j),
                   unit = static_cast<std::size_t>(j);
        sum += v_[t] * h[unit] + parameters_[t] * rh[unit];
      }
      const double bias = v_[static_cast<std::size_t>(layout_.bias_offset[at] + i)];
      out[static_cast<std::size_t>(i)] =
          branch(l) * (scale(l).weight_multiplier * sum + scale(l).bias_multiplier * bias);
    }
    return out;
  }

  /// h = s phi(y), y = (z - mean) / sd: R{sd} = mean(y R{z}), R{y} = (R{z} - mean(R{z}) - y R{sd}) / sd.
  void features(Index l, const Vector& rz) {
    const auto at = static_cast<std::size_t>(l);
    const Vector& y = trace_.normalised[at];
    Vector ry = rz;
    double deviation_tangent = 0;
    if (shape_.layer_norm) {
      const double n = static_cast<double>(rz.size()), deviation = trace_.deviation[at];
      double mean = 0;
      for (std::size_t i = 0; i < rz.size(); ++i) {
        mean += rz[i] / n;
        deviation_tangent += y[i] * rz[i] / n;
      }
      for (std::size_t i = 0; i < rz.size(); ++i)
        ry[i] = deviation > 0 ? (rz[i] - mean - y[i] * deviation_tangent) / deviation : 0.0;
    }
    Vector rh(ry.size());
    for (std::size_t i = 0; i < ry.size(); ++i)
      rh[i] = trace_.unit_factor[at][i] * ry[i] *
              visit(shape_.activation, [v = y[i]](const auto& phi) { return phi.first(v); });
    tangent_.deviation.push_back(deviation_tangent);
    tangent_.normalised.push_back(ry);
    tangent_.input.push_back(rh);
  }

  /// branch m M^T dz, M the layer's block of `matrix`: of the parameters, or of v.
  Vector transposed(Index l, const Vector& matrix, const Vector& dz) const {
    const Index rows = shape_.fan_out(l), cols = shape_.fan_in(l);
    Vector out(static_cast<std::size_t>(cols), 0.0);
    for (Index j = 0; j < cols; ++j)
      for (Index i = 0; i < rows; ++i)
        out[static_cast<std::size_t>(j)] +=
            branch(l) * scale(l).weight_multiplier * dz[static_cast<std::size_t>(i)] *
            matrix[static_cast<std::size_t>(layout_.weight_offset[static_cast<std::size_t>(l)] + i * cols + j)];
    return out;
  }

  /// g = df/dh becomes df/dy = s phi'(y) df/dh, and rg its R.
  void through_activation(Index hidden, Vector& g, Vector& rg) const {
    const auto at = static_cast<std::size_t>(hidden);
    for (std::size_t i = 0; i < g.size(); ++i) {
      const double y = trace_.normalised[at][i], s = trace_.unit_factor[at][i];
      const double first = visit(shape_.activation, [y](const auto& phi) { return phi.first(y); });
      const double second = visit(shape_.activation, [y](const auto& phi) { return phi.second(y); });
      rg[i] = s * (first * rg[i] + second * tangent_.normalised[at][i] * g[i]);
      g[i] *= s * first;
    }
  }

  /// g = df/dy becomes df/dz = (g - mean(g) - y mean(g y)) / sd, and rg its R, by the rules of products and quotients.
  void through_normalisation(Index hidden, Vector& g, Vector& rg) const {
    if (!shape_.layer_norm) return;
    const auto at = static_cast<std::size_t>(hidden);
    const Vector &y = trace_.normalised[at], &ry = tangent_.normalised[at];
    const double n = static_cast<double>(g.size()), sd = trace_.deviation[at], rsd = tangent_.deviation[at];
    double mean = 0, along = 0, rmean = 0, ralong = 0;
    for (std::size_t i = 0; i < g.size(); ++i) {
      mean += g[i] / n;
      along += g[i] * y[i] / n;
      rmean += rg[i] / n;
      ralong += (rg[i] * y[i] + g[i] * ry[i]) / n;
    }
    for (std::size_t i = 0; i < g.size(); ++i) {
      const double dz = sd > 0 ? (g[i] - mean - y[i] * along) / sd : 0.0;
      const double numerator = rg[i] - rmean - ry[i] * along - y[i] * ralong;
      rg[i] = sd > 0 ? (numerator - dz * rsd) / sd : 0.0;
      g[i] = dz;
    }
  }

  /// R{dz h^T} = R{dz} h^T + dz R{h}^T, with the layer's multipliers.
  void outer_products(Index l, const Vector& dz, const Vector& rdz, Vector& product) const {
    const auto at = static_cast<std::size_t>(l);
    const Index cols = shape_.fan_in(l);
    for (Index i = 0; i < shape_.fan_out(l); ++i) {
      const double d = branch(l) * dz[static_cast<std::size_t>(i)], rd = branch(l) * rdz[static_cast<std::size_t>(i)];
      for (Index j = 0; j < cols; ++j) {
        const auto unit = static_cast<std::size_t>(j);
        product[static_cast<std::size_t>(layout_.weight_offset[at] + i * cols + j)] =
            scale(l).weight_multiplier * (rd * trace_.input[at][unit] + d * tangent_.input[at][unit]);
      }
      product[static_cast<std::size_t>(layout_.bias_offset[at] + i)] = scale(l).bias_multiplier * rd;
    }
  }

  const Network& network_;
  const MlpShape& shape_;
  const ParamLayout layout_;
  const Vector &parameters_, &v_;
  const Trace& trace_;
  TangentTrace tangent_;
};

/// One example of one member: its gradient and its term of each product.
class ExampleCurvature {
 public:
  ExampleCurvature(const HvpProblem<double>& problem, const Vector& parameters, Index example)
      : problem_(problem),
        parameters_(parameters),
        trace_(run(*problem.network, parameters, problem.inputs.row(example))),
        y_(problem.targets + example * outputs(), problem.targets + (example + 1) * outputs()),
        slope_(y_.size()) {
    loss_slope(problem.loss, trace_.output().data(), y_.data(), outputs(), Index{1}, slope_.data());
  }

  double loss() const { return loss_value(problem_.loss, trace_.output().data(), y_.data(), outputs()); }
  Vector gradient() const { return pullback(*problem_.network, parameters_, trace_, slope_); }

  /// `v` is 0 where parameters do not count.
  Vector product(const Vector& v) const {
    if (problem_.curvature == Curvature::gradient_moment) {
      Vector g = gradient();
      const double along = dot(g, v);
      for (double& x : g) x *= along;
      return g;
    }
    if (problem_.curvature == Curvature::gauss_newton) {
      Vector df;
      for (Index o = 0; o < outputs(); ++o)
        df.push_back(dot(jacobian_row(*problem_.network, parameters_, trace_, o), v));
      return pullback(*problem_.network, parameters_, trace_, curved(df));
    }
    const Tangent tangent(*problem_.network, parameters_, v, trace_);
    return tangent.backward(slope_, curved(tangent.output()));
  }

 private:
  Index outputs() const { return problem_.network->shape.outputs; }

  Vector curved(const Vector& df) const {
    Vector out(df.size());
    loss_curvature(problem_.loss, trace_.output().data(), y_.data(), outputs(), Index{1}, df.data(), out.data());
    return out;
  }

  const HvpProblem<double>& problem_;
  const Vector& parameters_;
  const Trace trace_;
  const Vector y_;
  Vector slope_;
};

/// sum += mask term / N.
void add_mean(const Vector& mask, const Vector& term, Index examples, double* sum) {
  for (std::size_t t = 0; t < mask.size(); ++t) sum[t] += mask[t] * term[t] / static_cast<double>(examples);
}

void run_member(const HvpProblem<double>& problem, const Vector& mask, Index member) {
  const Index size = static_cast<Index>(mask.size()), examples = problem.inputs.rows;
  const Vector parameters(problem.parameters + member * size, problem.parameters + (member + 1) * size);
  double* products = problem.products + member * problem.vectors * size;
  std::fill_n(products, problem.vectors * size, 0.0);
  if (problem.gradient) std::fill_n(problem.gradient + member * size, size, 0.0);
  for (Index i = 0; i < examples; ++i) {
    const ExampleCurvature example(problem, parameters, i);
    if (problem.losses) problem.losses[member * examples + i] = example.loss();
    if (problem.gradient) add_mean(mask, example.gradient(), examples, problem.gradient + member * size);
    for (Index k = 0; k < problem.vectors; ++k) {
      Vector v(mask.size());
      for (std::size_t t = 0; t < v.size(); ++t)
        if (mask[t] > 0) v[t] = problem.v[(member * problem.vectors + k) * size + static_cast<Index>(t)];
      add_mean(mask, example.product(v), examples, products + k * size);
    }
  }
}

}  // namespace

void hvp(const HvpProblem<double>& problem) {
  check_hvp(problem);
  const Vector mask = parameter_rates(with_unit_rates(*problem.network, problem.selection));
  for (Index e = 0; e < problem.members; ++e) run_member(problem, mask, e);
}

}  // namespace widelab::reference
