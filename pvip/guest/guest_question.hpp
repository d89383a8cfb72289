#pragma once

#include "pvip/guest/guest_outcome.hpp"
#include "pvip/guest/token_bucket.hpp"
#include "pvip/plan/plan.hpp"

#include <cstddef>
#include <optional>
#include <span>

/// Which of a node's services a guest's frame is for, and what that service says.
namespace orrery::pvip {

/// By the frame's headers alone; nothing for what is for none of them. Total on any bytes.
[[nodiscard]] std::optional<guest_service> service_of(std::span<const std::byte> frame);

/// Whether a port's guest has that service: those of IPv6 only with an address.
[[nodiscard]] bool has_service(const port& of, guest_service service);

/// How often one guest is heard by that service.
[[nodiscard]] rate rate_of(guest_service service);

/// What the port's node says to a frame that came from the port's guest, who has the service. Total
/// on any bytes.
[[nodiscard]] guest_answer answer_guest(const port& of, guest_service service,
                                        std::span<const std::byte> frame);

} // namespace orrery::pvip
