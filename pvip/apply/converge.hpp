#pragma once

#include "events/core/error.hpp"
#include "pvip/apply/apply.hpp"
#include "pvip/apply/host_network.hpp"
#include "pvip/apply/kernel.hpp"
#include "pvip/plan/plan.hpp"

#include <cstdint>
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

/// Whether one port may have a tail that is wanted no more. To look for it costs with the number of
/// all routes.
enum class former_tail : std::uint8_t { none, perhaps };

/// Brings `kernel` to the plan of `ports` and reads back that it is so. With `only_link`, that of
/// one port. Errors as `host_network::reconcile`; `conflict` when it still differs after
/// `rounds_max`. What could be done is done.
[[nodiscard]] result<apply_report> converge(kernel& on, std::vector<port> ports,
                                            std::string_view link_prefix,
                                            const std::optional<std::string>& only_link,
                                            former_tail former = former_tail::none);

/// Removes one port. `one_port` when others use its gateway and it has no tail: then the time that
/// it takes does not grow with the number of links, which are all read otherwise. Errors as
/// `host_network::remove`.
[[nodiscard]] result<void> remove_port(kernel& on, const std::string& link,
                                       std::string_view link_prefix,
                                       apply_scope scope = apply_scope::whole_node);

} // namespace orrery::pvip
