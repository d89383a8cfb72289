#include "pvip/apply/nft_filter.hpp"

#include "pvip/apply/netlink_read.hpp"
#include "pvip/apply/nft_change.hpp"
#include "pvip/apply/nft_request.hpp"
#include "pvip/apply/system_error.hpp"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace orrery::pvip {

namespace {

/// A listing that somebody's transactions disturb is asked for again; more often means a storm.
constexpr int listings_max = 10;

constexpr std::uint16_t generation_question = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETGEN;
constexpr std::uint16_t generation_answer = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWGEN;

unsigned number_of_link(const std::string& link) { return ::if_nametoindex(link.c_str()); }

} // namespace

result<nft_filter> nft_filter::open(std::string_view link_prefix, std::string helper) {
  auto socket = netlink_socket::open(NETLINK_NETFILTER);
  if (!socket) {
    return socket.error();
  }
  return nft_filter(*std::move(socket), filter_table(link_prefix), std::move(helper));
}

nft_filter::nft_filter(netlink_socket socket, std::string table, std::string helper)
    : x_socket(std::move(socket)), x_table(std::move(table)),
      x_helper(std::make_unique<nft_helper>(std::move(helper))) {}

result<std::uint32_t> nft_filter::generation() {
  alignas(nlmsghdr) std::array<char, 64> bytes{};
  nlmsghdr* header = mnl_nlmsg_put_header(bytes.data());
  header->nlmsg_type = generation_question;
  mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg));
  std::optional<std::uint32_t> number;
  const auto ending = x_socket.ask(*header, [&number](const netlink_message& message) {
    if (message.type == generation_answer) {
      number = read_generation(message.payload);
    }
  });
  if (!ending) {
    return ending.error();
  }
  if (!number) {
    return system_error("nftables does not tell its generation",
                        ending->code == 0 ? EBADMSG : ending->code);
  }
  return *number;
}

result<bool> nft_filter::exists() {
  const auto tables = x_helper->run(listing_of_tables());
  if (!tables) {
    return tables.error();
  }
  return has_table(*tables, x_table);
}

result<filter_listing> nft_filter::list() {
  const auto is_there = exists();
  if (!is_there) {
    return is_there.error();
  }
  if (!*is_there) {
    return filter_listing{};
  }
  const auto listing = x_helper->run(listing_of(x_table));
  if (!listing) {
    return listing.error();
  }
  return read_filter(*listing, x_table);
}

result<void> nft_filter::know() {
  auto before = generation();
  for (int attempt = 0; attempt < listings_max; ++attempt) {
    if (!before) {
      return before.error();
    }
    if (x_is_known && *before == x_generation) {
      return {};
    }
    x_is_known = false;
    auto found = list();
    const auto after = generation();
    if (after && *after == *before) {
      if (!found) {
        return found.error();
      }
      x_known = std::move(found->filter);
      x_generation = *after;
      x_is_known = true;
      x_links.clear();
      for (const auto& [link, port] : x_known.ports) {
        x_links.emplace(link, number_of_link(link));
      }
      return {};
    }
    before = after;
  }
  return error{.code = error_code::io_failed,
               .text = "the rules of nftables change faster than they can be read",
               .retryable = true};
}

found_port_filter nft_filter::as_it_is(const std::string& link, found_port_filter port) const {
  const auto at = x_links.find(link);
  const unsigned number = number_of_link(link);
  if (number != 0 && at != x_links.end() && at->second != number) {
    port.has_chain = false;
    port.has_out_chain = false;
    port.is_chain_right = false;
  }
  return port;
}

result<found_filter> nft_filter::read(const std::optional<std::string>& only_link) {
  if (auto known = know(); !known) {
    return known.error();
  }
  found_filter found{.base = x_known.base, .ports = {}};
  if (only_link) {
    if (const auto at = x_known.ports.find(*only_link); at != x_known.ports.end()) {
      found.ports.emplace(*only_link, as_it_is(*only_link, at->second));
    }
    return found;
  }
  for (const auto& [link, port] : x_known.ports) {
    found.ports.emplace_hint(found.ports.end(), link, as_it_is(link, port));
  }
  return found;
}

result<traffic_of_ports> nft_filter::traffic() {
  const auto is_there = exists();
  if (!is_there) {
    return is_there.error();
  }
  traffic_of_ports all;
  for (const filter_set_kind& kind : filter_set_kinds) {
    if (!kind.counts || !*is_there) {
      continue;
    }
    const auto listing = x_helper->run(listing_of(x_table, kind.set));
    if (!listing) {
      return listing.error();
    }
    if (auto read = read_traffic(*listing, kind.set, all); !read) {
      return read.error();
    }
  }
  return all;
}

result<void> nft_filter::change(const std::vector<const operation*>& operations) {
  return are_of_few_ports(operations) ? changed(change_by_netlink(x_socket, x_table, operations))
                                      : change(transaction_of(x_table, operations));
}

result<void> nft_filter::change(const std::string& transaction) {
  const auto done = x_helper->run(transaction);
  return changed(done ? result<void>() : done.error());
}

result<void> nft_filter::changed(const result<void>& done) {
  if (!done) {
    x_is_known = x_is_known && done.error().code == error_code::driver_failed;
    return done.error();
  }
  const auto now = generation();
  // Each transaction makes one generation; zero is left out when they begin again.
  x_is_known =
      x_is_known && now && (*now == x_generation + 1 || (x_generation + 1 == 0 && *now == 1));
  x_generation = now ? *now : 0;
  return {};
}

result<void> nft_filter::mark() {
  const auto listing = list();
  if (!listing) {
    return listing.error();
  }
  return change(marking_of(x_table, listing->mark));
}

result<void> nft_filter::apply(const std::vector<const operation*>& operations) {
  auto done = change(operations);
  if (!done) {
    const auto* off =
        operations.size() == 1 ? std::get_if<unfilter_link>(operations.front()) : nullptr;
    if (off == nullptr || !(off->has_chain || off->has_out_chain) ||
        done.error().code != error_code::driver_failed) {
      return done;
    }
    // Before Linux 6.16 the chain went with its link.
    const operation without_chain = unfilter_link{
        .link = off->link, .has_chain = false, .has_out_chain = false, .removed = off->removed};
    if (auto again = change({&without_chain}); !again) {
      return done;
    }
  }
  for (const operation* each : operations) {
    apply_to(x_known, *each);
    if (const auto* on = std::get_if<filter_link>(each); on != nullptr && on->chain) {
      x_links[on->link] = number_of_link(on->link);
    } else if (const auto* off = std::get_if<unfilter_link>(each)) {
      x_links.erase(off->link);
    }
  }
  const auto makes = [](const operation* each) {
    return std::holds_alternative<make_filter>(*each);
  };
  return std::ranges::any_of(operations, makes) ? mark() : result<void>();
}

} // namespace orrery::pvip
