#include "actors/engine/snapshot.hpp"

#include "events/domain/state_bytes.hpp"
#include "events/log/sha256.hpp"

#include <algorithm>

namespace orrery::actors {

namespace {

constexpr std::string_view magic = "orrery-snapshot-1";

/// The members, and nothing but them; the state as bytes of its own.
template <class Bytes, class Snapshot, class State>
void members(Bytes& bytes, Snapshot& of, State& state, std::vector<std::string>& messages) {
  bytes.all(of.where, of.head.epoch, of.head.next, of.head.hash, of.next, of.before,
            of.owner_process, state, messages);
}

error damaged(std::string text) { return {error_code::damaged, std::move(text), false}; }

} // namespace

std::string encode_snapshot(const log::log_identity& identity, const partition_snapshot& snapshot) {
  std::vector<std::string> messages;
  for (const auto& one : snapshot.unacknowledged)
    messages.push_back(one.SerializeAsString());
  domain::state_bytes out;
  out.all(magic, domain::partition_state::fold_version, identity.installation.value,
          identity.log.value);
  const auto state = snapshot.state.to_bytes();
  members(out, snapshot, state, messages);
  auto bytes = out.take();
  const auto hash = log::sha256_of(bytes);
  return bytes.append(log::bytes_of(hash));
}

result<partition_snapshot> decode_snapshot(std::string_view bytes,
                                           const log::log_identity& identity) {
  const auto content = bytes.substr(0, bytes.size() - std::min(bytes.size(), sizeof(log::digest)));
  if (log::bytes_of(log::sha256_of(content)) != bytes.substr(content.size()))
    return damaged("its hash is not that of its content");
  domain::state_source in(content);
  std::string first;
  std::uint32_t version = 0;
  log::log_identity of;
  in.all(first, version);
  if (first != magic || version != domain::partition_state::fold_version)
    return error{error_code::unknown_record, "another version of orreryd made it", false};
  in.all(of.installation.value, of.log.value);
  if (of != identity)
    return error{error_code::log_cut, "it is of another log", false};
  partition_snapshot made;
  std::string_view state;
  std::vector<std::string> messages;
  members(in, made, state, messages);
  auto folded = domain::partition_state::from_bytes(state);
  if (!in.is_good() || !in.is_at_end() || !folded)
    return damaged("its content makes no sense");
  made.state = std::move(*folded);
  for (const auto& one : messages)
    if (!made.unacknowledged.emplace_back().ParseFromString(one))
      return damaged("a message in it makes no sense");
  return made;
}

} // namespace orrery::actors
