// The floor of an op: its matrix products alone, at the op's own shapes, one BLAS thread a call and all threads at
// work.
#pragma once

#include <vector>

#include "bench/problems.hpp"

namespace widelab::bench {

/// The products of one fp32 NTK: for each layer tiles of 512 output units (forward: N x 512 x fan_in; backward:
/// N x 512 x 512, summed over row tiles) and Gram blocks of 128 x 128 inputs over 512 units. Weights are read from one
/// matrix a layer, as large as the op's. All products of a kind are independent here, so that no thread waits for
/// another.
class NtkGemms {
 public:
  explicit NtkGemms(const Size& size);

  /// Useful operations: blocks on the diagonal of a Gram count half.
  double flops() const;
  /// Runs all products once; the seconds that the useful ones take (a block on the diagonal is made whole, so the
  /// Grams' seconds are scaled by their useful share).
  double run();

 private:
  struct Block {
    Index i, rows, j, cols;
  };
  double forward();
  double backward();
  double grams();
  double gram_flops(bool useful) const;
  float* product(Index l) { return products_.data() + l * size_.inputs * size_.width; }

  Size size_;
  std::vector<Block> blocks_;
  std::vector<std::vector<float>> weights_;  ///< of hidden layers 0 .. L-1, fan_out x fan_in
  std::vector<float> signals_;               ///< N x n, the operand of every product
  std::vector<float> products_;              ///< L x N x n
};

/// The fp64 products of one law-exact sample (ops/law_exact_ntk.hpp), in blocks of 512 units: N x 512 x N for the
/// pre-activations (once in the forward, once in the backward pass) and for the two terms of the signals, N x N x 512
/// for the two Grams and the two cross products.
class LawExactGemms {
 public:
  explicit LawExactGemms(const Size& size) : size_(size) {}
  double flops() const;
  double run() const;

 private:
  Size size_;
};

}  // namespace widelab::bench
