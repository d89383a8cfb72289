#pragma once

#include "pvip/apply/apply.hpp"

#include <string>
#include <string_view>
#include <vector>

/// What orrery-nft is asked, in nftables' JSON (libnftables-json(5)): operations as transactions,
/// and questions, whose answers are read in nft_reply.hpp. Pure.
namespace orrery::pvip {

/// One transaction that does all of `operations`, each of which `is_of_filter`.
[[nodiscard]] std::string transaction_of(std::string_view table,
                                         const std::vector<const operation*>& operations);

/// What asks for the names of all tables of the family, for our table, for one set with its
/// counters.
[[nodiscard]] std::string listing_of_tables();
[[nodiscard]] std::string listing_of(std::string_view table);
[[nodiscard]] std::string listing_of(std::string_view table, filter_set set);

/// What marks our table as made by us: nftables shows what it read from the kernel, in words of its
/// version, so what was made is remembered as a fingerprint of what is shown then
/// (`filter_listing::mark`), in the comment of a rule of `mark_chain`, to which nothing leads.
[[nodiscard]] std::string marking_of(std::string_view table, std::string_view mark);

inline constexpr std::string_view mark_chain = "orrery_mark";

} // namespace orrery::pvip
