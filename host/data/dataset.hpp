// A finished data set: what networks and kernels are evaluated on.
#pragma once

#include <string>
#include <vector>

#include "widelab/base/types.hpp"
#include "widelab/base/view.hpp"

namespace widelab::data {

/// N examples of d inputs and k targets, all finite.
struct Dataset {
  Index examples = 0;           ///< N
  Index dimension = 0;          ///< d
  Index outputs = 0;            ///< k; 0 if no target was asked for
  std::vector<double> inputs;   ///< N x d, row-major
  std::vector<double> targets;  ///< N x k, row-major
  std::vector<int> classes;     ///< N true class indices, or empty; positions in DataSpec::classes if that is given
  Index class_count = 0;        ///< classes that the law can give; 0 if it has none
  std::string description;      ///< one line: law, sizes, preprocessing, target

  MatrixView<const double> input_view() const { return {inputs.data(), examples, dimension, dimension}; }
  MatrixView<const double> target_view() const { return {targets.data(), examples, outputs, outputs}; }
};

}  // namespace widelab::data
