#include "pvip/guest/dhcp6.hpp"

#include "events/core/check.hpp"
#include "pvip/guest/fields.hpp"

#include <utility>

namespace orrery::pvip {

namespace {

constexpr std::size_t head_bytes = 4; // of a message, and of an option
constexpr std::uint32_t transaction_max = 0xffffff;
constexpr std::size_t value_bytes_max = 0xffff;

} // namespace

std::vector<std::byte> write_dhcp6_fields(const dhcp6_fields& fields) {
  std::size_t length = 0;
  for (const dhcp6_field& each : fields) {
    ORRERY_CHECK(each.value.size() <= value_bytes_max);
    length += head_bytes + each.value.size();
  }
  std::vector<std::byte> bytes(length);
  field_writer to(bytes);
  for (const dhcp6_field& each : fields) {
    to.number(static_cast<std::uint16_t>(each.number));
    to.number(static_cast<std::uint16_t>(each.value.size()));
    to.bytes(each.value);
  }
  return bytes;
}

std::optional<dhcp6_fields> read_dhcp6_fields(std::span<const std::byte> bytes) {
  field_reader from(bytes);
  dhcp6_fields fields;
  while (from.left() >= head_bytes) {
    const auto number = static_cast<dhcp6_option>(from.number());
    const std::size_t length = from.number();
    if (length > from.left()) {
      return std::nullopt;
    }
    const auto value = from.bytes(length);
    fields.push_back({.number = number, .value = {value.begin(), value.end()}});
  }
  return from.left() == 0 ? std::optional(std::move(fields)) : std::nullopt;
}

std::vector<std::byte> write_dhcp6(const dhcp6_message& message) {
  ORRERY_CHECK(message.transaction <= transaction_max);
  const auto options = write_dhcp6_fields(message.options);
  std::vector<std::byte> bytes(head_bytes + options.size());
  field_writer to(bytes);
  to.long_number(std::uint32_t{static_cast<std::uint8_t>(message.type)} << 24 |
                 message.transaction);
  to.bytes(options);
  return bytes;
}

bool is_relayed(std::span<const std::byte> bytes) {
  return !bytes.empty() && (bytes[0] == static_cast<std::byte>(dhcp6_type::relay_forward) ||
                            bytes[0] == static_cast<std::byte>(dhcp6_type::relay_reply));
}

std::optional<dhcp6_message> read_dhcp6(std::span<const std::byte> bytes) {
  if (bytes.size() < head_bytes || is_relayed(bytes)) {
    return std::nullopt;
  }
  field_reader from(bytes);
  const std::uint32_t head = from.long_number();
  auto options = read_dhcp6_fields(from.bytes(from.left()));
  if (!options) {
    return std::nullopt;
  }
  return dhcp6_message{.type = static_cast<dhcp6_type>(head >> 24),
                       .transaction = head & transaction_max,
                       .options = *std::move(options)};
}

} // namespace orrery::pvip
