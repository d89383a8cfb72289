#include "drivers/guest_spec_check.hpp"

#include "events/core/text.hpp"

#include <algorithm>
#include <string>

namespace orrery::drivers {

namespace {

constexpr std::uint32_t vcpus_max = 256;
constexpr std::uint64_t memory_mib_min = 16;
constexpr std::uint64_t memory_mib_max = 16ULL * 1024 * 1024; // 16 TiB: what QEMU's q35 can map
constexpr std::uint8_t prefix_length_max = 32;

error refusal(std::string text) {
  return {.code = error_code::invalid_argument, .text = std::move(text), .retryable = false};
}

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_plain_name(std::string_view name) {
  return std::ranges::all_of(
      name, [](char c) { return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-'; });
}

} // namespace

result<void> check_image_name(std::string_view name) {
  if (name.empty() || name.size() > image_name_size_max)
    return refusal("an image name has 1 to 64 bytes");
  if (!is_letter_or_digit(name.front()) || !is_plain_name(name))
    return refusal("the image name '" + printable(name, image_name_size_max) +
                   "' may only hold letters, digits, '.', '_' and '-', and starts with a letter "
                   "or digit");
  return {};
}

result<void> check_spec(const guest_spec& spec) {
  if (spec.vm.is_none() || spec.installation.is_none())
    return refusal("a guest needs the ids of its VM and of its installation");
  if (auto named = check_name("VM name", spec.name); !named)
    return named.error();
  if (spec.vcpus.count < 1 || spec.vcpus.count > vcpus_max)
    return refusal("a guest has 1 to 256 virtual processors, not " +
                   std::to_string(spec.vcpus.count));
  if (spec.memory.count < memory_mib_min || spec.memory.count > memory_mib_max)
    return refusal("a guest has 16 MiB to 16 TiB of memory, not " +
                   std::to_string(spec.memory.count) + " MiB");
  if (auto image = check_image_name(spec.image); !image)
    return image.error();
  const auto& link = spec.port.link;
  if (link.empty() || link.size() > link_name_size_max || !is_plain_name(link) ||
      !is_letter_or_digit(link.front()))
    return refusal("a link name has 1 to 15 letters, digits, '.', '_' or '-', starting with a "
                   "letter or digit");
  if (spec.port.prefix_length > prefix_length_max)
    return refusal("a prefix length is 0 to 32");
  if (spec.port.has_address6() && !can_be_host(spec.port.address6))
    return refusal("a guest cannot have the address " + to_text(spec.port.address6));
  return {};
}

} // namespace orrery::drivers
