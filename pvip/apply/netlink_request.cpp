#include "pvip/apply/netlink_request.hpp"

#include "events/core/check.hpp"
#include "pvip/apply/system_error.hpp"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <variant>

namespace orrery::pvip {

static_assert(alignof(nlmsghdr) == alignof(std::uint32_t));

netlink_request::netlink_request(std::uint16_t type, int flags)
    : x_header(mnl_nlmsg_put_header(x_bytes.data())) {
  x_header->nlmsg_type = type;
  x_header->nlmsg_flags = static_cast<std::uint16_t>(flags);
}

void* netlink_request::put_body(std::size_t bytes) {
  return mnl_nlmsg_put_extra_header(x_header, bytes);
}

void netlink_request::text(std::uint16_t type, const std::string& value) {
  ORRERY_CHECK(mnl_attr_put_strz_check(x_header, x_bytes.size(), type, value.c_str()));
}

void netlink_request::number(std::uint16_t type, std::uint32_t value) {
  ORRERY_CHECK(mnl_attr_put_u32_check(x_header, x_bytes.size(), type, value));
}

void netlink_request::byte(std::uint16_t type, std::uint8_t value) {
  ORRERY_CHECK(mnl_attr_put_u8_check(x_header, x_bytes.size(), type, value));
}

void netlink_request::address(std::uint16_t type, const ip_address& value) {
  if (const auto* of_ipv4 = std::get_if<ipv4>(&value)) {
    number(type, htonl(of_ipv4->bits));
    return;
  }
  const auto& bytes = std::get<ipv6>(value).bytes;
  ORRERY_CHECK(mnl_attr_put_check(x_header, x_bytes.size(), type, bytes.size(), bytes.data()));
}

void netlink_request::mac(std::uint16_t type, const mac_address& value) {
  ORRERY_CHECK(
      mnl_attr_put_check(x_header, x_bytes.size(), type, value.bytes.size(), value.bytes.data()));
}

void netlink_request::bytes(std::uint16_t type, std::span<const std::byte> value) {
  ORRERY_CHECK(mnl_attr_put_check(x_header, x_bytes.size(), type, value.size(), value.data()));
}

std::span<const std::byte> netlink_request::message() const {
  return std::as_bytes(std::span(x_bytes)).first(x_header->nlmsg_len);
}

nlattr* netlink_request::begin(std::uint16_t type) {
  nlattr* nest = mnl_attr_nest_start_check(x_header, x_bytes.size(), type);
  ORRERY_CHECK(nest != nullptr);
  return nest;
}

void netlink_request::end(nlattr* nest) { mnl_attr_nest_end(x_header, nest); }

std::uint8_t family_of(const ip_address& address) {
  return std::holds_alternative<ipv4>(address) ? AF_INET : AF_INET6;
}

error netlink_refusal(std::string_view what, const netlink_ending& ending) {
  error failure = system_error(what, ending.code);
  if (ending.code == EEXIST) {
    failure.code = error_code::already_exists;
  }
  if (!ending.words.empty()) {
    failure.text += " (" + ending.words + ")";
  }
  return failure;
}

} // namespace orrery::pvip
