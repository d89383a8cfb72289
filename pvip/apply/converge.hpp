#pragma once

#include "events/core/error.hpp"
#include "pvip/apply/host_network.hpp"
#include "pvip/apply/kernel.hpp"
#include "pvip/plan/plan.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::pvip {

/// Rounds of reading, comparing and applying. The first repairs, the second finds nothing to do;
/// a third is needed when a repair drops other objects (a changed MAC its neighbours); a fourth
/// when somebody else writes at the same time.
inline constexpr int rounds_max = 4;

/// Sentences of one report; what is beyond is counted in a last one.
inline constexpr std::size_t drift_sentences_max = 1'000;

/// Brings `kernel` to the plan of `ports` and reads back that it is so. With `only_link`, that of
/// one port. Errors as `host_network::reconcile`; `conflict` when it still differs after
/// `rounds_max`. What could be done is done.
[[nodiscard]] result<apply_report> converge(kernel& on, std::vector<port> ports,
                                            std::string_view link_prefix,
                                            const std::optional<std::string>& only_link);

/// Removes one port. Errors as `host_network::remove`.
[[nodiscard]] result<void> remove_port(kernel& on, const std::string& link,
                                       std::string_view link_prefix);

} // namespace orrery::pvip
