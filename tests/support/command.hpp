// Runs the command `widelab` as a user does: arguments and environment in; exit code, signal, text and run folder out.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace widelab::test {

namespace fs = std::filesystem;

/// A folder of its own, removed at the end.
class TempFolder {
 public:
  TempFolder() {
    std::string name = (fs::temp_directory_path() / "widelab-command-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// `code` is -1 where a signal ended the process.
struct Outcome {
  int code = -1, signal = 0;
  std::string out, err;
};

struct Launch {
  std::vector<std::string> arguments;
  fs::path folder;                                                ///< working directory
  std::map<std::string, std::optional<std::string>> environment;  ///< changes; nullopt removes a variable
  std::uint64_t largest_file = 0;                                 ///< RLIMIT_FSIZE, bytes; 0 = none
  std::string program = WIDELAB_COMMAND;
};

/// A command that runs beside the test.
class Process {
 public:
  explicit Process(const Launch& launch)
      : out_(memfd_create("out", MFD_CLOEXEC)), err_(memfd_create("err", MFD_CLOEXEC)) {
    // Everything that allocates comes before the fork.
    std::vector<std::string> words{launch.program}, settings = environment(launch);
    words.insert(words.end(), launch.arguments.begin(), launch.arguments.end());
    const std::vector<char*> argv = pointers(words), envp = pointers(settings);
    const std::string folder = launch.folder.string();
    child_ = fork();
    if (child_ < 0) throw std::runtime_error("fork failed");
    if (child_ > 0) return;
    if (launch.largest_file > 0) {
      const rlimit limit{launch.largest_file, launch.largest_file};
      setrlimit(RLIMIT_FSIZE, &limit);
    }
    if ((!folder.empty() && chdir(folder.c_str()) != 0) || dup2(out_, STDOUT_FILENO) < 0 ||
        dup2(err_, STDERR_FILENO) < 0)
      _exit(126);
    execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    if (child_ > 0) {
      kill(child_, SIGKILL);
      wait();
    }
    close(out_);
    close(err_);
  }

  void send(int signal_number) const {
    if (child_ > 0) kill(child_, signal_number);
  }

  /// Waits until `done()`, or until the process ends. Returns whether done() came true.
  template <class Condition>
  bool wait_until(const Condition& done) {
    while (!done()) {
      siginfo_t info{};
      if (waitid(P_PID, static_cast<id_t>(child_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child_)
        return done();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  std::string errors_so_far() const { return text(err_); }

  Outcome wait() {
    int status = 0;
    waitpid(child_, &status, 0);
    child_ = -1;
    Outcome outcome;
    outcome.out = text(out_);
    outcome.err = text(err_);
    if (WIFEXITED(status)) outcome.code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
    return outcome;
  }

 private:
  static std::vector<std::string> environment(const Launch& launch) {
    std::vector<std::string> settings;
    for (char** entry = environ; *entry; ++entry) {
      const std::string setting = *entry;
      if (!launch.environment.count(setting.substr(0, setting.find('=')))) settings.push_back(setting);
    }
    for (const auto& [name, value] : launch.environment)
      if (value) settings.push_back(name + "=" + *value);
    return settings;
  }

  static std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> out;
    for (std::string& word : words) out.push_back(word.data());
    out.push_back(nullptr);
    return out;
  }

  static std::string text(int fd) {
    std::string all;
    char buffer[4096];
    for (off_t at = 0;;) {
      const ssize_t count = pread(fd, buffer, sizeof buffer, at);
      if (count <= 0) return all;
      all.append(buffer, static_cast<std::size_t>(count));
      at += count;
    }
  }

  int out_, err_;
  pid_t child_ = -1;
};

inline std::string read_text(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

/// Tests of the command: a folder to work in, and a recipe that takes milliseconds.
class CommandTest : public ::testing::Test {
 protected:
  fs::path folder() const { return temp_.path(); }

  fs::path write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder() / name).parent_path());
    std::ofstream(folder() / name, std::ios::binary) << text;
    return folder() / name;
  }

  /// N = 3, widths 8 and 16, 64 networks; `more` is appended.
  fs::path tiny_recipe(const std::string& name = "tiny.toml", const std::string& more = "") const {
    return write(name,
                 "schema = 1\nexperiment = \"ntk-limit\"\n[model]\ndepth = 2\n[data]\nexamples = 3\ndimension = 4\n"
                 "[seeds]\nreplicates = 64\n[sweep]\nwidth = [8, 16]\n" +
                     more);
  }

  Launch launch(std::vector<std::string> arguments) const {
    Launch out;
    out.arguments = std::move(arguments);
    out.folder = folder();
    out.environment["WIDELAB_DATA"] = std::nullopt;
    return out;
  }

  Outcome run(std::vector<std::string> arguments) const { return Process(launch(std::move(arguments))).wait(); }

  static ::testing::AssertionResult exits(const Outcome& outcome, int code) {
    if (outcome.code == code) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "exit code " << outcome.code << ", signal " << outcome.signal
                                         << ", expected " << code << "\nout: " << outcome.out
                                         << "\nerr: " << outcome.err;
  }

 private:
  TempFolder temp_;
};

}  // namespace widelab::test
