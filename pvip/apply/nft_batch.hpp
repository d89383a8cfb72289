#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace orrery::pvip {

class netlink_request;

/// Messages of nftables' netlink that are sent together.
struct nft_messages {
  std::vector<std::byte> bytes;
  std::size_t last = 0; ///< where the last of the changes begins
};

/// Writes changes of one table of the family "netdev" as messages of nfnetlink between a begin and
/// an end, of which the kernel does all or none. Pure: nothing is sent.
class nft_batch {
public:
  explicit nft_batch(std::string table);

  /// One change. `message`: NFT_MSG_…; `flags`: NLM_F_… beside NLM_F_REQUEST; `fill` puts the
  /// attributes behind the table's.
  void put(int message, int flags, const std::function<void(netlink_request&)>& fill);

  /// Ends it; once, after at least one change.
  [[nodiscard]] nft_messages end() &&;

private:
  void put_edge(std::uint16_t type);
  void append(std::span<const std::byte> message);

  std::string x_table;
  nft_messages x_made;
};

} // namespace orrery::pvip
