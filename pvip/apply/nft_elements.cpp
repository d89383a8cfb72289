#include "pvip/apply/nft_elements.hpp"

#include "pvip/apply/netlink_request.hpp"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace orrery::pvip {

namespace {

/// Of a key of two parts each begins at a multiple of so many bytes (nftables' registers).
constexpr std::size_t register_bytes = 4;

using key_bytes = std::vector<std::byte>;

template <class Bytes> void append(key_bytes& to, const Bytes& value) {
  const auto bytes = std::as_bytes(std::span(value));
  to.insert(to.end(), bytes.begin(), bytes.end());
  to.resize((to.size() + register_bytes - 1) / register_bytes * register_bytes);
}

/// With zeros to the kernel's length of a link's name.
key_bytes key_of_link(const std::string& link) {
  key_bytes key;
  std::array<char, IFNAMSIZ> name{};
  std::copy_n(link.begin(), std::min(link.size(), name.size() - 1), name.begin());
  append(key, name);
  return key;
}

key_bytes key_of(const std::string& link, const ip_address& address) {
  key_bytes key = key_of_link(link);
  if (const auto* of_ipv4 = std::get_if<ipv4>(&address)) {
    append(key, std::array{htonl(of_ipv4->bits)});
  } else {
    append(key, std::get<ipv6>(address).bytes);
  }
  return key;
}

/// The key of the prefix's last address, by that of its first.
key_bytes last_key_of(key_bytes key, const ip_prefix& prefix) {
  const std::size_t bits = bits_of(prefix.base);
  const std::size_t begin = key.size() - bits / 8;
  for (std::size_t bit = prefix.length; bit < bits; ++bit) {
    key[begin + bit / 8] |= std::byte{0x80} >> (bit % 8);
  }
  return key;
}

void put_key(netlink_request& change, std::uint16_t type, const key_bytes& value) {
  nlattr* key = change.begin(type);
  change.bytes(NFTA_DATA_VALUE, value);
  change.end(key);
}

/// `last`: of an interval, which begins at `first`.
void put_element(nft_batch& to, element_change kind, std::string_view set, const key_bytes& first,
                 const std::optional<key_bytes>& last = std::nullopt) {
  const bool is_added = kind == element_change::added;
  to.put(is_added ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, is_added ? NLM_F_CREATE : 0,
         [&](netlink_request& change) {
           change.text(NFTA_SET_ELEM_LIST_SET, std::string(set));
           nlattr* all = change.begin(NFTA_SET_ELEM_LIST_ELEMENTS);
           nlattr* one = change.begin(NFTA_LIST_ELEM);
           put_key(change, NFTA_SET_ELEM_KEY, first);
           if (last) {
             put_key(change, NFTA_SET_ELEM_KEY_END, *last);
           }
           change.end(one);
           change.end(all);
         });
}

} // namespace

void put_element(nft_batch& to, element_change change, const filter_element& element) {
  const auto* const kind = std::ranges::find(filter_set_kinds, element.set, &filter_set_kind::set);
  if (kind == filter_set_kinds.end()) {
    return;
  }
  if (kind->prefixes) {
    const ip_prefix prefix = parse_ip_prefix(element.value).value();
    const key_bytes first = key_of(element.link, prefix.base);
    put_element(to, change, kind->name, first, last_key_of(first, prefix));
  } else if (const auto mac = parse_mac(element.value)) {
    key_bytes key = key_of_link(element.link);
    append(key, mac->bytes);
    put_element(to, change, kind->name, key);
  } else {
    put_element(to, change, kind->name,
                key_of(element.link, parse_ip_address(element.value).value()));
  }
}

void put_drop_counter(nft_batch& to, element_change change, const std::string& link,
                      drop_reason reason) {
  key_bytes key = key_of_link(link);
  append(key, std::array{static_cast<std::uint32_t>(reason)}); // a mark is in the host's order
  put_element(to, change, drops_set, key);
}

} // namespace orrery::pvip
