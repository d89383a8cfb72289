#include "events/log/append_check.hpp"

#include "events/log/log.hpp"

#include <string>

namespace orrery::log {

std::optional<error> append_refusal(partition_number where, std::size_t size,
                                    std::size_t pending_bytes) {
  const auto partition = static_cast<std::uint16_t>(where);
  if (partition > partition_number_max)
    return error{error_code::invalid_argument,
                 "partition " + std::to_string(partition) + " does not exist: the largest is " +
                     std::to_string(partition_number_max),
                 false};
  if (size == 0)
    return error{error_code::invalid_argument, "a record of 0 bytes cannot be appended", false};
  if (size > record_size_max)
    return error{error_code::too_large,
                 "a record of " + std::to_string(size) + " bytes is above the limit of " +
                     std::to_string(record_size_max) + ": split the batch",
                 false};
  if (pending_bytes + size > pending_bytes_max)
    return error{error_code::too_many_requests,
                 std::to_string(pending_bytes) +
                     " bytes wait for the disk of the log already: try again when it caught up",
                 true};
  return std::nullopt;
}

error read_above_end(partition_number where, std::uint64_t from, std::uint64_t end) {
  return {error_code::log_cut,
          "partition " + to_text(where) + " ends before offset " + std::to_string(end) +
              ", but offset " + std::to_string(from) +
              " was asked for: records that were seen before are gone; restore the log, or delete "
              "what was built from the lost part",
          false};
}

} // namespace orrery::log
