#include "kernels/cpu/contract_kernel.hpp"

#include <algorithm>
#include <vector>

#include "kernels/cpu/buffer.hpp"
#include "kernels/cpu/cpu_block.hpp"
#include "kernels/cpu/parallel.hpp"
#include "kernels/cpu/tile_sets.hpp"
#include "kernels/cpu/transpose.hpp"
#include "widelab/plan/storage_plan.hpp"

namespace widelab::cpu {
namespace {

// A block of many inputs is kTallBlock times as high as wide: its columns are packed once for all of its rows.
constexpr Index kManyInputs = 1024, kTallBlock = 4;
constexpr Index kMirroredColumns = 8;

/// Rows of a signal: element k of row r at data[r * stride + k], k < length.
template <class T>
struct Rows {
  const T* data;
  Index stride, length;
};

/// What a thread keeps from block to block.
template <class T>
struct ContractionWorker {
  CpuBlock<T> tiles{tile_set<T>()};
  Buffer<double> features, dots;
  std::vector<double> sums;
};

/// a b^T (rows x cols) over chunks of kUnitTile elements, each summed in T, element after element: add(first, k, count,
/// sums) adds entries k .. k + count - 1 (row-major) of a chunk in fp64, first: of the first one.
template <class T, class Add>
void for_each_chunk(CpuBlock<T>& tiles, Rows<T> a, Rows<T> b, Index rows, Index cols, const Add& add) {
  for (Index from = 0; from < a.length; from += kUnitTile) {
    const bool first = from == 0;
    tiles.matmul(rows, cols, std::min(kUnitTile, a.length - from), {a.data + from, a.stride, 1},
                 {b.data + from, 1, b.stride},
                 [=](Index i, Index j, Index count, const T* sums) { add(first, i * cols + j, count, sums); });
  }
}

/// product (rows x cols, fp64) = a b^T.
template <class T>
void gram(CpuBlock<T>& tiles, Rows<T> a, Rows<T> b, Index rows, Index cols, Buffer<double>& product) {
  product.resize(static_cast<std::size_t>(rows * cols));
  double* out = product.data();
  for_each_chunk(tiles, a, b, rows, cols, [=](bool first, Index k, Index count, const T* sums) {
    if (first)
      for (Index j = 0; j < count; ++j) out[k + j] = static_cast<double>(sums[j]);
    else
      for (Index j = 0; j < count; ++j) out[k + j] += static_cast<double>(sums[j]);
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
                   Index cols, ContractionWorker<T>& worker)
      : network_(network),
        shape_(network.shape),
        a_(a),
        b_(b),
        i_(i),
        rows_(rows),
        j_(j),
        cols_(cols),
        worker_(worker) {}

  /// <h_{l-1}, h_{l-1}'> of the features that enter layer l, in the worker's `features`; layer 0: the inputs
  /// themselves.
  void feature_gram(Index layer) {
    const auto rows_of = [&](const Signals<T>& signals, Index first) {
      if (layer == 0) return Rows<T>{signals.inputs.row(first), signals.inputs.stride, signals.inputs.cols};
      const Index n = shape_.fan_in(layer);
      return Rows<T>{signals.h[static_cast<std::size_t>(layer - 1)].data() + first * n, n, n};
    };
    gram(worker_.tiles, rows_of(a_, i_), rows_of(b_, j_), rows_, cols_, worker_.features);
  }

  /// ntk block in the layout of `blocks`: (rows, o) x (cols, p), rows x cols, or rows x cols x o.
  void ntk(NtkBlocks blocks) {
    const Index outputs = shape_.outputs;
    const Index share = blocks == NtkBlocks::full ? outputs * outputs : blocks == NtkBlocks::diagonal ? outputs : 1;
    worker_.sums.assign(static_cast<std::size_t>(rows_ * cols_ * share), 0.0);
    for (Index l = 0; l < shape_.layers(); ++l) {
      const LayerScale& scale = network_.layers[static_cast<std::size_t>(l)];
      const double branch = shape_.is_residual(l) ? shape_.residual * shape_.residual : 1.0;
      const double weight_kernel = branch * scale.weight_kernel(), bias_kernel = branch * scale.bias_kernel();
      if (weight_kernel == 0.0 && bias_kernel == 0.0) continue;
      feature_gram(l);
      add_layer(l, blocks, {worker_.features.data(), weight_kernel, bias_kernel}, worker_.sums.data());
    }
  }

 private:
  /// out += weighted (rows x cols) times <B_l, B_l'>.
  void add_layer(Index l, NtkBlocks blocks, const WeightedGram& weighted, double* out) {
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
      gram<T>(worker_.tiles, {b1, n, n}, {b2, n, n}, rows_ * outputs, cols_ * outputs, worker_.dots);
      const double* dots = worker_.dots.data();
      for (Index r = 0; r < rows_ * outputs; ++r)
        for (Index c = 0; c < cols_ * outputs; ++c)
          out[r * cols_ * outputs + c] += weighted[r / outputs * cols_ + c / outputs] * dots[r * cols_ * outputs + c];
      return;
    }
    // The mean over outputs of <B_o, B_o'> is one product of rows of O n elements; the diagonal takes one for each o.
    if (blocks == NtkBlocks::trace) {
      const double share = 1.0 / static_cast<double>(outputs);
      add_product({b1, outputs * n, outputs * n}, {b2, outputs * n, outputs * n},
                  {weighted.features, share * weighted.weight_kernel, share * weighted.bias_kernel}, out);
      return;
    }
    for (Index o = 0; o < outputs; ++o) {
      gram<T>(worker_.tiles, {b1 + o * n, outputs * n, n}, {b2 + o * n, outputs * n, n}, rows_, cols_, worker_.dots);
      const double* dots = worker_.dots.data();
      for (Index k = 0; k < rows_ * cols_; ++k) out[k * outputs + o] += weighted[k] * dots[k];
    }
  }

  /// out += weighted times a b^T, entry by entry.
  void add_product(Rows<T> a, Rows<T> b, const WeightedGram& weighted, double* out) {
    for_each_chunk(worker_.tiles, a, b, rows_, cols_, [=](bool, Index k, Index count, const T* sums) {
      for (Index j = 0; j < count; ++j) out[k + j] += weighted[k + j] * static_cast<double>(sums[j]);
    });
  }

  bool of_loss() const { return !a_.df.empty(); }

  /// The same for the signals of a loss, one row an input.
  void add_loss_layer(Index l, const WeightedGram& weighted, double* out) {
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
  ContractionWorker<T>& worker_;
};

/// Copies a block (rows x cols super-entries of height h and width w) into the member's array, and its mirror image.
struct Placement {
  double* out;
  Index row, col, height, width;  // first row and column, in numbers; size of a super-entry
  Index stride;                   // of the array, in numbers

  void write(const double* block, Index rows, Index cols, bool mirror) const {
    const Index block_stride = cols * width;
    for (Index r = 0; r < rows * height; ++r)
      std::copy_n(block + r * block_stride, block_stride, out + (row * height + r) * stride + col * width);
    if (!mirror) return;
    if (height == width) {  // entry (i, o; j, p) of the array is entry (j, p; i, o) of its mirror
      // Few rows of the mirror at a time, along their length.
      for (Index c = 0; c < block_stride; c += kMirroredColumns)
        transpose(block + c, block_stride, rows * height, std::min(kMirroredColumns, block_stride - c),
                  out + (col * width + c) * stride + row * height, stride);
      return;
    }
    for (Index j = 0; j < cols; ++j)  // `diagonal` keeps o in the fast index
      for (Index i = 0; i < rows; ++i)
        std::copy_n(block + i * block_stride + j * width, width, out + (col + j) * stride + (row + i) * width);
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
  const Index width_of_block = target.blocks == NtkBlocks::full ? std::max<Index>(8, whole / outputs) : whole;
  const Index height_of_block = std::max(n1, n2) > kManyInputs ? kTallBlock * width_of_block : width_of_block;
  std::vector<std::pair<Index, Index>> pairs;
  for (Index j = 0; j < n2; j += width_of_block)
    for (Index i = same ? j : 0; i < n1; i += height_of_block) pairs.emplace_back(i, j);
  const Index height = target.blocks == NtkBlocks::full ? outputs : 1;
  const Index width = target.blocks == NtkBlocks::trace ? 1 : outputs;
  std::vector<ContractionWorker<T>> workers(static_cast<std::size_t>(parallel ? omp_get_max_threads() : 1));
  parallel_for(static_cast<Index>(pairs.size()), parallel, [&](Index p) {
    const auto [i, j] = pairs[static_cast<std::size_t>(p)];
    const Index rows = std::min(height_of_block, n1 - i), cols = std::min(width_of_block, n2 - j);
    ContractionWorker<T>& worker = workers[static_cast<std::size_t>(parallel ? omp_get_thread_num() : 0)];
    BlockContraction<T> contraction(network, a, b, i, rows, j, cols, worker);
    if (target.ntk) {
      contraction.ntk(target.blocks);
      Placement{target.ntk, target.row + i, target.col + j, height, width, target.cols * width}.write(
          worker.sums.data(), rows, cols, target.symmetric);
    }
    if (target.nngp) {
      const LayerScale& readout = network.layers.back();
      contraction.feature_gram(network.shape.depth());
      for (double& k : worker.features) k = readout.weight_variance() * k + readout.bias_variance();
      Placement{target.nngp, target.row + i, target.col + j, 1, 1, target.cols}.write(worker.features.data(), rows,
                                                                                      cols, target.symmetric);
    }
  });
}

template void contract_kernel(const Network&, const Signals<float>&, const Signals<float>&, const KernelTarget&, bool);
template void contract_kernel(const Network&, const Signals<double>&, const Signals<double>&, const KernelTarget&,
                              bool);

}  // namespace widelab::cpu
