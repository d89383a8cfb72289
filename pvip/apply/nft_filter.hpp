#pragma once

#include "pvip/apply/apply.hpp"
#include "pvip/apply/netlink_socket.hpp"
#include "pvip/apply/nft_helper.hpp"
#include "pvip/apply/nft_reply.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::pvip {

/// The filter of one namespace, read and written by orrery-nft, but for changes of few ports, which
/// are netlink's (nft_change.hpp). A listing of thousands of ports takes long, and each
/// transaction, whoever does it, gives the kernel's rules a new generation: so what was read is
/// kept, and read again only when the generation is neither that nor our own. Not for several
/// threads at once. Calls block.
class nft_filter {
public:
  /// Errors: `io_failed`. `helper` is the path of orrery-nft.
  [[nodiscard]] static result<nft_filter> open(std::string_view link_prefix, std::string helper);

  /// Everything, or what concerns one link. Errors: `damaged`, and those of `nft_helper::run`.
  [[nodiscard]] result<found_filter> read(const std::optional<std::string>& only_link);

  /// Does operations of the filter, all or none. Errors: those of `nft_helper::run`.
  [[nodiscard]] result<void> apply(const std::vector<const operation*>& operations);

  /// What was counted of all ports; empty without our table. Errors: as `read`.
  [[nodiscard]] result<traffic_of_ports> traffic();

private:
  nft_filter(netlink_socket socket, std::string table, std::string helper);

  [[nodiscard]] result<std::uint32_t> generation();
  [[nodiscard]] result<void> know();

  /// Whether our table is there.
  [[nodiscard]] result<bool> exists();

  /// Our table, read anew; empty without it.
  [[nodiscard]] result<filter_listing> list();
  [[nodiscard]] result<void> change(const std::vector<const operation*>& operations);
  [[nodiscard]] result<void> change(const std::string& transaction);

  /// What a transaction of ours leaves known, by how it ended.
  [[nodiscard]] result<void> changed(const result<void>& done);
  [[nodiscard]] result<void> mark();
  [[nodiscard]] found_port_filter as_it_is(const std::string& link, found_port_filter port) const;

  netlink_socket x_socket;
  std::string x_table;
  std::unique_ptr<nft_helper> x_helper;
  bool x_is_known = false;
  std::uint32_t x_generation = 0; ///< in which `x_known` was true
  found_filter x_known;

  /// The kernel's number of the link on which a chain was seen or made: before Linux 6.16 a chain
  /// goes with its link, and no generation tells.
  std::map<std::string, unsigned, std::less<>> x_links;
};

} // namespace orrery::pvip
