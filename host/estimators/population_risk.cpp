#include "host/estimators/population_risk.hpp"

#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "widelab/base/contract.hpp"
#include "widelab/math/gaussian_moments.hpp"
#include "widelab/math/gegenbauer.hpp"

namespace widelab::estimators {
namespace {

constexpr double kPi = 3.14159265358979323846;
// Rows of U that are at hand at once: with a thousand columns they stay in the cache.
constexpr Index kPanelRows = 128;

/// c (rows x cols) = a b^T, all row-major.
void times_transposed(Index rows, Index cols, Index inner, const double* a, Index a_stride, const double* b,
                      Index b_stride, double* c) {
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(rows), static_cast<int>(cols),
              static_cast<int>(inner), 1.0, a, static_cast<int>(a_stride), b, static_cast<int>(b_stride), 0.0, c,
              static_cast<int>(cols));
}

double dot(const double* x, const double* y, Index count) {
  double sum = 0;
  for (Index k = 0; k < count; ++k) sum += x[k] * y[k];
  return sum;
}

std::vector<double> lengths(const Units& units) {
  std::vector<double> out(static_cast<std::size_t>(units.count));
  for (Index i = 0; i < units.count; ++i) {
    const double* w = units.weights + i * units.dimension;
    out[static_cast<std::size_t>(i)] = std::sqrt(dot(w, w, units.dimension));
  }
  return out;
}

Units rows_of(const Units& units, Index first, Index count) {
  return {units.weights + first * units.dimension, count, units.dimension};
}

void check_blocks(const Units& a, const Units& b, std::span<const ProductBlock> blocks) {
  WIDELAB_REQUIRE(a.dimension == b.dimension, "features of two dimensions have no common inputs");
  for (std::size_t k = 0; k < blocks.size(); ++k)
    WIDELAB_REQUIRE(
        blocks[k].units <= a.count && blocks[k].units <= b.count && (k == 0 || blocks[k - 1].units <= blocks[k].units),
        "blocks of products must ascend, up to the number of units");
}

/// Chebyshev coefficients of a polynomial of that degree (discrete cosine transform at the roots), without what is
/// rounding at the end.
std::vector<double> chebyshev_coefficients(const ZonalSeries& series) {
  const std::size_t terms = series.coefficients.size();
  std::vector<double> values(terms), out(terms, 0.0);
  for (std::size_t k = 0; k < terms; ++k)
    values[k] = series.at(std::cos(kPi * (static_cast<double>(k) + 0.5) / static_cast<double>(terms))).value;
  double largest = 0;
  for (std::size_t m = 0; m < terms; ++m) {
    for (std::size_t k = 0; k < terms; ++k)
      out[m] += values[k] *
                std::cos(kPi * static_cast<double>(m) * (static_cast<double>(k) + 0.5) / static_cast<double>(terms));
    out[m] *= (m == 0 ? 1.0 : 2.0) / static_cast<double>(terms);
    largest = std::max(largest, std::fabs(out[m]));
  }
  while (out.size() > 1 && std::fabs(out.back()) < 1e-17 * largest) out.pop_back();
  return out;
}

double clenshaw(const std::vector<double>& c, double t) {
  double next = 0, after = 0;
  for (std::size_t m = c.size(); m-- > 1;) {
    const double here = c[m] + 2 * t * next - after;
    after = next;
    next = here;
  }
  return (c.empty() ? 0.0 : c[0]) + t * next - after;
}

/// 2 pi E[u_+ v_+] of unit variances and correlation `cosine`: sin + (pi - theta) cos.
double half_line_moment(double cosine) {
  return std::sqrt((1 - cosine) * (1 + cosine)) + (kPi - std::acos(cosine)) * cosine;
}

}  // namespace

ZonalSeries::Point ZonalSeries::at(double t) const {
  Point sum, last, here{1, 0};
  const auto d = static_cast<double>(dimension);
  for (std::size_t l = 0; l < coefficients.size(); ++l) {
    sum.value += coefficients[l] * here.value;
    sum.slope += coefficients[l] * here.slope;
    const auto [up, down] =
        dimension == 0 || l == 0 ? GegenbauerStep{} : gegenbauer_step(d, static_cast<int>(l));  // Q_1 = t at any d
    const Point next{up * t * here.value - down * last.value, up * (here.value + t * here.slope) - down * last.slope};
    last = here;
    here = next;
  }
  return sum;
}

FeatureOverlap FeatureOverlap::homogeneous(double a, double b) {
  FeatureOverlap out;
  out.squares_ = a * a + b * b;
  out.product_ = 2 * a * b;
  return out;
}

std::optional<FeatureOverlap> FeatureOverlap::homogeneous(const Activation& activation) {
  return visit(activation, [](const auto& f) -> std::optional<FeatureOverlap> {
    using F = std::decay_t<decltype(f)>;
    if constexpr (std::is_same_v<F, Relu>) return homogeneous(0, 1);
    if constexpr (std::is_same_v<F, AbRelu>) return homogeneous(f.a, f.b);
    return std::nullopt;
  });
}

FeatureOverlap FeatureOverlap::zonal(const ZonalSeries& series) {
  FeatureOverlap out;
  out.form_ = Form::zonal;
  out.chebyshev_ = chebyshev_coefficients(series);
  return out;
}

FeatureOverlap FeatureOverlap::gaussian(const Activation& activation) {
  FeatureOverlap out;
  out.form_ = Form::gaussian;
  out.activation_ = activation;
  return out;
}

void FeatureOverlap::apply(double norm_a, double norm_b, double* product) const {
  if (form_ == Form::gaussian) {
    *product = dual_moments(activation_, {norm_a * norm_a, *product, norm_b * norm_b}).value;
    return;
  }
  const double scale = norm_a * norm_b, cosine = scale > 0 ? std::clamp(*product / scale, -1.0, 1.0) : 0.0;
  if (form_ == Form::zonal) {
    *product = clenshaw(chebyshev_, cosine);
    return;
  }
  double sum = squares_ * half_line_moment(cosine);
  if (product_ != 0) sum -= product_ * half_line_moment(-cosine);
  *product = scale * sum / (2 * kPi);
}

void FeatureOverlap::panel(const Units& a, const Units& b, double* out) const {
  const Index d = a.dimension;
  times_transposed(a.count, b.count, d, a.weights, d, b.weights, d, out);
  const std::vector<double> norm_a = lengths(a), norm_b = lengths(b);
  const double root = std::sqrt(static_cast<double>(d));
  for (Index i = 0; i < a.count; ++i)
    for (Index j = 0; j < b.count; ++j) {
      double& entry = out[i * b.count + j];
      entry /= static_cast<double>(d);
      apply(norm_a[static_cast<std::size_t>(i)] / root, norm_b[static_cast<std::size_t>(j)] / root, &entry);
    }
}

void random_feature_products(const FeatureOverlap& overlap, const Units& a, const Units& b,
                             std::span<const ProductBlock> blocks) {
  check_blocks(a, b, blocks);
  if (blocks.empty()) return;
  const Index most = blocks.back().units;
  std::vector<double> panel(static_cast<std::size_t>(std::min(kPanelRows, most) * most)), image;
  for (const ProductBlock& block : blocks) std::fill_n(block.out, block.groups * block.left * block.right, 0.0);
  for (Index first = 0; first < most; first += kPanelRows) {
    overlap.panel(rows_of(a, first, std::min(kPanelRows, most - first)), rows_of(b, 0, most), panel.data());
    for (const ProductBlock& block : blocks) {
      const Index rows = std::min(kPanelRows, block.units - first), vectors = block.groups * block.right;
      if (rows <= 0) continue;
      // The image b -> U b of these rows, vectors x rows: then a product is a scalar product of contiguous numbers.
      image.resize(static_cast<std::size_t>(vectors * rows));
      times_transposed(vectors, rows, block.units, block.b, block.units, panel.data(), most, image.data());
      for (Index g = 0; g < block.groups; ++g)
        for (Index l = 0; l < block.left; ++l)
          for (Index r = 0; r < block.right; ++r)
            block.out[(g * block.left + l) * block.right + r] +=
                dot(block.a + (g * block.left + l) * block.units + first, image.data() + (g * block.right + r) * rows,
                    rows);
    }
  }
}

namespace {

std::vector<double> directions(const Units& units) {
  const std::vector<double> norm = lengths(units);
  std::vector<double> out(units.weights, units.weights + units.count * units.dimension);
  for (Index i = 0; i < units.count; ++i)
    for (Index c = 0; c < units.dimension; ++c)
      out[static_cast<std::size_t>(i * units.dimension + c)] /= norm[static_cast<std::size_t>(i)];
  return out;
}

/// (pi - theta) / (2 pi) and 1 / (2 pi sin theta), 0 where the directions are parallel: with it the second term of
/// E[x x^T 1_i 1_j] is (a b^T + b a^T - cos (a a^T + b b^T)) / (2 pi sin), a and b the two directions.
struct Wedge {
  double share, slant;
};

Wedge wedge(double cosine) {
  cosine = std::clamp(cosine, -1.0, 1.0);
  const double sine = std::sqrt((1 - cosine) * (1 + cosine));
  return {(kPi - std::acos(cosine)) / (2 * kPi), sine > 1e-7 ? 1 / (2 * kPi * sine) : 0.0};
}

/// The rows `first` .. of tangent products, block by block; vectors lie as units x d.
class TangentPanel {
 public:
  TangentPanel(std::vector<double> a, std::vector<double> b, Index dimension)
      : a_(std::move(a)), b_(std::move(b)), d_(dimension) {}

  void set_rows(Index first, Index rows, Index columns) {
    first_ = first;
    std::vector<double> cosines(static_cast<std::size_t>(rows * columns));
    times_transposed(rows, columns, d_, a_.data() + first * d_, d_, b_.data(), d_, cosines.data());
    cosines_ = std::move(cosines);
    wedges_.clear();
    for (const double c : cosines_) wedges_.push_back(wedge(c));
    columns_ = columns;
  }

  void add(const ProductBlock& block, Index rows) {
    const Index size = block.units * d_, area = rows * block.units;
    right_.resize(static_cast<std::size_t>(block.right * area));
    left_.resize(static_cast<std::size_t>(area));
    mixed_.resize(static_cast<std::size_t>(area));
    for (Index g = 0; g < block.groups; ++g) {
      const double* b = block.b + g * block.right * size;
      for (Index r = 0; r < block.right; ++r)  // <a_i, t_j>
        times_transposed(rows, block.units, d_, a_.data() + first_ * d_, d_, b + r * size, d_,
                         right_.data() + r * area);
      for (Index l = 0; l < block.left; ++l) {
        const double* from = block.a + (g * block.left + l) * size + first_ * d_;
        times_transposed(rows, block.units, d_, from, d_, b_.data(), d_, left_.data());  // <r_i, b_j>
        for (Index r = 0; r < block.right; ++r) {
          times_transposed(rows, block.units, d_, from, d_, b + r * size, d_, mixed_.data());  // <r_i, t_j>
          block.out[(g * block.left + l) * block.right + r] +=
              sum(rows, block.units, from, b + r * size, right_.data() + r * area);
        }
      }
    }
  }

 private:
  double sum(Index rows, Index columns, const double* r, const double* t, const double* along_a) const {
    std::vector<double> own(static_cast<std::size_t>(columns));  // <t_j, b_j>
    for (Index j = 0; j < columns; ++j) own[static_cast<std::size_t>(j)] = dot(t + j * d_, b_.data() + j * d_, d_);
    double total = 0;
    for (Index i = 0; i < rows; ++i) {
      const double here = dot(r + i * d_, a_.data() + (first_ + i) * d_, d_);  // <r_i, a_i>
      for (Index j = 0; j < columns; ++j) {
        const std::size_t at = static_cast<std::size_t>(i * columns_ + j);
        const Index k = i * columns + j;
        const double there = own[static_cast<std::size_t>(j)], left = left_[static_cast<std::size_t>(k)];
        const double slanted = here * there + left * along_a[k] - cosines_[at] * (here * along_a[k] + left * there);
        total += wedges_[at].share * mixed_[static_cast<std::size_t>(k)] + wedges_[at].slant * slanted;
      }
    }
    return total;
  }

  std::vector<double> a_, b_, cosines_, left_, right_, mixed_;
  std::vector<Wedge> wedges_;
  Index d_, first_ = 0, columns_ = 0;
};

}  // namespace

void tangent_feature_products(const Units& a, const Units& b, std::span<const ProductBlock> blocks) {
  check_blocks(a, b, blocks);
  if (blocks.empty()) return;
  const Index most = blocks.back().units;
  for (const ProductBlock& block : blocks) std::fill_n(block.out, block.groups * block.left * block.right, 0.0);
  TangentPanel panel(directions(a), directions(b), a.dimension);
  for (Index first = 0; first < most; first += kPanelRows) {
    panel.set_rows(first, std::min(kPanelRows, most - first), most);
    for (const ProductBlock& block : blocks)
      if (block.units > first) panel.add(block, std::min(kPanelRows, block.units - first));
  }
}

void random_feature_target(const Units& units, const ZonalSeries& profile, double* out) {
  const std::vector<double> norm = lengths(units);
  const double root = std::sqrt(static_cast<double>(units.dimension));
  for (Index i = 0; i < units.count; ++i) {
    const double length = norm[static_cast<std::size_t>(i)];
    out[i] = length > 0 ? length / root * profile.at(units.weights[i * units.dimension] / length).value : 0.0;
  }
}

void gaussian_feature_target(const Units& units, const Activation& activation, const std::vector<double>& amplitudes,
                             double* out) {
  const std::vector<double> norm = lengths(units);
  for (Index i = 0; i < units.count; ++i) {
    const double length = norm[static_cast<std::size_t>(i)];
    ZonalSeries series;
    series.coefficients = hermite_coefficients(activation, length * length / static_cast<double>(units.dimension),
                                               static_cast<int>(amplitudes.size()) - 1);
    for (std::size_t l = 0; l < amplitudes.size(); ++l) series.coefficients[l] *= amplitudes[l];
    out[i] = series.at(length > 0 ? units.weights[i * units.dimension] / length : 0.0).value;
  }
}

void tangent_feature_target(const Units& units, const ZonalSeries& profile, double* out) {
  const Index d = units.dimension;
  const std::vector<double> direction = directions(units);
  for (Index i = 0; i < units.count; ++i) {
    const double* w = direction.data() + i * d;
    // grad |w| G(c), c = <u, w> / |w|, is w (G - c G') + u G' with w brought to length 1.
    const ZonalSeries::Point point = profile.at(w[0]);
    for (Index c = 0; c < d; ++c) out[i * d + c] = w[c] * (point.value - w[0] * point.slope);
    out[i * d] += point.slope;
  }
}

}  // namespace widelab::estimators
