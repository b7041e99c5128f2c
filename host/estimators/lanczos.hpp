// Eigenvalues at the ends of a large symmetric operator's spectrum, each with a bound on its error.
#pragma once

#include <cstdint>
#include <vector>

#include "host/estimators/krylov_basis.hpp"
#include "widelab/rng/replicate_ids.hpp"

namespace widelab::estimators {

struct LanczosOptions {
  Index largest = 1, smallest = 0;  ///< wanted at each end (algebraic order)
  double tolerance = 1e-6;          ///< of residuals, in units of the largest |Ritz value|
  bool relative = false;            ///< in units of each wanted |Ritz value| instead
  Index max_products = 300;         ///< products with the operator
  Index max_basis = 100;  ///< vectors kept (8 bytes times the dimension each): beyond, the basis is restarted from its
                          ///< best Ritz vectors. At least largest + smallest + 2, or the dimension
  bool vectors = false;   ///< hand out unit Ritz vectors as well
  bool true_residuals = false;  ///< largest + smallest further products
  DrawId start;                 ///< the first vector: normals
};

struct RitzValue {
  double value = 0;
  double bound = 0;     ///< beta_m |s_m| = |A y - value y|: an eigenvalue lies within it (Parlett 1980, section 4.5)
  double residual = 0;  ///< |A y - value y| of the vector itself; NaN unless asked for
  std::vector<double> vector;
};

enum class LanczosStop {
  converged,   ///< all wanted values have bounds below the tolerance
  complete,    ///< the basis spans the space, or an invariant part of it beyond which there is nothing wanted
  steps_used,  ///< max_products reached first: the values are what they are, see their bounds
};

struct LanczosResult {
  std::vector<RitzValue> largest;   ///< largest first; fewer than wanted only where the dimension is smaller
  std::vector<RitzValue> smallest;  ///< smallest first
  LanczosStop stop = LanczosStop::steps_used;
  Index products = 0, restarts = 0;
  double scale = 0;  ///< the largest |Ritz value|: what the tolerance refers to
};

/// Lanczos's iteration with full reorthogonalisation and thick restarts (Wu and Simon 2000, SIAM J. Matrix Anal. Appl.
/// 22, 602), a step at a time: while (!finished()) add_image(A direction()). Where the operator maps the basis into
/// itself, new random vectors take over until one of them adds nothing to the wanted values: then multiple eigenvalues
/// have been found as often as they occur. Where bounds end the iteration before, copies may be missing. Bounds hold
/// for a symmetric operator; one with rounding errors of relative size e adds about e times `scale` to them. They say
/// that there is an eigenvalue so near, not that it is the k-th: for that they must be below the gaps.
/// Errors: ContractError for options out of range, DataError if a product is not finite.
class Lanczos {
 public:
  Lanczos(Index dimension, const LanczosOptions& options);

  bool finished() const { return finished_; }
  const double* direction() const { return basis_.last(); }  ///< unit vector
  void add_image(const double* image);
  /// Without true residuals, which need products.
  LanczosResult result() const;

 private:
  void draw_direction();
  void solve();
  bool judge(bool invariant);
  void restart();
  std::vector<Index> wanted() const;
  double bound(Index k) const;
  RitzValue pair(Index k) const;

  LanczosOptions options_;
  KrylovBasis basis_;
  Index order_ = 0, products_ = 0, restarts_ = 0;
  std::uint32_t draws_ = 0;
  bool finished_ = false;
  LanczosStop stop_ = LanczosStop::steps_used;
  double beta_ = 0, image_norm_ = 0;       ///< A Q = Q T + beta q e_m^T; the largest |A q|
  std::vector<double> projected_;          ///< T, max_basis^2, upper triangle
  std::vector<double> values_, rotation_;  ///< eigenvalues of T, ascending, and its eigenvectors in rows
  std::vector<double> settled_;            ///< wanted values when the basis was last invariant
};

/// Runs one operator to the end; adds true residuals if they are wanted.
LanczosResult lanczos(Index dimension, const SymmetricOperator& apply, const LanczosOptions& options);

/// images[i] = A_i v[i] for every i in `which`.
using ManyOperators = std::function<void(const std::vector<Index>& which, const std::vector<const double*>& v,
                                         const std::vector<double*>& images)>;

/// `count` operators of one dimension side by side, one product each a round, for operators that share work; start[i]
/// starts operator i. True residuals come with one further product each for every wanted value.
std::vector<LanczosResult> lanczos_side_by_side(Index dimension, Index count, const ManyOperators& apply,
                                                const LanczosOptions& options, const std::vector<DrawId>& start);

}  // namespace widelab::estimators
