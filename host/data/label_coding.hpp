// How class labels become numbers to be fitted.
#pragma once

#include <string>
#include <vector>

#include "host/data/name_doc.hpp"
#include "widelab/base/types.hpp"

namespace widelab::data {

/// Names and one-line descriptions:
///   one-hot           k outputs: 1 for the class, 0 for the others
///   centred-one-hot   one-hot minus 1/k, so that the outputs of an example add up to 0
///   plus-minus        one output, two classes: -1 for class 0, +1 for class 1
std::vector<NameDoc> label_coding_list();

/// Targets (N x k, row-major) of N class indices below `class_count`, and their k.
struct CodedLabels {
  std::vector<double> values;
  Index outputs = 0;
};

/// RecipeError for an unknown coding, or if the coding does not suit the number of classes.
CodedLabels code_labels(const std::string& coding, const std::vector<int>& classes, Index class_count);

}  // namespace widelab::data
