#include "tools/dev/bench/plain_loop.hpp"

#include "tools/dev/bench/measure.hpp"

#include <future>

namespace orrery::bench {

namespace {

constexpr partition_number the_partition{0};

/// As the partition's reader (actors/log_reader.cpp).
constexpr std::size_t chunk_bytes_max = 4 * 1024 * 1024;

bool changes_nothing(const v1::Decision& decision) {
  if (decision.reply().code() != 0)
    return false;
  for (const auto& step : decision.steps())
    if (step.events_size() > 0)
      return false;
  return true;
}

} // namespace

std::shared_ptr<log::segment_log> open_or_make_log(const std::string& directory, utc_time first) {
  log::open_report report;
  auto opened = log::segment_log::open(directory, {}, report);
  if (opened || opened.error().code != error_code::not_found)
    return must(std::move(opened));
  log::log_identity identity;
  identity.installation.value = make_uuid(first, the_partition, 1);
  identity.log.value = make_uuid(first, the_partition, 2);
  return must(log::segment_log::create(directory, identity));
}

std::uint64_t events_in(const v1::CommitBody& body) {
  std::uint64_t count = 0;
  for (const auto& decision : body.decisions())
    for (const auto& step : decision.steps())
      count += static_cast<std::uint64_t>(step.events_size());
  return count;
}

plain_loop::plain_loop(const std::string& directory, const domain::kind_policies& policies,
                       utc_time first)
    : plain_loop(open_or_make_log(directory, first), policies, first) {}

plain_loop::plain_loop(const std::shared_ptr<log::segment_log>& log,
                       const domain::kind_policies& policies, utc_time first)
    : plain_loop(log, log->identity(), policies, first) {}

plain_loop::plain_loop(std::shared_ptr<log::log> log, const log::log_identity& identity,
                       const domain::kind_policies& policies, utc_time first)
    : x_policies(policies), x_log(std::move(log)), x_identity(identity),
      x_owner(std::make_unique<log::owner>(identity, the_partition)), x_first(first) {
  fold_all();
  const auto claim = x_owner->make_claim({"bench", "", 0, 1 + x_owner->head().next, first});
  append(claim);
  ORRERY_CHECK(x_owner->on_record(claim).ours);
}

void plain_loop::fold_all() {
  const auto end = must(x_log->end(the_partition));
  log::offset next = 0;
  while (next < end) {
    const auto read =
        must(x_log->read(the_partition, next, chunk_bytes_max, std::chrono::seconds(10)));
    if (read.empty())
      give_up("a record that is there does not come");
    for (const auto& record : read) {
      const auto said = x_owner->on_record(record.bytes);
      if (said.what != log::reading::kind::commit)
        continue;
      v1::CommitBody body;
      ORRERY_CHECK(body.ParseFromArray(said.body.data(), static_cast<int>(said.body.size())));
      x_state.fold(body, said.after.next - 1);
      x_events += events_in(body);
    }
    next = read.back().at + 1;
  }
}

void plain_loop::append(const std::string& bytes) {
  std::promise<log::append_outcome> told;
  auto outcome = told.get_future();
  x_log->append(the_partition, bytes,
                [&told](const log::append_outcome& what) { told.set_value(what); });
  const auto what = outcome.get();
  if (what.fate != log::append_fate::durable)
    give_up(what.failure.text);
  x_owner->on_appended(what);
}

std::size_t plain_loop::commit(std::vector<v1::Command> commands) {
  const auto now = std::max(x_first, x_state.head_time() + std::chrono::microseconds(1));
  domain::overlay tentative;
  v1::CommitBody body;
  body.set_decided_at(to_micros(now));
  body.set_salt(x_owner->head().next);
  for (auto& command : commands) {
    auto decision = domain::decide_now(
        std::move(command), [this](const uuid& entity) { return x_state.find(entity); }, tentative,
        x_policies, now);
    if (!changes_nothing(decision))
      *body.add_decisions() = std::move(decision);
  }
  const auto record = x_owner->make_commit(body.SerializeAsString());
  append(record);
  const auto said = x_owner->on_record(record);
  ORRERY_CHECK(said.ours);
  x_owner->release();
  x_state.fold(body, said.after.next - 1);
  x_events += events_in(body);
  return static_cast<std::size_t>(body.decisions_size());
}

} // namespace orrery::bench
