#include "tools/orrery/kafka_commands.hpp"

#include "events/log/kafka_identity.hpp"
#include "events/log/kafka_topic.hpp"
#include "events/log/new_identity.hpp"
#include "tools/orrery/failure.hpp"

#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace orrery::cli {

namespace {

/// For brokers to answer: longer than one takes to start.
constexpr std::chrono::milliseconds patience{30'000};

/// A cluster of hypervisors lives in one partition, and their number is for ever: enough that
/// clusters rarely share one, few enough that a process folds them all.
constexpr std::uint16_t partitions_default = 64;

struct wish {
  log::kafka_target target; ///< its topic is chosen for each question
  std::string prefix{log::kafka_prefix_default};
  std::uint16_t partitions = 0; ///< 0: whatever there are
  std::uint16_t replication = log::kafka_topic_wanted{}.replication;
  std::string settings_file;
};

void read_settings(wish& from) {
  auto settings = log::read_kafka_settings(from.settings_file);
  if (!settings)
    throw failure(settings.error());
  from.target.settings = std::move(*settings);
}

/// The four topics, in the order in which they are made.
struct wanted_topic {
  std::string name;
  log::kafka_topic_wanted wanted;
};

std::vector<wanted_topic> topics_of(const wish& wanted) {
  using kind = log::kafka_topic_kind;
  const auto names = log::topics_of(wanted.prefix);
  const auto partitions = wanted.partitions;
  const auto copies = wanted.replication;
  return {{names.events, {partitions, copies, kind::events}},
          {names.commands, {partitions, copies, kind::commands}},
          {names.liveness, {1, copies, kind::liveness}},
          {names.meta, {1, copies, kind::meta}}};
}

/// Prints a line, and what is wrong below it.
void print(const std::string& name, const log::kafka_topic_state& state) {
  std::printf("topic %s: %u partition%s%s\n", name.c_str(), unsigned{state.partitions},
              state.partitions == 1 ? "" : "s", state.was_made ? ", made" : "");
  for (const auto& fault : state.faults)
    std::printf("  %s is %s, must be %s: %s\n", fault.name.c_str(), fault.found.c_str(),
                fault.wanted.c_str(), fault.reason.c_str());
}

/// Prints a line; false when it does not fit the topic of events.
bool print(const log::kafka_identity& identity, std::uint16_t partitions) {
  std::printf("identity: %s, %s, %u partitions\n", to_text(identity.log.installation).c_str(),
              to_text(identity.log.log).c_str(), unsigned{identity.partitions});
  if (identity.partitions == partitions)
    return true;
  std::printf("  the topic of events has %u partitions, must have %u: the log was made with so "
              "many, for ever\n",
              unsigned{partitions}, unsigned{identity.partitions});
  return false;
}

void conclude(bool is_good) {
  std::puts(is_good ? "good" : "NOT GOOD");
  if (!is_good)
    throw CLI::RuntimeError(static_cast<int>(exit_code::check_failed));
}

/// A log whose topic of events is gone is not begun anew under its old name: every process would
/// take the empty topic for the log.
void refuse_a_lost_log(const wish& wanted) {
  const auto names = log::topics_of(wanted.prefix);
  const auto known = log::read_identity(log::with_topic(wanted.target, names.meta), patience);
  if (!known && known.error().code == error_code::not_found)
    return; // a new log
  if (!known)
    throw failure(known.error());
  const auto there = log::topic_partitions(log::with_topic(wanted.target, names.events), patience);
  if (there)
    return;
  if (there.error().code != error_code::not_found)
    throw failure(there.error());
  throw failure(error{error_code::log_cut,
                      "topic " + names.meta + " knows " + to_text(known->log.log) +
                          ", but its topic " + names.events +
                          " is gone: restore it, or delete topic " + names.meta +
                          " to begin a new log",
                      false});
}

void init(wish wanted) {
  read_settings(wanted);
  refuse_a_lost_log(wanted);
  bool is_good = true;
  for (const auto& [name, like] : topics_of(wanted)) {
    const auto state = log::ensure_topic(log::with_topic(wanted.target, name), like, patience);
    if (!state)
      throw failure(state.error());
    print(name, *state);
    is_good = is_good && state->faults.empty();
  }
  if (!is_good) // a log is not begun on what may lose it
    conclude(false);
  const auto meta = log::with_topic(wanted.target, log::topics_of(wanted.prefix).meta);
  const auto identity =
      log::write_identity(meta, {log::new_identity(), wanted.partitions}, patience);
  if (!identity)
    throw failure(identity.error());
  conclude(print(*identity, wanted.partitions));
}

/// Keeps the first of several failures.
void keep_first(std::optional<error>& first, const error& next) {
  if (!first)
    first = next;
}

void check(wish wanted) {
  read_settings(wanted);
  bool is_good = true;
  std::optional<error> missing;
  for (const auto& [name, made_like] : topics_of(wanted)) {
    auto like = made_like;
    if (like.kind == log::kafka_topic_kind::commands)
      like.partitions = wanted.partitions; // as many as the events have
    const auto state = log::check_topic(log::with_topic(wanted.target, name), like, patience);
    if (!state && state.error().code != error_code::not_found)
      throw failure(state.error());
    if (!state) {
      std::printf("topic %s: missing\n", name.c_str());
      keep_first(missing, state.error());
      continue;
    }
    print(name, *state);
    is_good = is_good && state->faults.empty();
    if (like.kind == log::kafka_topic_kind::events)
      wanted.partitions = state->partitions;
  }
  const auto meta = log::with_topic(wanted.target, log::topics_of(wanted.prefix).meta);
  const auto identity = log::read_identity(meta, patience);
  if (!identity && identity.error().code != error_code::not_found)
    throw failure(identity.error());
  if (identity) {
    is_good = print(*identity, wanted.partitions) && is_good;
  } else {
    std::puts("identity: missing");
    keep_first(missing, identity.error());
  }
  if (missing) {
    std::puts("NOT GOOD");
    throw failure(*missing);
  }
  conclude(is_good);
}

CLI::App& add(CLI::App& log, const std::string& name, const std::string& help,
              const std::shared_ptr<wish>& wanted) {
  auto* command = log.add_subcommand(name, help);
  command->add_option("--kafka", wanted->target.servers, "HOST:PORT,… of brokers")->required();
  command
      ->add_option("--prefix", wanted->prefix,
                   "how its four topics begin: PREFIX.events, .commands, .liveness, .meta")
      ->capture_default_str();
  command
      ->add_option("--replication", wanted->replication,
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
  to_make->partitions = partitions_default;
  auto& make = add(log, "init", "Make the topics of a log on Kafka, and its identity", to_make);
  make.add_option("--partitions", to_make->partitions, "how many, for ever")
      ->capture_default_str()
      ->check(CLI::Range(1, partition_number_max + 1));
  make.footer("May be repeated: what is there already is checked and left as it is. Exit status 3 "
              "when a topic is\nnot fit.\n\nExample:\n"
              "  orrery log init --kafka kafka-1:9092,kafka-2:9092 --partitions 64");
  make.callback([to_make] { init(*to_make); });
  auto to_check = std::make_shared<wish>();
  auto& look = add(log, "check", "Say what of a log on Kafka would lose records", to_check);
  look.add_option("--partitions", to_check->partitions, "how many there must be")
      ->check(CLI::Range(1, partition_number_max + 1));
  look.footer("Changes nothing. Exit status 3 when a topic is not fit, 5 when one is missing.\n\n"
              "Example:\n  orrery log check --kafka kafka-1:9092,kafka-2:9092");
  look.callback([to_check] { check(*to_check); });
}

} // namespace orrery::cli
