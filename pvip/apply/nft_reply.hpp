#pragma once

#include "events/core/error.hpp"
#include "pvip/apply/apply.hpp"
#include "pvip/plan/traffic.hpp"

#include <string>
#include <string_view>

/// What orrery-nft answers to the questions of nft_request.hpp, in nftables' JSON
/// (libnftables-json(5)): listings as what was found. Pure, and total on any text.
namespace orrery::pvip {

/// Whether our table is in the listing of all. Errors: `damaged` (no listing of tables).
[[nodiscard]] result<bool> has_table(std::string_view listing, std::string_view table);

struct filter_listing {
  found_filter filter;
  std::string mark; ///< of the shared part as it was found, for `marking_of`
};

/// Reads the listing of our table. Errors: `damaged` (no listing of a table).
[[nodiscard]] result<filter_listing> read_filter(std::string_view listing, std::string_view table);

/// Adds the counters in the listing of a set to `into`, of `filter_set`s that count. Errors:
/// `damaged` (no listing).
[[nodiscard]] result<void> read_traffic(std::string_view listing, filter_set set,
                                        traffic_of_ports& into);

} // namespace orrery::pvip
