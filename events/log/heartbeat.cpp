#include "events/log/heartbeat.hpp"

#include "events/core/check.hpp"
#include "events/schema/liveness.pb.h"

#include <optional>

namespace orrery::log {

namespace {

error damaged(const std::string& why) {
  return {error_code::damaged,
          "a heartbeat on the liveness topic is no heartbeat: " + why +
              "; does something else write to that topic?",
          false};
}

/// Why a parsed message means nothing.
std::optional<std::string> fault_of(const v1::Heartbeat& said) {
  if (said.process() == 0 || said.number() == 0)
    return "it has no process or no number";
  if (said.address().size() > heartbeat_address_bytes_max)
    return "its address has " + std::to_string(said.address().size()) + " bytes, more than " +
           std::to_string(heartbeat_address_bytes_max);
  if (said.owned_size() != said.owned_seq_size())
    return "it owns " + std::to_string(said.owned_size()) +
           " partitions and tells the progress of " + std::to_string(said.owned_seq_size());
  std::int64_t last = -1;
  for (const auto where : said.owned()) {
    if (where > partition_number_max || static_cast<std::int64_t>(where) <= last)
      return "partition " + std::to_string(where) + " is above " +
             std::to_string(partition_number_max) + " or out of order";
    last = where;
  }
  return std::nullopt;
}

} // namespace

std::string encode(const heartbeat& said) {
  v1::Heartbeat made;
  made.set_process(static_cast<std::uint64_t>(said.process));
  made.set_number(said.number);
  made.set_address(said.address);
  made.set_ready(said.ready);
  made.set_leaving(said.leaving);
  for (const auto& one : said.owned) {
    made.add_owned(static_cast<std::uint32_t>(one.where));
    made.add_owned_seq(one.seq);
  }
  ORRERY_CHECK(!fault_of(made));
  return made.SerializeAsString();
}

result<heartbeat> parse_heartbeat(std::string_view bytes) {
  if (bytes.size() > heartbeat_bytes_max)
    return error{error_code::too_large,
                 "a heartbeat on the liveness topic has " + std::to_string(bytes.size()) +
                     " bytes, more than " + std::to_string(heartbeat_bytes_max) +
                     "; does something else write to that topic?",
                 false};
  v1::Heartbeat said;
  if (!said.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return damaged("its bytes do not parse");
  if (const auto fault = fault_of(said))
    return damaged(*fault);
  heartbeat made;
  made.process = process_id{said.process()};
  made.number = said.number();
  made.address = said.address();
  made.ready = said.ready();
  made.leaving = said.leaving();
  made.owned.reserve(static_cast<std::size_t>(said.owned_size()));
  for (int at = 0; at < said.owned_size(); ++at)
    made.owned.push_back({static_cast<partition_number>(said.owned(at)), said.owned_seq(at)});
  return made;
}

} // namespace orrery::log
