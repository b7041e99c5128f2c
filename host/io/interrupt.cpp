#include "host/io/interrupt.hpp"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <string_view>

namespace widelab::io {
namespace {

std::atomic<int> interrupt_count{0};
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may touch lock-free atomics only");

void say(std::string_view text) { static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size())); }

// Only async-signal-safe calls here.
extern "C" void widelab_on_interrupt(int signal_number) {
  const int saved = errno;
  const int count = interrupt_count.fetch_add(1) + 1;
  if (count == 1) say("\ninterrupted: stopping at the next segment; once more drops the cell in progress\n");
  if (count == 2) say("\ninterrupted twice: dropping the cell in progress; finished cells are kept\n");
  if (count >= 3) {
    std::signal(signal_number, SIG_DFL);
    std::raise(signal_number);
  }
  errno = saved;
}

}  // namespace

void install_interrupt_handler() {
  struct sigaction action {};
  action.sa_handler = widelab_on_interrupt;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
}

int interrupts() { return interrupt_count.load(); }

void reset_interrupts() { interrupt_count.store(0); }

}  // namespace widelab::io
