// The result of a run: observables over named axes, each with its error bar, its count and its prediction.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "host/io/array_file.hpp"

namespace widelab::io {

struct Axis {
  std::string name;
  std::string units;
  std::string description;
  std::variant<std::vector<double>, std::vector<std::string>> values;

  std::size_t size() const;
  bool operator==(const Axis&) const = default;
};

/// Arrays are row-major over `dims`; NaN where a value is undefined, an empty array where a kind of value is absent.
struct Observable {
  std::string name;
  std::string units;
  std::string description;
  std::vector<std::string> dims;     ///< names of axes
  std::vector<double> mean;
  std::vector<double> se;            ///< standard error of the mean
  std::vector<double> count;         ///< independent replicates behind it
  std::vector<double> theory;
  std::vector<double> theory_error;  ///< known error of the prediction (truncation, Monte Carlo)
  std::vector<double> z;             ///< (mean - theory) / sqrt(se^2 + theory_error^2)
  std::string prediction;            ///< which formula, and its source

  bool operator==(const Observable&) const = default;
};

struct Result {
  Attributes attributes;
  std::vector<Axis> axes;
  std::vector<Observable> observables;
  std::vector<NamedArray> extras;  ///< whatever else belongs to the run: fits, kept samples

  bool operator==(const Result&) const = default;
};

/// The axis with that name; a ContractError if there is none.
const Axis& axis_named(const Result& result, const std::string& name);

/// z of each entry from mean, se, theory and theory_error; NaN where one is undefined or the error is zero and the
/// difference is too.
std::vector<double> z_scores(const Observable& observable);

/// Variables NAME (the mean), NAME_se, _count, _theory, _theory_error, _z; axes as coordinates.
ArrayFile to_array_file(const Result& result);

/// The inverse of to_array_file. Throws DataError if the arrays are none of a result.
Result from_array_file(const ArrayFile& file);

/// A tidy long table: one line for each entry of each observable, with its coordinates. Numbers read back exactly.
std::string to_csv(const Result& result);

/// The same for reading: aligned, five digits, at most `most_rows` lines of each observable.
std::string summary_table(const Result& result, std::size_t most_rows = 20);

/// One entry that two results share.
struct ComparedEntry {
  std::string observable;
  std::string coordinates;  ///< "width=64, activation=relu"
  double first = 0.0;
  double second = 0.0;
  double difference = 0.0;  ///< second - first
  double z = 0.0;           ///< difference / sqrt(se_1^2 + se_2^2): in standard errors, if the runs share no draws
};

struct Comparison {
  std::vector<ComparedEntry> entries;
  std::vector<std::string> only_first;   ///< observables or entries that the other lacks
  std::vector<std::string> only_second;
  double largest_z = 0.0;                ///< max |z| over entries where it is defined
};

/// Matches entries by observable and by the values of their coordinates, not by position.
Comparison compare(const Result& first, const Result& second);

/// The comparison for reading, largest |z| first.
std::string comparison_table(const Comparison& comparison, std::size_t most_rows = 20);

}  // namespace widelab::io
