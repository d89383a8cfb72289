#include "events/core/check.hpp"
#include "pvip/guest/dhcp.hpp"
#include "pvip/guest/dhcp_answer.hpp"
#include "pvip/guest/udp_frame.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace {

using namespace orrery::pvip;

/// The guest of the seeds.
const port guest{.link = "vp0001",
                 .mac = {{0x0a, 0, 0, 0, 0, 1}},
                 .address = {0x0a63000bU},
                 .gateway = {0x0a630001U},
                 .tap_owner_uid = 0,
                 .prefix_length = 24,
                 .mtu = 1400,
                 .name_servers = {{0x0a630035U}},
                 .classless_routes = true,
                 .address6 = std::nullopt,
                 .name_servers6 = {}};

/// What was read of a message can be written, and is then read as the same.
void check_message(std::span<const std::byte> bytes) {
  if (const auto message = read_dhcp(bytes)) {
    ORRERY_CHECK(read_dhcp(write_dhcp(*message)) == message);
  }
}

/// An answer can be read, is about this guest, and fits into what every client takes.
void check_answer(std::span<const std::byte> frame) {
  const auto answer = answer_dhcp(guest, frame);
  if (answer.frame) {
    const auto datagram = read_udp(*answer.frame);
    ORRERY_CHECK(datagram.has_value());
    ORRERY_CHECK(datagram->frame_target == guest.mac || datagram->frame_target == everyone_mac);
    ORRERY_CHECK(datagram->payload.size() + 28 <= 576);
    const auto message = read_dhcp(datagram->payload);
    ORRERY_CHECK(message.has_value());
    ORRERY_CHECK(message->mac == guest.mac);
    ORRERY_CHECK(message->offered == guest.address || message->offered == orrery::ipv4{});
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  check_message(bytes);
  check_answer(bytes);
  return 0;
}
