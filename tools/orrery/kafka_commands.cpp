#include "tools/orrery/kafka_commands.hpp"

#include "events/log/kafka_topic.hpp"
#include "tools/orrery/failure.hpp"

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

namespace orrery::cli {

namespace {

/// For brokers to answer: longer than one takes to start.
constexpr std::chrono::milliseconds patience{30'000};

/// A cluster of hypervisors lives in one partition, and their number is for ever: enough that
/// clusters rarely share one, few enough that a process folds them all.
constexpr std::uint16_t partitions_default = 64;

/// What a settings file may hold at most; certificates are named in it, not written.
constexpr std::size_t settings_bytes_max = 65'536;

struct wish {
  log::kafka_target target;
  log::kafka_topic_wanted wanted;
  std::string settings_file;
};

void read_settings(wish& from) {
  if (from.settings_file.empty())
    return;
  std::ifstream file(from.settings_file);
  std::string text(settings_bytes_max + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (!file.eof() || text.size() > settings_bytes_max)
    throw failure(error{error_code::invalid_argument,
                        "the settings file " + from.settings_file +
                            " cannot be read whole: is it there, and below 64 KiB?",
                        false});
  auto settings = log::parse_kafka_settings(text);
  if (!settings)
    throw failure(
        error{settings.error().code, from.settings_file + ": " + settings.error().text, false});
  from.target.settings = std::move(*settings);
}

void init(wish wanted) {
  read_settings(wanted);
  if (const auto made = log::make_topic(wanted.target, wanted.wanted, patience); !made)
    throw failure(made.error());
  std::printf(
      "topic %s: %u partitions, %u copies, of which %u are written before a record counts\n",
      wanted.target.topic.c_str(), unsigned{wanted.wanted.partitions},
      unsigned{wanted.wanted.replication}, unsigned{log::min_insync(wanted.wanted.replication)});
}

void check(wish wanted) {
  read_settings(wanted);
  const auto state = log::check_topic(wanted.target, wanted.wanted, patience);
  if (!state)
    throw failure(state.error());
  std::printf("topic %s: %u partitions\n", wanted.target.topic.c_str(),
              unsigned{state->partitions});
  for (const auto& fault : state->faults)
    std::printf("  %s is %s, must be %s: %s\n", fault.name.c_str(), fault.found.c_str(),
                fault.wanted.c_str(), fault.reason.c_str());
  std::puts(state->faults.empty() ? "good" : "NOT GOOD");
  if (!state->faults.empty())
    throw CLI::RuntimeError(static_cast<int>(exit_code::check_failed));
}

CLI::App& add(CLI::App& log, const std::string& name, const std::string& help,
              const std::shared_ptr<wish>& wanted) {
  auto* command = log.add_subcommand(name, help);
  command->add_option("--kafka", wanted->target.servers, "HOST:PORT,… of brokers")->required();
  command->add_option("--topic", wanted->target.topic, "the topic of all partitions")
      ->capture_default_str();
  command
      ->add_option("--replication", wanted->wanted.replication,
                   "copies of each record; 1 is for one broker")
      ->capture_default_str()
      ->check(CLI::Range(1, 100));
  command->add_option("--settings-file", wanted->settings_file,
                      "lines name=value for TLS and login, by librdkafka's names");
  return *command;
}

} // namespace

void add_kafka_commands(CLI::App& log) {
  auto to_make = std::make_shared<wish>();
  to_make->wanted.partitions = partitions_default;
  auto& make = add(log, "init", "Make the topic of a log on Kafka", to_make);
  make.add_option("--partitions", to_make->wanted.partitions, "how many, for ever")
      ->capture_default_str()
      ->check(CLI::Range(1, partition_number_max + 1));
  make.footer("A topic that is there already is left as it is.\n\nExample:\n"
              "  orrery log init --kafka kafka-1:9092,kafka-2:9092 --partitions 64");
  make.callback([to_make] { init(*to_make); });
  auto to_check = std::make_shared<wish>();
  auto& look = add(log, "check", "Say what of a topic on Kafka would lose records", to_check);
  look.add_option("--partitions", to_check->wanted.partitions, "how many there must be")
      ->check(CLI::Range(1, partition_number_max + 1));
  look.footer("Changes nothing. Exit status 3 when the topic is not fit.\n\nExample:\n"
              "  orrery log check --kafka kafka-1:9092,kafka-2:9092");
  look.callback([to_check] { check(*to_check); });
}

} // namespace orrery::cli
