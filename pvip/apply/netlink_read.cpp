#include "pvip/apply/netlink_read.hpp"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>

namespace orrery::pvip {

namespace {

using bytes_view = std::span<const std::byte>;

/// Names and words of the kernel are short; more is cut, as no limit is the sender's to set.
constexpr std::size_t text_bytes_max = 1'024;

/// A trivially copyable T from the front; nothing when there are too few bytes.
template <class T> std::optional<T> read_struct(bytes_view from) {
  if (from.size() < sizeof(T)) {
    return std::nullopt;
  }
  T value;
  std::memcpy(&value, from.data(), sizeof(T));
  return value;
}

/// What follows `bytes` bytes rounded up to netlink's alignment of four; empty when there is less.
bytes_view after(bytes_view from, std::size_t bytes) {
  constexpr std::size_t alignment = 4;
  const std::size_t aligned = (bytes + alignment - 1) / alignment * alignment;
  return from.subspan(std::min(aligned, from.size()));
}

struct attribute {
  std::uint16_t type = 0;
  bytes_view payload;
};

/// Gives attributes one after the other, nothing from the first damaged one on.
class attributes {
public:
  explicit attributes(bytes_view from) : x_rest(from) {}

  std::optional<attribute> next() {
    const auto header = read_struct<nlattr>(x_rest);
    if (!header || header->nla_len < sizeof(nlattr) || header->nla_len > x_rest.size()) {
      return std::nullopt;
    }
    const attribute found{.type = static_cast<std::uint16_t>(header->nla_type & NLA_TYPE_MASK),
                          .payload =
                              x_rest.subspan(sizeof(nlattr), header->nla_len - sizeof(nlattr))};
    x_rest = after(x_rest, header->nla_len);
    return found;
  }

private:
  bytes_view x_rest;
};

std::string text_in(bytes_view from) {
  const auto end = std::ranges::find(from, std::byte{0});
  const auto length = std::min(static_cast<std::size_t>(end - from.begin()), text_bytes_max);
  std::string text(length, '\0');
  std::ranges::transform(from.first(length), text.begin(),
                         [](std::byte b) { return static_cast<char>(b); });
  return text;
}

std::optional<ipv4> ipv4_in(bytes_view from) {
  if (from.size() != sizeof(std::uint32_t)) {
    return std::nullopt;
  }
  std::uint32_t bits = 0;
  for (const std::byte each : from) {
    bits = bits << 8 | std::to_integer<std::uint32_t>(each);
  }
  return ipv4{bits};
}

/// The address with which routes and others of a family begin; nothing for other families.
std::optional<ip_address> none_of(unsigned family) {
  switch (family) {
  case AF_INET:
    return ipv4{};
  case AF_INET6:
    return ipv6{};
  default:
    return std::nullopt;
  }
}

/// An address of the family of `like`.
std::optional<ip_address> address_in(bytes_view from, const ip_address& like) {
  if (std::holds_alternative<ipv4>(like)) {
    const auto found = ipv4_in(from);
    return found ? std::optional<ip_address>(*found) : std::nullopt;
  }
  ipv6 found;
  if (from.size() != found.bytes.size()) {
    return std::nullopt;
  }
  std::ranges::transform(from, found.bytes.begin(),
                         [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  return found;
}

mac_address mac_in(bytes_view from) {
  mac_address mac;
  if (from.size() == mac.bytes.size()) {
    std::ranges::transform(from, mac.bytes.begin(),
                           [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  }
  return mac;
}

void read_tun(bytes_view from, netlink_link& link) {
  attributes all(from);
  while (const auto each = all.next()) {
    if (each->type == IFLA_TUN_TYPE) {
      link.tun_type = read_struct<std::uint8_t>(each->payload);
    } else if (each->type == IFLA_TUN_OWNER) {
      link.tun_owner_uid = read_struct<std::uint32_t>(each->payload);
    } else if (each->type == IFLA_TUN_PERSIST) {
      link.tun_persistent = read_struct<std::uint8_t>(each->payload).value_or(0) != 0;
    }
  }
}

void read_link_info(bytes_view from, netlink_link& link) {
  bytes_view data;
  attributes all(from);
  while (const auto each = all.next()) {
    if (each->type == IFLA_INFO_KIND) {
      link.kind = text_in(each->payload);
    } else if (each->type == IFLA_INFO_DATA) {
      data = each->payload;
    }
  }
  if (link.kind == "tun") {
    read_tun(data, link);
  }
}

void read_families(bytes_view from, netlink_link& link) {
  attributes families(from);
  while (const auto family = families.next()) {
    if (family->type != AF_INET6) {
      continue;
    }
    attributes values(family->payload);
    while (const auto each = values.next()) {
      if (each->type == IFLA_INET6_ADDR_GEN_MODE) {
        link.ipv6_address_mode = read_struct<std::uint8_t>(each->payload);
      }
    }
  }
}

} // namespace

std::optional<netlink_message> netlink_messages::next() {
  if (x_rest.empty() || x_damaged) {
    return std::nullopt;
  }
  const auto header = read_struct<nlmsghdr>(x_rest);
  if (!header || header->nlmsg_len < sizeof(nlmsghdr) || header->nlmsg_len > x_rest.size()) {
    x_damaged = true;
    return std::nullopt;
  }
  const netlink_message message{
      .type = header->nlmsg_type,
      .flags = header->nlmsg_flags,
      .sequence = header->nlmsg_seq,
      .payload = x_rest.subspan(sizeof(nlmsghdr), header->nlmsg_len - sizeof(nlmsghdr))};
  x_rest = after(x_rest, header->nlmsg_len);
  return message;
}

std::optional<netlink_ending> read_ending(const netlink_message& message) {
  const auto code = read_struct<std::int32_t>(message.payload);
  if (!code || *code > 0 || *code == std::numeric_limits<std::int32_t>::min()) {
    return std::nullopt;
  }
  netlink_ending ending{.code = -*code, .words = {}};
  if ((message.flags & NLM_F_ACK_TLVS) == 0) {
    return ending;
  }
  bytes_view rest = after(message.payload, sizeof(std::int32_t));
  if (message.type == NLMSG_ERROR) {
    // The request stands here: its header only, or whole when it failed and was not capped.
    const auto request = read_struct<nlmsghdr>(rest);
    if (!request) {
      return ending;
    }
    const bool whole = ending.code != 0 && (message.flags & NLM_F_CAPPED) == 0;
    rest = after(rest, whole ? request->nlmsg_len : sizeof(nlmsghdr));
  }
  attributes all(rest);
  while (const auto each = all.next()) {
    if (each->type == NLMSGERR_ATTR_MSG) {
      ending.words = text_in(each->payload);
    }
  }
  return ending;
}

std::optional<netlink_link> read_link(bytes_view payload) {
  const auto header = read_struct<ifinfomsg>(payload);
  if (!header || header->ifi_index <= 0) {
    return std::nullopt;
  }
  netlink_link link;
  link.index = static_cast<std::uint32_t>(header->ifi_index);
  link.flags = header->ifi_flags;
  attributes all(after(payload, sizeof(ifinfomsg)));
  while (const auto each = all.next()) {
    if (each->type == IFLA_IFNAME) {
      link.name = text_in(each->payload);
    } else if (each->type == IFLA_ADDRESS) {
      link.mac = mac_in(each->payload);
    } else if (each->type == IFLA_IFALIAS) {
      link.alias = text_in(each->payload);
    } else if (each->type == IFLA_LINKINFO) {
      read_link_info(each->payload, link);
    } else if (each->type == IFLA_AF_SPEC) {
      read_families(each->payload, link);
    }
  }
  return link.name.empty() ? std::nullopt : std::optional(std::move(link));
}

std::optional<netlink_route> read_route(bytes_view payload) {
  const auto header = read_struct<rtmsg>(payload);
  const auto none = header ? none_of(header->rtm_family) : std::nullopt;
  if (!none || header->rtm_dst_len > bits_of(*none)) {
    return std::nullopt;
  }
  netlink_route route;
  route.destination = {*none, header->rtm_dst_len};
  route.tos = header->rtm_tos;
  route.type = header->rtm_type;
  route.protocol = header->rtm_protocol;
  route.scope = header->rtm_scope;
  route.table = header->rtm_table;
  attributes all(after(payload, sizeof(rtmsg)));
  while (const auto each = all.next()) {
    const auto number = read_struct<std::uint32_t>(each->payload);
    if (each->type == RTA_DST) {
      const auto destination = address_in(each->payload, *none);
      if (!destination) {
        return std::nullopt;
      }
      route.destination.base = *destination;
    } else if (each->type == RTA_OIF) {
      route.link_index = number.value_or(0);
    } else if (each->type == RTA_PRIORITY) {
      route.priority = number.value_or(0);
    } else if (each->type == RTA_TABLE) {
      route.table = number.value_or(route.table);
    } else if (each->type == RTA_GATEWAY || each->type == RTA_VIA || each->type == RTA_MULTIPATH ||
               each->type == RTA_NH_ID) {
      route.has_gateway = true;
      if (each->type == RTA_GATEWAY) {
        route.gateway = address_in(each->payload, *none);
      }
    }
  }
  return route;
}

std::optional<netlink_neighbour> read_neighbour(bytes_view payload) {
  const auto header = read_struct<ndmsg>(payload);
  const auto none = header ? none_of(header->ndm_family) : std::nullopt;
  if (!none || header->ndm_ifindex <= 0) {
    return std::nullopt;
  }
  netlink_neighbour neighbour;
  neighbour.link_index = static_cast<std::uint32_t>(header->ndm_ifindex);
  neighbour.state = header->ndm_state;
  neighbour.flags = header->ndm_flags;
  bool addressed = false;
  attributes all(after(payload, sizeof(ndmsg)));
  while (const auto each = all.next()) {
    if (each->type == NDA_DST) {
      const auto address = address_in(each->payload, *none);
      addressed = address.has_value();
      neighbour.address = address.value_or(*none);
    } else if (each->type == NDA_LLADDR) {
      neighbour.mac = mac_in(each->payload);
    } else if (each->type == NDA_PROTOCOL) {
      neighbour.protocol = read_struct<std::uint8_t>(each->payload).value_or(0);
    }
  }
  return addressed ? std::optional(neighbour) : std::nullopt;
}

std::optional<netlink_address> read_address(bytes_view payload) {
  const auto header = read_struct<ifaddrmsg>(payload);
  const auto none = header ? none_of(header->ifa_family) : std::nullopt;
  if (!none || header->ifa_prefixlen > bits_of(*none)) {
    return std::nullopt;
  }
  // IPv6 has the local one as IFA_ADDRESS, unless the link has a far end.
  const auto local = [&](const attribute& of) {
    return of.type == IFA_LOCAL || (of.type == IFA_ADDRESS && header->ifa_family == AF_INET6);
  };
  netlink_address address;
  address.length = header->ifa_prefixlen;
  address.link_index = header->ifa_index;
  bool addressed = false;
  attributes all(after(payload, sizeof(ifaddrmsg)));
  while (const auto each = all.next()) {
    if (local(*each) && !(addressed && each->type == IFA_ADDRESS)) {
      const auto found = address_in(each->payload, *none);
      addressed = found.has_value();
      address.address = found.value_or(*none);
    } else if (each->type == IFA_PROTO) {
      address.protocol = read_struct<std::uint8_t>(each->payload).value_or(0);
    }
  }
  return addressed ? std::optional(address) : std::nullopt;
}

std::optional<std::uint32_t> read_generation(bytes_view payload) {
  attributes all(after(payload, sizeof(nfgenmsg)));
  while (const auto each = all.next()) {
    if (each->type == NFTA_GEN_ID) {
      const auto number = read_struct<std::uint32_t>(each->payload);
      return number ? std::optional(ntohl(*number)) : std::nullopt;
    }
  }
  return std::nullopt;
}

} // namespace orrery::pvip
