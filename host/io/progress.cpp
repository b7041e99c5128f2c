#include "host/io/progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace widelab::io {
namespace {

constexpr int kBarWidth = 20;
constexpr double kRedraw = 0.1;  // seconds

std::size_t columns(std::FILE* stream) {
  winsize size{};
  constexpr std::size_t kUsual = 80;
  return ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsual;
}

double since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::string duration_text(double seconds) {
  const auto whole = static_cast<long long>(std::llround(std::clamp(seconds, 0.0, 1e12)));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  if (whole < 86400) return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
  return fmt::format("{} d {:02} h", whole / 86400, whole % 86400 / 3600);
}

std::string progress_line(const ProgressState& state, int bar_width) {
  const double part = state.total > 0.0 ? std::clamp(state.done / state.total, 0.0, 1.0) : 0.0;
  std::string line = state.title;
  if (bar_width > 0) {
    const auto filled = static_cast<std::size_t>(part * bar_width);
    line += fmt::format("  [{}{}]", std::string(filled, '#'),
                        std::string(static_cast<std::size_t>(bar_width) - filled, '-'));
  }
  // Rounded down: 100 % means finished.
  line += fmt::format("  {} %  {:.6g}/{:.6g} {}", static_cast<int>(part * 100.0), state.done, state.total, state.unit);
  if (state.rate > 0.0) {
    line += fmt::format("  {:.3g}/s", state.rate);
    if (state.done < state.total) line += "  " + duration_text((state.total - state.done) / state.rate) + " left";
  }
  return state.label.empty() ? line : line + "  " + state.label;
}

Progress::Progress(std::string title, double total, std::string unit, double already, ProgressOptions options)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      total_(total),
      already_(already),
      done_(already),
      options_(options),
      terminal_(options.terminal.value_or(isatty(fileno(options.stream)) == 1)) {}

Progress::~Progress() {
  const std::lock_guard lock(mutex_);
  if (!finished_) erase();
}

void Progress::skip(double amount) {
  const std::lock_guard lock(mutex_);
  done_ += amount;
  already_ += amount;
}

void Progress::advance(double amount, const std::string& label) {
  const std::lock_guard lock(mutex_);
  done_ += amount;
  if (!label.empty()) label_ = label;
  if (!finished_ && since(last_draw_) >= (terminal_ ? kRedraw : options_.line_interval)) draw();
}

void Progress::note(const std::string& line) {
  const std::lock_guard lock(mutex_);
  if (finished_ || options_.quiet) return;
  erase();
  fmt::print(options_.stream, "{}\n", line);
  if (terminal_) draw();
}

void Progress::finish() {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  label_.clear();
  draw();
  finished_ = true;
  if (!options_.quiet) fmt::print(options_.stream, "{}took {}\n", terminal_ ? "\n" : "", duration_text(since(start_)));
}

void Progress::draw() {
  last_draw_ = Clock::now();
  if (options_.quiet) return;
  const double seconds = since(start_);
  const double rate = seconds > 0.0 ? (done_ - already_) / seconds : 0.0;
  std::string line = progress_line({title_, unit_, label_, done_, total_, rate}, terminal_ ? kBarWidth : 0);
  if (terminal_) {
    line = line.substr(0, columns(options_.stream) - 1);
    fmt::print(options_.stream, "\r\033[K{}", line);
  } else {
    fmt::print(options_.stream, "{}\n", line);
  }
  std::fflush(options_.stream);
}

void Progress::erase() {
  if (terminal_ && !options_.quiet) fmt::print(options_.stream, "\r\033[K");
  std::fflush(options_.stream);
}

}  // namespace widelab::io
