#include "actors/engine/log_fold.hpp"

#include <chrono>

namespace orrery::actors {

namespace {

/// How much is read at once: a few milliseconds of folding.
constexpr std::size_t chunk_bytes_max = std::size_t{4} * 1024 * 1024;

partition_snapshot beginning(const log::log_identity& identity, partition_number where) {
  partition_snapshot made;
  made.where = where;
  made.head = log::first_head(identity, where);
  return made;
}

} // namespace

log_fold::log_fold(std::shared_ptr<log::log> from, const log::log_identity& identity,
                   partition_number where)
    : log_fold(std::move(from), identity, beginning(identity, where)) {}

log_fold::log_fold(std::shared_ptr<log::log> from, const log::log_identity& identity,
                   partition_snapshot start)
    : x_log(std::move(from)), x_rule(identity, start.head), x_at(std::move(start)),
      x_next(x_at.next), x_claimed_by(x_at.owner_process) {}

result<void> log_fold::read(const visitor& on_commit) {
  const auto read = x_log->read(x_at.where, x_next, chunk_bytes_max, std::chrono::milliseconds(0));
  if (!read)
    return read.error();
  for (const auto& record : *read) {
    ++x_next;
    const auto before = x_rule.head().hash;
    const auto said = x_rule.on_record(record.bytes);
    if (said.what == log::reading::kind::halt)
      return *said.alarm;
    if (said.what == log::reading::kind::claim)
      x_claimed_by = log::claiming_process(said.body);
    if (said.what != log::reading::kind::commit)
      continue;
    auto body = domain::parse_commit(said.body);
    if (body == nullptr)
      return domain::unreadable_commit(said.after.next - 1);
    on_commit(said, std::move(body));
    x_at.head = said.after;
    x_at.before = before;
    x_at.next = x_next;
    x_at.owner_process = x_claimed_by;
  }
  return {};
}

result<std::vector<std::shared_ptr<const projections::folded_commit>>> log_fold::next() {
  std::vector<std::shared_ptr<const projections::folded_commit>> found;
  const auto done = read([&](const log::reading& said, std::shared_ptr<const v1::CommitBody> body) {
    found.push_back(projections::fold_commit(x_at.state, x_at.where, said.after, said.body.size(),
                                             std::move(body)));
  });
  if (!done)
    return done.error();
  return found;
}

result<bool> log_fold::advance() {
  const auto before = x_next;
  const auto done =
      read([&](const log::reading& said, const std::shared_ptr<const v1::CommitBody>& body) {
        x_at.state.fold_alone(*body, said.after.next - 1);
        x_at.unacknowledged.insert(x_at.unacknowledged.end(), body->outbox().begin(),
                                   body->outbox().end());
      });
  if (!done)
    return done.error();
  return x_next != before;
}

} // namespace orrery::actors
