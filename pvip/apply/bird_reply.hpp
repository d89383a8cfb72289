#pragma once

#include "events/core/error.hpp"
#include "pvip/upstream/upstream.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What BIRD says on its control socket (BIRD's documentation, "Remote control", and the comment at
/// the top of its nest/cli.c): pure, and total on any bytes.
///
///   NNNN-text   a line, and more follow      NNNN text   the last line of a reply
///    text       a line with the number of the one before
///   +text       spoken out of turn, to whoever follows the log; skipped
namespace orrery::pvip {

struct bird_line {
  int code = 0; ///< 0 to 9999: 0… done, 1… data, 2… heading, 8… refused, 9… not understood
  std::string text;

  friend bool operator==(const bird_line&, const bird_line&) = default;
};

/// The lines of one reply; never empty, and the last one tells how it ended.
using bird_reply = std::vector<bird_line>;

/// Gathers one reply from the pieces in which it comes.
class bird_reply_reader {
public:
  /// A table of protocols has lines of about a hundred bytes.
  static constexpr std::size_t line_bytes_max = 4'096;

  /// A line for each protocol and neighbour: we ask for no routes.
  static constexpr std::size_t lines_max = 1'024;

  /// The reply, once it is whole. Errors: `damaged` (a line without its number, more after the
  /// end), `too_large`; then nothing more can be read.
  [[nodiscard]] result<std::optional<bird_reply>> take(std::string_view bytes);

private:
  [[nodiscard]] result<void> take_line(std::string_view line);

  std::string x_rest; ///< of a line that has not ended
  bird_reply x_lines;
  bool x_whole = false;
};

/// How a neighbour stands, as BIRD says it.
struct neighbour_state {
  ip_address address;
  bool established = false;
  std::string info{}; ///< BIRD's words: "Established", "Active Socket: Connection refused"

  friend bool operator==(const neighbour_state&, const neighbour_state&) = default;
};

/// A protocol of BIRD's, and its words about it.
struct protocol_state {
  std::string name;
  std::string info;

  friend bool operator==(const protocol_state&, const protocol_state&) = default;
};

/// Of "show protocols": all there are, in BIRD's order.
[[nodiscard]] std::vector<protocol_state> read_protocols(const bird_reply& reply);

/// Of "show protocols": the neighbours in protocols that we name, sorted.
[[nodiscard]] std::vector<neighbour_state> read_bgp_neighbours(const bird_reply& reply);

/// Of "show protocols": the wanted neighbours, sorted; those that BIRD does not have are not
/// established.
[[nodiscard]] std::vector<neighbour_state> read_bgp_neighbours(const bird_reply& reply,
                                                               const bgp_upstream& wanted);

/// Of "show ospf neighbors": all there are, sorted; of version 3 by their link-local addresses.
/// Established: Full, or 2-Way with one that is
/// not the link's designated router either.
[[nodiscard]] std::vector<neighbour_state> read_ospf_neighbours(const bird_reply& reply);

} // namespace orrery::pvip
