#include "events/log/history.hpp"

#include "events/log/bytes.hpp"

namespace orrery::log {

namespace {

/// The head after one more accepted record.
chain_head advanced(const chain_head& head, std::string_view record, std::uint64_t epoch) {
  return {epoch, head.next + 1, sha256_of(bytes_of(head.hash), record)};
}

verdict judge_claim(const parsed_claim& claim, const chain_head& head, std::string_view record,
                    const rule_lines& lines) {
  if (lines.after_epoch && claim.header.after_epoch != head.epoch)
    return voided{void_reason::claim_stale};
  if (claim.header.format < 1 || claim.header.format > body_format)
    return stopped{stop_reason::unknown_format};
  return accepted_claim{claim.header, claim.body, advanced(head, record, head.next)};
}

/// Right epoch, wrong number. The commits of epoch E are numbered from E + 1 on.
void_reason wrong_number(const commit_header& commit, const chain_head& head) {
  return commit.seq > head.epoch && commit.seq < head.next ? void_reason::duplicate
                                                           : void_reason::same_epoch;
}

verdict judge_commit(const parsed_commit& commit, const chain_head& head, std::string_view record,
                     const rule_lines& lines) {
  if (lines.claimed && head.epoch == 0)
    return voided{void_reason::no_epoch};
  if (lines.epoch && commit.header.epoch != head.epoch)
    return voided{commit.header.epoch < head.epoch ? void_reason::old_epoch
                                                   : void_reason::future_epoch};
  if (lines.seq && commit.header.seq != head.next)
    return voided{wrong_number(commit.header, head)};
  if (lines.prev_hash && commit.header.prev_hash != head.hash)
    return stopped{stop_reason::hash_mismatch};
  return accepted_commit{commit.header, commit.body, advanced(head, record, head.epoch)};
}

} // namespace

chain_head first_head(const log_identity& identity, partition_number where) {
  std::string start = "orrery-log-1";
  add_uuid(start, identity.installation.value);
  add_number(start, static_cast<std::uint16_t>(where));
  add_uuid(start, identity.log.value);
  return {0, 1, sha256_of(start)};
}

std::string_view name_of(void_reason reason) {
  switch (reason) {
  case void_reason::foreign:
    return "foreign";
  case void_reason::malformed:
    return "malformed";
  case void_reason::old_epoch:
    return "old_epoch";
  case void_reason::future_epoch:
    return "future_epoch";
  case void_reason::same_epoch:
    return "same_epoch";
  case void_reason::duplicate:
    return "duplicate";
  case void_reason::claim_stale:
    return "claim_stale";
  case void_reason::no_epoch:
    return "no_epoch";
  }
  return "malformed"; // only a cast can get here
}

std::string_view name_of(stop_reason reason) {
  switch (reason) {
  case stop_reason::hash_mismatch:
    return "hash_mismatch";
  case stop_reason::unknown_format:
    return "unknown_format";
  }
  return "hash_mismatch"; // only a cast can get here
}

verdict judge(const log_id& ours, const chain_head& head, std::string_view record,
              const rule_lines& lines) {
  const auto parsed = parse_record(record);
  if (!parsed)
    return voided{void_reason::malformed};
  if (const auto* claim = std::get_if<parsed_claim>(&*parsed))
    return claim->header.log != ours ? voided{void_reason::foreign}
                                     : judge_claim(*claim, head, record, lines);
  const auto& commit = std::get<parsed_commit>(*parsed);
  return commit.header.log != ours ? voided{void_reason::foreign}
                                   : judge_commit(commit, head, record, lines);
}

history::history(const log_identity& identity, partition_number where)
    : x_ours(identity.log), x_head(first_head(identity, where)) {}

history::history(const log_id& ours, const chain_head& from) : x_ours(ours), x_head(from) {}

verdict history::take(std::string_view record) {
  if (x_stopped)
    return *x_stopped;
  auto judged = judge(x_ours, x_head, record);
  if (const auto* claim = std::get_if<accepted_claim>(&judged))
    x_head = claim->after;
  else if (const auto* commit = std::get_if<accepted_commit>(&judged))
    x_head = commit->after;
  else if (const auto* skipped = std::get_if<voided>(&judged))
    ++x_voids[static_cast<std::size_t>(skipped->reason)];
  else
    x_stopped = std::get<stopped>(judged);
  return judged;
}

} // namespace orrery::log
