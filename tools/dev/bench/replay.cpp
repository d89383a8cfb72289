#include "actors/policies.hpp"
#include "events/log/segment_scan.hpp"
#include "events/log/sha256.hpp"
#include "tools/dev/bench/lines.hpp"
#include "tools/dev/bench/plain_loop.hpp"
#include "tools/dev/bench/workload.hpp"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <filesystem>

namespace orrery::bench {

namespace {

constexpr partition_number the_partition{0};

/// As the partition's reader (actors/log_reader.cpp).
constexpr std::size_t chunk_bytes_max = 4 * 1024 * 1024;

/// The first block of the yardstick's arena: a record's messages fit.
constexpr std::size_t arena_bytes = 8 * 1024 * 1024;

struct read_log {
  double rate = 0; ///< events a second of CPU time
  double cpu_seconds_per_million = 0;
  std::uint64_t events = 0;
};

read_log result_of(const stopwatch& watch, std::uint64_t events) {
  // One thread and a warm page cache: its CPU time is its time, whoever else is on the machine.
  const auto all = static_cast<double>(events);
  const auto seconds = watch.cpu_seconds();
  return {all / seconds, seconds / all * 1e6, events};
}

/// What a partition does with its log at a start, in one thread.
read_log fold(log::segment_log& log) {
  const stopwatch watch;
  log::owner rule(log.identity(), the_partition);
  domain::partition_state state;
  std::uint64_t events = 0;
  log::offset next = 0;
  while (true) {
    const auto read =
        must(log.read(the_partition, next, chunk_bytes_max, std::chrono::milliseconds(0)));
    if (read.empty())
      break;
    for (const auto& record : read) {
      const auto said = rule.on_record(record.bytes);
      if (said.what != log::reading::kind::commit)
        continue;
      const auto body = domain::parse_commit(said.body);
      ORRERY_CHECK(body != nullptr);
      state.fold_alone(*body, said.after.next - 1);
      events += events_in(*body);
    }
    next = read.back().at + 1;
  }
  return result_of(watch, events);
}

/// The yardstick: every frame's checksum, the chain of hashes, every message parsed and forgotten.
read_log scan(const std::string& directory) {
  const auto opened = must(log::log_directory::open(directory, log::directory_lock::shared));
  std::string block(arena_bytes, '\0');
  google::protobuf::ArenaOptions options;
  options.initial_block = block.data();
  options.initial_block_size = block.size();
  google::protobuf::Arena arena(options);
  const stopwatch watch;
  log::digest head{};
  std::uint64_t events = 0;
  const auto found = must(log::scan(opened, [&](const log::scanned_frame& frame) {
    if (frame.header.kind != log::frame_kind::record)
      return;
    head = log::sha256_of(log::bytes_of(head), frame.body);
    const auto record = log::parse_record(frame.body);
    const auto* commit = record ? std::get_if<log::parsed_commit>(&*record) : nullptr;
    if (commit == nullptr)
      return;
    auto* body = google::protobuf::Arena::CreateMessage<v1::CommitBody>(&arena);
    ORRERY_CHECK(body->ParseFromArray(commit->body.data(), static_cast<int>(commit->body.size())));
    events += events_in(*body);
    arena.Reset();
  }));
  if (found.found_damage || found.torn)
    give_up("the log of the bench is damaged");
  return result_of(watch, events);
}

} // namespace

std::vector<row> replay(const settings& wanted) {
  row made;
  made.id = "replay";
  made.what = "events folded in one thread: read, rule, parse, fold; about ten a VM";
  made.unit = "events/s";
  made.yardstick_what = "scan, SHA-256 chain and protobuf parse of the same files";
  made.load = load_average();
  const auto policies = actors::make_policies();
  const auto directory = wanted.scratch + "/replay";
  {
    plain_loop loop(directory, policies, first_commit_time());
    fill(loop, wanted.vms);
  }
  comparison compared;
  for (std::size_t run = 0; run < wanted.runs; ++run) {
    read_log folded;
    {
      log::open_options options;
      options.read_only = true;
      log::open_report report;
      const auto log = must(log::segment_log::open(directory, options, report));
      folded = fold(*log);
    }
    const auto scanned = scan(directory);
    if (scanned.events != folded.events)
      give_up("the two ways through the log do not see the same events");
    compared.add(folded.rate, scanned.rate, folded.cpu_seconds_per_million);
  }
  compared.fill(made);
  return {made};
}

} // namespace orrery::bench
