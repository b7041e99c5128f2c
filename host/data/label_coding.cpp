#include "host/data/label_coding.hpp"

#include <array>

#include "host/data/spec_checks.hpp"

namespace widelab::data {

namespace {

CodedLabels indicator(const std::vector<int>& classes, Index class_count, double offset) {
  constexpr Index kMostClasses = 1 << 16;
  if (class_count > kMostClasses)
    throw DataError("the labels go up to " + std::to_string(class_count - 1) +
                    ", too many for one output a class (at most " + std::to_string(kMostClasses) +
                    " classes); choose some with data.classes");
  CodedLabels coded{std::vector<double>(classes.size() * static_cast<std::size_t>(class_count), -offset), class_count};
  for (std::size_t i = 0; i < classes.size(); ++i)
    coded.values[i * static_cast<std::size_t>(class_count) + static_cast<std::size_t>(classes[i])] += 1.0;
  return coded;
}

CodedLabels one_hot(const std::vector<int>& classes, Index class_count) { return indicator(classes, class_count, 0.0); }

CodedLabels centred_one_hot(const std::vector<int>& classes, Index class_count) {
  return indicator(classes, class_count, 1.0 / static_cast<double>(class_count));
}

CodedLabels plus_minus(const std::vector<int>& classes, Index class_count) {
  if (class_count != 2)
    throw RecipeError("data.target.label_coding = \"plus-minus\" needs two classes, not " +
                      std::to_string(class_count) + "; choose two with data.classes, or use \"centred-one-hot\"");
  CodedLabels coded{{}, 1};
  for (const int index : classes) coded.values.push_back(index == 1 ? 1.0 : -1.0);
  return coded;
}

struct Coding {
  const char* name;
  CodedLabels (*code)(const std::vector<int>&, Index);
  const char* doc;
};

constexpr std::array<Coding, 3> kCodings{{
    {"one-hot", one_hot, "1 for the class, 0 for the others"},
    {"centred-one-hot", centred_one_hot, "one-hot minus 1/k"},
    {"plus-minus", plus_minus, "two classes: -1 and +1, one output"},
}};

}  // namespace

std::vector<NameDoc> label_coding_list() { return names_and_docs(kCodings); }

CodedLabels code_labels(const std::string& coding, const std::vector<int>& classes, Index class_count) {
  return find_by_name("data.target.label_coding", coding, kCodings).code(classes, class_count);
}

}  // namespace widelab::data
