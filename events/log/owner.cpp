#include "events/log/owner.hpp"

#include "events/core/check.hpp"
#include "events/core/safety.hpp"
#include "events/log/record_header.hpp"
#include "events/schema/record.pb.h"

namespace orrery::log {

namespace {

/// The nonce in a claim's body; 0 when the body cannot be read (then it is surely not ours).
std::uint64_t nonce_of(std::string_view body) {
  v1::ClaimBody claim;
  if (!claim.ParseFromArray(body.data(), static_cast<int>(body.size())))
    return 0;
  return claim.nonce();
}

} // namespace

std::uint64_t claiming_process(std::string_view claim_body) {
  v1::ClaimBody claim;
  const bool is_readable =
      claim.ParseFromArray(claim_body.data(), static_cast<int>(claim_body.size()));
  return is_readable ? claim.process() : 0;
}

owner::owner(log_identity identity, partition_number where)
    : x_identity(identity), x_history(identity, where) {}

owner::owner(log_identity identity, const chain_head& from)
    : x_identity(identity), x_history(identity.log, from) {}

std::string owner::make_claim(claim_terms terms) {
  ORRERY_CHECK(x_standing == standing::following || x_standing == standing::in_doubt);
  ORRERY_CHECK(terms.nonce != 0);
  v1::ClaimBody body;
  body.set_owner(std::move(terms.owner_name));
  body.set_advertised_address(std::move(terms.address));
  body.set_process(terms.process);
  body.set_nonce(terms.nonce);
  body.set_claimed_at(to_micros(terms.now));
  x_claim_nonces.insert(terms.nonce);
  x_in_flight.reset();
  x_standing = standing::claiming;
  claim_header header;
  header.log = x_identity.log;
  header.after_epoch = head().epoch;
  header.format = body_format;
  return make_record(header, body.SerializeAsString());
}

std::string owner::make_commit(std::string_view body) {
  ORRERY_CHECK(is_idle());
  commit_header header;
  header.log = x_identity.log;
  header.epoch = head().epoch;
  header.seq = head().next;
  header.prev_hash = head().hash;
  auto bytes = make_record(header, body);
  x_in_flight = flight{header.seq, bytes, false, false};
  return bytes;
}

void owner::on_appended(const append_outcome& outcome) {
  if (x_standing == standing::claiming && outcome.fate != append_fate::durable) {
    // An accepted claim is known by its nonce when it is read, however it was reported.
    x_standing = outcome.fate == append_fate::unknown ? standing::in_doubt : standing::following;
    return;
  }
  if (!x_in_flight)
    return;
  switch (outcome.fate) {
  case append_fate::durable:
    x_in_flight->delivered = true;
    break;
  case append_fate::not_written:
    x_in_flight.reset();
    break;
  case append_fate::unknown:
    x_in_flight.reset();
    if (x_standing == standing::owning && safety::holds(safety::line::in_doubt))
      x_standing = standing::in_doubt;
    break;
  }
}

reading owner::on_record(std::string_view bytes) {
  const auto judged = x_history.take(bytes);
  if (const auto* claim = std::get_if<accepted_claim>(&judged))
    return on_claim(*claim);
  if (const auto* commit = std::get_if<accepted_commit>(&judged))
    return on_commit(*commit, bytes);
  if (const auto* nothing = std::get_if<voided>(&judged))
    return on_void(nothing->reason, bytes);
  const auto reason = std::get<stopped>(judged).reason;
  return halt({error_code::unknown_record,
               "the log cannot be read on at record " + std::to_string(head().next) + ": " +
                   std::string(name_of(reason)) +
                   (reason == stop_reason::unknown_format
                        ? " (a newer version wrote it: upgrade this one)"
                        : " (the log was cut or two logs were mixed: restore it from a backup)"),
               false});
}

reading owner::on_claim(const accepted_claim& claim) {
  ++x_claims_in_a_row;
  reading read;
  read.what = reading::kind::claim;
  read.body = claim.body;
  read.after = claim.after;
  read.ours = safety::holds(safety::line::own_nonce) ? x_claim_nonces.contains(nonce_of(claim.body))
                                                     : x_standing == standing::claiming;
  const bool stays = !safety::holds(safety::line::deposed_stops) && x_standing == standing::owning;
  x_in_flight.reset();
  x_claim_nonces.clear(); // whichever claim won, the others of that epoch are void for ever
  x_standing = read.ours || stays ? standing::owning : standing::following;
  return read;
}

reading owner::on_commit(const accepted_commit& commit, std::string_view bytes) {
  x_claims_in_a_row = 0;
  reading read;
  read.what = reading::kind::commit;
  read.body = commit.body;
  read.after = commit.after;
  if (x_standing != standing::owning)
    return read;
  // In our own epoch only our own record can be accepted.
  if (!x_in_flight || x_in_flight->seq != commit.header.seq || x_in_flight->bytes != bytes)
    return halt({error_code::internal,
                 "record " + std::to_string(commit.header.seq) +
                     " was accepted in our epoch but we did not write it: stop and call a human",
                 false});
  x_in_flight->read_back = true;
  read.ours = true;
  return read;
}

reading owner::on_void(void_reason reason, std::string_view bytes) {
  reading read;
  read.reason = reason;
  if (x_standing == standing::owning && x_in_flight && x_in_flight->bytes == bytes &&
      !x_in_flight->read_back) {
    x_in_flight.reset();
    x_standing = standing::in_doubt;
  }
  return read;
}

reading owner::halt(error alarm) {
  x_standing = standing::halted;
  x_in_flight.reset();
  reading read;
  read.what = reading::kind::halt;
  read.alarm = std::move(alarm);
  return read;
}

void owner::release() {
  ORRERY_CHECK(is_committed());
  x_in_flight.reset();
}

} // namespace orrery::log
