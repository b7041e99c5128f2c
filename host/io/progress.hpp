// How far a run is: a bar with rate and time left on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdio>
#include <mutex>
#include <optional>
#include <string>

namespace widelab::io {

struct ProgressOptions {
  std::FILE* stream = stderr;
  bool quiet = false;
  std::optional<bool> terminal;  ///< unset: ask the stream
  double line_interval = 10.0;   ///< seconds between lines where there is no terminal
};

/// Safe to call from several threads. The stream must outlive it.
class Progress {
 public:
  /// `total` and all amounts are in one unit of work, named by `unit` ("networks"); `already` was done by an
  /// earlier run and does not count for the rate.
  Progress(std::string title, double total, std::string unit, double already = 0.0, ProgressOptions options = {});
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  /// Adds finished work; `label` says what is being done now.
  void advance(double amount, const std::string& label = "");

  /// Work that an earlier run has done: it moves the bar, not the rate.
  void skip(double amount);

  /// A line of its own that stays, such as a finished cell.
  void note(const std::string& line);

  /// The last line; later calls do nothing.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  void draw();
  void erase();

  std::mutex mutex_;
  std::string title_;
  std::string unit_;
  std::string label_;
  double total_;
  double already_;
  double done_;
  ProgressOptions options_;
  bool terminal_;
  bool finished_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_draw_ = Clock::now();
};

struct ProgressState {
  std::string title;
  std::string unit;
  std::string label;
  double done = 0.0;
  double total = 0.0;
  double rate = 0.0;  ///< units a second; 0 while unknown
};

/// "ntk-limit  [#####-----]  50 %  128/256 networks  12.3/s  10 s left  width=64"; the bar only if `bar_width` > 0.
std::string progress_line(const ProgressState& state, int bar_width);

/// "12 s", "3 min 05 s", "2 h 07 min", "3 d 04 h".
std::string duration_text(double seconds);

}  // namespace widelab::io
