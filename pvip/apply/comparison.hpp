#pragma once

#include "events/core/error.hpp"
#include "events/core/net.hpp"
#include "pvip/apply/apply.hpp"
#include "pvip/plan/plan.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// What `compare` and `compare_without` are made of: for them alone. What is done to one kind of
/// object, added or removed, stands in one file, compare_<kind>.cpp; the order in apply.cpp.
namespace orrery::pvip {

/// Gathers the steps; one member function a number of the order in apply.cpp. Pure.
class comparison {
public:
  /// As the parameters of `compare`, all of which outlive it.
  comparison(const host_state& wanted, const found_state& found, std::string_view prefix,
             apply_scope scope);

  /// Once: it gives away what it gathered.
  [[nodiscard]] difference run();

private:
  /// Null when there is no link of that name.
  [[nodiscard]] const found_link* existing(std::string_view name) const;

  /// Whether the name is that of a link that cannot be ours.
  [[nodiscard]] bool is_taken(std::string_view name) const;

  /// Whether neighbours and routes on it are judged: of a wanted tap, or of one with our mark.
  [[nodiscard]] bool is_judged(std::string_view name) const;

  /// One more step, of these members.
  void add(operation what, std::string object, std::string_view link, change kind,
           std::string sentence);
  void repair_link(operation what, std::string_view link, std::string sentence);

  // compare_settings.cpp: of the node and of links
  void refuse_loose_filter();
  void keep_listening_to_routers();
  void set_node();
  void set_links();
  void set_link(const wanted_link& link, const found_link* has);

  // compare_links.cpp
  void make_taps();
  void adopt_taps();
  void dress_links();
  void dress_existing(const wanted_link& link, const found_link& has);
  void raise_links();
  void remove_links();

  // compare_filter.cpp
  void set_filter();
  void set_filter_base();
  void filter_one(const wanted_link& link, const found_link* has,
                  const std::vector<filter_element>& wanted);
  void remove_filters();

  /// Whether what was found of ports is lost in the making.
  [[nodiscard]] bool is_filter_new() const;

  // compare_routes.cpp: neighbours and addresses answered for too
  void set_neighbours();
  void set_routes();
  void set_one_route(const wanted_route& route, const std::vector<const found_route*>& rivals);

  /// Whether it leads by way of another node to what is or was a port's that is judged.
  [[nodiscard]] bool is_judged_tail(const found_route& route) const;
  void set_proxies();
  void remove_routes();
  void remove_neighbours();

  /// Of one port, what is answered for its addresses, those that it had included.
  void remove_proxies();

  // compare_addresses.cpp
  void add_gateways();
  void add_gateways_on_links();
  void remove_gateways();

  /// Those of links that go go with them.
  void remove_gateways_on_links();
  void remove_unwanted(const found_address& address);
  [[nodiscard]] std::vector<wanted_address> missing_addresses() const;

  const host_state& x_wanted;
  const found_state& x_found;
  std::string_view x_prefix;
  apply_scope x_scope;
  std::map<std::string_view, const found_link*> x_links;
  std::set<std::string_view> x_wanted_names;
  bool x_has_ipv6 = false; ///< some guest has
  difference x_result;
};

/// What is said of something wanted in whose place is something that is not ours.
[[nodiscard]] error in_the_way(std::string text);

/// Whether it is a tap of ours, by name and alias.
[[nodiscard]] bool is_marked(const found_link& link, std::string_view prefix);

/// Whether `filter` has the destination of a route as a guest's, who may send from it.
[[nodiscard]] bool is_guests(const ip_prefix& destination,
                             const std::vector<filter_element>& filter);

/// What removes all that was found of a port's filter.
[[nodiscard]] unfilter_link unfilter_of(const std::string& name, const found_port_filter& filter);

/// An address that was found, as what adds or removes it names it.
[[nodiscard]] wanted_address as_wanted(const found_address& address);

/// Objects as `step::object` names them.
[[nodiscard]] std::string route_text(const ip_prefix& destination);
[[nodiscard]] std::string proxy_text(const ip_address& address, std::string_view uplink);
[[nodiscard]] std::string gateway_text(const ip_address& address, std::string_view link);

} // namespace orrery::pvip
