#include "drivers/guest_spec_check.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace orrery::drivers {
namespace {

guest_spec good_spec() {
  guest_spec spec;
  spec.installation = {.a = 1, .b = 1};
  spec.vm = vm_id{{.a = 2, .b = 2}};
  spec.name = "web-1";
  spec.vcpus.count = 1;
  spec.memory.count = 16;
  spec.image = "tiny-1.2_x";
  spec.port.link = "o1234567890abcd";
  return spec;
}

TEST(guest_spec_check, a_good_spec_passes) { EXPECT_TRUE(check_spec(good_spec()).has_value()); }

TEST(guest_spec_check, each_wrong_field_is_refused) {
  const std::vector<std::pair<std::string, std::function<void(guest_spec&)>>> breakers{
      {"no vm", [](guest_spec& s) { s.vm = {}; }},
      {"no installation", [](guest_spec& s) { s.installation = {}; }},
      {"name", [](guest_spec& s) { s.name = "Web_1"; }},
      {"no name", [](guest_spec& s) { s.name.clear(); }},
      {"no vcpus", [](guest_spec& s) { s.vcpus.count = 0; }},
      {"many vcpus", [](guest_spec& s) { s.vcpus.count = 257; }},
      {"little memory", [](guest_spec& s) { s.memory.count = 15; }},
      {"much memory", [](guest_spec& s) { s.memory.count = UINT64_MAX; }},
      {"no image", [](guest_spec& s) { s.image.clear(); }},
      {"image above its folder", [](guest_spec& s) { s.image = ".."; }},
      {"image with a slash", [](guest_spec& s) { s.image = "a/b"; }},
      {"image with a zero", [](guest_spec& s) { s.image = std::string("a\0b", 3); }},
      {"long image", [](guest_spec& s) { s.image = std::string(65, 'a'); }},
      {"no link", [](guest_spec& s) { s.port.link.clear(); }},
      {"long link", [](guest_spec& s) { s.port.link = std::string(16, 'a'); }},
      {"link with a quote", [](guest_spec& s) { s.port.link = "a'b"; }},
      {"link like an option", [](guest_spec& s) { s.port.link = "-a"; }},
      {"prefix", [](guest_spec& s) { s.port.prefix_length = 33; }},
  };
  for (const auto& [what, break_it] : breakers) {
    auto spec = good_spec();
    break_it(spec);
    const auto checked = check_spec(spec);
    ASSERT_FALSE(checked.has_value()) << what;
    EXPECT_EQ(checked.error().code, error_code::invalid_argument) << what;
  }
}

} // namespace
} // namespace orrery::drivers
