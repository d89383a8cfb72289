#include "pvip/guest/dhcp.hpp"

#include "events/core/check.hpp"
#include "pvip/guest/fields.hpp"

#include <algorithm>

namespace orrery::pvip {

namespace {

// RFC 2131, figure 1.
constexpr std::uint8_t from_client = 1;
constexpr std::uint8_t from_server = 2;
constexpr std::uint8_t hardware_ethernet = 1;
constexpr std::uint8_t mac_bytes = 6;
constexpr std::size_t mac_field_bytes = 16;
constexpr std::uint16_t broadcast_flag = 0x8000;
constexpr std::size_t server_name_bytes = 64;
constexpr std::size_t file_bytes = 128;
constexpr std::size_t fixed_bytes = 236;

constexpr std::uint32_t magic_cookie = 0x63825363;
constexpr std::size_t cookie_bytes = 4;
constexpr std::uint8_t padding = 0;
constexpr std::uint8_t end_of_options = 255;
constexpr std::size_t option_part_bytes_max = 255;

/// RFC 951: clients may drop what is shorter.
constexpr std::size_t message_bytes_min = 300;

// Values of the option "overload".
constexpr unsigned options_in_file = 1;
constexpr unsigned options_in_server_name = 2;

using option_map = std::map<dhcp_option, std::vector<std::byte>>;

/// Adds the options of one field; false when one is longer than what is left of it. A field that
/// ends without an end is taken as it is, as other servers do.
bool read_options(std::span<const std::byte> field, option_map& into) {
  field_reader from(field);
  while (from.left() > 0) {
    const std::uint8_t number = from.byte();
    if (number == end_of_options) {
      return true;
    }
    if (number == padding) {
      continue;
    }
    if (from.left() == 0) {
      return false;
    }
    const std::size_t length = from.byte();
    if (from.left() < length) {
      return false;
    }
    const auto part = from.bytes(length);
    auto& value = into[static_cast<dhcp_option>(number)];
    value.insert(value.end(), part.begin(), part.end());
  }
  return true;
}

/// Options of all fields that hold some, in the order of RFC 3396.
std::optional<option_map> read_all_options(std::span<const std::byte> options,
                                           std::span<const std::byte> file,
                                           std::span<const std::byte> server_name) {
  option_map all;
  if (!read_options(options, all)) {
    return std::nullopt;
  }
  const auto overload = all.find(dhcp_option::overload);
  if (overload == all.end()) {
    return all;
  }
  const auto value = std::move(overload->second);
  constexpr unsigned both = options_in_file | options_in_server_name;
  const unsigned fields = value.size() == 1 ? std::to_integer<unsigned>(value[0]) : 0;
  if (fields == 0 || fields > both) {
    return std::nullopt;
  }
  if ((fields & options_in_file) != 0 && !read_options(file, all)) {
    return std::nullopt;
  }
  if ((fields & options_in_server_name) != 0 && !read_options(server_name, all)) {
    return std::nullopt;
  }
  all.erase(dhcp_option::overload);
  return all;
}

std::size_t bytes_of(const option_map& options) {
  std::size_t bytes = 1; // the end
  for (const auto& [number, value] : options) {
    const std::size_t parts = std::max<std::size_t>(1, (value.size() + option_part_bytes_max - 1) /
                                                           option_part_bytes_max);
    bytes += 2 * parts + value.size();
  }
  return bytes;
}

void write_option(field_writer& to, dhcp_option number, std::span<const std::byte> value) {
  do {
    const auto part = value.first(std::min(value.size(), option_part_bytes_max));
    to.byte(static_cast<std::uint8_t>(number));
    to.byte(static_cast<std::uint8_t>(part.size()));
    to.bytes(part);
    value = value.subspan(part.size());
  } while (!value.empty());
}

} // namespace

std::vector<std::byte> write_dhcp(const dhcp_message& message) {
  std::vector<std::byte> bytes(
      std::max(message_bytes_min, fixed_bytes + cookie_bytes + bytes_of(message.options)));
  field_writer to(bytes);
  to.byte(message.is_reply ? from_server : from_client);
  to.byte(hardware_ethernet);
  to.byte(mac_bytes);
  to.byte(0); // hops
  to.long_number(message.transaction);
  to.number(message.seconds);
  to.number(message.wants_broadcast ? broadcast_flag : 0);
  to.address(message.client);
  to.address(message.offered);
  to.address(message.next_server);
  to.address(message.relay);
  to.mac(message.mac);
  to.skip(mac_field_bytes - mac_bytes + server_name_bytes + file_bytes);
  to.long_number(magic_cookie);
  for (const auto& [number, value] : message.options) {
    ORRERY_CHECK(number != dhcp_option::overload);
    write_option(to, number, value);
  }
  to.byte(end_of_options);
  return bytes;
}

std::optional<dhcp_message> read_dhcp(std::span<const std::byte> bytes) {
  if (bytes.size() < fixed_bytes + cookie_bytes) {
    return std::nullopt;
  }
  field_reader from(bytes);
  dhcp_message message;
  const std::uint8_t direction = from.byte();
  const bool is_for_ethernet = from.byte() == hardware_ethernet && from.byte() == mac_bytes;
  if ((direction != from_client && direction != from_server) || !is_for_ethernet) {
    return std::nullopt;
  }
  message.is_reply = direction == from_server;
  from.bytes(1); // hops
  message.transaction = from.long_number();
  message.seconds = from.number();
  message.wants_broadcast = (from.number() & broadcast_flag) != 0;
  message.client = from.address();
  message.offered = from.address();
  message.next_server = from.address();
  message.relay = from.address();
  message.mac = from.mac();
  from.bytes(mac_field_bytes - mac_bytes);
  const auto server_name = from.bytes(server_name_bytes);
  const auto file = from.bytes(file_bytes);
  if (from.long_number() != magic_cookie) {
    return std::nullopt;
  }
  auto options = read_all_options(from.bytes(from.left()), file, server_name);
  if (!options) {
    return std::nullopt;
  }
  message.options = *std::move(options);
  return message;
}

} // namespace orrery::pvip
