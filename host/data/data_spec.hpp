// What a recipe says about its data: a plain value that the experiments fill and make_dataset turns into numbers.
#pragma once

#include <string>
#include <vector>

#include "widelab/base/types.hpp"
#include "widelab/math/activations.hpp"
#include "widelab/model/mlp_shape.hpp"
#include "widelab/model/parametrization.hpp"

namespace widelab::data {

/// The function to be learned; kinds and their meaning in targets.hpp. Keys of the recipe's `[data.target]`.
struct TargetSpec {
  std::string kind = "none";
  Index outputs = 1;  ///< k: independent draws of the directions (index targets) or of the labels (random ones)
  /// hermite, gegenbauer: one row, the coefficient of degree 0, 1, 2, ...; multi-index: one row for each direction.
  std::vector<std::vector<double>> coefficients{{0.0, 1.0}};
  Activation link = Identity{};   ///< single-index
  MlpShape teacher_shape{};       ///< teacher; input_dim is set to the dimension of the data
  InitChoice teacher_init{};      ///< teacher
  std::string label_coding = "centred-one-hot";  ///< classes, random-labels; see label_coding.hpp
  Index random_classes = 2;       ///< random-labels
  std::string path;               ///< file: .npy, examples of the data file x k
  double noise = 0.0;             ///< standard deviation of Gaussian noise added to every target
  double wrong_labels = 0.0;      ///< classes: probability that an example has another label, uniform over the others
};

/// Data law, preprocessing and target. Keys of the recipe's `[data]`; a law ignores what does not concern it.
struct DataSpec {
  std::string law = "sphere";
  Index examples = 64;   ///< N >= 1
  Index first = 0;       ///< examples of the law to skip: a test set is the same data with first = N_train
  Index dimension = 0;   ///< d >= 1 for synthetic laws; for files 0 (as in the file) or the dimension expected

  std::string spectrum = "isotropic";  ///< gaussian: eigenvalues of the covariance by name; see gaussian_spectrum.hpp
  double exponent = 1.0;               ///< power-law
  Index spikes = 1;                    ///< spiked: their number
  double strength = 1.0;               ///< spiked: eigenvalue 1 + strength
  double fraction = 0.5;               ///< two-scale: fraction of coordinates with the large eigenvalue
  double ratio = 10.0;                 ///< two-scale: large eigenvalue / small eigenvalue
  std::string spectrum_path;           ///< file: .npy with d eigenvalues

  Index components = 2;     ///< mixture
  double separation = 2.0;  ///< mixture: distance between the means of any two components

  std::string folder;              ///< where data files lie; empty: environment variable WIDELAB_DATA
  std::string split = "train";     ///< "train" or "test" where a data set has both
  std::vector<std::string> paths;  ///< idx, npy: the inputs; cifar: batches instead of those in the folder
  std::string labels_path;         ///< idx, npy: the labels
  std::string order = "random";    ///< which examples of a file: "random" (keyed by the data id) or "file" (the first)
  std::vector<int> classes;        ///< keep these labels only, renumbered 0, 1, ... in the order given; empty = all

  std::vector<std::string> preprocessing;  ///< steps by name, in order; see preprocessing.hpp
  TargetSpec target{};
};

}  // namespace widelab::data
