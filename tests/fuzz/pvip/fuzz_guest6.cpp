#include "events/core/check.hpp"
#include "pvip/guest/dhcp6.hpp"
#include "pvip/guest/guest_question.hpp"
#include "pvip/guest/ipv6_frame.hpp"
#include "tests/pvip/guest6_questions.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace {

using namespace orrery::pvip;

/// What was read of a message is written as it was.
void check_message(std::span<const std::byte> bytes) {
  if (const auto message = read_dhcp6(bytes)) {
    ORRERY_CHECK(std::ranges::equal(write_dhcp6(*message), bytes));
  }
}

/// An answer can be read, is for this guest, and fits into what every link takes.
void check_answer(const port& guest, std::span<const std::byte> frame) {
  const auto service = service_of(frame);
  if (!service || *service == guest_service::dhcp) {
    return; // fuzz_dhcp.cpp
  }
  const auto answer = answer_guest(guest, *service, frame);
  if (answer.frame) {
    const auto packet = read_ipv6(*answer.frame);
    ORRERY_CHECK(packet.has_value());
    ORRERY_CHECK(packet->frame_target == guest.mac || packet->target == all_nodes);
    ORRERY_CHECK(packet->source == orrery::gateway6);
    ORRERY_CHECK(answer.frame->size() <= 14U + ipv6_mtu_min);
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const port guest = guest6();
  const auto bytes = std::as_bytes(std::span(data, size));
  check_message(bytes);
  check_answer(guest, bytes);
  // A checksum is hard to guess.
  constexpr std::size_t headers = 14 + 40;
  if (size <= headers + ipv6_payload_bytes_max) {
    check_answer(guest, with_right_checksum({bytes.begin(), bytes.end()}));
  }
  return 0;
}
