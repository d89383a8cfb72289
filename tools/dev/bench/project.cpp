#include "actors/engine/log_fold.hpp"
#include "actors/policies.hpp"
#include "projections/bench_support.hpp"
#include "projections/store.hpp"
#include "tools/dev/bench/lines.hpp"
#include "tools/dev/bench/plain_loop.hpp"
#include "tools/dev/bench/workload.hpp"

#include <algorithm>

namespace orrery::bench {

namespace {

constexpr partition_number the_partition{0};

/// Of the measured records. A partition that is neither idle nor full gathers about so many while
/// it answers the ones before.
constexpr std::size_t commands_per_record = 200;

using commits = std::vector<std::shared_ptr<const projections::folded_commit>>;

/// The same rows thrice: folded by the product, folded by a store that tells which rows it writes,
/// and those in plain RocksDB.
class site {
public:
  site(const std::string& directory, const std::shared_ptr<log::segment_log>& log)
      : x_log(log), x_fold(log, log->identity(), the_partition),
        x_product(must(projections::store::open(directory + "/product"))),
        x_told(must(projections::store::open(directory + "/told", x_recorder.projections()))),
        x_plain(must(projections::plain_database::make(directory + "/plain"))) {}

  /// What the log has more than at the last call.
  [[nodiscard]] commits fold_on() {
    commits all;
    const auto end = must(x_log->end(the_partition));
    while (x_fold.records() < end)
      for (auto& one : must(x_fold.next()))
        all.push_back(std::move(one));
    return all;
  }

  /// Brings all three to the end of the log, untimed.
  void fill() {
    for (const auto& one : fold_on()) {
      product(one);
      plain(rows_of(one));
    }
  }

  void product(const std::shared_ptr<const projections::folded_commit>& one) {
    must_succeed(x_product->apply({&one, 1}));
  }

  [[nodiscard]] projections::row_changes
  rows_of(const std::shared_ptr<const projections::folded_commit>& one) {
    must_succeed(x_told->apply({&one, 1}));
    return x_recorder.take();
  }

  void plain(const projections::row_changes& rows) { must_succeed(x_plain->write(rows)); }

private:
  const std::shared_ptr<log::segment_log> x_log;
  actors::log_fold x_fold;
  projections::row_recorder x_recorder;
  std::unique_ptr<projections::store> x_product;
  std::unique_ptr<projections::store> x_told;
  std::unique_ptr<projections::plain_database> x_plain;
};

void compare(site& where, const commits& some, std::size_t events, comparison& compared) {
  std::vector<projections::row_changes> rows;
  for (const auto& one : some)
    rows.push_back(where.rows_of(one));
  const auto product = cpu_seconds_of([&] {
    for (const auto& one : some)
      where.product(one);
  });
  const auto plain = cpu_seconds_of([&] {
    for (const auto& one : rows)
      where.plain(one);
  });
  const auto millions = static_cast<double>(events) / 1e6;
  compared.add(product / millions, plain / millions, product / millions);
}

} // namespace

std::vector<row> project(const settings& wanted) {
  row made;
  made.id = "project";
  made.what = "a million events into the projections, 200 a commit and write, on " +
              std::to_string(wanted.vms) + " VMs";
  made.unit = "CPU s";
  made.yardstick_what = "the same rows in the same writes, plain RocksDB";
  made.load = load_average();
  const auto policies = actors::make_policies();
  const auto log = open_or_make_log(wanted.scratch + "/log", first_commit_time());
  plain_loop loop(log, log->identity(), policies, first_commit_time());
  const auto set = set_the_stage(loop, wanted.vms);
  observations seen(set);
  live(loop, seen, 2 * wanted.vms);
  site where(wanted.scratch, log);
  where.fill();
  comparison compared;
  for (std::size_t run = 0; run < wanted.runs; ++run) {
    const auto events_before = loop.events();
    for (std::size_t done = 0; done < wanted.commands; done += commands_per_record)
      (void)loop.commit(
          seen.make(std::min(commands_per_record, wanted.commands - done), load_kind::skewed, 1));
    compare(where, where.fold_on(), loop.events() - events_before, compared);
  }
  compared.fill(made);
  return {made};
}

} // namespace orrery::bench
