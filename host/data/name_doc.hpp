// A name that a recipe can give, with one line for `--help`.
#pragma once

#include <string>
#include <vector>

namespace widelab::data {

struct NameDoc {
  std::string name, doc;
};

/// Names and explanations of a table whose rows have members `name` and `doc`.
template <class Table>
std::vector<NameDoc> names_and_docs(const Table& table) {
  std::vector<NameDoc> list;
  for (const auto& row : table) list.push_back({row.name, row.doc});
  return list;
}

}  // namespace widelab::data
