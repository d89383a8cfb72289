#include "actors/engine/log_fold.hpp"
#include "actors/policies.hpp"
#include "actors/snapshot_files.hpp"
#include "events/log/segment_frame.hpp"
#include "tools/dev/bench/flight.hpp"
#include "tools/dev/bench/lines.hpp"
#include "tools/dev/bench/plain_loop.hpp"
#include "tools/dev/bench/workload.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>

namespace orrery::bench {

namespace {

constexpr partition_number the_partition{0};

constexpr std::size_t piece_bytes = std::size_t{1024} * 1024;

/// A log with a snapshot made at 99 of 100 records, and a command that changes something behind it.
struct site {
  domain::kind_policies policies = actors::make_policies();
  log::log_identity identity;
  std::string log;
  std::string snapshots;
  std::string same_bytes; ///< a plain file: every record, and the snapshot
  v1::Command command;
};

/// A start, and after how many milliseconds it was how far. Its parts outlive the measurement,
/// since their end takes time.
struct started {
  std::shared_ptr<log::segment_log> log;
  std::unique_ptr<actors::log_fold> fold;
  double opened_ms = 0;
  double found_ms = 0;
  double decided_ms = 0;
};

void fold_all(actors::log_fold& fold) {
  while (must(fold.advance())) {
  }
}

void write_same_bytes(const site& where, log::log& log) {
  std::ofstream out(where.same_bytes, std::ios::binary);
  log::offset next = 0;
  while (true) {
    const auto read = must(log.read(the_partition, next, 4 * piece_bytes, std::chrono::seconds(0)));
    if (read.empty())
      break;
    for (const auto& record : read)
      out << record.bytes;
    next = read.back().at + 1;
  }
  for (const auto& one : std::filesystem::directory_iterator(where.snapshots))
    out << std::ifstream(one.path(), std::ios::binary).rdbuf();
  if (!out.flush())
    give_up("cannot write " + where.same_bytes);
}

void fill_site(site& where, std::size_t vms) {
  const auto log = open_or_make_log(where.log, first_commit_time());
  where.identity = log->identity();
  plain_loop loop(log, where.identity, where.policies, first_commit_time());
  const auto set = set_the_stage(loop, vms);
  observations seen(set);
  // Four commands a VM: two to make it, two of its life.
  const auto behind = std::max<std::size_t>(1, 4 * vms / 100);
  live(loop, seen, 2 * vms - behind);
  {
    actors::log_fold fold(log, where.identity, the_partition);
    fold_all(fold);
    must_succeed(actors::write_snapshot(where.snapshots, where.identity, fold.at()));
  }
  live(loop, seen, behind);
  where.command = seen.make(1, load_kind::even, 1).front();
  write_same_bytes(where, *log);
}

void open_site(const site& where, bool with_snapshot, const stopwatch& watch, started& made) {
  log::open_report report;
  made.log = must(log::segment_log::open(where.log, {}, report));
  made.opened_ms = watch.seconds() * 1e3;
  auto found = with_snapshot
                   ? must(actors::find_snapshot(
                         where.snapshots, where.identity, the_partition,
                         std::numeric_limits<std::uint64_t>::max(), *made.log,
                         [](const error& why) { give_up("the snapshot is no good: " + why.text); }))
                   : std::nullopt;
  if (with_snapshot != found.has_value())
    give_up("the snapshot is not found");
  made.fold = found
                  ? std::make_unique<actors::log_fold>(made.log, where.identity, std::move(*found))
                  : std::make_unique<actors::log_fold>(made.log, where.identity, the_partition);
  made.found_ms = watch.seconds() * 1e3;
}

started start(const site& where, bool with_snapshot) {
  const stopwatch watch;
  started made;
  open_site(where, with_snapshot, watch, made);
  fold_all(*made.fold);
  const auto& state = made.fold->at().state;
  domain::overlay tentative;
  const auto decision = domain::decide_now(
      where.command, [&](const uuid& entity) { return state.find(entity); }, tentative,
      where.policies, state.head_time() + std::chrono::microseconds(1));
  made.decided_ms = watch.seconds() * 1e3;
  if (decision.steps_size() == 0 || decision.steps(0).events_size() == 0)
    give_up("the first command changes nothing");
  return made;
}

/// Milliseconds to read the same bytes and look at every one of them.
double read_same_bytes(const site& where) {
  const stopwatch watch;
  std::ifstream in(where.same_bytes, std::ios::binary);
  std::string piece(piece_bytes, '\0');
  std::uint32_t sum = 0;
  std::uint64_t bytes = 0;
  while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())), in.gcount() > 0) {
    const auto came = static_cast<std::size_t>(in.gcount());
    sum = log::crc32c(sum, std::string_view(piece).substr(0, came));
    bytes += came;
  }
  const auto took = watch.seconds() * 1e3;
  if (sum == 0 || bytes != std::filesystem::file_size(where.same_bytes))
    give_up("the same bytes cannot be read");
  return took;
}

row compared_row(const std::string& id, const std::string& what, const comparison& compared,
                 const std::string& yardstick, double load) {
  auto made = row_of(id, what, "ms", 0, load);
  compared.fill(made);
  made.yardstick_what = yardstick;
  made.cpu_seconds_per_million.reset(); // of nothing that there are millions of
  return made;
}

} // namespace

std::vector<row> restart(const settings& wanted) {
  const auto load = load_average();
  site where;
  where.log = wanted.scratch + "/log";
  where.snapshots = wanted.scratch + "/snapshots";
  where.same_bytes = wanted.scratch + "/same-bytes";
  fill_site(where, wanted.vms);
  comparison with_cold;
  comparison with_bytes;
  samples opening;
  samples finding;
  for (std::size_t run = 0; run < wanted.runs; ++run) {
    double took = 0;
    {
      const auto warm = start(where, true);
      took = warm.decided_ms;
      opening.add(warm.opened_ms);
      finding.add(warm.found_ms - warm.opened_ms);
    }
    with_cold.add(took, start(where, false).decided_ms, 0);
    with_bytes.add(took, read_same_bytes(where), 0);
  }
  return {compared_row("restart",
                       "from a snapshot at 99 % of the records until a command is decided, " +
                           std::to_string(wanted.vms) + " VMs",
                       with_cold, "the same from the first record on", load),
          compared_row("restart.bytes", "the same", with_bytes,
                       "log and snapshot read as one plain file, with CRC-32C", load),
          row_of("restart.open", "of that, until the log is open", "ms", opening.median(), load),
          row_of("restart.find", "of that, until the snapshot is found and decoded", "ms",
                 finding.median(), load)};
}

} // namespace orrery::bench
