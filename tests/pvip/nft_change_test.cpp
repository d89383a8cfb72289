#include "pvip/apply/nft_change.hpp"
#include "pvip/apply/nft_helper.hpp"
#include "pvip/apply/nft_request.hpp"
#include "tests/pvip/apply_fixture.hpp"

#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace orrery::pvip {
namespace {

filter_element element_of(const std::string& link, filter_set set, const std::string& value) {
  return {.link = link, .set = set, .value = value};
}

filter_link change_of(std::vector<filter_element> added, std::vector<filter_element> removed) {
  filter_link made;
  made.link = port_number(1).link;
  made.added = std::move(added);
  made.removed = std::move(removed);
  return made;
}

/// A port with all that a filter can have.
port full_port() {
  port made = wide_port_number(1);
  made.bits_a_second_max = 80'000'000;
  return made;
}

class pvip_nft_change : public pvip_apply {
protected:
  [[nodiscard]] result<void> change(const operation& what, const std::string& table) {
    return x_lab.inside().run([&]() -> result<void> {
      auto socket = netlink_socket::open(NETLINK_NETFILTER);
      if (!socket) {
        return socket.error();
      }
      return change_by_netlink(*socket, table, {&what});
    });
  }

  void changed(const operation& what) {
    const auto done = change(what, "orrery_vp");
    EXPECT_TRUE(done) << done.error().text;
  }

  void changed_by_nftables(const operation& what) {
    const auto done = x_lab.inside().run([&] {
      nft_helper helper(ORRERY_NFT);
      return helper.run(transaction_of("orrery_vp", {&what}));
    });
    EXPECT_TRUE(done) << done.error().text;
  }

  [[nodiscard]] std::string set(const std::string& name) const {
    return x_lab.nft("list set netdev orrery_vp " + name);
  }

  [[nodiscard]] std::string table() const { return x_lab.nft("-n list table netdev orrery_vp"); }

  const std::string x_link = port_number(1).link;
};

TEST_F(pvip_nft_change, elements_of_each_set_are_as_nftables_writes_them) {
  ensured(port6_number(1));
  const std::vector<filter_element> all{
      element_of(x_link, filter_set::mac, "0a:00:00:00:00:77"),
      element_of(x_link, filter_set::mac6, "0a:00:00:00:00:77"),
      element_of(x_link, filter_set::address, "10.99.0.77"),
      element_of(x_link, filter_set::received, "10.99.0.77"),
      element_of(x_link, filter_set::address6, "fd99::77"),
      element_of(x_link, filter_set::received6, "fd99::77"),
      element_of(x_link, filter_set::prefix, "10.1.0.0/16"),
      element_of(x_link, filter_set::received_prefix, "10.1.128.0/17"),
      element_of(x_link, filter_set::prefix6, "fd97::/16"),
      element_of(x_link, filter_set::received_prefix6, "fd97:8000::/18")};
  changed(change_of(all, {}));
  for (const filter_element& each : all) {
    const std::string shown = set(std::string(name_of(each.set)));
    const bool counts = each.set != filter_set::mac && each.set != filter_set::mac6;
    EXPECT_TRUE(has(shown, "\"" + x_link + "\" . " + each.value +
                               (counts ? " counter packets 0 bytes 0" : "")))
        << shown;
  }
  // nftables' own words find the same.
  for (const std::string& element :
       {"address { " + x_link + " . 10.99.0.77 }", "prefix { " + x_link + " . 10.1.0.0/16 }"}) {
    x_lab.nft("delete element netdev orrery_vp " + element);
    x_lab.nft("add element netdev orrery_vp " + element);
  }
  changed(change_of({}, all));
  const auto rest = reconciled({port6_number(1)});
  EXPECT_TRUE(rest.drift.empty()) << rest.drift.front();
}

TEST_F(pvip_nft_change, a_port_is_as_libnftables_makes_it_and_goes_as_it_takes_it_away) {
  reconciled({port_number(2), full_port()});
  const auto wanted = plan({full_port()});
  ASSERT_TRUE(wanted) << wanted.error().text;
  filter_link on = change_of(wanted->filter, {});
  on.chain = true;
  on.rules = {.own = {*full_port().address6, std::get<ipv6>(full_port().more_addresses[1])},
              .bytes_a_second_max = *full_port().bits_a_second_max / 8};
  const unfilter_link off{
      .link = x_link, .has_chain = true, .has_out_chain = true, .removed = wanted->filter};
  changed_by_nftables(off);
  const std::string without = table();
  EXPECT_FALSE(has(without, x_link));
  changed_by_nftables(on);
  const std::string with = table();
  EXPECT_TRUE(has(with, x_link + "_out"));
  x_lab.nft("add element netdev orrery_vp dropped { " + x_link + " . 3 }");
  changed(off);
  EXPECT_EQ(table(), without);
  changed(on);
  EXPECT_EQ(table(), with);
  on.is_chain_taken = true;
  on.is_out_chain_taken = true;
  changed(on);
  EXPECT_EQ(table(), with);
  expect_right({port_number(2), full_port()});
  changed_by_nftables(off);
  EXPECT_EQ(table(), without);
}

TEST_F(pvip_nft_change, one_that_is_refused_is_told_and_nothing_is_changed) {
  ensured(port_number(1));
  const auto there = element_of(x_link, filter_set::address, "10.99.0.77");
  const auto missing = element_of(x_link, filter_set::address, "10.99.0.78");
  const auto expect_refused = [this](const operation& what, const std::string& of) {
    const auto done = change(what, of);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, error_code::driver_failed) << done.error().text;
    EXPECT_TRUE(has(done.error().text, x_link + ": No such file")) << done.error().text;
  };
  const std::string before = table();
  expect_refused(change_of({there}, {missing, missing}), "orrery_vp");
  EXPECT_EQ(table(), before);
  expect_refused(change_of({there}, {}), "orrery_no");
  filter_link on = change_of({there}, {missing});
  on.chain = true;
  on.is_chain_taken = true;
  expect_refused(on, "orrery_vp");
  EXPECT_EQ(table(), before);
  const unfilter_link off{
      .link = x_link, .has_chain = true, .has_out_chain = true, .removed = {missing}};
  expect_refused(off, "orrery_vp");
  EXPECT_EQ(table(), before);
}

TEST_F(pvip_nft_change, one_of_several_ports_that_is_refused_is_told) {
  ensured(port_number(1));
  const operation good = change_of({element_of(x_link, filter_set::address, "10.99.0.77")}, {});
  const operation bad = change_of({}, {element_of(x_link, filter_set::address, "10.99.0.78")});
  const auto done = x_lab.inside().run([&]() -> result<void> {
    auto socket = netlink_socket::open(NETLINK_NETFILTER);
    return socket ? change_by_netlink(*socket, "orrery_vp", {&good, &bad}) : socket.error();
  });
  ASSERT_FALSE(done);
  EXPECT_TRUE(has(done.error().text, x_link + " or of one of 1 more")) << done.error().text;
  EXPECT_FALSE(has(set("address"), "10.99.0.77"));
}

TEST_F(pvip_nft_change, a_port_changes_by_it_and_rests) {
  const std::vector<port> ports = ports6_up_to(3);
  reconciled(ports);
  port changed = ports[1];
  changed.mac.bytes[5] = 0x77;
  changed.address.bits += 100;
  changed.more_addresses = {ipv4{0x0a640001U}};
  ensured(changed);
  EXPECT_FALSE(has(set("mac"), x_link + "\" . " + to_text(ports[1].mac)));
  EXPECT_TRUE(has(set("mac"), x_link + "\" . " + to_text(changed.mac)));
  EXPECT_TRUE(has(set("address"), x_link + "\" . 10.100.0.1 "));
  expect_right({ports[0], changed, ports[2]});
}

/// Ends those of our processes that run that file.
void end_all(const std::filesystem::path& program) {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream children(task.path() / "children");
    for (pid_t child = 0; children >> child;) {
      std::error_code gone;
      const auto runs =
          std::filesystem::read_symlink("/proc/" + std::to_string(child) + "/exe", gone);
      if (runs == program) {
        ::kill(child, SIGKILL);
      }
    }
  }
}

TEST_F(pvip_nft_change, a_port_comes_changes_and_goes_without_orrery_nft) {
  const std::filesystem::path program =
      std::filesystem::path(testing::TempDir()) / ("orrery-nft-of-" + std::to_string(::getpid()));
  std::filesystem::copy_file(ORRERY_NFT, program,
                             std::filesystem::copy_options::overwrite_existing);
  auto opened = host_network::open(x_lab.name(), "vp", program);
  ASSERT_TRUE(opened) << opened.error().text;
  x_network = *std::move(opened);
  reconciled({port_number(2), port_number(3)});
  end_all(program);
  std::filesystem::remove(program);
  ensured(full_port());
  EXPECT_TRUE(has(table(), x_link + "_out"));
  port faster = full_port();
  *faster.bits_a_second_max *= 2;
  ensured(faster);
  EXPECT_TRUE(has(table(), "limit rate over 20000000 bytes/second"));
  ASSERT_TRUE(x_network->remove(x_link));
  EXPECT_FALSE(has(table(), x_link));
  // It is really gone: when others change rules, nobody can say what they are.
  x_lab.nft("add table netdev other");
  EXPECT_FALSE(x_network->ensure(full_port()));
}

} // namespace
} // namespace orrery::pvip
