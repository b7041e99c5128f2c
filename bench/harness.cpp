#include "bench/harness.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "host/io/provenance.hpp"
#include "widelab/base/errors.hpp"

namespace widelab::bench {
namespace {

constexpr const char* kUsage =
    "options: --device cpu|cuda[:I]  --rounds R (>= 1, default 9)  --seconds S (least time a case, default 2)\n"
    "         --only TEXT (cases whose name contains it)  --json FILE (results are appended)  --quick (tiny sizes)\n";

/// What the environment has to say for a fair measurement; nullptr = the variable must be unset. The two of malloc keep
/// freed memory for the next round, as the allocators of the peers do.
constexpr std::pair<const char*, const char*> kEnvironment[] = {
    {"OPENBLAS_CORETYPE", nullptr}, {"OPENBLAS_NUM_THREADS", "1"},          {"MKL_NUM_THREADS", "1"},
    {"BLIS_NUM_THREADS", "1"},      {"MALLOC_MMAP_THRESHOLD_", "33554432"}, {"MALLOC_TRIM_THRESHOLD_", "1073741824"}};

[[noreturn]] void usage_error(const std::string& message) {
  fmt::print(stderr, "{}\n{}", message, kUsage);
  std::exit(2);
}

double number(const std::string& option, const char* text, double least) {
  char* end = nullptr;
  const double value = std::strtod(text, &end);
  if (end == text || *end != '\0' || !(value >= least))
    usage_error(fmt::format("{} = '{}': must be a number from {} on", option, text, least));
  return value;
}

double quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

std::string blas_core() {
  if (void* symbol = dlsym(RTLD_DEFAULT, "openblas_get_corename")) return reinterpret_cast<char* (*)()>(symbol)();
  return "";
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", std::gmtime(&now));
  return text;
}

nlohmann::json to_json(const Summary& s) {
  if (s.rounds == 0) return nullptr;
  return {
      {"median", s.median}, {"min", s.min}, {"max", s.max}, {"lower_quartile", s.lower_quartile}, {"rounds", s.rounds}};
}

nlohmann::json machine(const runtime::Backend& backend) {
  const runtime::DeviceInfo &device = backend.info(), cpu = runtime::cpu_device();
  return {{"device", device.name},
          {"kind", device.kind},
          {"detail", device.detail},
          {"cpu", cpu.name},
          {"isa", cpu.detail},
          {"threads", omp_get_max_threads()},
          {"blas", runtime::blas_description()},
          {"blas_core", blas_core()}};
}

Options parse_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--help" || option == "-h") {
      fmt::print("{}", kUsage);
      std::exit(0);
    }
    if (option == "--quick") {
      options.quick = true;
      options.seconds = 0;
      continue;
    }
    if (i + 1 == argc) usage_error(option + ": an unknown option, or its value is missing");
    const char* value = argv[++i];
    if (option == "--device")
      options.device = value;
    else if (option == "--json")
      options.json = value;
    else if (option == "--only")
      options.only = value;
    else if (option == "--rounds")
      options.rounds = static_cast<int>(number(option, value, 1));
    else if (option == "--seconds")
      options.seconds = number(option, value, 0);
    else
      usage_error(option + ": unknown option");
  }
  return options;
}

/// OpenBLAS reads its environment before main(): where that is wrong, the process starts again.
void restart_in_fair_environment(char** argv) {
  bool changed = false;
  for (const auto& [name, wanted] : kEnvironment) {
    const char* value = std::getenv(name);
    if (wanted ? value && std::strcmp(value, wanted) == 0 : value == nullptr) continue;
    if (wanted)
      setenv(name, wanted, 1);
    else
      unsetenv(name);
    changed = true;
  }
  if (!changed) return;
  execv("/proc/self/exe", argv);
  std::perror("cannot restart with OPENBLAS_CORETYPE unset; unset it yourself");
  std::exit(1);
}

/// What `work` throws becomes a message and an exit code.
int guarded(const char* program, const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    fmt::print(stderr, "{}: {}\n", program, error.what());
    return static_cast<int>(error.code());
  }
  return 0;
}

}  // namespace

int run_benchmark(int argc, char** argv, const Body& body) {
  restart_in_fair_environment(argv);
  const Options options = parse_options(argc, argv);
  return guarded(argv[0], [&] { body(*runtime::make_backend(options.device), options); });
}

int run_duel_side(int argc, char** argv, const JobFile& write, const JobFile& serve) {
  restart_in_fair_environment(argv);
  const bool writes = argc == 3 && std::string(argv[1]) == "--write";
  if (!writes && argc != 2) {
    fmt::print(stderr, "usage: {} [--write] JOB.json\n", argv[0]);
    return 2;
  }
  return guarded(argv[0], [&] { (writes ? write : serve)(argv[argc - 1]); });
}

void answer_duel(const runtime::Backend& backend, const DuelSide& side) {
  const auto answer = [](const nlohmann::json& line) { std::cout << line.dump() << std::endl; };
  const runtime::DeviceInfo cpu = runtime::cpu_device();
  nlohmann::json ready = {{"peer", "widelab"},
                          {"version", io::version_text()},
                          {"variant", side.variant},
                          {"device", backend.info().name},
                          {"cpu", cpu.name},
                          {"isa", cpu.detail},
                          {"blas", runtime::blas_description()},
                          {"flops", side.flops},
                          {"seconds", side.seconds}};
  if (side.error) ready["error"] = *side.error;
  answer(ready);
  for (std::string request; std::getline(std::cin, request) && request != "quit";) {
    if (request.rfind("go", 0) == 0) {
      const int turns = std::max(1, request.size() > 3 ? std::stoi(request.substr(3)) : 1);
      double seconds = 0;
      for (int k = 0; k < turns; ++k) seconds += side.turn();
      answer({{"seconds", seconds / turns}});
    } else if (request == "gemm" && side.product) {
      answer({{"seconds", side.product()}, {"flops", side.product_flops}});
    } else {
      answer({{"unknown", request}});
    }
  }
}

Summary summarise(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {quantile(values, 0.5), values.front(), values.back(), quantile(values, 0.25),
          static_cast<int>(values.size())};
}

Summary ratio_of(const std::vector<double>& numerator, const std::vector<double>& denominator) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < numerator.size(); ++i) ratios.push_back(numerator[i] / denominator[i]);
  Summary summary = summarise(ratios);
  summary.median = summarise(numerator).median / summarise(denominator).median;
  return summary;
}

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::vector<std::vector<double>> interleave(const std::vector<Side>& sides, const Options& options) {
  for (const Side& side : sides) side();
  std::vector<std::vector<double>> times(sides.size());
  double spent = 0;
  for (int round = 0; round < options.rounds || spent < options.seconds; ++round)
    spent += seconds_of([&] {
      for (std::size_t k = 0; k < sides.size(); ++k) {
        const std::size_t side = round % 2 == 0 ? k : sides.size() - 1 - k;
        times[side].push_back(sides[side]());
      }
    });
  return times;
}

void report(const Options& options, const runtime::Backend& backend, const Row& row) {
  fmt::print("{:<16} {:<44} {:.4g} s [{:.4g} .. {:.4g}] x{}", row.op, row.shape, row.time.median, row.time.min,
             row.time.max, row.time.rounds);
  if (row.floor.rounds)
    fmt::print("  floor {:.4g} s  floor/time {:.3f} [{:.3f} .. {:.3f}], lower quartile {:.3f}", row.floor.median,
               row.floor_over_time.median, row.floor_over_time.min, row.floor_over_time.max,
               row.floor_over_time.lower_quartile);
  if (row.error >= 0) fmt::print("  error {:.2g}", row.error);
  for (const auto& [name, value] : row.rates) fmt::print("  {} {:.4g}", name, value);
  fmt::print("{}\n", row.note.empty() ? "" : "  (" + row.note + ")");
  std::fflush(stdout);
  if (options.json.empty()) return;

  nlohmann::json line = {{"op", row.op},
                         {"shape", row.shape},
                         {"date", today()},
                         {"machine", machine(backend)},
                         {"quick", options.quick},
                         {"seconds", to_json(row.time)},
                         {"floor_seconds", to_json(row.floor)},
                         {"floor_over_time", to_json(row.floor_over_time)},
                         {"note", row.note}};
  if (row.goal > 0) line["goal"] = row.goal;
  if (row.error >= 0) line["error"] = row.error;
  for (const auto& [name, value] : row.rates) line["rates"][name] = value;
  std::ofstream file(options.json, std::ios::app);
  file << line.dump() << '\n';
  if (!file.flush()) throw OutputError("--json " + options.json + ": cannot be written");
}

double relative_error(const std::vector<double>& out, const std::vector<double>& reference) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    difference += (out[i] - reference[i]) * (out[i] - reference[i]);
    norm += reference[i] * reference[i];
  }
  return std::sqrt(difference / norm);
}

bool selected(const Options& options, const std::string& name) { return name.find(options.only) != std::string::npos; }

}  // namespace widelab::bench
