#include "actors/bench_support.hpp"
#include "actors/policies.hpp"
#include "tools/dev/bench/flight.hpp"
#include "tools/dev/bench/lines.hpp"
#include "tools/dev/bench/plain_loop.hpp"
#include "tools/dev/bench/workload.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace orrery::bench {

namespace {

/// Of the plain loop, where its speed does not count.
constexpr double commands_per_record = 1'000;

/// The same commands in records of the same size.
double plod(plain_loop& loop, const std::vector<v1::Command>& commands, double per_record) {
  const auto size = std::max<std::size_t>(1, static_cast<std::size_t>(std::lround(per_record)));
  std::vector<std::vector<v1::Command>> records;
  for (std::size_t from = 0; from < commands.size(); from += size) {
    const auto first = commands.begin() + static_cast<std::ptrdiff_t>(from);
    const auto last = first + static_cast<std::ptrdiff_t>(std::min(size, commands.size() - from));
    records.emplace_back(first, last);
  }
  const stopwatch watch;
  std::size_t recorded = 0;
  for (auto& record : records)
    recorded += loop.commit(std::move(record));
  if (recorded != commands.size())
    give_up("a command of the plain loop was not recorded");
  return static_cast<double>(commands.size()) / watch.seconds();
}

struct flight {
  comparison compared;
  comparison answered;
  samples commands_per_record;
};

flight compare(const settings& wanted, actors::bench_partition& partition, plain_loop& loop,
               observations& seen, load_kind kind) {
  flight made;
  for (std::size_t run = 0; run < wanted.runs; ++run) {
    const auto commands = seen.make(wanted.commands, kind, partition.node_epoch());
    const auto flew = fly(partition, commands);
    const auto yardstick = plod(loop, commands, flew.commands_per_record);
    made.compared.add(flew.rate, yardstick, flew.cpu_seconds_per_million);
    made.answered.add(flew.answered_rate, yardstick, flew.cpu_seconds_per_million);
    made.commands_per_record.add(flew.commands_per_record);
  }
  return made;
}

row compared_row(const std::string& id, const std::string& what, const comparison& compared,
                 double load) {
  auto made = row_of(id, what, "commands/s", 0, load);
  made.yardstick_what = "plain loop over a map, same records and syncs";
  compared.fill(made);
  return made;
}

/// Two logs that say the same: one for the partition, one for the plain loop.
struct field {
  std::filesystem::path home;
  domain::kind_policies policies = actors::make_policies();
  stage set;
  std::unique_ptr<plain_loop> loop;
};

field prepare_field(const settings& wanted) {
  field made;
  made.home = wanted.scratch;
  std::filesystem::create_directory(made.home / "product");
  {
    plain_loop first(made.home / "product" / "log", made.policies, first_commit_time());
    made.set = set_the_stage(first, wanted.vms);
  }
  std::filesystem::copy(made.home / "product" / "log", made.home / "plain");
  return made;
}

std::unique_ptr<actors::bench_partition> start(const field& where, bool with_projections) {
  actors::bench_partition::options options;
  options.directory = where.home / "product";
  options.with_projections = with_projections;
  options.folded = &where.loop->state();
  return must(actors::bench_partition::start(options));
}

void add_latencies(std::vector<row>& rows, const settings& wanted,
                   actors::bench_partition& partition, plain_loop& loop, observations& seen) {
  const auto load = load_average();
  // The plain loop gets them as well: it must know what the partition knows.
  const auto few = seen.make(std::min(latency_commands, wanted.commands), load_kind::skewed,
                             partition.node_epoch());
  (void)plod(loop, few, commands_per_record);
  rows.push_back(row_of("pipeline_embedded.p99_idle", "one command at a time, 99 of 100 within",
                        "ms", latencies_idle(partition, few).quantile(0.99), load));
  const auto many = seen.make(wanted.commands, load_kind::skewed, partition.node_epoch());
  (void)plod(loop, many, commands_per_record);
  const auto half = latencies_at(partition, many, rows.front().value / 2);
  rows.push_back(row_of("pipeline_embedded.p99_half_load",
                        "commands at half that rate, 99 of 100 within", "ms", half.quantile(0.99),
                        load));
}

/// The pipeline without its projections, for where the time goes.
void add_bare(std::vector<row>& rows, const settings& wanted, const field& where,
              observations& seen) {
  const auto load = load_average();
  const auto partition = start(where, false);
  auto compared = compare(wanted, *partition, *where.loop, seen, load_kind::skewed);
  rows.push_back(compared_row("pipeline_embedded.bare", "skewed, without projections",
                              compared.compared, load));
}

} // namespace

std::vector<row> pipeline_embedded(const settings& wanted) {
  auto where = prepare_field(wanted);
  where.loop = std::make_unique<plain_loop>(where.home / "plain", where.policies,
                                            first_commit_time() + std::chrono::minutes(30));
  observations seen(where.set);
  std::vector<row> rows;
  {
    auto load = load_average();
    const auto partition = start(where, true);
    (void)where.loop->commit({greeting_of(where.set.node, 2)}); // the node's epoch is that there
    const auto skewed = compare(wanted, *partition, *where.loop, seen, load_kind::skewed);
    rows.push_back(compared_row("pipeline_embedded",
                                "one-event commands (guest seen off, on), 80 % for 1 % of " +
                                    std::to_string(wanted.vms) + " VMs",
                                skewed.compared, load));
    rows.push_back(compared_row("pipeline_embedded.answered",
                                "of the line above, until answered: projections may lag",
                                skewed.answered, load));
    rows.push_back(row_of("pipeline_embedded.commands_per_record", "of the first line", "commands",
                          skewed.commands_per_record.median(), load));
    load = load_average();
    const auto even = compare(wanted, *partition, *where.loop, seen, load_kind::even);
    rows.push_back(compared_row("pipeline_embedded.random", "any VM as likely as any other",
                                even.compared, load));
    add_latencies(rows, wanted, *partition, *where.loop, seen);
  }
  // Its node is greeted anew, with a higher epoch: the plain loop's as well.
  (void)where.loop->commit({greeting_of(where.set.node, 3)});
  add_bare(rows, wanted, where, seen);
  return rows;
}

} // namespace orrery::bench
