// Progress and interrupts.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "host/io/interrupt.hpp"
#include "host/io/progress.hpp"

namespace widelab::io {
namespace {

/// A stream in memory.
class Capture {
 public:
  Capture() : stream_(std::tmpfile(), &std::fclose) {}
  std::FILE* stream() const { return stream_.get(); }
  std::string text() const {
    std::fflush(stream());
    std::rewind(stream());
    std::string out;
    for (int ch = std::fgetc(stream()); ch != EOF; ch = std::fgetc(stream())) out += static_cast<char>(ch);
    return out;
  }

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream_;
};

ProgressOptions options(const Capture& capture, bool terminal, double interval) {
  ProgressOptions result;
  result.stream = capture.stream();
  result.terminal = terminal;
  result.line_interval = interval;
  return result;
}

TEST(ProgressLine, ShowsShareRateAndTimeLeft) {
  EXPECT_EQ(progress_line({"demo", "networks", "width=64", 128, 256, 12.5}, 10),
            "demo  [#####-----]  50 %  128/256 networks  12.5/s  10 s left  width=64");
  EXPECT_EQ(progress_line({"demo", "networks", "", 0, 256, 0}, 0), "demo  0 %  0/256 networks");
  EXPECT_EQ(progress_line({"demo", "networks", "", 256, 256, 2}, 4), "demo  [####]  100 %  256/256 networks  2/s");
  EXPECT_EQ(progress_line({"demo", "networks", "", 999, 1000, 0}, 4), "demo  [###-]  99 %  999/1000 networks");
}

TEST(DurationText, UsesTheUnitThatFits) {
  EXPECT_EQ(duration_text(0.2), "0 s");
  EXPECT_EQ(duration_text(59.4), "59 s");
  EXPECT_EQ(duration_text(185), "3 min 05 s");
  EXPECT_EQ(duration_text(7620), "2 h 07 min");
  EXPECT_EQ(duration_text(3.0 * 86400 + 4 * 3600), "3 d 04 h");
}

TEST(Progress, WritesPlainLinesWithoutATerminal) {
  const Capture capture;
  {
    Progress progress("demo", 4, "networks", 1, options(capture, false, 0.0));
    progress.advance(1, "width=64");
    progress.note("cell width=64 done");
    progress.advance(2, "width=128");
    progress.finish();
    progress.note("ignored after the end");
  }
  const std::string text = capture.text();
  EXPECT_NE(text.find("demo  50 %  2/4 networks"), std::string::npos) << text;
  EXPECT_NE(text.find("\ncell width=64 done\n"), std::string::npos) << text;
  EXPECT_NE(text.find("demo  100 %  4/4 networks"), std::string::npos) << text;
  EXPECT_EQ(text.find('\r'), std::string::npos) << text;
  EXPECT_EQ(text.find("ignored"), std::string::npos) << text;
}

TEST(Progress, KeepsToItsInterval) {
  const Capture capture;
  Progress progress("demo", 1000, "networks", 0, options(capture, false, 3600.0));
  for (int i = 0; i < 1000; ++i) progress.advance(1);
  EXPECT_EQ(capture.text(), "");
}

TEST(Progress, DrawsABarOnATerminal) {
  const Capture capture;
  Progress progress("demo", 2, "networks", 0, options(capture, true, 0.0));
  progress.advance(1);
  progress.note("cell done");
  progress.finish();
  const std::string text = capture.text();
  EXPECT_NE(text.find("\r\033[K"), std::string::npos);
  EXPECT_NE(text.find("cell done\n"), std::string::npos);
}

TEST(Progress, IsSilentWhenQuiet) {
  const Capture capture;
  {
    ProgressOptions quiet = options(capture, false, 0.0);
    quiet.quiet = true;
    Progress progress("demo", 2, "networks", 0, quiet);
    progress.advance(2);
    progress.note("cell done");
    progress.finish();
  }
  EXPECT_EQ(capture.text(), "");
}

TEST(Progress, CountsFromManyThreads) {
  const Capture capture;
  Progress progress("demo", 4000, "networks", 0, options(capture, false, 3600.0));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) progress.advance(1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  progress.finish();
  EXPECT_NE(capture.text().find("4000/4000"), std::string::npos);
}

TEST(Interrupt, CountsSignalsAndGoesOn) {
  install_interrupt_handler();
  reset_interrupts();
  std::raise(SIGINT);
  EXPECT_EQ(interrupts(), 1);
  std::raise(SIGTERM);
  EXPECT_EQ(interrupts(), 2);
  reset_interrupts();
  EXPECT_EQ(interrupts(), 0);
}

TEST(InterruptDeathTest, TheThirdEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        install_interrupt_handler();
        for (int i = 0; i < 3; ++i) std::raise(SIGINT);
        // The signal stays blocked inside its own handler and arrives when that returns.
        for (;;) std::this_thread::yield();
      },
      testing::KilledBySignal(SIGINT), "interrupted twice");
}

}  // namespace
}  // namespace widelab::io
