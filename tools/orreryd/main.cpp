#include "actors/run.hpp"
#include "events/core/crash_point.hpp"
#include "tools/orreryd/config_file.hpp"

#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Settings of jemalloc, which looks for this name. Commands are made on one thread and freed on
/// another: one arena a processor instead of four keeps them from lying scattered, and a thread of
/// its own gives freed memory back within seconds, also when nothing is allocated any more. With
/// 100,000 VMs a fifth of the process's memory.
extern "C" const char* malloc_conf;
const char* malloc_conf = "percpu_arena:percpu,background_thread:true,dirty_decay_ms:2000";

namespace {

using orrery::error;
using orrery::error_code;
using orrery::result;

constexpr const char* usage =
    R"(Usage: orreryd --config FILE [--read-only] [--check]

Runs Orrery: the event log, the actors, the projections and the REST API, in one process.

  --config FILE    TOML; see below
  --read-only      answers questions from the log and never writes to it
  --check          reads the configuration, says whether it is right, and ends
  --version
  --crash-at NAME[:COUNT]   for tests: dies as by kill -9 when it passes that point
  --crash-on-signal NAME[:COUNT]   the same, counted from the first SIGUSR2 on
  --hang-on-signal NAME[:COUNT]    the same, but the thread that passes it stands still for ever
  --list-crash-points

Example of a configuration:

  data_directory = "/var/lib/orrery"          # the log and the projections
  listen = "127.0.0.1:7480"                   # loopback only
  token_file = "/var/lib/orrery/token"        # made when missing, mode 0600
  edition = "hosting"                         # or single_cluster, multi_cluster

  [kafka]                                     # without it: the embedded log in data_directory
  servers = "kafka-1:9092,kafka-2:9092,kafka-3:9092"
  prefix = "orrery"                           # of the topics; `orrery log init` makes them
  settings_file = "/etc/orrery/kafka"         # TLS and login, lines name=value
  replication = 3

  [kvm]
  image_directory = "/var/lib/orrery/images"  # one folder an image: vmlinuz, initrd
  console_directory = "/var/lib/orrery/console"
  domain_type = "kvm"                         # or "tcg": full emulation, slow, runs everywhere

  [simulated]
  directory = "/var/lib/orrery/simulated"     # simulated guests survive a restart here
  verb_microseconds = 5000

Exit status: 0 ended by a signal, 1 could not start or go on (stderr says why), 64 wrong usage.
)";

struct arguments {
  std::string config;
  bool is_read_only = false;
  bool is_check = false;
  std::string crash_at;
  std::string crash_on_signal;
  bool is_hanging = false; ///< instead of ending
};

enum class wish : std::uint8_t { run, done, misused };

wish parse(const std::vector<std::string_view>& given, arguments& made) {
  for (std::size_t i = 0; i < given.size(); ++i) {
    const auto one = given[i];
    const bool has_value = i + 1 < given.size();
    if (one == "--help" || one == "-h") {
      std::fputs(usage, stdout);
      return wish::done;
    }
    if (one == "--version") {
      std::puts("orreryd " ORRERY_VERSION);
      return wish::done;
    }
    if (one == "--list-crash-points") {
      for (const auto name : orrery::all_crash_points())
        std::printf("%.*s\n", static_cast<int>(name.size()), name.data());
      return wish::done;
    }
    if (one == "--read-only")
      made.is_read_only = true;
    else if (one == "--check")
      made.is_check = true;
    else if (one == "--config" && has_value)
      made.config = given[++i];
    else if (one == "--crash-at" && has_value)
      made.crash_at = given[++i];
    else if ((one == "--crash-on-signal" || one == "--hang-on-signal") && has_value) {
      made.is_hanging = one == "--hang-on-signal";
      made.crash_on_signal = given[++i];
    } else
      return wish::misused;
  }
  return made.config.empty() ? wish::misused : wish::run;
}

result<void> arm(const std::string& text) {
  if (text.empty())
    return {};
  const auto colon = text.find(':');
  std::uint64_t count = 1;
  if (colon != std::string::npos) {
    const auto* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + colon + 1, end, count);
    if (parsed.ec != std::errc() || parsed.ptr != end)
      return error{error_code::invalid_argument, "--crash-at " + text + ": want NAME[:COUNT]",
                   false};
  }
  return orrery::arm_crash_point(text.substr(0, colon), count);
}

int fail(const error& why) {
  const auto code = orrery::name_of(why.code);
  std::fprintf(stderr, "error: %s (%.*s)\n", why.text.c_str(), static_cast<int>(code.size()),
               code.data());
  return 1;
}

[[noreturn]] void hang() {
  while (true)
    ::pause(); // signals are for the main thread
}

/// Before any thread begins, so that all inherit it and only the main thread takes signals.
void block_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

} // namespace

int main(int count, char** values) {
  constexpr int usage_status = 64; // EX_USAGE of sysexits.h
  arguments given;
  switch (parse({values + 1, values + count}, given)) {
  case wish::done:
    return 0;
  case wish::misused:
    std::fputs(usage, stderr);
    return usage_status;
  case wish::run:
    break;
  }
  auto settings = orrery::tools::read_config(given.config);
  if (!settings)
    return fail(settings.error());
  if (given.is_check) {
    if (auto checked = orrery::actors::check(*settings); !checked)
      return fail(checked.error());
    std::printf("%s is right\n", given.config.c_str());
    return 0;
  }
  if (auto armed = arm(given.crash_at); !armed)
    return fail(armed.error());
  if (given.is_hanging)
    orrery::set_crash(hang);
  settings->is_read_only = given.is_read_only;
  block_signals();
  orrery::actors::run_events tell;
  tell.ready = [&settings](std::uint16_t port) {
    const auto host = settings->listen.substr(0, settings->listen.rfind(':'));
    std::printf("ready: http://%s:%u\n", host.c_str(), static_cast<unsigned>(port));
    std::fflush(stdout);
  };
  if (!given.crash_on_signal.empty())
    tell.user_signal = [&given] {
      const auto armed = arm(given.crash_on_signal);
      std::puts(armed ? "armed" : armed.error().text.c_str());
      std::fflush(stdout);
    };
  if (auto ended = orrery::actors::run(*settings, tell); !ended)
    return fail(ended.error());
  return 0;
}
