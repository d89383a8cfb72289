#include "actors/engine/log_fold.hpp"
#include "actors/policies.hpp"
#include "projections/bench_support.hpp"
#include "projections/store.hpp"
#include "tools/dev/bench/lines.hpp"
#include "tools/dev/bench/plain_loop.hpp"
#include "tools/dev/bench/workload.hpp"

#include <filesystem>
#include <string_view>

namespace orrery::bench {

namespace {

constexpr partition_number the_partition{0};

using names = std::vector<std::string_view>;

/// Projections folded anew by one reading of the log, as the process does it with one of them.
void rebuild_together(projections::store& store, const std::shared_ptr<log::segment_log>& log,
                      const names& some) {
  std::vector<std::unique_ptr<projections::refolding>> made;
  for (const auto& name : some)
    made.push_back(must(store.begin_refolding(name, projections::refold_aim::replace)));
  const auto end = must(log->end(the_partition));
  actors::log_fold fold(log, log->identity(), the_partition);
  while (fold.records() < end) {
    const auto read = must(fold.next());
    for (const auto& one : made)
      must_succeed(one->apply(read));
  }
  const auto held = store.hold();
  for (const auto& one : made)
    must_succeed(store.replace(held, *one));
}

void rebuild_each(projections::store& store, const std::shared_ptr<log::segment_log>& log,
                  const names& all) {
  for (const auto& name : all)
    rebuild_together(store, log, {name});
}

double ingest(const std::string& directory, const projections::row_changes& rows) {
  double seconds = 0;
  {
    const auto plain = must(projections::plain_database::make(directory));
    seconds = cpu_seconds_of([&] { must_succeed(plain->ingest(rows)); });
  }
  std::filesystem::remove_all(directory);
  return seconds;
}

row row_of_rebuild(const std::string& id, const std::string& what, const comparison& compared,
                   double load) {
  row made;
  made.id = id;
  made.what = what;
  made.unit = "events/s";
  made.yardstick_what = "the same rows, sorted, in plain RocksDB's files";
  made.load = load;
  compared.fill(made);
  return made;
}

} // namespace

std::vector<row> rebuild(const settings& wanted) {
  const auto load = load_average();
  const auto policies = actors::make_policies();
  const auto log = open_or_make_log(wanted.scratch + "/log", first_commit_time());
  std::uint64_t events = 0;
  {
    plain_loop loop(log, log->identity(), policies, first_commit_time());
    fill(loop, wanted.vms);
    events = loop.events();
  }
  const auto rows_in = wanted.scratch + "/projections";
  names all;
  {
    const auto store = must(projections::store::open(rows_in));
    for (const auto& one : projections::all_projections())
      all.push_back(one->name());
    rebuild_together(*store, log, all);
  }
  const auto rows = must(projections::read_all_rows(rows_in));
  const auto store = must(projections::store::open(rows_in));
  comparison each;
  comparison together;
  const auto count = static_cast<double>(events);
  for (std::size_t run = 0; run < wanted.runs; ++run) {
    const auto apart = cpu_seconds_of([&] { rebuild_each(*store, log, all); });
    const auto plain = ingest(wanted.scratch + "/plain", rows);
    const auto at_once = cpu_seconds_of([&] { rebuild_together(*store, log, all); });
    each.add(count / apart, count / plain, apart / count * 1e6);
    together.add(count / at_once, count / plain, at_once / count * 1e6);
  }
  return {row_of_rebuild("rebuild",
                         "events a CPU second into new rows of every projection, one by one; " +
                             std::to_string(wanted.vms) + " VMs",
                         each, load),
          row_of_rebuild("rebuild.together", "the same by a single reading of the log", together,
                         load)};
}

} // namespace orrery::bench
