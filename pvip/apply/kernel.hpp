#pragma once

#include "events/core/error.hpp"
#include "pvip/apply/apply.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace orrery::pvip {

enum class outcome : std::uint8_t {
  done,
  put_off ///< cannot be done while a guest holds the tap; harmless until it leaves
};

/// What of a node is read.
struct reading {
  std::optional<std::string> only_link{}; ///< none: the whole node
  /// Of one link, also the routes by way of other nodes, of whichever port: costs with the number
  /// of all routes.
  bool with_tails = false;
  /// `found_state::router_listeners`: costs with the number of all links.
  bool with_listeners = false;
  bool with_settings = true; ///< ten of each link
};

/// The network state of one node, as read and as written. Implementations: netlink
/// (linux_kernel.hpp) and memory (memory_kernel.hpp). Not for several threads at once. Calls block.
class kernel {
public:
  kernel() = default;
  kernel(const kernel&) = delete;
  kernel& operator=(const kernel&) = delete;
  virtual ~kernel() = default;

  /// Reads all links, or only `only_link` (absent from the result when it does not exist), with the
  /// neighbours on what was read, the routes of the main table (all, or those over that link), the
  /// addresses of `lo` and the settings. Settings of links are read for taps whose name begins with
  /// the prefix. What is read of one link does not grow with the number of the others, but for the
  /// addresses that are answered for on uplinks, which are always read whole. Errors: `io_failed`.
  [[nodiscard]] virtual result<found_state> read(const reading& wanted) = 0;

  /// Does one operation. Removing what is not there is done. Errors: `io_failed`, `already_exists`
  /// (a tap of that name, or another route in the place of one to be added).
  [[nodiscard]] virtual result<outcome> apply(const operation& what) = 0;

  /// Does operations of the filter, which a kernel may do all at once, or none of them. When it
  /// fails, some may be done: each may be applied again. Errors: `io_failed`, and what
  /// `nft_helper::run` has.
  [[nodiscard]] virtual result<void> apply_together(const std::vector<const operation*>& all) {
    for (const operation* each : all) {
      if (auto done = apply(*each); !done) {
        return done.error();
      }
    }
    return {};
  }
};

} // namespace orrery::pvip
