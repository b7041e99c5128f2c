// What every benchmark needs: options, interleaved rounds, medians with their range, a record of the machine, results
// as JSON lines. Sides that are compared are timed in turn within each round, because the rate of a shared machine
// drifts.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/runtime/backend.hpp"

namespace widelab::bench {

struct Options {
  std::string device = "cpu";  ///< as runtime::make_backend takes it
  std::string json;            ///< file to which results are appended; empty = none
  std::string only;            ///< run only the cases whose name contains this
  int rounds = 9;              ///< at least this many
  double seconds = 2.0;        ///< and at least this long, a case
  bool quick = false;          ///< tiny sizes: shows that everything runs, measures nothing
};

/// main() of a benchmark. Parses the options (--device --json --only --rounds --seconds --quick --help), makes the
/// backend and calls `body`. Restarts the process first, with the BLAS's own kernel choice and one BLAS thread a call,
/// where the environment says otherwise (OPENBLAS_CORETYPE slows every side by half): the library reads it before
/// main(). Returns the exit code: 0, 2 for an unknown option or value, or that of a widelab error.
using Body = std::function<void(runtime::Backend&, const Options&)>;
int run_benchmark(int argc, char** argv, const Body& body);

/// main() of widelab's side of a duel: `--write JOB.json` writes what every side reads, `JOB.json` answers the duel's
/// requests; after the same restart. Returns the exit code.
using JobFile = std::function<void(const std::string& path)>;
int run_duel_side(int argc, char** argv, const JobFile& write, const JobFile& serve);

/// The same for what a Job makes of the path.
template <class Job>
int run_duel_side(int argc, char** argv, void (*write)(const Job&), void (*serve)(const Job&)) {
  return run_duel_side(
      argc, argv, [write](const std::string& path) { write(Job(path)); },
      [serve](const std::string& path) { serve(Job(path)); });
}

/// Something that is timed: does its work once and returns the seconds that count.
using Side = std::function<double()>;

/// What widelab's side of a duel says of itself, and what it is asked to do.
struct DuelSide {
  std::string variant;          ///< how it does its work
  double flops = 0;             ///< useful operations of a turn
  std::optional<double> error;  ///< none where there is no common result to be held against
  double seconds = 0;           ///< of one turn
  Side turn;
  Side product;  ///< seconds of the library's own products; empty = not known
  double product_flops = 0;
};

/// Says what the side is, then answers requests on standard input until "quit" (bench/duels/worker.py).
void answer_duel(const runtime::Backend& backend, const DuelSide& side);

/// The median of some rounds, with their spread; seconds unless said otherwise.
struct Summary {
  double median = 0, min = 0, max = 0, lower_quartile = 0;
  int rounds = 0;
};
Summary summarise(std::vector<double> values);

/// A ratio of medians; range and lower quartile are those of the rounds' own ratios.
Summary ratio_of(const std::vector<double>& numerator, const std::vector<double>& denominator);

/// Seconds that a call takes.
double seconds_of(const std::function<void()>& work);

/// Each side once to warm up, then rounds of all sides, every second round in reverse order. Result: [side][round].
std::vector<std::vector<double>> interleave(const std::vector<Side>& sides, const Options& options);

/// One line of the table.
struct Row {
  std::string op, shape;
  Summary time;
  Summary floor;  ///< rounds = 0: not measured
  Summary floor_over_time;
  double goal = 0;                                    ///< least floor/time; 0 = no goal
  double error = -1;                                  ///< ||out - ref|| / ||ref||; negative = not measured
  std::vector<std::pair<std::string, double>> rates;  ///< name with unit -> value
  std::string note;
};

/// Prints the row, and appends it with the machine's description to options.json.
void report(const Options& options, const runtime::Backend& backend, const Row& row);

/// ||out - reference|| / ||reference||, the Frobenius norm.
double relative_error(const std::vector<double>& out, const std::vector<double>& reference);

/// Whether --only lets a case run.
bool selected(const Options& options, const std::string& name);

}  // namespace widelab::bench
