#include "actors/policies.hpp"
#include "events/log/bench_support.hpp"
#include "events/log/kafka_identity.hpp"
#include "tools/dev/bench/flight.hpp"
#include "tools/dev/bench/lines.hpp"
#include "tools/dev/bench/workload.hpp"

#include <algorithm>

// The lines on a real Kafka, of one broker that the bench's script starts. Each takes a log that
// `orrery log init --prefix` has just made.

namespace orrery::bench {

namespace {

/// What a client with one record a command would write: its header and one event.
constexpr std::size_t raw_record_bytes = 250;

log::identified_log open_log(const settings& wanted) {
  if (wanted.kafka.empty())
    give_up("this line needs --kafka SERVERS and --prefix: see docs/bench.md");
  log::kafka_options options;
  options.target.servers = wanted.kafka;
  options.wanted.replication = 1;
  return must(log::open_by_prefix(options, wanted.prefix));
}

/// A topic of the log; the one of commands is free for raw records, since nobody sends any here.
log::kafka_target target_of(const settings& wanted, std::string log::kafka_topics::*which) {
  log::kafka_target target;
  target.servers = wanted.kafka;
  target.topic = log::topics_of(wanted.prefix).*which;
  return target;
}

row half_or_idle(const std::string& which, const samples& took, double part,
                 const std::string& what, double load) {
  const auto percent = std::to_string(static_cast<int>(part * 100 + 0.5));
  return row_of("pipeline_kafka.p" + percent + which, what + ", " + percent + " of 100 within",
                "ms", took.quantile(part), load);
}

void add_latencies(std::vector<row>& rows, const settings& wanted,
                   actors::bench_partition& partition, observations& seen) {
  auto load = load_average();
  const auto make = [&](std::size_t count) {
    return seen.make(count, load_kind::skewed, partition.node_epoch());
  };
  const auto idle = latencies_idle(partition, make(std::min(latency_commands, wanted.commands)));
  for (const auto part : {0.5, 0.99})
    rows.push_back(half_or_idle("_idle", idle, part, "one command at a time", load));
  load = load_average();
  const auto half = latencies_at(partition, make(wanted.commands), rows.front().value / 2);
  for (const auto part : {0.5, 0.99})
    rows.push_back(half_or_idle("_half_load", half, part, "commands at half that rate", load));
}

struct shared_log {
  std::shared_ptr<log::log> log;
  log::log_identity identity;
};

std::unique_ptr<actors::bench_partition> start(const settings& wanted, const shared_log& where,
                                               const plain_loop& folded, bool with_projections) {
  actors::bench_partition::options options;
  options.directory = wanted.scratch;
  options.with_projections = with_projections;
  options.folded = &folded.state();
  options.log = where.log;
  options.identity = where.identity;
  return must(actors::bench_partition::start(options));
}

/// The rate of commands against that of raw records, until projected and until answered.
std::vector<row> compare(const settings& wanted, actors::bench_partition& partition,
                         observations& seen) {
  const auto load = load_average();
  comparison projected;
  comparison answered;
  samples per_record;
  for (std::size_t run = 0; run < wanted.runs; ++run) {
    const auto flew =
        fly(partition, seen.make(wanted.commands, load_kind::skewed, partition.node_epoch()));
    const auto raw = must(log::produce_raw(target_of(wanted, &log::kafka_topics::commands),
                                           wanted.commands, raw_record_bytes));
    const auto raw_rate = static_cast<double>(wanted.commands) / raw;
    projected.add(flew.rate, raw_rate, flew.cpu_seconds_per_million);
    answered.add(flew.answered_rate, raw_rate, flew.cpu_seconds_per_million);
    per_record.add(flew.commands_per_record);
  }
  auto made = row_of("pipeline_kafka",
                     "one-event commands, 80 % for 1 % of " + std::to_string(wanted.vms) +
                         " VMs, one broker",
                     "commands/s", 0, load);
  made.yardstick_what = "raw idempotent produce of a 250-byte record a command";
  projected.fill(made);
  auto early = made;
  early.id += ".answered";
  early.what = "of the line above, until answered: projections may lag";
  answered.fill(early);
  return {made, early,
          row_of("pipeline_kafka.commands_per_record", "of the first line", "commands",
                 per_record.median(), load)};
}

} // namespace

std::vector<row> pipeline_kafka(const settings& wanted) {
  const auto policies = actors::make_policies();
  auto opened = open_log(wanted);
  const shared_log where{std::move(opened.log), opened.identity};
  plain_loop filled(where.log, where.identity, policies, first_commit_time());
  const auto set = set_the_stage(filled, wanted.vms);
  observations seen(set);
  std::vector<row> rows;
  {
    const auto partition = start(wanted, where, filled, true);
    rows = compare(wanted, *partition, seen);
    add_latencies(rows, wanted, *partition, seen);
  }
  const plain_loop again(where.log, where.identity, policies, first_commit_time());
  const auto partition = start(wanted, where, again, false);
  auto bare = compare(wanted, *partition, seen).front();
  bare.id += ".bare";
  bare.what = "of the first line, without projections";
  rows.push_back(bare);
  return rows;
}

std::vector<row> kafka_fill(const settings& wanted) {
  const auto policies = actors::make_policies();
  auto opened = open_log(wanted);
  const auto load = load_average();
  plain_loop loop(std::move(opened.log), opened.identity, policies, first_commit_time());
  fill(loop, wanted.vms);
  return {row_of("kafka_fill", "events in a log that was made", "events",
                 static_cast<double>(loop.events()), load)};
}

std::vector<row> kafka_consume(const settings& wanted) {
  const auto load = load_average();
  const auto done = must(log::consume_raw(target_of(wanted, &log::kafka_topics::events)));
  return {row_of("kafka_consume", std::to_string(done.bytes) + " bytes by a new raw consumer", "s",
                 done.seconds, load)};
}

} // namespace orrery::bench
