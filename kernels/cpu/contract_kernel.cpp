#include "kernels/cpu/contract_kernel.hpp"

#include <algorithm>
#include <vector>

#include "kernels/cpu/buffer.hpp"
#include "kernels/cpu/parallel.hpp"
#include "widelab/plan/storage_plan.hpp"

namespace widelab::cpu {
namespace {

/// Rows of a signal: element k of row r at data[r * stride + k], k < length.
template <class T>
struct Rows {
  const T* data;
  Index stride, length;
};

/// a b^T (rows x cols) over chunks of kUnitTile elements, each summed in T by BLAS: add(chunk, whether it is the first)
/// sums them in fp64.
template <class T, class Add>
void for_each_chunk(Rows<T> a, Rows<T> b, Index rows, Index cols, Buffer<T>& partial, const Add& add) {
  partial.resize(static_cast<std::size_t>(rows * cols));
  for (Index first = 0; first < a.length; first += kUnitTile) {
    const Index inner = std::min(kUnitTile, a.length - first);
    gemm(rows, cols, inner, T(1), {a.data + first, a.stride}, {b.data + first, b.stride, Op::transposed}, T(0),
         partial.data(), cols);
    add(partial.data(), first == 0);
  }
}

/// gram (rows x cols, fp64) = a b^T.
template <class T>
void gram(Rows<T> a, Rows<T> b, Index rows, Index cols, Buffer<T>& partial, double* out) {
  for_each_chunk(a, b, rows, cols, partial, [&](const T* chunk, bool first) {
    if (first)
      for (Index k = 0; k < rows * cols; ++k) out[k] = static_cast<double>(chunk[k]);
    else
      for (Index k = 0; k < rows * cols; ++k) out[k] += static_cast<double>(chunk[k]);
  });
}

/// w F + b of a layer, F the Gram of its inputs (rows x cols): what a Gram of its signals is multiplied with.
struct WeightedGram {
  const double* features;
  double weight_kernel, bias_kernel;
  double operator[](Index k) const { return weight_kernel * features[k] + bias_kernel; }
};

/// One block of inputs against another: rows [i, i + rows) of signals a, [j, j + cols) of signals b.
template <class T>
class BlockContraction {
 public:
  BlockContraction(const Network& network, const Signals<T>& a, const Signals<T>& b, Index i, Index rows, Index j,
                   Index cols)
      : network_(network), shape_(network.shape), a_(a), b_(b), i_(i), rows_(rows), j_(j), cols_(cols) {}

  /// <h_{l-1}, h_{l-1}'> of the features that enter layer l; layer 0: the inputs themselves.
  void feature_gram(Index layer, std::vector<double>& out) {
    out.resize(static_cast<std::size_t>(rows_ * cols_));
    if (layer == 0) {
      gram<T>({a_.inputs.row(i_), a_.inputs.stride, a_.inputs.cols},
              {b_.inputs.row(j_), b_.inputs.stride, b_.inputs.cols}, rows_, cols_, partial_, out.data());
      return;
    }
    const Index n = shape_.fan_in(layer);
    const auto at = static_cast<std::size_t>(layer - 1);
    gram<T>({a_.h[at].data() + i_ * n, n, n}, {b_.h[at].data() + j_ * n, n, n}, rows_, cols_, partial_, out.data());
  }

  /// ntk block in the layout of `blocks`: (rows, o) x (cols, p), rows x cols, or rows x cols x o.
  void ntk(NtkBlocks blocks, std::vector<double>& out) {
    const Index outputs = shape_.outputs;
    const Index share = blocks == NtkBlocks::full ? outputs * outputs : blocks == NtkBlocks::diagonal ? outputs : 1;
    out.assign(static_cast<std::size_t>(rows_ * cols_ * share), 0.0);
    std::vector<double> features;
    for (Index l = 0; l < shape_.layers(); ++l) {
      const LayerScale& scale = network_.layers[static_cast<std::size_t>(l)];
      const double branch = shape_.is_residual(l) ? shape_.residual * shape_.residual : 1.0;
      const double weight_kernel = branch * scale.weight_kernel(), bias_kernel = branch * scale.bias_kernel();
      if (weight_kernel == 0.0 && bias_kernel == 0.0) continue;
      feature_gram(l, features);
      add_layer(l, blocks, {features.data(), weight_kernel, bias_kernel}, out);
    }
  }

 private:
  /// out += weighted (rows x cols) times <B_l, B_l'>.
  void add_layer(Index l, NtkBlocks blocks, const WeightedGram& weighted, std::vector<double>& out) {
    const Index outputs = shape_.outputs;
    if (of_loss()) {
      add_loss_layer(l, weighted, out);
      return;
    }
    if (l == shape_.depth()) {  // B is the identity between outputs
      for (Index r = 0; r < rows_; ++r)
        for (Index c = 0; c < cols_; ++c)
          for (Index o = 0; o < (blocks == NtkBlocks::trace ? 1 : outputs); ++o)
            out[slot(blocks, r, o, c, o)] += weighted[r * cols_ + c];
      return;
    }
    const Index n = shape_.fan_out(l);
    const T* b1 = a_.b[static_cast<std::size_t>(l)].data() + i_ * outputs * n;
    const T* b2 = b_.b[static_cast<std::size_t>(l)].data() + j_ * outputs * n;
    if (blocks == NtkBlocks::full) {
      dots_.resize(static_cast<std::size_t>(rows_ * cols_ * outputs * outputs));
      gram<T>({b1, n, n}, {b2, n, n}, rows_ * outputs, cols_ * outputs, partial_, dots_.data());
      for (Index r = 0; r < rows_ * outputs; ++r)
        for (Index c = 0; c < cols_ * outputs; ++c)
          out[r * cols_ * outputs + c] += weighted[r / outputs * cols_ + c / outputs] * dots_[r * cols_ * outputs + c];
      return;
    }
    // The mean over outputs of <B_o, B_o'> is one product of rows of O n elements; the diagonal takes one for each o.
    if (blocks == NtkBlocks::trace) {
      const double share = 1.0 / static_cast<double>(outputs);
      add_product({b1, outputs * n, outputs * n}, {b2, outputs * n, outputs * n},
                  {weighted.features, share * weighted.weight_kernel, share * weighted.bias_kernel}, out);
      return;
    }
    dots_.resize(static_cast<std::size_t>(rows_ * cols_));
    for (Index o = 0; o < outputs; ++o) {
      gram<T>({b1 + o * n, outputs * n, n}, {b2 + o * n, outputs * n, n}, rows_, cols_, partial_, dots_.data());
      for (Index k = 0; k < rows_ * cols_; ++k) out[k * outputs + o] += weighted[k] * dots_[k];
    }
  }

  /// out += weighted times a b^T, entry by entry, in one pass over memory for each chunk of the product.
  void add_product(Rows<T> a, Rows<T> b, const WeightedGram& weighted, std::vector<double>& out) {
    for_each_chunk(a, b, rows_, cols_, partial_, [&](const T* chunk, bool) {
      double* sums = out.data();
      for (Index k = 0; k < rows_ * cols_; ++k) sums[k] += weighted[k] * static_cast<double>(chunk[k]);
    });
  }

  bool of_loss() const { return !a_.df.empty(); }

  /// The same for the signals of a loss, one row an input.
  void add_loss_layer(Index l, const WeightedGram& weighted, std::vector<double>& out) {
    const Index n = shape_.fan_out(l);
    const auto rows_of = [&](const Signals<T>& signals, Index first) {
      const Buffer<T>& delta = l == shape_.depth() ? signals.df : signals.b[static_cast<std::size_t>(l)];
      return Rows<T>{delta.data() + first * n, n, n};
    };
    add_product(rows_of(a_, i_), rows_of(b_, j_), weighted, out);
  }

  Index slot(NtkBlocks blocks, Index r, Index o, Index c, Index p) const {
    const Index outputs = shape_.outputs;
    if (blocks == NtkBlocks::full) return (r * outputs + o) * cols_ * outputs + c * outputs + p;
    return blocks == NtkBlocks::diagonal ? (r * cols_ + c) * outputs + o : r * cols_ + c;
  }

  const Network& network_;
  const MlpShape& shape_;
  const Signals<T>&a_, &b_;
  Index i_, rows_, j_, cols_;
  Buffer<T> partial_;
  Buffer<double> dots_;
};

/// Copies a block (rows x cols super-entries of height h and width w) into the member's array, and its mirror image.
struct Placement {
  double* out;
  Index row, col, height, width;  // first row and column, in numbers; size of a super-entry
  Index stride;                   // of the array, in numbers

  void write(const std::vector<double>& block, Index rows, Index cols, bool mirror) const {
    const Index block_stride = cols * width;
    for (Index r = 0; r < rows * height; ++r)
      for (Index c = 0; c < block_stride; ++c)
        out[(row * height + r) * stride + col * width + c] = block[r * block_stride + c];
    if (!mirror) return;
    // Entry (i, o; j, p) of the array is entry (j, p; i, o) of its mirror; `diagonal` keeps o in the fast index.
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < cols; ++j)
        for (Index o = 0; o < height; ++o)
          for (Index p = 0; p < width; ++p) {
            const double value = block[(i * height + o) * block_stride + j * width + p];
            if (height == 1)
              out[(col + j) * stride + (row + i) * width + p] = value;
            else
              out[((col + j) * width + p) * stride + (row + i) * height + o] = value;
          }
  }
};

}  // namespace

template <class T>
void contract_kernel(const Network& network, const Signals<T>& a, const Signals<T>& b, const KernelTarget& target,
                     bool parallel) {
  const Index outputs = network.shape.outputs, n1 = a.inputs.rows, n2 = b.inputs.rows;
  const bool same = target.symmetric && target.row == target.col;
  // Blocks of full kernels hold O x O numbers an entry; they are cut so that a block stays in cache.
  const Index whole = kernel_block(std::max(n1, n2));
  const Index block = target.blocks == NtkBlocks::full ? std::max<Index>(8, whole / outputs) : whole;
  std::vector<std::pair<Index, Index>> pairs;
  for (Index i = 0; i < n1; i += block)
    for (Index j = 0; j < (same ? i + 1 : n2); j += block) pairs.emplace_back(i, j);
  const Index height = target.blocks == NtkBlocks::full ? outputs : 1;
  const Index width = target.blocks == NtkBlocks::trace ? 1 : outputs;
  parallel_for(static_cast<Index>(pairs.size()), parallel, [&](Index p) {
    const auto [i, j] = pairs[static_cast<std::size_t>(p)];
    const Index rows = std::min(block, n1 - i), cols = std::min(block, n2 - j);
    const bool mirror = target.symmetric && target.row + i != target.col + j;
    BlockContraction<T> contraction(network, a, b, i, rows, j, cols);
    std::vector<double> out;
    if (target.ntk) {
      contraction.ntk(target.blocks, out);
      Placement{target.ntk, target.row + i, target.col + j, height, width, target.cols * width}.write(out, rows, cols,
                                                                                                      mirror);
    }
    if (target.nngp) {
      const LayerScale& readout = network.layers.back();
      contraction.feature_gram(network.shape.depth(), out);
      for (double& k : out) k = readout.weight_variance() * k + readout.bias_variance();
      Placement{target.nngp, target.row + i, target.col + j, 1, 1, target.cols}.write(out, rows, cols, mirror);
    }
  });
}

template void contract_kernel(const Network&, const Signals<float>&, const Signals<float>&, const KernelTarget&, bool);
template void contract_kernel(const Network&, const Signals<double>&, const Signals<double>&, const KernelTarget&,
                              bool);

}  // namespace widelab::cpu
