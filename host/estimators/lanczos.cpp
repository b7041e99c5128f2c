#include "host/estimators/lanczos.hpp"

#include <cblas.h>
#include <lapacke.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "widelab/base/contract.hpp"
#include "widelab/rng/normal.hpp"

namespace widelab::estimators {
namespace {

/// What is left of A q, relative to |A q|, when all of it was rounding.
constexpr double kBreakdown = 1e-14;

double norm(const double* v, Index n) { return cblas_dnrm2(static_cast<int>(n), v, 1); }

}  // namespace

Lanczos::Lanczos(Index dimension, const LanczosOptions& options)
    : options_(options), basis_(dimension, std::min(options.max_basis, dimension)) {
  options_.max_basis = std::min(options.max_basis, dimension);
  const Index wanted = options.largest + options.smallest;
  WIDELAB_REQUIRE(options.largest >= 0 && options.smallest >= 0 && wanted >= 1, "Lanczos: no eigenvalue is wanted");
  WIDELAB_REQUIRE(options_.max_basis == dimension || options_.max_basis >= wanted + 2,
                  "Lanczos: max_basis must be at least largest + smallest + 2");
  WIDELAB_REQUIRE(options.tolerance > 0 && options.max_products >= 1,
                  "Lanczos: tolerance and max_products must be > 0");
  WIDELAB_REQUIRE(dimension <= (Index{1} << 31), "Lanczos: at most 2^31 coordinates");
  projected_.resize(static_cast<std::size_t>(options_.max_basis * options_.max_basis));
  draw_direction();
}

void Lanczos::draw_direction() {
  const StreamId id = options_.start.stream(Stream::lanczos_start);
  std::vector<double> v(static_cast<std::size_t>(basis_.dimension())), unused(static_cast<std::size_t>(basis_.size()));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = normal_at(id, draws_, static_cast<std::uint32_t>(i));
  ++draws_;
  basis_.append(v, basis_.orthogonalise(v, unused));
}

void Lanczos::add_image(const double* image) {
  const Index n = basis_.dimension();
  const double size = norm(image, n);
  if (!std::isfinite(size))
    throw DataError("Lanczos: the operator's product " + std::to_string(products_ + 1) +
                    " is not finite; the network has diverged, or its numbers overflow");
  image_norm_ = std::max(image_norm_, size);
  std::vector<double> v(image, image + n), column(static_cast<std::size_t>(basis_.size()));
  beta_ = basis_.orthogonalise(v, column);
  order_ = basis_.size();
  ++products_;
  for (Index i = 0; i < order_; ++i)
    projected_[static_cast<std::size_t>(i * options_.max_basis + order_ - 1)] = column[static_cast<std::size_t>(i)];

  const bool invariant = order_ == n || beta_ <= kBreakdown * image_norm_;
  if (invariant) beta_ = 0;
  const bool last = products_ == options_.max_products, full = order_ == options_.max_basis;
  const Index between_checks = std::max(Index{1}, order_ / 16);
  if (invariant || last || full || order_ % between_checks == 0) {
    solve();
    finished_ = judge(invariant) || last;
    if (finished_) return;
  }
  if (invariant)
    draw_direction();
  else
    basis_.append(v, beta_);
  if (full) restart();
}

void Lanczos::solve() {
  const auto m = static_cast<lapack_int>(order_);
  values_.resize(static_cast<std::size_t>(order_));
  rotation_.resize(static_cast<std::size_t>(order_ * order_));
  for (Index i = 0; i < order_; ++i)
    std::copy_n(projected_.data() + i * options_.max_basis, order_, rotation_.data() + i * order_);
  // An upper triangle in rows is a lower one in columns; eigenvectors come back in columns, which are our rows.
  const lapack_int info = LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'L', m, rotation_.data(), m, values_.data());
  WIDELAB_REQUIRE(info == 0, "dsyevd did not converge, info " + std::to_string(info));
}

/// Positions of the wanted values among values_, largest first, then smallest.
std::vector<Index> Lanczos::wanted() const {
  std::vector<Index> out;
  for (Index k = 0; k < std::min(options_.largest, order_); ++k) out.push_back(order_ - 1 - k);
  for (Index k = 0; k < std::min(options_.smallest, order_); ++k) out.push_back(k);
  return out;
}

double Lanczos::bound(Index k) const {
  return std::abs(beta_ * rotation_[static_cast<std::size_t>((k + 1) * order_ - 1)]);
}

/// Whether the iteration is over, and why.
bool Lanczos::judge(bool invariant) {
  const bool spans_all = order_ == basis_.dimension();
  if (order_ < options_.largest + options_.smallest && !spans_all) return false;
  const double allowed = options_.tolerance * std::max(std::abs(values_.front()), std::abs(values_.back()));
  const std::vector<Index> positions = wanted();
  if (!invariant) {
    const bool settled = std::all_of(positions.begin(), positions.end(), [&](Index k) {
      return bound(k) <=
             (options_.relative ? options_.tolerance * std::abs(values_[static_cast<std::size_t>(k)]) : allowed);
    });
    if (settled) stop_ = LanczosStop::converged;
    return settled;
  }
  std::vector<double> now;
  for (const Index k : positions) now.push_back(values_[static_cast<std::size_t>(k)]);
  const bool settled = spans_all || (now.size() == settled_.size() &&
                                     std::equal(now.begin(), now.end(), settled_.begin(),
                                                [&](double a, double b) { return std::abs(a - b) <= allowed; }));
  settled_ = now;
  if (settled) stop_ = LanczosStop::complete;
  return settled;
}

/// Keeps the wanted Ritz vectors and half of the others, from the ends inwards, and the direction to come.
void Lanczos::restart() {
  const Index spare = (order_ - options_.largest - options_.smallest) / 2;
  const Index more = options_.largest == 0 ? 0 : options_.smallest == 0 ? spare : spare / 2;
  const Index top = std::min(order_ - 1, options_.largest + more);
  const Index bottom = std::min(order_ - 1 - top, options_.smallest + (spare - more));
  std::vector<Index> kept;
  for (Index k = 0; k < bottom; ++k) kept.push_back(k);
  for (Index k = order_ - top; k < order_; ++k) kept.push_back(k);
  std::vector<double> weights;
  std::fill(projected_.begin(), projected_.end(), 0.0);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const auto row = rotation_.begin() + kept[i] * order_;
    weights.insert(weights.end(), row, row + order_);
    projected_[i * static_cast<std::size_t>(options_.max_basis + 1)] = values_[static_cast<std::size_t>(kept[i])];
  }
  basis_.rotate(weights, static_cast<Index>(kept.size()));
  ++restarts_;
}

RitzValue Lanczos::pair(Index k) const {
  RitzValue out;
  out.value = values_[static_cast<std::size_t>(k)];
  out.bound = bound(k);
  out.residual = std::numeric_limits<double>::quiet_NaN();
  if (options_.vectors || options_.true_residuals) {
    out.vector.resize(static_cast<std::size_t>(basis_.dimension()));
    basis_.combine({rotation_.data() + k * order_, static_cast<std::size_t>(order_)}, out.vector);
  }
  return out;
}

LanczosResult Lanczos::result() const {
  WIDELAB_REQUIRE(finished_, "Lanczos has not finished");
  LanczosResult out;
  for (Index k = 0; k < std::min(options_.largest, order_); ++k) out.largest.push_back(pair(order_ - 1 - k));
  for (Index k = 0; k < std::min(options_.smallest, order_); ++k) out.smallest.push_back(pair(k));
  out.stop = stop_;
  out.products = products_;
  out.restarts = restarts_;
  out.scale = std::max(std::abs(values_.front()), std::abs(values_.back()));
  return out;
}

namespace {

/// |A y - theta y| of every vector that was handed out; vectors that nobody wants are dropped.
void add_true_residuals(Index dimension, const ManyOperators& apply, bool keep_vectors,
                        std::vector<LanczosResult>& results) {
  std::vector<std::vector<RitzValue*>> pairs;
  std::size_t rounds = 0;
  for (LanczosResult& result : results) {
    pairs.emplace_back();
    for (auto* end : {&result.largest, &result.smallest})
      for (RitzValue& value : *end) pairs.back().push_back(&value);
    rounds = std::max(rounds, pairs.back().size());
  }
  std::vector<std::vector<double>> images(results.size(), std::vector<double>(static_cast<std::size_t>(dimension)));
  for (std::size_t round = 0; round < rounds; ++round) {
    std::vector<Index> which;
    std::vector<const double*> v;
    std::vector<double*> out;
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (round >= pairs[i].size()) continue;
      which.push_back(static_cast<Index>(i));
      v.push_back(pairs[i][round]->vector.data());
      out.push_back(images[i].data());
    }
    apply(which, v, out);
    for (std::size_t at = 0; at < which.size(); ++at) {
      RitzValue& found = *pairs[static_cast<std::size_t>(which[at])][round];
      cblas_daxpy(static_cast<int>(dimension), -found.value, found.vector.data(), 1, out[at], 1);
      found.residual = norm(out[at], dimension);
      if (!keep_vectors) found.vector = {};
    }
  }
}

}  // namespace

std::vector<LanczosResult> lanczos_side_by_side(Index dimension, Index count, const ManyOperators& apply,
                                                const LanczosOptions& options, const std::vector<DrawId>& start) {
  WIDELAB_REQUIRE(static_cast<Index>(start.size()) == count, "Lanczos needs one id for each operator");
  std::vector<Lanczos> runs;
  for (const DrawId& id : start) {
    LanczosOptions own = options;
    own.start = id;
    runs.emplace_back(dimension, own);
  }
  std::vector<std::vector<double>> images(runs.size(), std::vector<double>(static_cast<std::size_t>(dimension)));
  for (;;) {
    std::vector<Index> which;
    std::vector<const double*> v;
    std::vector<double*> out;
    for (std::size_t i = 0; i < runs.size(); ++i) {
      if (runs[i].finished()) continue;
      which.push_back(static_cast<Index>(i));
      v.push_back(runs[i].direction());
      out.push_back(images[i].data());
    }
    if (which.empty()) break;
    apply(which, v, out);
    for (const Index i : which) runs[static_cast<std::size_t>(i)].add_image(images[static_cast<std::size_t>(i)].data());
  }
  std::vector<LanczosResult> results;
  for (const Lanczos& run : runs) results.push_back(run.result());
  if (options.true_residuals) add_true_residuals(dimension, apply, options.vectors, results);
  return results;
}

LanczosResult lanczos(Index dimension, const SymmetricOperator& apply, const LanczosOptions& options) {
  const auto one = [&](const std::vector<Index>&, const std::vector<const double*>& v,
                       const std::vector<double*>& images) { apply(v[0], images[0]); };
  return lanczos_side_by_side(dimension, 1, one, options, {options.start}).front();
}

}  // namespace widelab::estimators
