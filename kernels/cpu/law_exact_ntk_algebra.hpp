// Small dense algebra of the law-exact sampler: functions of Gram matrices and sums over blocks of units.
#pragma once

#include <vector>

#include "widelab/base/types.hpp"

namespace widelab::cpu {

/// G^(1/2) and G^+ (n x n, symmetric) of a Gram matrix, directions below law_exact_rank_tolerance dropped; rows and
/// columns of the root are exactly 0 where the diagonal of G is. A gram that is not finite gives NaN.
struct GramFunctions {
  std::vector<double> root, pseudo_inverse;
};
GramFunctions gram_functions(const std::vector<double>& gram, Index n, bool with_pseudo_inverse);

/// c (rows x cols) = a (rows x inner) b (inner x cols), contiguous.
std::vector<double> multiply(Index rows, Index cols, Index inner, const std::vector<double>& a,
                             const std::vector<double>& b);

/// A sum of arrays whose rounding error does not grow with the number of terms (TwoSum, Knuth 1969).
class CompensatedArray {
 public:
  CompensatedArray() = default;
  explicit CompensatedArray(Index size)
      : sum_(static_cast<std::size_t>(size)), carry_(static_cast<std::size_t>(size)) {}

  void add(const double* term);
  void add(const CompensatedArray& other);
  std::vector<double> value() const;

 private:
  std::vector<double> sum_, carry_;
};

}  // namespace widelab::cpu
