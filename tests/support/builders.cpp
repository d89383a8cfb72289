#include "tests/support/builders.hpp"

#include "events/core/net.hpp"
#include "events/domain/addressing.hpp"
#include "events/domain/guest_settings.hpp"
#include "events/domain/ipv6.hpp"
#include "events/domain/labels.hpp"
#include "events/domain/nic.hpp"

namespace orrery::support {

namespace {

enum class noun : std::uint64_t {
  installation = 1,
  cluster,
  node,
  network,
  subnet,
  vm,
  nic,
  job,
  claim
};

uuid make(noun which, std::uint32_t number) {
  return make_uuid(start_of_time(), partition_number{0},
                   (static_cast<std::uint64_t>(which) << 32) | number);
}

v1::Command for_vm(std::uint32_t number) {
  v1::Command made;
  domain::set(made.mutable_entity(), vm(number));
  return made;
}

v1::Command for_node(std::uint32_t number) {
  v1::Command made;
  domain::set(made.mutable_entity(), node(number));
  return made;
}

domain::address_ranges ranges_of(const std::vector<std::string>& texts, const std::string& note) {
  domain::address_ranges made;
  for (const auto& text : texts) {
    const auto dash = text.find('-');
    domain::add(made,
                {address_of(text.substr(0, dash)),
                 address_of(dash == std::string::npos ? text : text.substr(dash + 1))},
                note);
  }
  return made;
}

v1::Command for_network(std::uint32_t number) {
  v1::Command made;
  domain::set(made.mutable_entity(), network(number));
  return made;
}

ipv4_prefix addresses_in(std::string_view text) {
  if (text.empty())
    return {};
  if (text.find('/') == std::string_view::npos)
    return domain::only(address_of(text));
  const auto length = std::stoul(std::string(text.substr(text.find('/') + 1)));
  return {address_of(text.substr(0, text.find('/'))),
          static_cast<std::uint8_t>(length)}; // also what is none
}

domain::kind_policy whole(std::string_view name) {
  using std::chrono::seconds;
  domain::kind_policy made;
  made.name = name;
  made.driver_present = true;
  made.network_pvip = true;
  made.direct_kernel_boot = true;
  made.linux_guest = true;
  made.graceful_shutdown = true;
  made.create_deadline = seconds(120);
  made.start_deadline = seconds(120);
  made.shutdown_deadline = seconds(120);
  made.upstream_arp = true;
  made.upstream_bgp = true;
  made.upstream_ospf = true;
  made.stop_deadline = seconds(60);
  made.delete_deadline = seconds(120);
  return made;
}

domain::kind_policies make_policies() {
  domain::kind_policies made;
  made[v1::SIMULATED] = whole("simulated");
  made[v1::KVM] = whole("kvm");
  made[v1::XEN] = whole("xen");
  made[v1::XEN].driver_present = false;
  made[v1::VMWARE] = whole("vmware");
  made[v1::VMWARE].network_pvip = false;
  made[v1::VMWARE].direct_kernel_boot = false;
  made[v1::HYPERV] = whole("hyperv");
  made[v1::HYPERV].linux_guest = false;
  made[v1::CONTAINER] = whole("container");
  made[v1::CONTAINER].graceful_shutdown = false;
  return made;
}

} // namespace

uuid installation() { return make(noun::installation, 1); }

uuid cluster(std::uint32_t number) { return make(noun::cluster, number); }

uuid node(std::uint32_t number) { return make(noun::node, number); }

uuid network(std::uint32_t number) { return make(noun::network, number); }

uuid subnet(std::uint32_t number) { return make(noun::subnet, number); }

uuid vm(std::uint32_t number) { return make(noun::vm, number); }

uuid nic(std::uint32_t number) { return make(noun::nic, number); }

uuid claim_number(std::uint32_t number) { return make(noun::claim, number); }

uuid command_number(std::uint32_t number) { return make(noun::job, number); }

utc_time start_of_time() { return *parse_time("2026-11-22T09:00:00Z"); }

const domain::kind_policies& default_policies() {
  static const auto policies = make_policies();
  return policies;
}

ipv4_prefix prefix_of(std::string_view text) { return parse_ipv4_prefix(text).value(); }

ipv4 address_of(std::string_view text) { return parse_ipv4(text).value(); }

v1::Command found(v1::Edition edition) {
  v1::Command made;
  domain::set(made.mutable_entity(), installation());
  made.mutable_installation()->mutable_found()->set_edition(edition);
  return made;
}

v1::Command trust_clock() {
  v1::Command made;
  domain::set(made.mutable_entity(), installation());
  made.mutable_installation()->mutable_trust_clock();
  return made;
}

v1::Command add_cluster(const cluster_wish& wish) {
  v1::Command made;
  domain::set(made.mutable_entity(), installation());
  auto* body = made.mutable_installation()->mutable_add_cluster();
  domain::set(body->mutable_cluster(), cluster(wish.number));
  body->set_name(wish.name);
  body->set_kind(wish.kind);
  return made;
}

v1::Command add_node(const node_wish& wish) {
  v1::Command made;
  domain::set(made.mutable_entity(), cluster(wish.cluster));
  auto* body = made.mutable_cluster()->mutable_add_node();
  domain::set(body->mutable_node(), node(wish.number));
  body->set_name(wish.name);
  body->mutable_endpoint()->set_libvirt_socket("/run/" + wish.name + "/libvirt-sock");
  body->mutable_endpoint()->set_network_namespace(wish.name);
  body->set_vcpus(wish.vcpus);
  body->set_memory_mib(wish.memory_mib);
  return made;
}

v1::Command add_network(const network_wish& wish) {
  v1::Command made;
  domain::set(made.mutable_entity(), cluster(wish.cluster));
  auto* body = made.mutable_cluster()->mutable_add_network();
  domain::set(body->mutable_network(), network(wish.number));
  body->set_name(wish.name);
  domain::set(body->mutable_subnet(), subnet(wish.number));
  const auto prefix = prefix_of(wish.prefix);
  body->set_prefix(prefix.base.bits);
  body->set_prefix_length(prefix.length);
  body->set_gateway(address_of(wish.gateway).bits);
  body->set_quarantine_seconds(wish.quarantine_seconds);
  if (!wish.prefix6.empty())
    domain::set(body->mutable_prefix6(), parse_ipv6_prefix(wish.prefix6).value());
  return made;
}

v1::Command remove_network(std::uint32_t number) {
  auto made = for_network(number);
  made.mutable_network()->mutable_remove();
  return made;
}

v1::Command reserve(const std::vector<std::string>& ranges, const std::string& note,
                    std::uint32_t number) {
  auto made = for_network(number);
  *made.mutable_network()->mutable_reserve_ranges()->mutable_ranges() = ranges_of(ranges, note);
  return made;
}

v1::Command free(const std::vector<std::string>& ranges, std::uint32_t number) {
  auto made = for_network(number);
  *made.mutable_network()->mutable_free_ranges()->mutable_ranges() = ranges_of(ranges, {});
  return made;
}

v1::Command set_quarantine(std::uint32_t seconds, std::uint32_t number) {
  auto made = for_network(number);
  made.mutable_network()->mutable_set_quarantine()->set_seconds(seconds);
  return made;
}

v1::NetworkCommand::SetGuests guests(const guests_wish& wish) {
  v1::NetworkCommand::SetGuests made;
  if (wish.mtu)
    made.set_mtu(*wish.mtu);
  if (wish.name_servers) {
    auto* servers = made.mutable_name_servers();
    for (const auto& text : *wish.name_servers)
      domain::add(*servers, parse_ip_address(text).value());
  }
  if (wish.classless_routes)
    made.set_classless_routes(*wish.classless_routes);
  return made;
}

v1::Command set_guests(const guests_wish& wish, std::uint32_t number) {
  auto made = for_network(number);
  *made.mutable_network()->mutable_set_guests() = guests(wish);
  return made;
}

v1::Command set_limit(v1::Installation::Limit limit, std::uint32_t figure) {
  v1::Command made;
  domain::set(made.mutable_entity(), installation());
  made.mutable_installation()->mutable_set_limit()->set_limit(limit);
  made.mutable_installation()->mutable_set_limit()->set_figure(figure);
  return made;
}

uuid far_installation() {
  return make_uuid(start_of_time(), partition_number{7},
                   static_cast<std::uint64_t>(noun::installation) << 32);
}

v1::Command create_far_cluster(const cluster_wish& wish) {
  v1::Command made;
  domain::set(made.mutable_entity(), cluster(wish.number));
  auto* body = made.mutable_cluster()->mutable_create();
  body->set_name(wish.name);
  body->set_kind(wish.kind);
  domain::set(body->mutable_installation(), far_installation());
  return made;
}

v1::Command settle_claim(std::uint32_t number, const std::optional<error>& why) {
  auto made = for_network(number);
  auto* body = made.mutable_network()->mutable_settle_claim();
  if (why) {
    body->set_code(static_cast<std::uint32_t>(why->code));
    body->set_text(why->text);
  }
  return made;
}

v1::Command settle_release(std::uint32_t number) {
  auto made = for_network(number);
  made.mutable_network()->mutable_settle_release();
  return made;
}

v1::Command place_vm(const vm_wish& wish) {
  v1::Command made;
  domain::set(made.mutable_entity(), cluster(wish.cluster));
  auto* body = made.mutable_cluster()->mutable_place_vm();
  domain::set(body->mutable_vm(), vm(wish.number));
  domain::set(body->mutable_nic(), nic(wish.number));
  body->set_name(wish.name);
  domain::set(body->mutable_network(), network(wish.network));
  body->set_image(wish.image);
  body->set_vcpus(wish.vcpus);
  body->set_memory_mib(wish.memory_mib);
  *body->mutable_labels() = labels(wish.labels).set();
  if (!wish.address.empty())
    body->set_address(address_of(wish.address).bits);
  body->set_bits_a_second_max(wish.bits_a_second_max);
  return made;
}

v1::SetLabels labels(const std::vector<std::pair<std::string, std::string>>& set,
                     const std::vector<std::string>& remove) {
  v1::SetLabels made;
  for (const auto& [key, value] : set)
    domain::add(*made.mutable_set(), key, value);
  for (const auto& key : remove)
    made.add_remove(key);
  return made;
}

v1::Upstream bgp_upstream(int routers) {
  v1::Upstream made;
  if (routers == 0)
    return made;
  made.set_uplink("up0");
  made.set_learn_guests(true);
  made.mutable_bgp()->set_as(64601);
  made.mutable_bgp()->set_hold_seconds(9);
  for (int i = 0; i < routers; ++i) {
    auto* router = made.mutable_bgp()->add_routers();
    router->set_address("192.0.2." + std::to_string(1 + i));
    router->set_as(64512);
    router->set_secret("rack-7");
  }
  return made;
}

v1::Command set_upstream(const v1::Upstream& wanted, std::uint32_t number) {
  v1::Command made;
  domain::set(made.mutable_entity(), cluster(number));
  *made.mutable_cluster()->mutable_set_upstream()->mutable_upstream() = wanted;
  return made;
}

v1::Command note_upstream(std::uint32_t number, std::uint64_t nonce, const standing& seen) {
  v1::Command made;
  domain::set(made.mutable_entity(), node(number));
  auto* body = made.mutable_node()->mutable_note_upstream();
  body->set_nonce(nonce);
  for (const auto* routers : {&seen.up, &seen.down})
    for (const auto& router : *routers) {
      auto* session = body->add_sessions();
      session->set_router(router);
      session->set_established(routers == &seen.up);
      session->set_reason(routers == &seen.up ? "Established" : "Connection refused");
    }
  body->set_problem(seen.problem);
  return made;
}

v1::Command label_cluster(const v1::SetLabels& wanted, std::uint32_t number) {
  v1::Command made;
  domain::set(made.mutable_entity(), cluster(number));
  *made.mutable_cluster()->mutable_set_labels() = wanted;
  return made;
}

v1::Command label_node(const v1::SetLabels& wanted, std::uint32_t number) {
  v1::Command made;
  domain::set(made.mutable_entity(), node(number));
  *made.mutable_node()->mutable_set_labels() = wanted;
  return made;
}

v1::Command label_network(const v1::SetLabels& wanted, std::uint32_t number) {
  auto made = for_network(number);
  *made.mutable_network()->mutable_set_labels() = wanted;
  return made;
}

v1::Command label_vm(const v1::SetLabels& wanted, std::uint32_t number) {
  v1::Command made;
  domain::set(made.mutable_entity(), vm(number));
  *made.mutable_vm()->mutable_set_labels() = wanted;
  return made;
}

v1::Command set_rate(std::uint64_t bits_a_second_max, std::uint32_t number) {
  auto made = for_vm(number);
  made.mutable_vm()->mutable_set_rate()->set_bits_a_second_max(bits_a_second_max);
  return made;
}

v1::Command add_addresses(std::uint32_t claim, std::string_view addresses, std::uint32_t number) {
  auto made = for_vm(number);
  auto* body = made.mutable_vm()->mutable_add_addresses();
  const auto wanted = addresses_in(addresses);
  domain::set(body->mutable_claim(), claim_number(claim));
  body->set_base(wanted.base.bits);
  body->set_length(wanted.length);
  return made;
}

std::uint32_t size_of(const v1::FurtherAddresses& addresses) {
  return std::uint32_t{1} << (32 - addresses.length());
}

v1::Command remove_addresses(std::string_view addresses, std::uint32_t number) {
  auto made = for_vm(number);
  const auto wanted = addresses_in(addresses);
  made.mutable_vm()->mutable_remove_addresses()->set_base(wanted.base.bits);
  made.mutable_vm()->mutable_remove_addresses()->set_length(wanted.length);
  return made;
}

v1::Command note_port(const std::vector<std::uint32_t>& without, std::uint32_t number,
                      std::uint64_t node_epoch) {
  auto made = for_vm(number);
  auto* body = made.mutable_vm()->mutable_note_port();
  domain::set(body->mutable_node(), node());
  body->set_node_epoch(node_epoch);
  for (const auto claim : without)
    domain::set(body->add_without(), claim_number(claim));
  return made;
}

v1::Command start_vm(std::uint32_t number) {
  auto made = for_vm(number);
  made.mutable_vm()->mutable_start();
  return made;
}

v1::Command shutdown_vm(std::uint32_t number) {
  auto made = for_vm(number);
  made.mutable_vm()->mutable_shutdown();
  return made;
}

v1::Command stop_vm(std::uint32_t number) {
  auto made = for_vm(number);
  made.mutable_vm()->mutable_stop();
  return made;
}

v1::Command remove_vm(std::uint32_t number) {
  auto made = for_vm(number);
  made.mutable_vm()->mutable_remove();
  return made;
}

v1::Command observe(std::uint32_t vm_number, const saying& said) {
  auto made = for_vm(vm_number);
  made.mutable_principal()->set_kind(v1::Principal::HYPERVISOR);
  auto* body = made.mutable_vm()->mutable_observe();
  domain::set(body->mutable_node(), node(said.node));
  body->set_node_epoch(said.epoch);
  body->set_number(said.number);
  body->set_at(to_micros(said.at));
  body->set_state(said.state);
  body->set_cause(said.cause);
  body->set_generation(said.generation);
  body->set_reason(said.reason);
  body->set_wish(said.wish);
  return made;
}

v1::Command report_failure(std::uint32_t vm_number, const failure& told) {
  auto made = for_vm(vm_number);
  made.mutable_principal()->set_kind(v1::Principal::HYPERVISOR);
  auto* body = made.mutable_vm()->mutable_report_failure();
  body->set_generation(told.generation);
  body->set_step(told.step);
  body->set_code(static_cast<std::uint32_t>(told.code));
  body->set_text(told.text);
  body->set_final(told.final);
  return made;
}

v1::Command pass_deadline(std::uint32_t vm_number, std::uint64_t generation) {
  auto made = for_vm(vm_number);
  made.mutable_principal()->set_kind(v1::Principal::TIMER);
  made.mutable_vm()->mutable_pass_deadline()->set_generation(generation);
  return made;
}

v1::Command hello(const greeting& said) {
  auto made = for_node(said.node);
  made.mutable_principal()->set_kind(v1::Principal::HYPERVISOR);
  auto* body = made.mutable_node()->mutable_hello();
  body->set_nonce(said.nonce);
  body->set_hypervisor("simulated");
  body->set_vcpus(said.vcpus);
  body->set_memory_mib(said.memory_mib);
  for (const auto& image : said.images)
    body->add_images(image);
  return made;
}

v1::Command lose(std::uint32_t node_number, std::uint64_t nonce, std::string_view reason) {
  auto made = for_node(node_number);
  made.mutable_principal()->set_kind(v1::Principal::HYPERVISOR);
  auto* body = made.mutable_node()->mutable_lose();
  body->set_nonce(nonce);
  body->set_reason(std::string(reason));
  return made;
}

v1::Command see_alive(std::uint32_t node_number, std::uint64_t nonce, utc_time at) {
  auto made = for_node(node_number);
  made.mutable_principal()->set_kind(v1::Principal::HYPERVISOR);
  auto* body = made.mutable_node()->mutable_see_alive();
  body->set_nonce(nonce);
  body->set_at(to_micros(at));
  return made;
}

v1::Command with_key(v1::Command command, std::uint64_t key_hash, std::uint64_t body_hash) {
  command.mutable_key()->set_key_hash(key_hash);
  command.mutable_key()->set_body_hash(body_hash);
  return command;
}

v1::Command with_origin(v1::Command command, std::uint64_t nonce, std::uint64_t number) {
  command.mutable_origin()->set_nonce(nonce);
  command.mutable_origin()->set_number(number);
  return command;
}

} // namespace orrery::support
