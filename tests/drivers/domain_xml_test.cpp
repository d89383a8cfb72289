#include "drivers/libvirt/domain_xml.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>
#include <vector>

namespace orrery::drivers::libvirt {
namespace {

guest_spec make_spec() {
  guest_spec spec;
  spec.installation = {.a = 0x7000, .b = 1};
  spec.vm = vm_id{{.a = 0x7000, .b = 2}};
  spec.name = "web";
  spec.vcpus.count = 2;
  spec.memory.count = 192;
  spec.image = "tiny";
  spec.port.link = "o-web";
  spec.port.mac.bytes = {0x0a, 1, 2, 3, 4, 5};
  spec.port.address.bits = 0x0a630011;
  spec.port.gateway.bits = 0x0a630001;
  return spec;
}

guest_record make_record() {
  return {.installation = {.a = 0x7000, .b = 1},
          .vm = vm_id{{.a = 0x7000, .b = 2}},
          .generation = {9},
          .spec_hash = 0xfedcba9876543210ULL,
          .was_started = true};
}

domain_surroundings make_surroundings() {
  domain_surroundings around;
  around.boot.kernel = "/images/tiny/vmlinuz";
  around.boot.initrd = "/images/tiny/initrd";
  around.console = "/consoles/1.log";
  return around;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(domain_xml, metadata_without_an_attribute_or_with_a_wrong_one_is_refused) {
  const auto good = to_xml(make_record());
  for (const std::string name : {"installation", "vm", "generation", "spec", "started"}) {
    const auto at = good.find(" " + name + "=");
    ASSERT_NE(at, std::string::npos);
    const auto end = good.find('\'', good.find('\'', at) + 1) + 1;
    const auto missing = parse_guest_record(good.substr(0, at) + good.substr(end));
    const auto wrong =
        parse_guest_record(good.substr(0, at) + " " + name + "='-x'" + good.substr(end));
    const auto cut = parse_guest_record(good.substr(0, end - 1));
    for (const auto& parsed : {missing, wrong, cut}) {
      ASSERT_FALSE(parsed.has_value()) << name;
      EXPECT_EQ(parsed.error().code, error_code::driver_failed);
    }
    EXPECT_TRUE(has(missing.error().text, name)) << missing.error().text;
  }
  EXPECT_FALSE(parse_guest_record("").has_value());
  EXPECT_FALSE(parse_fence("<fence incarnation='1'/>").has_value());
  EXPECT_FALSE(parse_fence("<fence epoch='1' incarnation='99999999999999999999'/>").has_value());
}

TEST(domain_xml, metadata_comes_back_as_it_was_whatever_the_quotes) {
  auto text = to_xml(make_record());
  ASSERT_TRUE(parse_guest_record(text).has_value());
  EXPECT_EQ(*parse_guest_record(text), make_record());
  for (auto& c : text)
    c = c == '\'' ? '"' : c;
  ASSERT_TRUE(parse_guest_record(text).has_value());
  EXPECT_EQ(*parse_guest_record(text), make_record());
  const fencing_token token{.incarnation = 3, .epoch = UINT64_MAX};
  ASSERT_TRUE(parse_fence(to_xml(token)).has_value());
  EXPECT_EQ(*parse_fence(to_xml(token)), token);
}

TEST(domain_xml, special_characters_cannot_leave_their_place) {
  EXPECT_EQ(xml_escaped("a&b<c>'\"\n\x01z"), "a&amp;b&lt;c&gt;&apos;&quot;??z");
  auto around = make_surroundings();
  around.boot.extra_arguments = "x='</cmdline><devices/>'";
  const auto xml = domain_xml(make_spec(), make_record(), {}, around);
  EXPECT_FALSE(has(xml, "</cmdline><devices/>"));
  EXPECT_TRUE(has(xml, "x=&apos;&lt;/cmdline&gt;&lt;devices/&gt;&apos;</cmdline>"));
}

TEST(domain_xml, each_field_of_the_spec_counts_in_its_hash) {
  const std::vector<std::function<void(guest_spec&)>> changes{
      [](guest_spec& s) { s.installation.b = 7; },
      [](guest_spec& s) { s.vm.value.b = 7; },
      [](guest_spec& s) { s.name = "we"; },
      [](guest_spec& s) { s.vcpus.count = 3; },
      [](guest_spec& s) { s.memory.count = 193; },
      [](guest_spec& s) { s.image = "tinz"; },
      [](guest_spec& s) { s.port.link = "o-wec"; },
      [](guest_spec& s) { s.port.mac.bytes[5] = 9; },
      [](guest_spec& s) { s.port.address.bits = 7; },
      [](guest_spec& s) { s.port.prefix_length = 32; },
      [](guest_spec& s) { s.port.gateway.bits = 7; },
      [](guest_spec& s) { std::swap(s.image, s.port.link); },
  };
  std::set<std::uint64_t> hashes{hash_of(make_spec())};
  for (const auto& change : changes) {
    auto spec = make_spec();
    change(spec);
    hashes.insert(hash_of(spec));
  }
  EXPECT_EQ(hashes.size(), changes.size() + 1);
  // Kept in every domain's metadata: another value means that each running guest is "changed".
  EXPECT_EQ(hash_of(make_spec()), hash_of(make_spec()));
}

TEST(domain_xml, a_domain_holds_what_the_spec_says) {
  const auto spec = make_spec();
  const auto xml =
      domain_xml(spec, make_record(), {.incarnation = 1, .epoch = 2}, make_surroundings());
  for (const std::string part :
       {"<domain type='qemu'>", "<name>orrery-00000000-0000-7000-0000-000000000002</name>",
        "<title>web</title>", "<memory unit='MiB'>192</memory>", "machine='q35'",
        "<vcpu placement='static'>2</vcpu>", "<kernel>/images/tiny/vmlinuz</kernel>",
        "<initrd>/images/tiny/initrd</initrd>", "<target dev='o-web' managed='no'/>",
        "<mac address='0a:01:02:03:04:05'/>", "<interface type='ethernet'>",
        "<source path='/consoles/1.log' append='on'/>", "<controller type='usb' model='none'/>",
        "<memballoon model='none'/>", "<on_crash>destroy</on_crash>", "generation='9'",
        "epoch='2'"})
    EXPECT_TRUE(has(xml, part)) << part << "\n" << xml;
  EXPECT_FALSE(has(xml, "graphics"));
  auto fast = make_surroundings();
  fast.how = acceleration::kvm;
  EXPECT_TRUE(has(domain_xml(spec, make_record(), {}, fast), "<domain type='kvm'>"));
}

TEST(domain_xml, the_kernel_is_told_its_address_and_more) {
  EXPECT_EQ(kernel_arguments(make_spec(), ""),
            "console=ttyS0 quiet panic=1 no_timer_check orrery.address=10.99.0.17/24 "
            "orrery.gateway=10.99.0.1");
  EXPECT_TRUE(kernel_arguments(make_spec(), "debug").ends_with("10.99.0.1 debug"));
  auto dual = make_spec();
  dual.port.address6 = parse_ipv6("2001:db8::17").value();
  EXPECT_TRUE(kernel_arguments(dual, "debug")
                  .ends_with("10.99.0.1 orrery.address6=2001:db8::17/128 debug"));
  EXPECT_NE(hash_of(dual), hash_of(make_spec()));
}

} // namespace
} // namespace orrery::drivers::libvirt
