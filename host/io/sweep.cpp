#include "host/io/sweep.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

#include "widelab/base/contract.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::io {
namespace {

constexpr std::size_t kMostCells = 1000000;

/// Sweep entries that advance together, as subscripts into RecipeContent::sweep.
struct Group {
  std::vector<std::size_t> members;
  std::size_t length = 0;
};

bool ends_so(const KeySpec& spec, const std::string& name) {
  return spec.sweepable && last_component(spec.path) == name;
}

/// Values of coordinates stand in names between ',' and '='.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char ch : text) {
    const auto code = static_cast<unsigned char>(ch);
    if (ch == ',' || ch == '=' || ch == '%' || code < 0x20) {
      std::array<char, 4> hex{};
      std::snprintf(hex.data(), hex.size(), "%%%02X", static_cast<unsigned>(code));
      out += hex.data();
    } else {
      out += ch;
    }
  }
  return out;
}

std::size_t entry_of(const RecipeContent& content, const std::string& key) {
  const auto found = std::find_if(content.sweep.begin(), content.sweep.end(),
                                  [&](const SweepEntry& entry) { return entry.key == key; });
  WIDELAB_REQUIRE(found != content.sweep.end(), "zipped key '" + key + "' is not swept");
  return static_cast<std::size_t>(found - content.sweep.begin());
}

void check_zip(const RecipeContent& content, const Group& group) {
  const SweepEntry& first = content.sweep[group.members[0]];
  for (const std::size_t member : group.members) {
    const SweepEntry& other = content.sweep[member];
    if (other.values.size() == first.values.size()) continue;
    throw RecipeError(other.where + ": zipped lists differ in length: '" + first.key + "' has " +
                      std::to_string(first.values.size()) + " values, '" + other.key + "' has " +
                      std::to_string(other.values.size()) + ". Way out: give both lists the same length, or take " +
                      "them out of 'zip' for a product.");
  }
}

/// Groups in the order of their first members.
std::vector<Group> groups_of(const RecipeContent& content) {
  std::vector<Group> groups;
  std::vector<bool> taken(content.sweep.size(), false);
  for (std::size_t i = 0; i < content.sweep.size(); ++i) {
    if (taken[i]) continue;
    Group group{{i}, content.sweep[i].values.size()};
    for (const auto& zip : content.zips) {
      if (std::find(zip.begin(), zip.end(), content.sweep[i].key) == zip.end()) continue;
      group.members.clear();
      for (const std::string& key : zip) group.members.push_back(entry_of(content, key));
      check_zip(content, group);
    }
    for (const std::size_t member : group.members) taken[member] = true;
    groups.push_back(std::move(group));
  }
  return groups;
}

std::vector<SweepAxis> axes_of(const Recipe& recipe) {
  std::vector<SweepAxis> axes;
  for (const SweepEntry& entry : recipe.content().sweep) {
    SweepAxis axis{entry.key, sweep_label(recipe.schema(), entry.key), {}};
    for (const Value& value : entry.values) {
      if (std::find(axis.values.begin(), axis.values.end(), value) == axis.values.end()) axis.values.push_back(value);
    }
    axes.push_back(std::move(axis));
  }
  return axes;
}

/// The cell at position `steps[i]` of each entry's list.
Cell make_cell(const RecipeContent& content, const std::vector<SweepAxis>& axes,
               const std::vector<std::size_t>& steps) {
  Cell cell;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const Value& value = content.sweep[i].values[steps[i]];
    const auto found = std::find(axes[i].values.begin(), axes[i].values.end(), value);
    cell.subscripts.push_back(static_cast<std::size_t>(found - axes[i].values.begin()));
    cell.coordinates.emplace_back(axes[i].label, canonical_text(value));
  }
  std::sort(cell.coordinates.begin(), cell.coordinates.end());
  for (const auto& [label, value] : cell.coordinates) {
    cell.name += (cell.name.empty() ? "" : ",") + label + "=" + escaped(value);
  }
  if (cell.name.empty()) cell.name = "single";
  return cell;
}

std::size_t count_cells(const std::vector<Group>& groups) {
  std::size_t count = 1;
  for (const Group& group : groups) {
    if (group.length > kMostCells / count) {
      throw RecipeError("[sweep]: the grid has more than " + std::to_string(kMostCells) +
                        " cells. Way out: shorten the lists, or pair some with 'zip'.");
    }
    count *= group.length;
  }
  return count;
}

void check_distinct(const std::vector<Cell>& cells) {
  std::map<std::string, std::size_t> seen;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (seen.emplace(cells[i].name, i).second) continue;
    throw RecipeError("[sweep]: the cell '" + cells[i].name + "' stands twice in the grid. Way out: remove the " +
                      "repeated values (64, 64.0 and 6.4e1 are one real number).");
  }
}

}  // namespace

Sweep make_sweep(const Recipe& recipe) {
  const RecipeContent& content = recipe.content();
  const std::vector<Group> groups = groups_of(content);
  Sweep sweep;
  sweep.axes = axes_of(recipe);
  const std::size_t count = count_cells(groups);
  for (std::size_t flat = 0; flat < count; ++flat) {
    std::vector<std::size_t> steps(content.sweep.size());
    std::size_t rest = flat;
    for (auto group = groups.rbegin(); group != groups.rend(); ++group) {
      for (const std::size_t member : group->members) steps[member] = rest % group->length;
      rest /= group->length;
    }
    sweep.cells.push_back(make_cell(content, sweep.axes, steps));
  }
  check_distinct(sweep.cells);
  std::size_t combinations = 1;
  for (const SweepAxis& axis : sweep.axes) combinations *= axis.values.size();
  sweep.full_product = combinations == count;
  return sweep;
}

std::vector<Cell> expand_sweep(const Recipe& recipe) { return make_sweep(recipe).cells; }

Recipe at_cell(const Recipe& recipe, const Cell& cell) {
  RecipeContent content = recipe.content();
  for (const auto& [label, text] : cell.coordinates) {
    const std::string where = "cell '" + cell.name + "'";
    const KeySpec& spec = *find_key(recipe.schema(), sweep_key(recipe.schema(), label, where));
    if (spec.type == KeyType::text) {
      content.values[spec.path] = text;
      check_value(spec, content.values[spec.path], where);
    } else {
      content.values[spec.path] = parse_value(spec, text, where);
    }
  }
  for (const SweepEntry& entry : content.sweep) {
    WIDELAB_REQUIRE(content.values.count(entry.key) > 0, "cell '" + cell.name + "' lacks '" + entry.key + "'");
  }
  content.sweep.clear();
  content.zips.clear();
  return Recipe(std::move(content));
}

std::string sweep_key(const Schema& schema, const std::string& name, const std::string& where) {
  std::vector<std::string> sweepable;
  std::vector<std::string> matching;
  for (const KeySpec& spec : schema.keys) {
    if (!spec.sweepable) continue;
    if (spec.path == name) return name;
    sweepable.push_back(spec.path);
    if (ends_so(spec, name)) matching.push_back(spec.path);
  }
  if (matching.size() == 1) return matching[0];
  if (matching.size() > 1) {
    throw RecipeError(where + ": '" + name + "' in [sweep] may mean '" + matching[0] + "' or '" + matching[1] +
                      "'. Way out: write the full path in quotes: \"" + matching[0] + "\" = [...].");
  }
  if (find_key(schema, name) != nullptr) {
    throw RecipeError(where + ": '" + name + "' cannot be swept. Way out: set it in its own table; keys that can be " +
                      "swept are listed by 'widelab init " + schema.experiment + "'.");
  }
  std::vector<std::string> names = sweepable;
  for (const std::string& key : sweepable) names.push_back(sweep_label(schema, key));
  throw RecipeError(where + ": '" + name + "' in [sweep] is no key that can be swept; nearest: '" +
                    suggest_key(name, names) + "'. Way out: correct the name; 'widelab init " + schema.experiment +
                    "' lists the keys that can be swept.");
}

std::string sweep_label(const Schema& schema, const std::string& key) {
  const std::string name = last_component(key);
  const auto count = std::count_if(schema.keys.begin(), schema.keys.end(),
                                   [&](const KeySpec& spec) { return ends_so(spec, name); });
  return count <= 1 ? name : key;
}

}  // namespace widelab::io
