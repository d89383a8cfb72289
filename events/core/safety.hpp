#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace orrery::safety {

/// The lines that keep history and the world safe, each of which carries its own part. A harness
/// that finds nothing when one is taken out would find nothing if it were forgotten: so the tests
/// have a build in which each can be (`ORRERY_SWITCHES`, docs/simulation.md). In the product all
/// hold, and the compiler knows it.
enum class line : std::uint8_t {
  // The acceptance rule (events/log/history)
  after_epoch, ///< a claim counts if it follows the epoch in force
  claimed,     ///< a commit counts after the first claim
  epoch,       ///< a commit counts in its epoch
  seq,         ///< a commit counts with the next number
  prev_hash,   ///< a commit counts on the head
  // The owner (events/log/owner)
  own_nonce,     ///< a claim is known by its nonce, not by having sent one
  deposed_stops, ///< another's accepted claim ends the own epoch
  in_doubt,      ///< after a record of unknown fate nothing is written in that epoch
  // The engine (actors/engine)
  read_back,         ///< answers only after the own record was read back and accepted
  answered_if_read,  ///< what was read back is answered, also by an owner replaced meanwhile
  acceptance_first,  ///< effects only after the intent's record was accepted
  once_in_batch,     ///< a repeated command in one batch is decided once
  stream_in_turn,    ///< a message between partitions is decided if it is the next of its stream
  key_once_in_batch, ///< so is a repeated client key
  // The folded state (events/domain)
  origin_window,   ///< a repeated command is not decided again
  client_key,      ///< a repeated client key gets the first answer
  new_connection,  ///< the word of a replaced connection to a node is dropped
  newer_saying,    ///< an older saying about a guest changes nothing
  newest_wish,     ///< off or gone counts for a wish only if the observer knew the wish
  release_by_fact, ///< address, room and name come back when the guest was seen gone
  prefix_once,     ///< a prefix is granted to a network if no other holds any of it
  granted_first,   ///< a network gives out addresses once its prefix is granted
  trusted_clock,   ///< a clock that jumped decides nothing
  // Hypervisors (actors/hypervisors/driving)
  fence_first, ///< a guest is asked behind whatever is still done to it for a predecessor
  hello_first, ///< a guest is touched only after the hello to its node was accepted
};

inline constexpr std::size_t line_count = 25;

#ifdef ORRERY_SWITCHES

/// Whether the line is in force.
[[nodiscard]] bool holds(line which);

/// Takes out one line, and puts back any other; nothing: all are in force.
void take_out(std::optional<line> which);

/// The stable snake_case name of a line, and what it says.
[[nodiscard]] std::string_view name_of(line which);
[[nodiscard]] std::string_view text_of(line which);

#else

[[nodiscard]] constexpr bool holds(line /*which*/) { return true; }

#endif

} // namespace orrery::safety
