// The gradient-Gram rows of the benchmarks: cross-entropy of a ReLU classifier without biases, standard
// parametrisation, weights N(0, 1 / fan_in), inputs between 0 and 1.
#pragma once

#include <string>
#include <vector>

#include "host/runtime/backend.hpp"
#include "widelab/ops/gradient_gram.hpp"

namespace widelab::bench {

struct GramRow {
  std::string name;
  Index examples = 2000, dimension = 784, width = 512, depth = 2, classes = 10, members = 1;

  std::string text() const;
  Network network() const;
  /// Matrix products of forward and backward pass and of both Grams of every layer, pairs counted once.
  double flops() const;
};

/// Inputs N x d and one-hot targets N x k.
struct Examples {
  std::vector<float> inputs, targets;
  std::string source;
};
/// Those of MNIST's training set from the first on (data folder: WIDELAB_DATA), or uniform ones where there is none.
Examples mnist_examples(const GramRow& row);
Examples uniform_examples(const GramRow& row);

/// What a duel on this problem is about: a JSON file, arrays beside it (bench/duels/gradient_peer.py).
struct GradientJob {
  GramRow row;
  std::string device, folder;

  /// Throws DataError for a file that says no job.
  explicit GradientJob(const std::string& path);
  std::string array(const std::string& name) const { return folder + "/" + name + ".npy"; }
  /// x (N x d), y (N x k), w0 .. wL (fan_out x fan_in) of the given weights (ParamLayout's order).
  void write_problem(const Examples& examples, const std::vector<double>& weights) const;
};

/// The op with its arrays; weights are stored.
template <class T>
class GramRun {
 public:
  GramRun(runtime::Backend& backend, const GramRow& row, const Examples& examples);
  void run() { backend_.gradient_gram(problem_); }
  const std::vector<double>& gram() const { return gram_; }
  const std::vector<T>& weights() const { return weights_; }  ///< members x P, ParamLayout's order

 private:
  runtime::Backend& backend_;
  Network network_;
  std::vector<T> inputs_, targets_, weights_;
  std::vector<double> gram_;
  GradientGramProblem<T> problem_;
};

}  // namespace widelab::bench
