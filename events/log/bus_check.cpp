#include "events/log/bus_check.hpp"

#include <string>

namespace orrery::log {

namespace {

error empty(const std::string& what) {
  return {error_code::invalid_argument, "an empty " + what + " cannot be sent", false};
}

error too_large(const std::string& what, std::size_t size, std::size_t limit) {
  return {error_code::too_large,
          "a " + what + " of " + std::to_string(size) + " bytes cannot be sent: at most " +
              std::to_string(limit),
          false};
}

} // namespace

std::optional<error> partition_refusal(partition_number where, std::size_t partitions) {
  if (static_cast<std::size_t>(where) < partitions)
    return std::nullopt;
  return error{error_code::invalid_argument,
               "there is no partition " + to_text(where) + " for commands: there are " +
                   std::to_string(partitions) + ", from 0 on",
               false};
}

std::optional<error> send_refusal(partition_number where, std::size_t size,
                                  std::size_t partitions) {
  if (size == 0)
    return empty("command");
  if (size > carried_bytes_max)
    return too_large("command", size, carried_bytes_max);
  return partition_refusal(where, partitions);
}

std::optional<error> post_refusal(std::size_t size) {
  if (size == 0)
    return empty("heartbeat");
  if (size > heartbeat_bytes_max)
    return too_large("heartbeat", size, heartbeat_bytes_max);
  return std::nullopt;
}

} // namespace orrery::log
