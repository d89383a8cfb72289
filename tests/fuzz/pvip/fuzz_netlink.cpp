#include "events/core/check.hpp"
#include "pvip/apply/apply.hpp"
#include "pvip/apply/netlink_read.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace {

/// As netlink_socket and linux_kernel_read take a datagram apart, each message as each kind.
void read_datagram(std::span<const std::byte> bytes) {
  orrery::pvip::netlink_messages messages(bytes);
  while (const auto message = messages.next()) {
    ORRERY_CHECK(message->payload.size() <= bytes.size());
    (void)orrery::pvip::read_ending(*message);
    (void)orrery::pvip::read_route(message->payload);
    (void)orrery::pvip::read_neighbour(message->payload);
    (void)orrery::pvip::read_address(message->payload);
    (void)orrery::pvip::read_generation(message->payload);
    if (const auto link = orrery::pvip::read_link(message->payload)) {
      (void)orrery::pvip::gateway_in_mark(link->alias);
    }
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  read_datagram(bytes);
  // Without the frame of a message, so that the fuzzer need not guess its length first.
  (void)orrery::pvip::read_link(bytes);
  (void)orrery::pvip::read_route(bytes);
  (void)orrery::pvip::read_neighbour(bytes);
  (void)orrery::pvip::read_address(bytes);
  (void)orrery::pvip::read_generation(bytes);
  return 0;
}
