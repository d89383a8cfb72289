#include "tools/dev/bench/workload.hpp"

#include "events/core/net.hpp"
#include "tools/dev/bench/measure.hpp"

namespace orrery::bench {

namespace {

constexpr partition_number the_partition{0};

/// A /16 has room for 65,533.
constexpr std::size_t vms_per_network = 60'000;

/// As large as a partition makes them (actors/partition.hpp, `batch_size_max`).
constexpr std::size_t commands_per_record = 1'000;

/// Above every number that the hypervisor's own observations of a bench reach.
constexpr std::uint64_t first_observation = 1'000'000'000;

constexpr std::uint32_t vcpus_of_node = 1'000'000;
constexpr std::uint64_t memory_of_node_mib = 1ULL << 36;

utc_time wall_clock() {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

/// Ids that are the same in every run but for their time.
class id_maker {
public:
  uuid next() { return make_uuid(x_time, the_partition, ++x_number); }

private:
  utc_time x_time = first_commit_time();
  std::uint64_t x_number = 1'000;
};

v1::Command for_entity(id_maker& ids, const uuid& entity) {
  v1::Command made;
  domain::set(made.mutable_id(), ids.next());
  made.mutable_principal()->set_kind(v1::Principal::OPERATOR);
  domain::set(made.mutable_entity(), entity);
  return made;
}

/// Commits them in records of full size; each must have been worth recording.
void commit_all(plain_loop& loop, std::vector<v1::Command> commands) {
  for (std::size_t from = 0; from < commands.size(); from += commands_per_record) {
    const auto to = std::min(commands.size(), from + commands_per_record);
    std::vector<v1::Command> some;
    for (auto i = from; i < to; ++i)
      some.push_back(std::move(commands[i]));
    ORRERY_CHECK(loop.commit(std::move(some)) == to - from);
  }
}

void make_installation(plain_loop& loop, id_maker& ids, const uuid& cluster) {
  const auto installation = loop.identity().installation.value;
  std::vector<v1::Command> commands;
  auto found = for_entity(ids, installation);
  found.mutable_installation()->mutable_found()->set_edition(v1::HOSTING);
  commands.push_back(std::move(found));
  auto add = for_entity(ids, installation);
  auto* body = add.mutable_installation()->mutable_add_cluster();
  domain::set(body->mutable_cluster(), cluster);
  body->set_name("bench");
  body->set_kind(v1::SIMULATED);
  commands.push_back(std::move(add));
  commit_all(loop, std::move(commands));
}

void make_node(plain_loop& loop, id_maker& ids, const uuid& cluster, const uuid& node) {
  auto add = for_entity(ids, cluster);
  auto* body = add.mutable_cluster()->mutable_add_node();
  domain::set(body->mutable_node(), node);
  body->set_name("n1");
  body->mutable_endpoint()->set_libvirt_socket("/run/n1/libvirt-sock");
  body->mutable_endpoint()->set_network_namespace("n1");
  body->set_vcpus(vcpus_of_node);
  body->set_memory_mib(memory_of_node_mib);
  std::vector<v1::Command> commands;
  commands.push_back(std::move(add));
  commands.push_back(greeting_of(node, 1));
  commit_all(loop, std::move(commands));
}

std::vector<uuid> make_networks(plain_loop& loop, id_maker& ids, const uuid& cluster,
                                std::size_t count) {
  std::vector<uuid> networks;
  std::vector<v1::Command> commands;
  for (std::size_t i = 0; i < count; ++i) {
    networks.push_back(ids.next());
    auto add = for_entity(ids, cluster);
    auto* body = add.mutable_cluster()->mutable_add_network();
    domain::set(body->mutable_network(), networks.back());
    domain::set(body->mutable_subnet(), ids.next());
    body->set_name("lan" + std::to_string(i + 1));
    const auto base = (10U << 24) | (static_cast<std::uint32_t>(i) << 16);
    body->set_prefix(base);
    body->set_prefix_length(16);
    body->set_gateway(base + 1);
    commands.push_back(std::move(add));
  }
  commit_all(loop, std::move(commands));
  return networks;
}

v1::Command placing_of(id_maker& ids, const uuid& cluster, const uuid& network, const uuid& vm) {
  auto place = for_entity(ids, cluster);
  auto* body = place.mutable_cluster()->mutable_place_vm();
  domain::set(body->mutable_vm(), vm);
  domain::set(body->mutable_nic(), ids.next());
  body->set_name("vm-" + std::to_string(vm.b & 0xffff'ffff));
  domain::set(body->mutable_network(), network);
  body->set_image("tiny");
  body->set_vcpus(1);
  body->set_memory_mib(256);
  return place;
}

v1::Command observation_of(const uuid& command, const uuid& vm, const uuid& node,
                           v1::VmObserved::State state) {
  v1::Command made;
  domain::set(made.mutable_id(), command);
  made.mutable_principal()->set_kind(v1::Principal::HYPERVISOR);
  domain::set(made.mutable_entity(), vm);
  auto* body = made.mutable_vm()->mutable_observe();
  domain::set(body->mutable_node(), node);
  body->set_state(state);
  body->set_generation(1);
  return made;
}

} // namespace

utc_time first_commit_time() { return wall_clock() - std::chrono::minutes(60); }

v1::Command greeting_of(const uuid& node, std::uint64_t nonce) {
  v1::Command made;
  domain::set(made.mutable_id(), make_uuid(wall_clock(), the_partition, nonce));
  made.mutable_principal()->set_kind(v1::Principal::HYPERVISOR);
  domain::set(made.mutable_entity(), node);
  auto* body = made.mutable_node()->mutable_hello();
  body->set_nonce(nonce);
  body->set_hypervisor("simulated");
  body->set_vcpus(64);
  body->set_memory_mib(256 * 1024);
  for (const auto* image : {"tiny", "tiny-crash", "tiny-deaf", "tiny-silent"})
    body->add_images(image);
  return made;
}

stage set_the_stage(plain_loop& loop, std::size_t vms) {
  id_maker ids;
  const auto cluster = ids.next();
  stage made;
  made.node = ids.next();
  make_installation(loop, ids, cluster);
  make_node(loop, ids, cluster, made.node);
  const auto networks =
      make_networks(loop, ids, cluster, (vms + vms_per_network - 1) / vms_per_network);
  std::vector<v1::Command> placings;
  std::vector<v1::Command> sights;
  for (std::size_t i = 0; i < vms; ++i) {
    made.vms.push_back(ids.next());
    placings.push_back(placing_of(ids, cluster, networks[i / vms_per_network], made.vms.back()));
    auto seen = observation_of(ids.next(), made.vms.back(), made.node, v1::VmObserved::REACHABLE);
    seen.mutable_vm()->mutable_observe()->set_node_epoch(1);
    seen.mutable_vm()->mutable_observe()->set_number(i + 1);
    sights.push_back(std::move(seen));
  }
  commit_all(loop, std::move(placings));
  commit_all(loop, std::move(sights));
  return made;
}

observations::observations(const stage& where)
    : x_stage(where), x_is_off(where.vms.size(), false) {}

std::vector<v1::Command> observations::make(std::size_t count, load_kind kind,
                                            std::uint64_t node_epoch) {
  const auto all = x_stage.vms.size();
  const auto hot = std::max<std::size_t>(1, all / 100);
  const auto now = wall_clock();
  std::vector<v1::Command> made;
  made.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const bool is_hot = kind == load_kind::skewed && x_random() % 100 < 80;
    const auto which = static_cast<std::size_t>(x_random() % (is_hot ? hot : all));
    const bool is_off = x_is_off[which];
    x_is_off[which] = !is_off;
    auto seen =
        observation_of(make_uuid(now, the_partition, x_random()), x_stage.vms[which], x_stage.node,
                       is_off ? v1::VmObserved::REACHABLE : v1::VmObserved::STOPPED);
    auto* body = seen.mutable_vm()->mutable_observe();
    if (!is_off)
      body->set_cause(v1::VmObserved::GUEST);
    body->set_node_epoch(node_epoch);
    body->set_number(first_observation + ++x_number);
    body->set_at(to_micros(now));
    made.push_back(std::move(seen));
  }
  return made;
}

void live(plain_loop& loop, observations& seen, std::size_t commands) {
  for (std::size_t done = 0; done < commands; done += commands_per_record)
    (void)loop.commit(
        seen.make(std::min(commands_per_record, commands - done), load_kind::even, 1));
}

void fill(plain_loop& loop, std::size_t vms) {
  const auto set = set_the_stage(loop, vms);
  observations seen(set);
  live(loop, seen, 2 * vms);
}

} // namespace orrery::bench
