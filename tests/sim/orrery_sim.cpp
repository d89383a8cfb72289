#include "tests/sim/simulation.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>
#include <string>

// orrery-sim: one seed, or new seeds for some time.

namespace {

using namespace orrery::sim;

constexpr const char* help =
    "orrery-sim: some orreryd, their log, hosts and clients in one thread and in virtual time.\n"
    "Everything that may go wrong does, by a seed; then nothing does, and all must settle.\n"
    "\n"
    "  --seed N         the run to make (default 1); with --for the first of them\n"
    "  --seconds S      how long faults happen, in simulated seconds (default 120)\n"
    "  --vms V          about so many VMs at a time (default 20)\n"
    "  --processes P    orreryd at a time (default: 1 to 4, by the seed)\n"
    "  --partitions P   partitions of the log (default: 1 to 3, by the seed)\n"
    "  --faults LIST    all (default), none, or names with commas: log, crash, pause, cut,\n"
    "                   clock, board, transport, leave, verb, host, guest\n"
    "  --without-barrier  hosts know tokens for each guest only, as the drivers of today do\n"
    "  --for TIME       new seeds from N on for so long: 300s, 5m\n"
    "  --jobs J         with --for: so many at once, each a million seeds after the one before\n"
    "  --trace          prints what happens, line by line\n"
    "\n"
    "examples:\n"
    "  orrery-sim --seed 7\n"
    "  orrery-sim --seed 7 --trace | less\n"
    "  orrery-sim --seed 1000 --for 5m --jobs 2\n"
    "  orrery-sim --seed 7 --vms 100 --seconds 1000 --faults crash,pause\n"
    "\n"
    "Exit status: 0 all promises were kept; 1 one was broken, and it is said which, at which\n"
    "step, and how to run it again; 2 the command line is wrong.\n";

struct wish {
  settings of = with_all_faults(1);
  std::optional<std::chrono::seconds> for_time;
  std::uint64_t jobs = 1; ///< processes, each with seeds of its own
  bool is_traced = false;
  bool wants_help = false;
};

[[noreturn]] void complain(const std::string& why) {
  std::fprintf(stderr, "orrery-sim: %s (orrery-sim --help)\n", why.c_str());
  std::exit(2);
}

std::uint64_t number_in(const std::string& option, const std::string& text, std::uint64_t most) {
  char* end = nullptr;
  const auto value = std::strtoull(text.c_str(), &end, 10);
  if (text.empty() || *end != 0 || text[0] == '-' || value > most)
    complain(option + " takes a number up to " + std::to_string(most) + ", not '" + text + "'");
  return value;
}

std::chrono::seconds time_in(const std::string& text) {
  constexpr std::uint64_t most = 86'400;
  if (text.ends_with('m'))
    return std::chrono::minutes(number_in("--for", text.substr(0, text.size() - 1), most / 60));
  const auto digits = text.ends_with('s') ? text.substr(0, text.size() - 1) : text;
  return std::chrono::seconds(number_in("--for", digits, most));
}

wish parse(int count, char** words) {
  wish made;
  for (int at = 1; at < count; ++at) {
    const std::string option = words[at];
    if (option == "--help" || option == "-h") {
      made.wants_help = true;
      return made;
    }
    if (option == "--without-barrier") {
      made.of.has_barrier = false;
      continue;
    }
    if (option == "--trace") {
      made.is_traced = true;
      continue;
    }
    if (at + 1 == count)
      complain("'" + option + "' is no option, or lacks its value");
    const std::string value = words[++at];
    if (option == "--seed")
      made.of.seed = number_in(option, value, UINT64_MAX);
    else if (option == "--seconds")
      made.of.seconds = number_in(option, value, 1'000'000);
    else if (option == "--vms")
      made.of.vms = static_cast<std::uint32_t>(number_in(option, value, 3'000));
    else if (option == "--processes")
      made.of.processes = static_cast<std::uint32_t>(number_in(option, value, 16));
    else if (option == "--partitions")
      made.of.partitions = static_cast<std::uint32_t>(number_in(option, value, 16));
    else if (option == "--for")
      made.for_time = time_in(value);
    else if (option == "--jobs")
      made.jobs = std::max<std::uint64_t>(1, number_in(option, value, 64));
    else if (option != "--faults")
      complain("there is no option '" + option + "'");
    else if (const auto set = set_faults(made.of, value); !set)
      complain(set.error().text);
  }
  return made;
}

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

using big = unsigned long long;

void print_numbers(const outcome& got, double cpu) {
  const auto simulated = static_cast<double>(got.simulated.count()) / 1e6;
  std::printf(
      "  %.0f s simulated, %llu steps, settled after %.0f s at most, %.0f simulated s per CPU "
      "second\n",
      simulated, big{got.steps}, static_cast<double>(got.settled_after.count()) / 1e6,
      simulated / std::max(cpu, 1e-6));
  std::printf(
      "  %llu processes, %llu claims, %llu commits of %llu commands, %llu void records; %llu "
      "answered, %llu refused, %llu times unheard; %llu checks\n",
      big{got.lives}, big{got.claims}, big{got.commits}, big{got.decisions}, big{got.voids},
      big{got.answered}, big{got.refused}, big{got.unheard}, big{got.checks});
  std::string faults;
  for (std::size_t at = 1; at < fault_count; ++at) // those of the log are told one by one
    faults +=
        " " + std::string(name_of(static_cast<fault>(at))) + " " + std::to_string(got.counts[at]);
  const auto& log = got.log_counts;
  std::printf(
      "  faults:%s; log: refused %llu dropped %llu delayed %llu reordered %llu doubled %llu "
      "reply lost %llu neighbour %llu lagging %llu\n",
      faults.c_str(), big{log.refused}, big{log.dropped}, big{log.delayed}, big{log.reordered},
      big{log.duplicated}, big{log.reply_lost}, big{log.neighbour}, big{log.lagging});
}

void print_broken(const settings& of, const broken_promise& what) {
  std::printf("BROKEN in seed %llu: %s, at step %llu (%.6f s): %s\nrun it again: %s\n",
              big{of.seed}, what.check.c_str(), big{what.step},
              static_cast<double>(what.at.count()) / 1e6, what.text.c_str(),
              command_line(of).c_str());
}

outcome run_one(const settings& of, bool is_traced) {
  simulation one(of);
  if (is_traced)
    one.show([](const std::string& line) { std::puts(line.c_str()); });
  return one.run();
}

/// One run, with everything that it came to. False: a promise was broken.
bool run_seed(const wish& wanted) {
  const auto began = cpu_seconds();
  const auto got = run_one(wanted.of, wanted.is_traced);
  std::printf("seed %llu: trace %016llx\n", big{wanted.of.seed}, big{got.hash});
  print_numbers(got, cpu_seconds() - began);
  if (got.broken)
    print_broken(wanted.of, *got.broken);
  return !got.broken;
}

/// New seeds until the time is over or a promise is broken.
bool run_seeds(wish wanted, std::chrono::seconds for_time) {
  const auto began = std::chrono::steady_clock::now();
  outcome sum;
  const auto first = wanted.of.seed;
  while (!sum.broken && std::chrono::steady_clock::now() - began < for_time) {
    const auto got = run_one(wanted.of, wanted.is_traced);
    sum.add(got);
    sum.broken = got.broken;
    if (!got.broken)
      ++wanted.of.seed;
  }
  std::printf("seeds %llu to %llu:\n", big{first}, big{wanted.of.seed - (sum.broken ? 0 : 1)});
  print_numbers(sum, cpu_seconds());
  if (sum.broken)
    print_broken(wanted.of, *sum.broken);
  std::printf("%llu seeds kept every promise\n", big{wanted.of.seed - first});
  return !sum.broken;
}

/// The same in several processes. False: a promise was broken in one, or one died.
bool run_jobs(const wish& wanted, std::chrono::seconds for_time) {
  constexpr std::uint64_t seeds_each = 1'000'000; // more than a day's
  std::fflush(stdout);
  std::uint64_t begun = 0;
  for (; begun < wanted.jobs; ++begun) {
    const auto child = ::fork();
    if (child < 0)
      break;
    if (child == 0) {
      auto own = wanted;
      own.of.seed += begun * seeds_each;
      std::exit(run_seeds(own, for_time) ? 0 : 1);
    }
  }
  bool are_well = begun == wanted.jobs;
  for (; begun > 0; --begun) {
    int status = 0;
    are_well = ::wait(&status) > 0 && status == 0 && are_well;
  }
  return are_well;
}

} // namespace

int main(int count, char** words) {
  auto wanted = parse(count, words);
  if (wanted.wants_help) {
    std::fputs(help, stdout);
    return 0;
  }
  // What the simulated processes say to people would drown what the simulation says.
  if (std::freopen("/dev/null", "w", stderr) == nullptr)
    return 2;
  const bool is_well = wanted.for_time ? run_jobs(wanted, *wanted.for_time) : run_seed(wanted);
  return is_well ? 0 : 1;
}
