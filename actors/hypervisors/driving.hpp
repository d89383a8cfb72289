#pragma once

#include "actors/hypervisors/guest_work.hpp"
#include "drivers/capabilities.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace orrery::actors {

/// What makes one kind of hypervisor differ from another, as its actor is concerned. A new kind is
/// a new file beside this one that fills it, and a line in the table of tools/orreryd.
struct hypervisor_kind_traits {
  v1::HypervisorKind kind = v1::HYPERVISOR_KIND_UNSPECIFIED;
  /// Verbs under way at once on one node.
  std::size_t operations_max = 4;
  /// How long one question by ARP waits; then other work has its turn.
  std::chrono::milliseconds arp_patience{300};
  /// Makes the driver and the network of a node; connects nothing. Errors: a wrong endpoint.
  std::function<result<node_link>(const uuid& node, const domain::node_state& state)> make_link;
};

/// What a hypervisor's actor counts.
struct hypervisor_observer {
  /// `outcome`: "done", or the name of an error code.
  std::function<void(std::string_view kind, std::string_view verb, std::string_view outcome,
                     std::chrono::microseconds took)>
      effect_done;
};

/// Where the blocking verbs of one node run. Work of the same key (a VM; none: the node itself)
/// runs one after the other, in order. When it ends it drops what has not begun and waits for what
/// has.
class bench {
public:
  using work = std::function<void()>;

  bench() = default;
  bench(const bench&) = delete;
  bench& operator=(const bench&) = delete;
  virtual ~bench() = default;

  /// Hands over a piece of work. Does not block.
  virtual void add(const uuid& key, work todo) = 0;

  /// The keys of which something waits or is under way.
  [[nodiscard]] virtual std::unordered_set<uuid> busy() = 0;
};

struct driving_birth {
  hypervisor_kind_traits traits;
  uuid installation;
  partition_number where{};
  std::uint64_t incarnation = 1;
  std::function<utc_time()> wall_clock;
  std::function<std::chrono::steady_clock::time_point()> steady_clock; ///< from any thread
  std::function<std::uint64_t()> random;
  hypervisor_observer tell;
};

/// What a driving has others do.
class driving_hands {
public:
  driving_hands() = default;
  driving_hands(const driving_hands&) = delete;
  driving_hands& operator=(const driving_hands&) = delete;
  virtual ~driving_hands() = default;

  /// `threads`: how much of different keys runs side by side.
  [[nodiscard]] virtual std::unique_ptr<bench> make_bench(std::size_t threads) = 0;

  /// Has something done on the driving's own turn, as long as it lives. The function may be called
  /// from any thread.
  [[nodiscard]] virtual std::function<void(std::function<void()>)> poster() = 0;

  /// A command for the partition, complete but for its origin.
  virtual void send(v1::Command command) = 0;
};

/// A cluster's nodes and guests, driven to where its accepted state wants them, by whoever owns the
/// partition. Without threads and actors, so that the simulation runs what the product runs.
class cluster_driving {
public:
  cluster_driving(driving_birth birth, driving_hands& hands);

  /// The cluster, its nodes and VMs, when ownership began with `log_epoch`.
  void on_world(const std::vector<std::pair<uuid, domain::entity_ptr>>& entities,
                std::uint64_t log_epoch);

  /// An entity's accepted state changed (or ended: null).
  void on_changed(const uuid& entity, const domain::entity_ptr& state);

  /// A guest's last words on its console, at most `bytes_max` of them.
  void console(const uuid& vm, std::size_t bytes_max,
               std::function<void(result<std::string>)> done);

  /// To be called every `tick_interval`.
  void on_tick();

  /// Touches nothing any more; waits for verbs under way.
  void stop();

  static constexpr std::chrono::milliseconds tick_interval{250};

private:
  using steady_time = std::chrono::steady_clock::time_point;

  /// Between attempts to reach a node, or to do something to a guest that failed: doubled each
  /// time, up to the maximum.
  static constexpr std::chrono::milliseconds pause_min{500};
  static constexpr std::chrono::milliseconds pause_max{10'000};

  enum class node_phase : std::uint8_t { known, connecting, greeting, preparing, serving };

  /// Work on the bench holds a plain pointer to it: the bench ends, and waits for its threads,
  /// before the link does.
  struct node_bench {
    node_link link;
    std::unique_ptr<bench> tasks;

    node_bench(node_link made, std::unique_ptr<bench> on)
        : link(std::move(made)), tasks(std::move(on)) {}

    ~node_bench() {
      if (link.hypervisor)
        link.hypervisor->listen({});
    }
  };

  struct node_entry {
    domain::entity_ptr state;
    std::unique_ptr<node_bench> bench;
    node_phase phase = node_phase::known;
    std::uint64_t nonce = 0;
    std::uint64_t number = 0; ///< of the last observation in this epoch
    steady_time not_before;
    std::chrono::milliseconds pause = pause_min;
    steady_time last_sweep;
    steady_time last_alive;
    bool is_looking_for_strays = false;
    bool must_look_again = false;
    bool is_speaking = false;                            ///< with the routers, just now
    steady_time last_words;                              ///< with them
    std::vector<domain::upstream_session> sessions_seen; ///< with them, at the last look
    bool was_silent = false;                             ///< nobody was heard, at the last look
    /// VMs whose ports are to be made right once the node is served: they changed while its network
    /// was prepared, or what was under way then may have put back what they were.
    std::unordered_set<uuid> ports_to_amend;
    bool is_sweeping = false;   ///< the next list is compared with what is known of each guest
    std::set<uuid> strays_told; ///< of which people were told in this connection

    /// Whether something stands in the log of how it stands with routers.
    [[nodiscard]] bool has_words() const {
      return !node().upstream.empty() || !node().upstream_problem.empty();
    }

    [[nodiscard]] const domain::node_state& node() const {
      return std::get<domain::node_state>(*state);
    }
  };

  struct guest_entry {
    domain::entity_ptr state;
    domain::wanted_effect busy_with; ///< under way on the workbench; verb nothing: idle
    bool is_busy = false;
    bool is_announced = false;  ///< as its node was last asked
    domain::wanted_effect done; ///< the last effect that was pursued to its end, behind a fence
    steady_time not_before;
    std::chrono::milliseconds pause = pause_min;

    [[nodiscard]] const domain::vm_state& vm() const { return std::get<domain::vm_state>(*state); }
  };

  void on_cluster(const domain::entity_ptr& state);
  void on_node(const uuid& node, const domain::entity_ptr& state);
  void on_network(const uuid& network, const domain::network_state& state);
  void on_guest(const uuid& vm, const domain::entity_ptr& state);

  void connect(const uuid& node);
  void on_connected(const uuid& node, const result<drivers::node_facts>& facts);

  /// How a node's network was prepared, what guests were there then, and of which others are told.
  struct network_report {
    result<std::vector<drivers::guest_seen>> listed;
    result<pvip::apply_report> done = pvip::apply_report{};
    std::unordered_set<uuid> announced{};
  };

  void prepare(const uuid& node);
  void on_prepared(const uuid& node, std::uint64_t nonce, const network_report& report);
  /// Has the node answer the routers' ARP where the cluster's upstream says, if it does.
  void answer_arp(const uuid& node);
  /// Repairs what somebody changed in the node's network behind our back.
  void recheck_network(const uuid& node);
  /// Has the node speak with the routers as is wished, and notes how it stands with them.
  void speak_with_routers(const uuid& node);
  void on_spoken(const uuid& node, const upstream_report& report);
  /// What the guests of a network are told.
  [[nodiscard]] std::shared_ptr<const v1::GuestSettings> settings_of(const uuid& network) const;
  /// Has the node change what a guest's port passes and tells, if the guest has a port.
  void amend_port(const uuid& vm, const guest_entry& guest);

  /// What guests are touched under.
  [[nodiscard]] drivers::fencing_token token() const { return {x_birth.incarnation, x_log_epoch}; }

  /// Tells the VM what of its NIC is on no port any more, so that others may have it.
  void note_port(const uuid& vm, std::uint64_t nonce, const std::vector<uuid>& without);
  /// Of a VM that ended without our verb, since its guest went by itself.
  void remove_port(const uuid& vm, const guest_entry& guest);
  /// Repairs what a verb that was given up, or done late, has left of it: `announced` are the links
  /// of which others are told.
  void announce_guests(const uuid& node, const std::unordered_set<std::string>& announced);
  /// Has others told of a guest that runs, and not of one that does not.
  void announce_guest(const uuid& vm, guest_entry& guest);
  void lose(const uuid& node, const std::string& reason);
  void stay_in_touch(const uuid& node, node_entry& entry);

  /// A stray is a guest of ours on a node that has no VM: what a dead predecessor had asked for,
  /// and the hypervisor did only after the guest was seen gone. One that never ran is removed.
  void look_for_strays(const uuid& node);
  void on_guests_listed(const uuid& node, const result<std::vector<drivers::guest_seen>>& listed);
  void remove_stray(const uuid& node, vm_id vm);
  /// Asks each guest of the node that is not as the node's list says.
  void ask_changed(const uuid& node, const std::vector<drivers::guest_seen>& listed);

  void ask_guest(const uuid& vm, bool is_fenced);
  void pursue_guest(const uuid& vm);
  [[nodiscard]] static generation_number proven_wish(const guest_entry& guest);
  void on_pursued(const uuid& vm, const domain::wanted_effect& wanted, const work_report& report,
                  std::chrono::microseconds took);
  /// `wish`: generation of the newest wish that was known when the looking began.
  void observe(const uuid& vm, const std::vector<sighting>& seen, generation_number wish);
  void report_failure(const guest_entry& guest, const uuid& vm, const work_failure& failure);
  void retry_later(guest_entry& guest);

  void send_command(v1::Command command, const uuid& entity);
  [[nodiscard]] node_entry* serving_node_of(const guest_entry& guest);
  /// Whether a guest is there, and its node served by the connection that it was asked over.
  [[nodiscard]] bool is_served(const uuid& vm, std::uint64_t nonce);

  driving_birth x_birth;
  driving_hands& x_hands;
  std::uint64_t x_log_epoch = 0;
  std::uint64_t x_cluster_version = 0;
  upstream_wish x_upstream;
  std::unordered_map<uuid, std::shared_ptr<const v1::GuestSettings>> x_settings; ///< by network
  std::map<uuid, node_entry> x_nodes;
  std::unordered_map<uuid, guest_entry> x_guests;
  std::set<uuid> x_wanting; ///< guests of which something is wanted
  bool x_is_stopped = false;
};

} // namespace orrery::actors
