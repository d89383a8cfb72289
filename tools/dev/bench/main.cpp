#include "tools/dev/bench/lines.hpp"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

using namespace orrery::bench;

namespace {

struct line {
  const char* id;
  std::vector<row> (*run)(const settings&);
  bool needs_kafka = false; ///< runs only when it is named
};

constexpr line lines[] = {
    {"burst", burst},
    {"log_append", log_append},
    {"replay", replay},
    {"project", project},
    {"restart", restart},
    {"rebuild", rebuild},
    {"pipeline_embedded", pipeline_embedded},
    {"pipeline_kafka", pipeline_kafka, true},
    {"kafka_fill", kafka_fill, true},
    {"kafka_consume", kafka_consume, true},
};

nlohmann::ordered_json or_null(std::optional<double> number) {
  return number ? nlohmann::ordered_json(*number) : nlohmann::ordered_json();
}

nlohmann::ordered_json json_of(const row& made) {
  return {{"id", made.id},
          {"what", made.what},
          {"value", made.value},
          {"unit", made.unit},
          {"yardstick", or_null(made.yardstick)},
          {"yardstick_what", made.yardstick_what},
          {"ratio", or_null(made.ratio)},
          {"cpu_seconds_per_million", or_null(made.cpu_seconds_per_million)},
          {"load", made.load}};
}

/// A directory of the bench's own, removed with everything in it.
class scratch {
public:
  explicit scratch(const std::string& parent) : x_path(parent + "/orrery-bench-XXXXXX") {
    if (::mkdtemp(x_path.data()) == nullptr)
      give_up("cannot make a directory in " + parent + ": name another with --scratch");
  }

  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;

  ~scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(x_path, ignored);
  }

  [[nodiscard]] const std::string& path() const { return x_path; }

private:
  std::string x_path;
};

struct request {
  std::vector<std::string> ids;
  std::string parent = "/var/tmp";
  bool is_tiny = false;
  bool is_checked = false;
};

/// Sizes at which every line takes a moment: for tests.
void make_tiny(settings& wanted) {
  wanted.runs = 1;
  wanted.vms = 300;
  wanted.commands = 300;
}

int run(const request& asked, settings wanted) {
  if (asked.is_tiny)
    make_tiny(wanted);
  auto all = nlohmann::ordered_json::array();
  int status = EXIT_SUCCESS;
  for (const auto& one : lines) {
    const bool is_named = std::ranges::find(asked.ids, one.id) != asked.ids.end();
    if (!is_named && (one.needs_kafka || !asked.ids.empty()))
      continue;
    const scratch place(asked.parent);
    wanted.scratch = place.path();
    for (const auto& made : one.run(wanted)) {
      all.push_back(json_of(made));
      const auto objection = asked.is_checked ? objection_to(made) : std::string();
      if (objection.empty())
        continue;
      std::fprintf(stderr, "orrery-bench: %s: %s\n", made.id.c_str(), objection.c_str());
      status = EXIT_FAILURE;
    }
  }
  std::printf("%s\n", all.dump(2).c_str());
  return status;
}

} // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures Orrery against yardsticks; prints a JSON list. See docs/bench.md.");
  request asked;
  settings wanted;
  std::vector<std::string> known;
  for (const auto& one : lines)
    known.emplace_back(one.id);
  app.add_option("ID", asked.ids, "Lines to run; all when none is named")
      ->check(CLI::IsMember(known));
  app.add_option("--runs", wanted.runs, "Runs, of which the median counts")
      ->check(CLI::Range(1, 100));
  app.add_option("--vms", wanted.vms, "VMs that are there")->check(CLI::Range(1, 1'000'000));
  app.add_option("--commands", wanted.commands, "Commands in one run")
      ->check(CLI::Range(100, 50'000));
  app.add_option("--scratch", asked.parent, "Directory on the disk that is to be measured");
  app.add_option("--kafka", wanted.kafka, "Servers of a Kafka that is there, HOST:PORT,…");
  app.add_option("--prefix", wanted.prefix, "Of the topics there, which `orrery log init` made");
  app.add_flag("--tiny", asked.is_tiny, "Sizes for a test: the figures mean nothing");
  app.add_flag("--check", asked.is_checked, "Status 1 when a line that guards a setting fails");
  CLI11_PARSE(app, argc, argv);
  return run(asked, wanted);
}
