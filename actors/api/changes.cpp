#include "actors/api/body.hpp"
#include "actors/api/call.hpp"
#include "actors/api/guest_settings.hpp"
#include "drivers/capabilities.hpp"
#include "events/core/guest_port.hpp"
#include "events/core/net.hpp"
#include "events/core/text.hpp"
#include "events/domain/addressing.hpp"
#include "events/domain/guest_settings.hpp"
#include "events/domain/installation.hpp"
#include "events/domain/ipv6.hpp"
#include "events/domain/job.hpp"
#include "events/domain/labels.hpp"
#include "events/domain/subnet.hpp"
#include "events/log/sha256.hpp"
#include "events/schema/json.hpp"
#include "projections/views.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>

namespace orrery::actors {

namespace {

/// Longest Idempotency-Key, in bytes: a UUID is 36.
constexpr std::size_t key_size_max = 128;

/// Longest path of a socket (sun_path has 108 bytes) and of a namespace's name.
constexpr std::size_t socket_path_size_max = 107;
constexpr std::size_t namespace_size_max = 63;

constexpr std::size_t address_size_max = 18; // 255.255.255.255/32
constexpr std::size_t prefix6_size_max = 49; // the longest way to write one, mapped IPv4 and all

std::uint64_t first_eight_bytes(const log::digest& hash) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i)
    value = (value << 8) | hash[i];
  return value;
}

/// A client's key, if the request has one. Errors: `invalid_argument`.
result<void> read_key(const http::request& request, v1::Command& into) {
  const auto* key = request.header("idempotency-key");
  if (key == nullptr)
    return {};
  if (key->empty() || key->size() > key_size_max)
    return invalid("an Idempotency-Key has 1 to " + std::to_string(key_size_max) + " bytes");
  into.mutable_key()->set_key_hash(first_eight_bytes(log::sha256_of("operator\n", *key)));
  into.mutable_key()->set_body_hash(
      first_eight_bytes(log::sha256_of(request.method + " " + request.path + "\n", request.body)));
  return {};
}

/// "10.99.0.20", or "10.99.0.64/28"; empty: any address, which is 0.0.0.0/0. Errors:
/// `invalid_argument`.
result<ipv4_prefix> addresses_in(const std::string& text) {
  if (text.empty())
    return ipv4_prefix{};
  if (text.find('/') != std::string::npos)
    return parse_ipv4_prefix(text);
  const auto address = parse_ipv4(text);
  if (!address)
    return address.error();
  return domain::only(*address);
}

} // namespace

uuid api::new_id(partition_number where) {
  return make_uuid(x_services.wall_clock(), where, x_services.random());
}

/// For a new cluster: of those that are not the installation's, the one with the fewest clusters.
/// Two that are made at once may come to share one, which does no harm.
result<partition_number> api::emptiest_partition() {
  std::vector<std::size_t> clusters(x_services.partitions);
  projections::page page{projections::page_size_max, {}};
  do {
    const auto found = x_services.store->list_clusters({}, page);
    if (!found)
      return found.error();
    for (const auto& one : found->items)
      if (const auto where = static_cast<std::size_t>(id_in(one.id()).partition());
          where < clusters.size())
        ++clusters[where];
    page.token = found->next_token;
  } while (!page.token.empty());
  const auto first = clusters.begin() + (clusters.size() > 1 ? 1 : 0);
  const auto emptiest = std::min_element(first, clusters.end());
  return static_cast<partition_number>(emptiest - clusters.begin());
}

v1::Command api::new_command(const uuid& entity) {
  v1::Command command;
  domain::set(command.mutable_id(), new_id(entity.partition()));
  command.mutable_principal()->set_kind(v1::Principal::OPERATOR);
  command.mutable_principal()->set_name("operator");
  domain::set(command.mutable_entity(), entity);
  return command;
}

void api::send_command(call& made, v1::Command command, std::string kind, std::string name) {
  if (x_services.is_read_only)
    return made.fail({error_code::read_only,
                      "this process only reads: send changes to the one that owns the log", false});
  // Nobody could see what a change did: it is refused while that is so.
  if (auto stalled = x_services.store->stalled())
    return made.fail(std::move(*stalled));
  if (x_services.queued(domain::target_of(command)) >= queue_size_max)
    return made.fail(queue_is_full());
  if (auto read = read_key(made.request, command); !read)
    return made.fail(read.error());
  x_services.stamp(command);
  auto what = std::make_shared<submission>();
  what->command = std::move(command);
  what->done = answering(made, std::move(kind), std::move(name));
  x_services.submit(std::move(what));
}

std::function<void(const command_reply&)> api::answering(const call& made, std::string kind,
                                                         std::string name) {
  return [this, respond = made.respond, path = made.request.path, kind = std::move(kind),
          name = std::move(name)](const command_reply& reply) {
    if (reply.reply.code() != 0) {
      auto refusal = http::problem_response({static_cast<error_code>(reply.reply.code()),
                                             reply.reply.text(), reply.reply.retryable()},
                                            path);
      if (reply.seq > 0) // recorded: whoever reads on shall see what it was refused for
        set_position(refusal, position_text(log_place{reply.command.partition(), reply.seq}));
      return respond(std::move(refusal));
    }
    when_projected(
        reply, [this, respond, reply, kind, name] { answer_command(respond, reply, kind, name); });
  };
}

void api::fail_unless_repeated(call& made, const error& missing, std::string kind) {
  struct search {
    std::mutex guard;
    std::size_t open = 0;
    bool is_over = false;
    std::optional<error> unsure;
  };

  v1::Command asked;
  if (auto read = read_key(made.request, asked); !read)
    return made.fail(read.error());
  if (!asked.has_key() || missing.code != error_code::not_found)
    return made.fail(missing);
  const auto of = std::make_shared<search>();
  of->open = x_services.partitions;
  const auto found = answering(made, std::move(kind), made.name);
  for (std::size_t number = 0; number < x_services.partitions; ++number) {
    auto what = std::make_shared<submission>();
    what->is_repetition = true;
    what->command = new_command(new_id(static_cast<partition_number>(number)));
    *what->command.mutable_key() = asked.key();
    what->done = [of, found, missing, respond = made.respond,
                  path = made.request.path](const command_reply& reply) {
      const bool is_known =
          reply.seq > 0 || static_cast<error_code>(reply.reply.code()) == error_code::key_reused;
      std::unique_lock lock(of->guard);
      --of->open;
      if (!is_known && static_cast<error_code>(reply.reply.code()) != error_code::not_found)
        of->unsure = {static_cast<error_code>(reply.reply.code()), reply.reply.text(),
                      reply.reply.retryable()};
      if (of->is_over || (!is_known && of->open > 0))
        return;
      of->is_over = true;
      const auto failure = of->unsure.value_or(missing);
      lock.unlock();
      if (is_known)
        found(reply);
      else
        respond(http::problem_response(failure, path));
    };
    x_services.submit(std::move(what));
  }
}

void api::answer_command(const http::responder& respond, const command_reply& reply,
                         const std::string& kind, const std::string& name) {
  nlohmann::ordered_json body;
  const auto job_id = to_text(orrery::job_id{reply.command});
  const bool has_job = reply.reply.has_job();
  const auto job =
      has_job ? x_services.store->find_job(job_id) : result<projections::answer<v1::Job>>(error{});
  if (job) {
    body["job"] = nlohmann::ordered_json::parse(to_json(job->value));
  } else {
    // Decided and done in one record: there was nothing to wait for. Or the projections are late,
    // for instance by a full disk: it is accepted all the same, and told what is known.
    body["job"]["id"] = job_id;
    body["job"]["kind"] = kind;
    body["job"]["resource"] = projections::resource_text(kind.substr(0, kind.find('.')),
                                                         domain::from_proto(reply.reply.entity()));
    body["job"]["resourceName"] = name;
    body["job"]["state"] = has_job ? "RUNNING" : "DONE";
  }
  auto made = json_response(202, body);
  set_position(made, position_text({reply.command.partition(), reply.seq}));
  respond(std::move(made));
}

void api::post_cluster(call& made) {
  auto body = body_reader::parse(made.request.body);
  if (!body)
    return made.fail(body.error());
  const auto name = body->text("name", name_size_max);
  const auto hypervisor = body->text("hypervisor", name_size_max);
  if (auto read = body->finish(); !read)
    return made.fail(read.error());
  const auto kind = drivers::parse_kind(hypervisor);
  if (!kind)
    return made.fail(kind.error());
  const auto where = emptiest_partition();
  if (!where)
    return made.fail(where.error());
  auto command = new_command(x_services.installation);
  auto* add = command.mutable_installation()->mutable_add_cluster();
  domain::set(add->mutable_cluster(), new_id(*where));
  add->set_name(name);
  add->set_kind(static_cast<v1::HypervisorKind>(*kind));
  send_command(made, std::move(command), "cluster.create", name);
}

namespace {

result<void> check_endpoint(const std::string& hypervisor, const v1::NodeEndpoint& endpoint) {
  if (hypervisor != "kvm") {
    if (!endpoint.libvirt_socket().empty() || !endpoint.network_namespace().empty())
      return invalid("a " + hypervisor + " node has no libvirtSocket and no networkNamespace");
    return {};
  }
  if (!endpoint.libvirt_socket().starts_with('/') ||
      !std::ranges::all_of(endpoint.libvirt_socket(), is_plain_in_path))
    return invalid("libvirtSocket is not an absolute path of letters, digits and /._-");
  if (!std::ranges::all_of(endpoint.network_namespace(), is_plain) ||
      endpoint.network_namespace().starts_with('.'))
    return invalid("networkNamespace is not a name as `ip netns list` shows it");
  return {};
}

} // namespace

void api::post_node(call& made) {
  auto body = body_reader::parse(made.request.body);
  if (!body)
    return made.fail(body.error());
  constexpr std::uint64_t none = 0;
  const auto name = body->text("name", name_size_max);
  const auto cluster_name = body->text("cluster", name_size_max);
  v1::NodeEndpoint endpoint;
  endpoint.set_libvirt_socket(body->text("libvirtSocket", socket_path_size_max, ""));
  endpoint.set_network_namespace(body->text("networkNamespace", namespace_size_max, ""));
  constexpr std::uint64_t vcpus_max = 65'536;
  constexpr std::uint64_t memory_mib_max = std::uint64_t{1} << 30;
  const auto vcpus = body->number("vcpus", vcpus_max, &none);
  const auto memory_mib = body->number("memoryMib", memory_mib_max, &none);
  if (auto read = body->finish(); !read)
    return made.fail(read.error());
  const auto cluster = x_services.store->find_cluster(cluster_name);
  if (!cluster)
    return made.fail(cluster.error());
  if (auto checked = check_endpoint(cluster->value.hypervisor(), endpoint); !checked)
    return made.fail(checked.error());
  auto command = new_command(id_in(cluster->value.id()));
  const auto where = domain::target_of(command);
  auto* add = command.mutable_cluster()->mutable_add_node();
  domain::set(add->mutable_node(), new_id(where));
  add->set_name(name);
  *add->mutable_endpoint() = endpoint;
  add->set_vcpus(static_cast<std::uint32_t>(vcpus));
  add->set_memory_mib(memory_mib);
  send_command(made, std::move(command), "node.create", name);
}

void api::post_network(call& made) {
  auto body = body_reader::parse(made.request.body);
  if (!body)
    return made.fail(body.error());
  const auto name = body->text("name", name_size_max);
  const auto cluster_name = body->text("cluster", name_size_max);
  const auto prefix_text = body->text("prefix", address_size_max);
  const auto gateway_text = body->text("gateway", address_size_max, "");
  constexpr std::uint64_t no_quarantine = 0;
  const auto quarantine =
      body->number("quarantineSeconds", domain::quarantine_seconds_max, &no_quarantine);
  const auto prefix6_text = body->text("prefix6", prefix6_size_max, "");
  v1::NetworkCommand said;
  const auto guests = read_guests(*body, said);
  if (auto read = body->finish(); !read)
    return made.fail(read.error());
  if (!guests)
    return made.fail(guests.error());
  const auto prefix = parse_ipv4_prefix(prefix_text);
  if (!prefix)
    return made.fail(prefix.error());
  auto gateway = result<ipv4>(ipv4{prefix->base.bits + 1});
  if (!gateway_text.empty())
    gateway = parse_ipv4(gateway_text);
  if (!gateway)
    return made.fail(gateway.error());
  if (auto checked = domain::check_subnet(*prefix, *gateway); !checked)
    return made.fail(checked.error());
  auto prefix6 = result<ipv6_prefix>(ipv6_prefix{});
  if (!prefix6_text.empty())
    prefix6 = parse_ipv6_prefix(prefix6_text);
  if (!prefix6)
    return made.fail(prefix6.error());
  const auto cluster = x_services.store->find_cluster(cluster_name);
  if (!cluster)
    return made.fail(cluster.error());
  auto command = new_command(id_in(cluster->value.id()));
  const auto where = domain::target_of(command);
  auto* add = command.mutable_cluster()->mutable_add_network();
  if (!prefix6_text.empty())
    domain::set(add->mutable_prefix6(), *prefix6);
  if (said.set_guests().ByteSizeLong() != 0)
    *add->mutable_guests() = domain::changed({}, said.set_guests());
  domain::set(add->mutable_network(), new_id(where));
  domain::set(add->mutable_subnet(), new_id(where));
  add->set_name(name);
  add->set_prefix(prefix->base.bits);
  add->set_prefix_length(prefix->length);
  add->set_gateway(gateway->bits);
  add->set_quarantine_seconds(static_cast<std::uint32_t>(quarantine));
  send_command(made, std::move(command), "network.create", name);
}

void api::change_network(call& made, v1::NetworkCommand wanted, const std::string& kind) {
  const auto network = x_services.store->find_network(made.name);
  if (!network)
    return fail_unless_repeated(made, network.error(), kind);
  auto command = new_command(id_in(network->value.id()));
  *command.mutable_network() = std::move(wanted);
  send_command(made, std::move(command), kind, network->value.name());
}

bool api::says_nothing(call& made) {
  if (made.request.body.empty())
    return true;
  auto body = body_reader::parse(made.request.body);
  const auto read = body ? body->finish() : result<void>(body.error());
  if (!read)
    made.fail(read.error());
  return read.has_value();
}

void api::delete_network(call& made) {
  v1::NetworkCommand wanted;
  wanted.mutable_remove();
  change_network(made, std::move(wanted), "network.delete");
}

void api::post_vm(call& made) {
  auto body = body_reader::parse(made.request.body);
  if (!body)
    return made.fail(body.error());
  constexpr std::uint64_t vcpus_max = 65'536;
  constexpr std::uint64_t memory_mib_max = std::uint64_t{1} << 30;
  const auto name = body->text("name", name_size_max);
  const auto cluster_name = body->text("cluster", name_size_max);
  const auto network_name = body->text("network", name_size_max);
  const auto image = body->text("image", name_size_max);
  const auto vcpus = body->number("vcpus", vcpus_max);
  const auto memory_mib = body->number("memoryMib", memory_mib_max);
  const auto address_text = body->text("address", address_size_max, "");
  constexpr std::uint64_t no_rate = 0;
  const auto rate = body->number("bitsASecondMax", guest_rate_max, &no_rate);
  const auto labels =
      body->texts_by_name("labels", domain::labels_max, domain::label_text_size_max);
  if (auto read = body->finish(); !read)
    return made.fail(read.error());
  const auto address = address_text.empty() ? result<ipv4>(ipv4{}) : parse_ipv4(address_text);
  if (!address)
    return made.fail(address.error());
  if (!address_text.empty() && *address == ipv4{})
    return made.fail(invalid("no VM can have the address 0.0.0.0: leave it out for any"));
  const auto cluster = x_services.store->find_cluster(cluster_name);
  if (!cluster)
    return made.fail(cluster.error());
  // Names of networks are unique in their cluster only.
  const auto networks = x_services.store->list_networks({cluster->value.id(), {}, {}},
                                                        {projections::page_size_max, {}});
  if (!networks)
    return made.fail(networks.error());
  const auto network = std::ranges::find_if(networks->items, [&](const v1::Network& one) {
    return one.name() == network_name || one.id() == network_name;
  });
  if (network == networks->items.end())
    return made.fail({error_code::not_found,
                      "cluster '" + cluster->value.name() + "' has no network '" +
                          printable(network_name, name_size_max) + "': `orrery network list`",
                      false});
  auto command = new_command(id_in(cluster->value.id()));
  const auto where = domain::target_of(command);
  auto* place = command.mutable_cluster()->mutable_place_vm();
  domain::set(place->mutable_vm(), new_id(where));
  domain::set(place->mutable_nic(), new_id(where));
  domain::set(place->mutable_network(), id_in(network->id()));
  place->set_name(name);
  place->set_image(image);
  place->set_vcpus(static_cast<std::uint32_t>(vcpus));
  place->set_memory_mib(memory_mib);
  place->set_address(address->bits);
  place->set_bits_a_second_max(rate);
  for (const auto& [key, value] : labels)
    domain::add(*place->mutable_labels(), key, value);
  send_command(made, std::move(command), "vm.create", name);
}

void api::delete_vm(call& made) {
  const auto vm = x_services.store->find_vm(made.name);
  if (!vm)
    return fail_unless_repeated(made, vm.error(), "vm.delete");
  auto command = new_command(id_in(vm->value.id()));
  command.mutable_vm()->mutable_remove();
  send_command(made, std::move(command), "vm.delete", vm->value.name());
}

void api::act_on_vm(call& made) {
  if (made.verb == "setLabels")
    return set_vm_labels(made);
  if (made.verb == "setRate")
    return set_vm_rate(made);
  if (made.verb == "addAddress" || made.verb == "removeAddress")
    return change_vm_addresses(made);
  if (made.verb != "start" && made.verb != "shutdown" && made.verb != "stop")
    return made.fail(invalid("a VM has no action '" + printable(made.verb, 40) +
                             "': want start, shutdown, stop, setRate, addAddress, "
                             "removeAddress or setLabels"));
  if (!says_nothing(made))
    return;
  const auto vm = x_services.store->find_vm(made.name);
  if (!vm)
    return fail_unless_repeated(made, vm.error(), "vm." + made.verb);
  auto command = new_command(id_in(vm->value.id()));
  if (made.verb == "start")
    command.mutable_vm()->mutable_start();
  else if (made.verb == "shutdown")
    command.mutable_vm()->mutable_shutdown();
  else
    command.mutable_vm()->mutable_stop();
  send_command(made, std::move(command), "vm." + made.verb, vm->value.name());
}

void api::set_vm_rate(call& made) {
  auto body = body_reader::parse(made.request.body);
  if (!body)
    return made.fail(body.error());
  const auto rate = body->number("bitsASecondMax", guest_rate_max);
  if (auto read = body->finish(); !read)
    return made.fail(read.error());
  const auto vm = x_services.store->find_vm(made.name);
  if (!vm)
    return fail_unless_repeated(made, vm.error(), "vm.set_rate");
  auto command = new_command(id_in(vm->value.id()));
  command.mutable_vm()->mutable_set_rate()->set_bits_a_second_max(rate);
  send_command(made, std::move(command), "vm.set_rate", vm->value.name());
}

void api::change_vm_addresses(call& made) {
  auto body = body_reader::parse(made.request.body);
  if (!body)
    return made.fail(body.error());
  const bool is_added = made.verb == "addAddress";
  const auto text = is_added ? body->text("address", address_size_max, "")
                             : body->text("address", address_size_max);
  if (auto read = body->finish(); !read)
    return made.fail(read.error());
  if (!is_added && text.empty())
    return made.fail(invalid("'address' is empty: say which is to go"));
  const auto wanted = addresses_in(text);
  if (!wanted)
    return made.fail(wanted.error());
  const std::string kind = is_added ? "vm.add_address" : "vm.remove_address";
  const auto vm = x_services.store->find_vm(made.name);
  if (!vm)
    return fail_unless_repeated(made, vm.error(), kind);
  auto command = new_command(id_in(vm->value.id()));
  const auto say = [&wanted](auto* body_of_it) {
    body_of_it->set_base(wanted->base.bits);
    body_of_it->set_length(wanted->length);
    return body_of_it;
  };
  if (is_added)
    domain::set(say(command.mutable_vm()->mutable_add_addresses())->mutable_claim(),
                new_id(domain::target_of(command)));
  else
    say(command.mutable_vm()->mutable_remove_addresses());
  send_command(made, std::move(command), kind, vm->value.name());
}

void api::post_trust_clock(call& made) {
  if (!says_nothing(made))
    return;
  auto command = new_command(x_services.installation);
  command.mutable_installation()->mutable_trust_clock();
  send_command(made, std::move(command), "installation.trust_clock", "");
}

void api::post_set_limit(call& made) {
  auto body = body_reader::parse(made.request.body);
  if (!body)
    return made.fail(body.error());
  const auto name = body->text("limit", name_size_max);
  const auto figure = body->number("figure", domain::limit_figure_max);
  if (auto read = body->finish(); !read)
    return made.fail(read.error());
  auto command = new_command(x_services.installation);
  auto* set = command.mutable_installation()->mutable_set_limit();
  for (const auto limit : {v1::Installation::CLUSTERS, v1::Installation::PREFIXES})
    if (domain::name_of(limit) == name)
      set->set_limit(limit);
  if (set->limit() == v1::Installation::LIMIT_UNSPECIFIED)
    return made.fail(invalid("there is no limit '" + printable(name, name_size_max) +
                             "': there are clusters and prefixes"));
  set->set_figure(static_cast<std::uint32_t>(figure));
  send_command(made, std::move(command), "installation.set_limit", name);
}

} // namespace orrery::actors
