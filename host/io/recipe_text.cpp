// Recipes as text: the resolved recipe of a run, and the commented recipe of `widelab init`.
#include <algorithm>
#include <sstream>

#include "host/io/recipe.hpp"
#include "host/io/sweep.hpp"

namespace widelab::io {
namespace {

constexpr std::size_t kColumns = 120;

/// Lines of text behind "# "; long ones are broken between words.
void comment(std::ostream& out, const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string row = "#";
    for (std::string word; words >> word; row += ' ' + word)
      if (row.size() + 1 + word.size() > kColumns && row.size() > 1) {
        out << row << '\n';
        row = "#";
      }
    out << row << '\n';
  }
}

std::string without_full_stop(const std::string& text) {
  return text.ends_with('.') && !text.ends_with("..") ? text.substr(0, text.size() - 1) : text;
}

void heading(std::ostream& out, const Schema& schema) {
  comment(out, schema.description);
  out << "schema = " << kRecipeSchema << "\nexperiment = " << toml_literal(Value(schema.experiment)) << '\n';
}

/// Tables in the order in which the schema names them first, the top level before all.
std::vector<std::string> tables_in_order(const Schema& schema) {
  std::vector<std::string> tables{""};
  for (const KeySpec& spec : schema.keys) {
    const std::string table = table_of(spec.path);
    if (std::find(tables.begin(), tables.end(), table) == tables.end()) tables.push_back(table);
  }
  return tables;
}

/// Writes all tables; `line` gives the text of one key, without comment.
template <class Line>
void write_tables(std::ostream& out, const Schema& schema, const Line& line) {
  for (const std::string& table : tables_in_order(schema)) {
    if (!table.empty()) out << "\n[" << table << "]\n";
    for (const KeySpec& spec : schema.keys) {
      if (table_of(spec.path) != table) continue;
      comment(out, without_full_stop(spec.doc) + (spec.doc.empty() ? "" : "; ") + allowed_values(spec));
      out << line(spec) << '\n';
    }
  }
}

std::string zip_line(const Recipe& recipe) {
  std::string out = "zip = [";
  for (const auto& group : recipe.content().zips) {
    out += out.back() == '[' ? "[" : ", [";
    for (std::size_t i = 0; i < group.size(); ++i) {
      out += (i == 0 ? "\"" : ", \"") + sweep_label(recipe.schema(), group[i]) + "\"";
    }
    out += "]";
  }
  return out + "]";
}

}  // namespace

std::string Recipe::to_toml() const {
  std::ostringstream out;
  heading(out, schema());
  write_tables(out, schema(), [&](const KeySpec& spec) {
    const auto found = content_.values.find(spec.path);
    const std::string name = last_component(spec.path);
    return found == content_.values.end() ? "# " + name + ": see [sweep]" : name + " = " + toml_literal(found->second);
  });
  if (content_.sweep.empty()) return out.str();
  out << "\n[sweep]\n";
  for (const SweepEntry& entry : content_.sweep) {
    const std::string label = sweep_label(schema(), entry.key);
    const bool bare = label.find('.') == std::string::npos;
    out << (bare ? label : toml_literal(Value(label))) << " = [";
    for (std::size_t i = 0; i < entry.values.size(); ++i) out << (i == 0 ? "" : ", ") << toml_literal(entry.values[i]);
    out << "]\n";
  }
  if (!content_.zips.empty()) out << zip_line(*this) << '\n';
  return out.str();
}

std::string commented_recipe(const Schema& schema) {
  std::ostringstream out;
  heading(out, schema);
  const auto in_sweep = [&](const KeySpec& spec) {
    return std::any_of(schema.example_sweep.begin(), schema.example_sweep.end(), [&](const auto& line) {
      return sweep_key(schema, line.first, "example sweep of '" + schema.experiment + "'") == spec.path;
    });
  };
  write_tables(out, schema, [&](const KeySpec& spec) {
    const std::string name = last_component(spec.path);
    if (in_sweep(spec)) return "# " + name + ": see [sweep]";
    const std::string& literal = spec.default_value.empty() ? spec.example : spec.default_value;
    if (literal.empty()) return "# required: " + name + " = ";
    return name + " = " + literal + (spec.default_value.empty() ? "  # required" : "");
  });
  std::string sweepable;
  for (const KeySpec& spec : schema.keys) {
    if (spec.sweepable) sweepable += (sweepable.empty() ? "" : ", ") + sweep_label(schema, spec.path);
  }
  if (sweepable.empty()) return out.str();
  out << '\n';
  comment(out,
          "Lists here form a product; zip = [\"a\", \"b\"] makes two lists of one length advance together.\n"
          "Keys that can be swept: " +
              sweepable);
  out << "[sweep]\n";
  for (const auto& [name, values] : schema.example_sweep) out << name << " = " << values << '\n';
  return out.str();
}

}  // namespace widelab::io
