#include "events/core/safety.hpp"

#include <array>
#include <utility>

namespace orrery::safety {

namespace {

using named = std::pair<std::string_view, std::string_view>;

constexpr std::array<named, line_count> lines{{
    {"after_epoch", "a claim counts if it follows the epoch in force"},
    {"claimed", "a commit counts after the first claim"},
    {"epoch", "a commit counts in its epoch"},
    {"seq", "a commit counts with the next number"},
    {"prev_hash", "a commit counts on the head"},
    {"own_nonce", "a claim is known by its nonce"},
    {"deposed_stops", "another's claim ends the own epoch"},
    {"in_doubt", "nothing more in the epoch of a record of unknown fate"},
    {"read_back", "answers after the record was read back"},
    {"answered_if_read", "what was read back is answered by who lost it too"},
    {"acceptance_first", "effects after acceptance"},
    {"once_in_batch", "a repeated command in one batch is decided once"},
    {"stream_in_turn", "a message of a stream is decided if it is the next"},
    {"key_once_in_batch", "a repeated key in one batch is decided once"},
    {"origin_window", "a repeated command is not decided again"},
    {"client_key", "a repeated key gets the first answer"},
    {"new_connection", "the word of a replaced connection is dropped"},
    {"newer_saying", "an older saying changes nothing"},
    {"newest_wish", "only who knew the wish can say that it is fulfilled"},
    {"release_by_fact", "address and room come back when seen gone"},
    {"prefix_once", "a prefix is granted if nobody holds any of it"},
    {"granted_first", "a network gives addresses once its prefix is granted"},
    {"trusted_clock", "a clock that jumped decides nothing"},
    {"fence_first", "a guest is asked behind what is still done to it"},
    {"hello_first", "no guest is touched before the hello is in the log"},
}};

std::optional<line> taken_out;

} // namespace

bool holds(line which) { return taken_out != which; }

void take_out(std::optional<line> which) { taken_out = which; }

std::string_view name_of(line which) { return lines[static_cast<std::size_t>(which)].first; }

std::string_view text_of(line which) { return lines[static_cast<std::size_t>(which)].second; }

} // namespace orrery::safety
