#include "actors/log_fold.hpp"

#include <chrono>

namespace orrery::actors {

namespace {

/// How much is read at once: a few milliseconds of folding.
constexpr std::size_t chunk_bytes_max = std::size_t{4} * 1024 * 1024;

} // namespace

log_fold::log_fold(std::shared_ptr<log::log> from, const log::log_identity& identity,
                   partition_number where)
    : x_log(std::move(from)), x_where(where), x_rule(identity, where) {}

result<std::vector<std::shared_ptr<const projections::folded_commit>>> log_fold::next() {
  const auto read = x_log->read(x_where, x_next, chunk_bytes_max, std::chrono::milliseconds(0));
  if (!read)
    return read.error();
  std::vector<std::shared_ptr<const projections::folded_commit>> found;
  found.reserve(read->size());
  for (const auto& record : *read) {
    ++x_next;
    const auto said = x_rule.on_record(record.bytes);
    if (said.what == log::reading::kind::halt)
      return *said.alarm;
    if (said.what != log::reading::kind::commit)
      continue;
    auto body = domain::parse_commit(said.body);
    if (body == nullptr)
      return domain::unreadable_commit(said.after.next - 1);
    found.push_back(
        projections::fold_commit(x_state, x_where, said.after, said.body.size(), std::move(body)));
  }
  return found;
}

} // namespace orrery::actors
