#include "tests/pvip/order_support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace orrery::pvip {
namespace {

TEST(pvip_order, a_link_without_a_filter_is_not_raised) {
  // As nftables does: also all together.
  refusing on(error_code::driver_failed,
              [](const operation& what) { return is_on<filter_link>(what, 1); });
  const auto report = converge(on, ports_up_to(3), prefix, std::nullopt);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, error_code::driver_failed);
  EXPECT_NE(report.error().text.find("vp0000000001"), std::string::npos) << report.error().text;
  EXPECT_FALSE(link_of(on.on, port_number(1).link).up);
  EXPECT_TRUE(link_of(on.on, port_number(2).link).up);
  EXPECT_EQ(on.on.state().routes.size(), 2U);
}

TEST(pvip_order, when_the_filter_cannot_be_reached_no_link_is_raised_and_each_is_not_tried) {
  class deaf final : public other_kernel {
  public:
    result<outcome> apply(const operation& what) override {
      EXPECT_FALSE(is_of_filter(what));
      return on.apply(what);
    }

    result<void> apply_together(const std::vector<const operation*>& all) override {
      (void)all;
      return error{.code = error_code::timed_out, .text = "no answer"};
    }
  };

  deaf on;
  const auto report = converge(on, ports_up_to(3), prefix, std::nullopt);
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, error_code::timed_out);
  EXPECT_TRUE(on.on.state().routes.empty());
  EXPECT_FALSE(link_of(on.on, port_number(1).link).up);
}

TEST(pvip_order, drift_of_the_filter_is_said) {
  memory_kernel on;
  must_converge(on, ports_up_to(2));
  const std::string link = port_number(1).link;
  const auto said = [&](const std::string& part) {
    const auto report = must_converge(on, ports_up_to(2));
    EXPECT_EQ(report.drift.size(), 1U);
    EXPECT_NE(report.drift.at(0).find(part), std::string::npos) << report.drift.at(0);
    expect_filtered(on.state().filter, ports_up_to(2));
  };
  const auto elements = [&]() -> auto& { return on.state().filter.ports[link].elements; };
  on.state().filter.ports.erase(link);
  said(link + " did not let its guest send from 0a:00:00:00:00:01");
  elements().push_back({.link = link, .set = filter_set::address, .value = "10.99.0.77"});
  said(link + " let its guest send from 10.99.0.77");
  elements().pop_back();
  said(link + " did not let its guest send from 10.99.0.11");
  on.state().filter.ports[link].is_chain_right = false;
  said(link + " had another filter");
  on.state().filter.base = base_state::changed;
  said("the filter's shared rules were not ours");
  on.state().filter.base = base_state::broken;
  said("the filter's sets were not ours");
  on.state().filter = {};
  said("the filter of what guests send was missing");
  on.state().filter.ports["vpnobodys"].has_chain = true;
  said("filter of vpnobodys is wanted by nobody");
}

TEST(pvip_order, a_port_whose_ipv6_address_changes_has_its_chain_made_anew_with_it) {
  memory_kernel on;
  must_converge(on, {port6_number(0), port6_number(1)});
  expect_filtered(on.state().filter, {port6_number(0), port6_number(1)});
  port changed = port6_number(1);
  changed.address6 = port6_number(7).address6;
  const auto found = on.read({});
  const auto steps =
      compare(plan_of({port6_number(0), changed}), *found, prefix, apply_scope::whole_node).steps;
  const auto at = std::ranges::find_if(
      steps, [](const step& s) { return std::holds_alternative<filter_link>(s.what); });
  ASSERT_NE(at, steps.end());
  const auto& what = std::get<filter_link>(at->what);
  EXPECT_TRUE(what.chain && what.is_chain_taken);
  EXPECT_EQ(what.rules.own, std::vector<ipv6>{*changed.address6});
  must_converge(on, {port6_number(0), changed});
  expect_filtered(on.state().filter, {port6_number(0), changed});
  must_converge(on, {port6_number(0), port_number(1)});
  expect_filtered(on.state().filter, {port6_number(0), port_number(1)});
}

TEST(pvip_order, one_port_loses_the_addresses_that_it_had_and_no_other_port_does) {
  memory_kernel on;
  must_converge(on, ports_up_to(2));
  port changed = port_number(1);
  changed.address.bits += 100;
  ASSERT_TRUE(converge(on, {changed}, prefix, changed.link));
  expect_filtered(on.state().filter, {port_number(0), changed});
  ASSERT_TRUE(remove_port(on, changed.link, prefix));
  expect_filtered(on.state().filter, {port_number(0)});
}

} // namespace
} // namespace orrery::pvip
