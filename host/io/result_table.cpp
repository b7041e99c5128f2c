// Results as text: CSV, tables for reading, comparisons of two runs.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

#include "host/io/result.hpp"

namespace widelab::io {
namespace {

/// Shortest text that reads back to the same double.
std::string exact(double value) {
  if (std::isnan(value)) return "nan";
  std::array<char, 32> buffer{};
  return {buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr};
}

std::string rounded(double value) {
  std::array<char, 32> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%.5g", value);
  return buffer.data();
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string out = "\"";
  for (const char ch : text) out += ch == '"' ? "\"\"" : std::string(1, ch);
  return out + "\"";
}

std::string axis_text(const Axis& axis, std::size_t i) {
  if (const auto* reals = std::get_if<std::vector<double>>(&axis.values)) return exact((*reals)[i]);
  return std::get<std::vector<std::string>>(axis.values)[i];
}

/// Text of the coordinates of the entry at `flat`, in the order of the observable's dims.
std::vector<std::string> coordinates(const Result& result, const Observable& observable, std::size_t flat) {
  std::vector<std::string> texts(observable.dims.size());
  for (std::size_t d = observable.dims.size(); d-- > 0;) {
    const Axis& axis = axis_named(result, observable.dims[d]);
    texts[d] = axis_text(axis, flat % axis.size());
    flat /= axis.size();
  }
  return texts;
}

std::string joined(const std::vector<std::string>& dims, const std::vector<std::string>& texts) {
  std::string out;
  for (std::size_t d = 0; d < dims.size(); ++d) out += (d == 0 ? "" : ", ") + dims[d] + "=" + texts[d];
  return out;
}

std::optional<double> entry(const std::vector<double>& values, std::size_t i) {
  return values.empty() ? std::nullopt : std::optional(values[i]);
}

using Rows = std::vector<std::vector<std::string>>;

/// Columns as wide as their widest text, two blanks apart.
std::string aligned(const Rows& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t c = 0; c < row.size(); ++c) line += row[c] + std::string(widths[c] - row[c].size() + 2, ' ');
    out += line.erase(line.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

std::string omitted(std::size_t count) {
  return count == 0 ? "" : "... " + std::to_string(count) + " more\n";
}

void add_columns(const Observable& observable, std::size_t i, Rows& rows) {
  const auto cell = [&](const std::vector<double>& values) {
    const std::optional<double> value = entry(values, i);
    return value ? rounded(*value) : std::string("-");
  };
  for (const auto* values : {&observable.mean, &observable.se, &observable.count, &observable.theory,
                             &observable.theory_error, &observable.z}) {
    rows.back().push_back(cell(*values));
  }
}

/// Key of an entry that two results share, independent of the order of dims.
std::string entry_key(const Observable& observable, const std::vector<std::string>& texts) {
  std::vector<std::string> parts;
  for (std::size_t d = 0; d < texts.size(); ++d) parts.push_back(observable.dims[d] + "=" + texts[d]);
  std::sort(parts.begin(), parts.end());
  std::string key = observable.name;
  for (std::size_t d = 0; d < parts.size(); ++d) key += (d == 0 ? " at " : ", ") + parts[d];
  return key;
}

struct Located {
  const Observable* observable;
  std::size_t index;
  std::string coordinates;
};

std::map<std::string, Located> entries_of(const Result& result) {
  std::map<std::string, Located> entries;
  for (const Observable& observable : result.observables) {
    for (std::size_t i = 0; i < observable.mean.size(); ++i) {
      const auto texts = coordinates(result, observable, i);
      entries[entry_key(observable, texts)] = {&observable, i, joined(observable.dims, texts)};
    }
  }
  return entries;
}

ComparedEntry compared(const Located& first, const Located& second) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  ComparedEntry row{first.observable->name, first.coordinates, first.observable->mean[first.index],
                    second.observable->mean[second.index], 0.0, kNan};
  row.difference = row.second - row.first;
  const double error = std::hypot(entry(first.observable->se, first.index).value_or(kNan),
                                  entry(second.observable->se, second.index).value_or(kNan));
  row.z = row.difference == 0.0 ? 0.0 : row.difference / error;
  return row;
}

}  // namespace

std::string to_csv(const Result& result) {
  std::string out = "observable,units";
  for (const Axis& axis : result.axes) out += "," + csv_field(axis.name);
  out += ",mean,se,count,theory,theory_error,z\n";
  for (const Observable& observable : result.observables) {
    for (std::size_t i = 0; i < observable.mean.size(); ++i) {
      out += csv_field(observable.name) + "," + csv_field(observable.units);
      const auto texts = coordinates(result, observable, i);
      for (const Axis& axis : result.axes) {
        const auto found = std::find(observable.dims.begin(), observable.dims.end(), axis.name);
        const auto d = static_cast<std::size_t>(found - observable.dims.begin());
        out += "," + (d < texts.size() ? csv_field(texts[d]) : std::string());
      }
      for (const auto* values : {&observable.mean, &observable.se, &observable.count, &observable.theory,
                                 &observable.theory_error, &observable.z}) {
        const std::optional<double> value = entry(*values, i);
        out += "," + (value ? exact(*value) : std::string());
      }
      out += "\n";
    }
  }
  return out;
}

std::string summary_table(const Result& result, std::size_t most_rows) {
  std::string out;
  for (const Observable& observable : result.observables) {
    out += observable.name + (observable.units.empty() ? "" : " [" + observable.units + "]");
    out += (observable.description.empty() ? "" : ": " + observable.description) + "\n";
    if (!observable.prediction.empty()) out += "prediction: " + observable.prediction + "\n";
    Rows rows{observable.dims};
    for (const char* column : {"mean", "se", "count", "theory", "theory_error", "z"}) rows.back().push_back(column);
    const std::size_t shown = std::min(most_rows, observable.mean.size());
    for (std::size_t i = 0; i < shown; ++i) {
      rows.push_back(coordinates(result, observable, i));
      add_columns(observable, i, rows);
    }
    out += aligned(rows) + omitted(observable.mean.size() - shown) + "\n";
  }
  return out;
}

Comparison compare(const Result& first, const Result& second) {
  Comparison comparison;
  auto others = entries_of(second);
  for (const auto& [key, located] : entries_of(first)) {
    const auto other = others.find(key);
    if (other == others.end()) {
      comparison.only_first.push_back(key);
      continue;
    }
    comparison.entries.push_back(compared(located, other->second));
    const double z = comparison.entries.back().z;
    if (!std::isnan(z)) comparison.largest_z = std::max(comparison.largest_z, std::abs(z));
    others.erase(other);
  }
  for (const auto& [key, located] : others) comparison.only_second.push_back(key);
  return comparison;
}

std::string comparison_table(const Comparison& comparison, std::size_t most_rows) {
  std::vector<ComparedEntry> entries = comparison.entries;
  const auto weight = [](const ComparedEntry& row) { return std::isnan(row.z) ? -1.0 : std::abs(row.z); };
  std::stable_sort(entries.begin(), entries.end(),
                   [&](const ComparedEntry& a, const ComparedEntry& b) { return weight(a) > weight(b); });
  Rows rows{{"observable", "coordinates", "first", "second", "difference", "standard errors"}};
  const std::size_t shown = std::min(most_rows, entries.size());
  for (std::size_t i = 0; i < shown; ++i) {
    const ComparedEntry& row = entries[i];
    rows.push_back({row.observable, row.coordinates, rounded(row.first), rounded(row.second), rounded(row.difference),
                    rounded(row.z)});
  }
  return aligned(rows) + omitted(entries.size() - shown) + std::to_string(entries.size()) + " shared entries, " +
         std::to_string(comparison.only_first.size()) + " only in the first, " +
         std::to_string(comparison.only_second.size()) + " only in the second; largest |z| " +
         rounded(comparison.largest_z) + "\n";
}

}  // namespace widelab::io
