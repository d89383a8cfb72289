#include "tools/orrery/thing_commands.hpp"

#include "tools/orrery/labels.hpp"
#include "tools/orrery/ranges.hpp"
#include "tools/orrery/units.hpp"
#include "tools/orrery/verbs.hpp"

#include <CLI/CLI.hpp>

#include <utility>

namespace orrery::cli {

namespace {

constexpr std::size_t console_line_count_max = 1'000; // as the API

const list_filter in_cluster{"cluster", &words::cluster, "only of this cluster (name or id)"};
const list_filter labelled{"label", &words::label,
                           "only those with these labels: KEY=VALUE or KEY, commas between"};

std::string path_of(const view& what, const std::string& name) {
  if (name.empty())
    throw failure(exit_code::usage, "usage", "the name is empty");
  return "/v1/" + std::string(what.collection) + "/" + url_encode(name);
}

/// A verb that is an action of the API on one thing, with a body: `action` is ":setLabels", say.
CLI::App& add_action(tree& t, CLI::App& parent, const view& what, const std::string& name,
                     const std::string& help, const std::string& examples,
                     const std::string& action, const std::function<json()>& body) {
  auto& made = changing(t, parent, name, help, examples, [&t, &what, action, body](api&) {
    return change{.method = "POST",
                  .path = path_of(what, t.said.name) + action,
                  .body = body(),
                  .what = &what};
  });
  add_name(t, made, std::string(what.noun));
  return made;
}

/// Sets and removes labels of one thing.
void add_label(tree& t, CLI::App& parent, const view& what) {
  const std::string name(what.noun);
  auto& made = add_action(t, parent, what, "label", "Set or remove labels of a " + name,
                          "  orrery " + name + " label NAME env=prod team=web\n  orrery " + name +
                              " label NAME team-    # removes it\n  orrery " + name +
                              " list --label env=prod",
                          ":setLabels", [&t] { return labels_to_change(t.said.labels); });
  made.add_option("LABEL", t.said.labels, "KEY=VALUE to set one, KEY- to remove it")->required();
}

change create(const view& what, json body) {
  return {.method = "POST",
          .path = "/v1/" + std::string(what.collection),
          .body = std::move(body),
          .what = &what};
}

void set_if(json& body, std::string_view name, const std::string& text) {
  if (!text.empty())
    body.set(name, json::of(text));
}

change remove(const view& what, const std::string& name) {
  return {.method = "DELETE", .path = path_of(what, name), .body = {}, .what = &what, .gone = true};
}

std::string cluster_of(const tree& t, api& from) {
  return t.said.cluster.empty() ? only_one(from, cluster_view(), {}) : t.said.cluster;
}

/// The value of --memory in MiB, where it was given.
void set_memory(json& body, const std::string& text) {
  if (text.empty())
    return;
  const auto size = parse_memory(text);
  if (!size)
    throw failure(exit_code::usage, "usage", "--memory: " + size.error().text);
  body.set("memoryMib", json::of(size->count));
}

void add_upstream(tree& t, CLI::App& parent) {
  auto& made = add_action(
      t, parent, cluster_view(), "upstream",
      "Set how the nodes tell routers which guests they have",
      "  orrery cluster upstream local bgp --uplink eth1 --as 64601 \\\n"
      "    --router 192.0.2.1,as=64512,secret=rack-7 --router 2001:db8:f::1,as=64512 \\\n"
      "    --learn-default --learn-guests\n"
      "  orrery cluster upstream local ospf --uplink eth1 --secret rack-7 --ipv6 --learn-default\n"
      "  orrery cluster upstream local arp --uplink eth1\n"
      "  orrery cluster upstream local none",
      ":setUpstream", [&t] { return upstream_of(t.said.upstream); });
  auto& said = t.said.upstream;
  made.add_option("PROTOCOL", said.protocol, "bgp, ospf, arp or none")
      ->required()
      ->check(CLI::IsMember({"bgp", "ospf", "arp", "none"}));
  made.add_option("--uplink", said.uplink, "the nodes' link to the routers, for instance eth1");
  made.add_option("--as", said.as, "AS number of the nodes (bgp)");
  made.add_option(
      "--router", said.routers,
      "ADDRESS,as=NUMBER[,secret=NAME]: a router, for the family of its address; say it "
      "again for another (bgp)");
  made.add_option("--hold", said.hold, "a silent router is dead after this (bgp; default 9s)");
  made.add_option("--area", said.area, "area, for instance 0.0.0.0 (ospf; default 0.0.0.0)");
  made.add_option("--hello", said.hello, "time between two words (ospf; default 1s)");
  made.add_option("--dead", said.dead, "a silent router is dead after this (ospf; default 4s)");
  made.add_option("--secret", said.secret,
                  "name of the file with the password, in the daemon's secrets_directory (ospf)")
      ->check(something());
  made.add_flag("--ipv6", said.ipv6, "OSPFv3 for IPv6, too (ospf)");
  made.add_flag("--learn-default", said.learn_default, "take the default route from the routers");
  made.add_flag("--learn-guests", said.learn_guests,
                "take other nodes' guests from the routers, to send to them directly");
}

json quarantine_of(const tree& t) {
  if (t.said.quarantine == "0")
    return json::of(std::uint64_t{0});
  return json::of(whole_seconds("quarantine", t.said.quarantine));
}

/// What guests of a network are told, as far as it was said.
void set_guests(json& body, const words& said) {
  if (said.mtu)
    body.set("mtu", json::of(std::uint64_t{*said.mtu}));
  if (said.no_name_servers || !said.name_servers.empty()) {
    auto servers = json::list();
    for (const auto& one : said.name_servers)
      servers.items.push_back(json::of(one));
    body.set("nameServers", std::move(servers));
  }
  if (!said.classless_routes.empty())
    body.set("classlessRoutes", json::of(said.classless_routes == "on"));
}

void add_guests_options(CLI::App& made, words& said) {
  made.add_option("--mtu", said.mtu, "largest packet of the guests (default 1500)");
  made.add_option("--name-server", said.name_servers,
                  "address of a resolver, IPv4 or IPv6; may be given again")
      ->delimiter(',');
  made.add_option("--classless-routes", said.classless_routes,
                  "on: guests are told a /32 and routes (RFC 3442); off (default): the subnet's "
                  "mask")
      ->check(CLI::IsMember({"on", "off"}));
}

json rate_of(const std::string& text) {
  const auto rate = parse_rate(text);
  if (!rate)
    throw failure(exit_code::usage, "usage", rate.error().text);
  return json::of(*rate);
}

void add_addressing(tree& t, CLI::App& parent) {
  auto& reserve =
      add_action(t, parent, network_view(), "reserve",
                 "Keep addresses from being given to VMs that do not ask for them",
                 "  orrery network reserve lan 10.99.0.2-10.99.0.9 --note printers\n"
                 "  orrery network reserve lan --file in-use.txt --note 'before Orrery'",
                 ":reserve", [&t] {
                   auto body = json::object();
                   body.set("ranges", ranges_of(t.said.ranges, t.said.file));
                   set_if(body, "note", t.said.note);
                   return body;
                 });
  reserve.add_option("--note", t.said.note, "who has them");
  auto& free = add_action(t, parent, network_view(), "free",
                          "Give reserved addresses back to VMs that ask for none",
                          "  orrery network free lan 10.99.0.2-10.99.0.9", ":free", [&t] {
                            auto body = json::object();
                            body.set("ranges", ranges_of(t.said.ranges, t.said.file));
                            return body;
                          });
  for (auto* one : {&reserve, &free}) {
    one->add_option("RANGE", t.said.ranges, "FIRST-LAST, or one address");
    one->add_option("--file", t.said.file, "a file with one RANGE a line; - is standard input");
  }
  auto& rest = add_action(t, parent, network_view(), "quarantine",
                          "Let released addresses rest before another VM is given them",
                          "  orrery network quarantine lan 10m\n  orrery network quarantine lan 0",
                          ":setQuarantine", [&t] {
                            auto body = json::object();
                            body.set("seconds", quarantine_of(t));
                            return body;
                          });
  rest.add_option("TIME", t.said.quarantine, "for instance 10m; 0 for none; at most 24h")
      ->required();
  auto& set = add_action(
      t, parent, network_view(), "set",
      "Change what guests are told; what is not said stays as it is",
      "  orrery network set lan --mtu 1400 --name-server 192.0.2.53,2001:db8::53\n"
      "  orrery network set lan --no-name-servers",
      ":setGuests", [&t] {
        auto body = json::object();
        set_guests(body, t.said);
        if (body.items.empty())
          throw failure(exit_code::usage, "usage",
                        "there is nothing to set: say --mtu, --name-server, --no-name-servers or "
                        "--classless-routes");
        return body;
      });
  add_guests_options(set, t.said);
  set.add_flag("--no-name-servers", t.said.no_name_servers, "guests are told of no resolver")
      ->excludes("--name-server");
}

void add_vm_create(tree& t, CLI::App& parent) {
  auto& make = changing(t, parent, "create", "Create a virtual machine, start it, wait for it",
                        "  orrery vm create web-1 --image debian --vcpus 1 --memory 192MiB\n"
                        "  orrery vm create web-1 --cluster local --network lan --image debian "
                        "--no-wait -o json",
                        [&t](api& from) {
                          auto body = json::object();
                          set_memory(body, t.said.memory.empty() ? "256MiB" : t.said.memory);
                          const auto cluster = cluster_of(t, from);
                          const auto network = t.said.network.empty()
                                                   ? only_one(from, network_view(), cluster)
                                                   : t.said.network;
                          body.set("name", json::of(t.said.name))
                              .set("cluster", json::of(cluster))
                              .set("network", json::of(network))
                              .set("image", json::of(t.said.image))
                              .set("vcpus", json::of(std::uint64_t{t.said.vcpus.value_or(1)}));
                          set_if(body, "address", t.said.address);
                          if (!t.said.rate.empty())
                            body.set("bitsASecondMax", rate_of(t.said.rate));
                          if (!t.said.labels.empty())
                            body.set("labels", labels_to_have(t.said.labels));
                          return create(vm_view(), std::move(body));
                        });
  add_name(t, make, "vm");
  make.add_option("--cluster", t.said.cluster, "name or id of its cluster (default: the only one)");
  make.add_option("--network", t.said.network, "name or id of its network (default: the only one)");
  make.add_option("--address", t.said.address,
                  "this address of the network, also a reserved one (default: any that is free)")
      ->check(something());
  make.add_option("--rate", t.said.rate,
                  "bits a second that its NIC passes in each direction, for instance 100M "
                  "(default: as fast as it goes)");
  make.add_option("--image", t.said.image, "name of its image")->required();
  make.add_option("--vcpus,--cpu", t.said.vcpus, "virtual processors (default 1)");
  make.add_option("--memory", t.said.memory,
                  "memory, for instance 192MiB or 1GiB (default 256MiB)");
  make.add_option("--label", t.said.labels, "a label, KEY=VALUE; may be given again")
      ->delimiter(',');
}

void add_vm_verb(tree& t, CLI::App& parent, const std::string& name, const std::string& help) {
  auto& made =
      changing(t, parent, name, help,
               "  orrery vm " + name + " web-1\n  orrery vm " + name + " web-1 --no-wait -o json",
               [&t, name](api&) {
                 auto wanted = remove(vm_view(), t.said.name);
                 if (name == "delete")
                   return wanted;
                 wanted.method = "POST";
                 wanted.path += ":" + name;
                 wanted.gone = false;
                 return wanted;
               });
  add_name(t, made, "vm");
}

void add_vm_addresses(tree& t, CLI::App& parent) {
  const auto body = [&t] {
    auto made = json::object();
    set_if(made, "address", t.said.address);
    return made;
  };
  auto& add = add_action(t, parent, vm_view(), "add-address",
                         "Give its NIC one more address, or a network for what is behind its guest",
                         "  orrery vm add-address web-1\n  orrery vm add-address web-1 10.99.0.20\n"
                         "  orrery vm add-address web-1 10.99.0.64/28",
                         ":addAddress", body);
  add.add_option("ADDRESS", t.said.address,
                 "of the VM's network: an address, or a prefix of 24 to 31 bits (default: any "
                 "address that is free)")
      ->check(something());
  auto& remove = add_action(t, parent, vm_view(), "remove-address",
                            "Take such an address or network from its NIC; it is free when the "
                            "guest's port has it no more",
                            "  orrery vm remove-address web-1 10.99.0.20\n"
                            "  orrery vm remove-address web-1 10.99.0.64/28",
                            ":removeAddress", body);
  remove.add_option("ADDRESS", t.said.address, "as `orrery vm get` shows it")
      ->required()
      ->check(something());
}

} // namespace

void add_cluster(tree& t) {
  auto& parent = noun(t, "cluster", "Hosts of one kind of hypervisor");
  auto& make = changing(
      t, parent, "create", "Create a cluster", "  orrery cluster create local --hypervisor kvm",
      [&t](api&) {
        auto body = json::object();
        body.set("name", json::of(t.said.name)).set("hypervisor", json::of(t.said.hypervisor));
        return create(cluster_view(), std::move(body));
      });
  add_name(t, make, "cluster");
  make.add_option("--hypervisor", t.said.hypervisor, "kind of hypervisor: kvm or simulated")
      ->required();
  add_list_and_get(t, parent, cluster_view(), {labelled});
  add_label(t, parent, cluster_view());
  add_upstream(t, parent);
}

void add_node(tree& t) {
  auto& parent = noun(t, "node", "Hosts that run virtual machines");
  auto& make = changing(
      t, parent, "create", "Add a node to a cluster",
      "  orrery node create node-1 --cluster local \\\n"
      "    --libvirt-socket /run/orrery/node-1/libvirt-sock \\\n"
      "    --network-namespace orrery-node-1 --vcpus 4 --memory 4GiB",
      [&t](api& from) {
        auto body = json::object();
        body.set("name", json::of(t.said.name)).set("cluster", json::of(cluster_of(t, from)));
        set_if(body, "libvirtSocket", t.said.libvirt_socket);
        set_if(body, "networkNamespace", t.said.network_namespace);
        if (t.said.vcpus.has_value())
          body.set("vcpus", json::of(std::uint64_t{*t.said.vcpus}));
        set_memory(body, t.said.memory);
        return create(node_view(), std::move(body));
      });
  add_name(t, make, "node");
  make.add_option("--cluster", t.said.cluster, "name or id of its cluster (default: the only one)");
  make.add_option("--libvirt-socket", t.said.libvirt_socket, "path of its libvirtd's unix socket");
  make.add_option("--network-namespace", t.said.network_namespace,
                  "name of the network namespace it lives in");
  make.add_option("--vcpus,--cpu", t.said.vcpus,
                  "virtual processors to hand out (default: all of the host)");
  make.add_option("--memory", t.said.memory,
                  "memory to hand out, for instance 4GiB (default: all of the host)");
  add_list_and_get(t, parent, node_view(), {in_cluster, labelled});
  add_label(t, parent, node_view());
}

void add_network(tree& t) {
  auto& parent = noun(t, "network", "Networks that give virtual machines their addresses");
  auto& make = changing(t, parent, "create", "Create a network",
                        "  orrery network create lan --cluster local --prefix 10.99.0.0/24\n"
                        "  orrery network create lan --prefix 10.99.0.0/24 --prefix6 "
                        "2001:db8:99::/64 --name-server 192.0.2.53",
                        [&t](api& from) {
                          auto body = json::object();
                          body.set("name", json::of(t.said.name))
                              .set("cluster", json::of(cluster_of(t, from)))
                              .set("prefix", json::of(t.said.prefix));
                          set_if(body, "gateway", t.said.gateway);
                          set_if(body, "prefix6", t.said.prefix6);
                          set_guests(body, t.said);
                          if (!t.said.quarantine.empty())
                            body.set("quarantineSeconds", quarantine_of(t));
                          return create(network_view(), std::move(body));
                        });
  add_name(t, make, "network");
  make.add_option("--cluster", t.said.cluster, "name or id of its cluster (default: the only one)");
  make.add_option("--prefix", t.said.prefix, "IPv4 prefix, for instance 10.99.0.0/24")->required();
  make.add_option("--gateway", t.said.gateway, "address of the gateway (default: the first one)");
  make.add_option("--quarantine", t.said.quarantine,
                  "how long a released address rests, for instance 10m (default 0)");
  make.add_option("--prefix6", t.said.prefix6,
                  "IPv6 prefix, for instance 2001:db8:99::/64 (default: no IPv6)")
      ->check(something());
  add_guests_options(make, t.said);
  add_list_and_get(t, parent, network_view(), {in_cluster, labelled});
  add_label(t, parent, network_view());
  add_addressing(t, parent);
  auto& gone =
      changing(t, parent, "delete", "Delete a network without VMs and free its prefix",
               "  orrery network delete lan\n  orrery network delete lan --no-wait -o json",
               [&t](api&) { return remove(network_view(), t.said.name); });
  add_name(t, gone, "network");
}

void add_vm(tree& t) {
  auto& parent = noun(t, "vm", "Virtual machines");
  parent.alias("server"); // FCO's word, taken and printed nowhere
  add_vm_create(t, parent);
  add_list_and_get(t, parent, vm_view(),
                   {in_cluster,
                    labelled,
                    {"node", &words::node, "only on this node (name or id)"},
                    {"observed", &words::observed,
                     "only those seen ABSENT, STOPPED, RUNNING, REACHABLE or UNKNOWN"}});
  add_vm_verb(t, parent, "start", "Start a stopped virtual machine");
  add_vm_verb(t, parent, "shutdown", "Ask the guest to shut down, and wait until it has");
  add_vm_verb(t, parent, "stop", "Stop a virtual machine at once, as if its power was cut");
  add_vm_verb(t, parent, "delete", "Delete a virtual machine and free its address");
  auto& rate =
      add_action(t, parent, vm_view(), "rate", "Limit what its NIC passes in each direction",
                 "  orrery vm rate web-1 100M\n  orrery vm rate web-1 none", ":setRate", [&t] {
                   auto body = json::object();
                   body.set("bitsASecondMax", rate_of(t.said.rate));
                   return body;
                 });
  rate.add_option("RATE", t.said.rate, "bits a second, for instance 100M or 1G; none for no limit")
      ->required();
  add_vm_addresses(t, parent);
  add_label(t, parent, vm_view());
  auto& console = verb(t, parent, "console", "Show the last lines of the serial console",
                       "  orrery vm console web-1\n  orrery vm console web-1 --lines 100",
                       [&t] { show_console(t.how, t.said.name, t.said.lines); });
  add_name(t, console, "vm");
  console.add_option("--lines", t.said.lines, "so many lines (default 20)")
      ->check(CLI::Range(std::size_t{1}, console_line_count_max));
}

} // namespace orrery::cli
