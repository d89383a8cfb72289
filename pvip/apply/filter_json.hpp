#pragma once

#include "events/core/error.hpp"
#include "pvip/apply/apply.hpp"

#include <string>
#include <string_view>
#include <vector>

/// The filter in nftables' JSON (libnftables-json(5)): operations as transactions, listings as what
/// was found. Pure.
namespace orrery::pvip {

/// One transaction that does all of `operations`, each of which `is_of_filter`.
[[nodiscard]] std::string transaction_of(std::string_view table,
                                         const std::vector<const operation*>& operations);

/// What asks for the names of all tables of the family, for our table, and what marks it as made by
/// us: nftables shows what it read from the kernel, in words of its version, so what was made is
/// remembered as a fingerprint of what is shown then, in the comment of a rule that nothing leads
/// to.
[[nodiscard]] std::string listing_of_tables();
[[nodiscard]] std::string listing_of(std::string_view table);
[[nodiscard]] std::string marking_of(std::string_view table, std::string_view mark);

/// Errors: `damaged` (no listing of tables).
[[nodiscard]] result<bool> has_table(std::string_view listing, std::string_view table);

struct filter_listing {
  found_filter filter;
  std::string mark; ///< of the shared part as it was found, for `marking_of`
};

/// Reads the listing of our table; total on any text. Errors: `damaged` (no listing of a table).
[[nodiscard]] result<filter_listing> read_filter(std::string_view listing, std::string_view table);

} // namespace orrery::pvip
