#pragma once

#include "actors/api/http/server.hpp"
#include "actors/api/watching.hpp"
#include "actors/messages.hpp"
#include "actors/refolder.hpp"
#include "projections/metrics.hpp"
#include "projections/store.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace orrery::actors {

/// What the API needs of the rest of the process.
struct api_services {
  std::shared_ptr<projections::store> store;
  std::shared_ptr<projections::metrics> metrics;
  std::shared_ptr<refolder> refolds;
  std::shared_ptr<watch_hub> watched;
  std::string token; ///< the one that is accepted
  bool is_read_only = false;
  uuid installation;
  std::size_t partitions = 1; ///< of the log
  /// Commands that wait there.
  std::function<std::size_t(partition_number)> queued;
  // To the partition of the entity that is meant.
  std::function<void(std::shared_ptr<submission>)> submit;
  std::function<void(console_request)> console;
  /// To one partition.
  std::function<void(partition_number, status_request)> status;
  std::function<void(v1::Command&)> stamp; ///< the process's origin
  std::function<utc_time()> wall_clock;
  std::function<std::uint64_t()> random;
};

/// The REST API under /v1 (and /metrics, /healthz): finds the route, checks the token and the
/// syntax, turns changes into commands and reads the projections. A reply to a change is sent when
/// it is accepted in the log *and* folded into this process's projections, so whoever gets it reads
/// what he wrote.
class api {
public:
  explicit api(api_services services);
  api(const api&) = delete;
  api& operator=(const api&) = delete;
  ~api();

  /// Lets go of the actors, after the last request: the actor system waits until nobody holds one.
  void disconnect();

  /// Takes one request; safe from several threads. Reads of the projections happen here and may
  /// block for the disk.
  void handle(http::request request, http::responder respond);

private:
  struct route;
  struct call;

  static const std::vector<route>& routes();

  void get_vms(call& made);
  void get_vm(call& made);
  void post_vm(call& made);
  void delete_vm(call& made);
  void act_on_vm(call& made);
  void set_vm_labels(call& made);
  /// Whether the body of what takes none is empty, or an empty object; else the call has failed.
  static bool says_nothing(call& made);
  void set_vm_rate(call& made);
  void change_vm_addresses(call& made);
  void get_console(call& made);
  void get_clusters(call& made);
  void get_cluster(call& made);
  void post_cluster(call& made);
  void get_nodes(call& made);
  void get_node(call& made);
  void post_node(call& made);
  void get_networks(call& made);
  void get_network(call& made);
  void post_network(call& made);
  void delete_network(call& made);
  void get_jobs(call& made);
  void get_job(call& made);
  void get_events(call& made);
  void get_watch(call& made);
  void get_usage(call& made);
  void get_hypervisors(call& made);
  void get_status(call& made);
  void get_installation(call& made);
  void get_projections(call& made);
  void get_projection(call& made);
  void act_on_projection(call& made);
  void act_on_cluster(call& made);
  void set_upstream(call& made);
  void set_cluster_labels(call& made);
  void act_on_node(call& made);
  void act_on_network(call& made);
  void reserve_addresses(call& made);
  void free_addresses(call& made);
  void set_quarantine(call& made);
  void set_guests(call& made);
  void set_network_labels(call& made);
  void change_network(call& made, v1::NetworkCommand wanted, const std::string& kind);
  void post_trust_clock(call& made);
  void post_set_limit(call& made);
  void get_metrics(call& made);
  void get_health(call& made);

  void send_projection(const call& made, int status);
  [[nodiscard]] result<projections::entry_places> watched_from(const call& made) const;

  /// Sets labels of the thing that was found, the one verb that all nouns have; `Body` gives the
  /// noun's part of a command. `other_verbs` are for who asked for none that there is.
  template <auto Body, class View>
  void set_labels(call& made, const result<projections::answer<View>>& found,
                  const std::string& noun, std::string_view other_verbs = {});

  void send_command(call& made, v1::Command command, std::string kind, std::string name);
  /// What a change is answered with, once it is decided.
  [[nodiscard]] std::function<void(const command_reply&)>
  answering(const call& made, std::string kind, std::string name);

  /// The thing is not there; but a change with the same key may have been made already, and taken
  /// it away: then it gets its first answer.
  void fail_unless_repeated(call& made, const error& missing, std::string kind);

  void answer_command(const http::responder& respond, const command_reply& reply,
                      const std::string& kind, const std::string& name);
  [[nodiscard]] v1::Command new_command(const uuid& entity);
  [[nodiscard]] uuid new_id(partition_number where);
  [[nodiscard]] result<partition_number> emptiest_partition();

  /// An answer that waits for what it tells of.
  struct waiting_answer {
    command_reply reply;
    std::function<void()> send;
    std::chrono::steady_clock::time_point deadline; ///< late is better than never
  };

  /// Runs `then` on the gate's thread once the projections have folded what was decided.
  void when_projected(const command_reply& reply, std::function<void()> then);
  [[nodiscard]] bool is_there(const command_reply& reply, std::chrono::milliseconds patience) const;
  void send_those_there(std::deque<waiting_answer>& waiting) const;
  void run_gate();

  api_services x_services;
  std::mutex x_guard;
  std::condition_variable x_changed;
  std::deque<waiting_answer> x_waiting;
  bool x_is_closing = false;
  std::thread x_gate;
};

} // namespace orrery::actors
