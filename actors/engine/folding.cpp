#include "actors/engine/engine.hpp"
#include "events/core/crash_point.hpp"

#include <algorithm>

// From the log's records to accepted state.

namespace orrery::actors {

namespace {

bool trusts_clock(const v1::CommitBody& body) {
  return std::ranges::any_of(body.decisions(), [](const v1::Decision& one) {
    return is_trust_command(one.command()) && one.reply().code() == 0;
  });
}

} // namespace

void engine::on_records(const std::vector<log::record>& records, log::offset end) {
  for (const auto& record : records) {
    if (x_owner.stands() == log::standing::halted || x_is_stopped)
      break;
    if (record.at != x_next_offset) {
      halt({error_code::log_cut,
            "the log jumps from record " + std::to_string(x_next_offset) + " to " +
                std::to_string(record.at) + ": records are missing; restore it from a backup",
            false});
      break;
    }
    ++x_next_offset;
    read_record(record);
  }
  x_is_current = x_next_offset >= end;
  if (x_is_current)
    x_current_at = x_birth.steady_clock();
  if (!x_is_replayed && x_next_offset >= x_birth.end_at_start && !x_is_stopped)
    after_replay();
  report_standing();
}

void engine::read_record(const log::record& record) {
  crash_point("partition.read_back.before");
  const bool was_owning = is_owning();
  const auto read = x_owner.on_record(record.bytes);
  switch (read.what) {
  case log::reading::kind::halt:
    return halt(*read.alarm);
  case log::reading::kind::nothing:
    if (x_birth.tell.record_void)
      x_birth.tell.record_void(name_of(*read.reason));
    if (was_owning && !is_owning())
      doubt();
    return;
  case log::reading::kind::claim:
    judge_clock(record, read);
    if (was_owning)
      lose_ownership();
    return on_claim(read);
  case log::reading::kind::commit:
    judge_clock(record, read);
    break;
  }
  fold(read, read.after.next - 1);
  crash_point("partition.read_back.after");
  if (!x_is_stopped && x_owner.is_committed())
    finish_commit();
}

/// The log's own clock is compared with ours by each record of ours.
void engine::judge_clock(const log::record& record, const log::reading& read) {
  std::optional<utc_time> sent;
  if (read.what == log::reading::kind::claim)
    sent = std::exchange(x_claim_sent_at, std::nullopt);
  else if (x_in_flight)
    sent = x_in_flight->sent_at;
  if (read.ours && sent && record.appended_at)
    x_clock.on_appended(*sent, x_birth.wall_clock(), *record.appended_at);
}

void engine::on_claim(const log::reading& read) {
  x_last_seq = read.after.next - 1;
  x_owner_process = log::claiming_process(read.body);
  if (!x_is_replayed)
    return;
  if (x_birth.tell.claimed)
    x_birth.tell.claimed(x_owner_process);
  if (read.ours)
    take_ownership(read.after.epoch);
  else if (x_is_wanted)
    x_pacer.on_deposed(paced(x_birth.steady_clock()), jitter());
  else
    x_pacer.on_yielded();
  repeat_asking(true); // the new owner may not have heard of what waits
}

void engine::fold(const log::reading& read, std::uint64_t seq) {
  auto body = domain::parse_commit(read.body);
  if (body == nullptr)
    return halt(domain::unreadable_commit(seq));
  x_last_seq = x_last_commit_seq = seq;
  if (x_birth.tell.check_projections)
    if (auto checked = x_birth.tell.check_projections(seq, read.after.hash); !checked)
      return halt(checked.error());
  const bool is_projected = !x_birth.has_projections || seq <= x_birth.projected_seq;
  if (!x_is_replayed && is_projected) {
    x_state.fold_alone(*body, seq);
    note_streams(*body);
    return answer_from(*body, seq);
  }
  auto folded = projections::fold_commit(x_state, x_birth.where, read.after, read.body.size(),
                                         std::move(body));
  note_streams(*folded->body);
  if (x_is_replayed && x_birth.tell.folded)
    x_birth.tell.folded(*folded);
  if (x_is_replayed && x_birth.tell.clock_trusted && trusts_clock(*folded->body))
    x_birth.tell.clock_trusted();
  if (!is_projected)
    x_hands.project(folded);
  if (read.ours && x_in_flight)
    x_in_flight->folded = std::move(folded);
  else
    answer_from(*folded->body, seq);
}

void engine::answer_from(const v1::CommitBody& body, std::uint64_t seq) {
  answer_askers(body, seq);
  if (x_queue.empty())
    return;
  for (const auto& decision : body.decisions()) {
    const auto command = domain::from_proto(decision.command().id());
    const auto waits = std::ranges::find_if(x_queue, [&](const auto& who) {
      return domain::from_proto(who->command.id()) == command &&
             who->command.stream().number() == decision.command().stream().number();
    });
    if (waits == x_queue.end())
      continue;
    answer(**waits, decision.reply(), command, seq);
    x_queue.erase(waits);
  }
}

void engine::after_replay() {
  x_is_replayed = true;
  if (x_birth.tell.stream_taken)
    for (const auto& [source, number] : x_state.taken())
      x_birth.tell.stream_taken(source, number);
  if (x_birth.tell.present)
    x_state.for_each_unordered(
        [this](const uuid&, const domain::entity_ptr& state) { x_birth.tell.present(*state); });
  if (x_birth.tell.replayed)
    if (auto checked = x_birth.tell.replayed(x_last_seq, x_last_commit_seq); !checked)
      return halt(checked.error());
  if (x_birth.tell.claimed && x_owner_process != 0)
    x_birth.tell.claimed(x_owner_process);
  claim();
}

void engine::note_timers(const domain::touched& one) {
  if (one.before != nullptr)
    if (const auto last = domain::next_timer(*one.before))
      x_timers.erase({last->due, one.entity});
  if (one.after != nullptr)
    if (const auto next = domain::next_timer(*one.after))
      x_timers.emplace(next->due, one.entity);
}

} // namespace orrery::actors
