#pragma once

#include "drivers/hypervisor.hpp"
#include "drivers/simulated/store.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace orrery::drivers {

/// The verbs of `hypervisor`, to say which one a fault is meant for.
enum class simulated_verb : std::uint8_t {
  connect,
  list,
  inspect,
  fence,
  define,
  start,
  shutdown,
  kill,
  undefine,
  console,
};

inline constexpr std::size_t simulated_verb_count = 10;

/// What goes wrong, once.
enum class simulated_failure : std::uint8_t {
  fail,            ///< the verb answers `failure` and did nothing
  fail_after,      ///< the verb answers `failure` but has done its work: an answer lost on its way
  slow,            ///< the verb takes `delay` longer
  late,            ///< the verb answers `unavailable` after `patience` and does its work at `delay`
  lose_connection, ///< the connection breaks: `unavailable`, nothing done
};

/// An instruction to misbehave at the `nth` call that matches (counted from now, from 1).
struct simulated_fault {
  simulated_failure what = simulated_failure::fail;
  std::optional<simulated_verb> verb; ///< none: any verb
  std::optional<vm_id> vm;            ///< none: any VM
  std::uint32_t nth = 1;
  std::chrono::milliseconds delay{0};
  std::chrono::milliseconds patience{0};
  error failure{.code = error_code::driver_failed,
                .text = "the simulated hypervisor was told to fail",
                .retryable = false};
};

/// One simulated node's hypervisor and its guests: what lives on when a driver dies. Shared by
/// every driver that claims to speak to this node; all members may be called from any thread.
///
/// A durable world is also shared by processes, as a node is by those who own its cluster one after
/// the other: each sees what the others did.
///
/// How an image behaves is told by its name's ending: `-silent` never answers on its address,
/// `-deaf` ignores a graceful shutdown, `-crash` dies one verb time after each start. So a system
/// test can order such guests through the API.
class simulated_world {
public:
  struct options {
    /// Each verb takes so long; 0 means no sleep and no second thread at all.
    std::chrono::microseconds verb_time{5000};
    /// How long a verb waits for another one on the same guest before it answers `unavailable`.
    std::chrono::milliseconds patience{60'000};
    /// Where the guests are kept, one small file each; empty: in memory only.
    std::filesystem::path directory;
    vcpu_count vcpus{64};
    mib memory{256ULL * 1024};
    std::vector<std::string> images{"tiny", "tiny-crash", "tiny-deaf", "tiny-silent"};
  };

  /// A world in memory, or the one found in the directory: what was under way there when the last
  /// process died goes on and ends. Errors: `damaged`, `io_failed`.
  [[nodiscard]] static result<std::shared_ptr<simulated_world>> open(options settings);

  simulated_world(const simulated_world&) = delete;
  simulated_world& operator=(const simulated_world&) = delete;
  ~simulated_world();

  /// Would the guest answer on its address? True for a running guest, unless it was told not to.
  [[nodiscard]] bool answers(vm_id vm);

  /// The same for whichever guest is plugged into this link.
  [[nodiscard]] bool answers_on(const std::string& link);

  /// The guest that is defined with that link.
  [[nodiscard]] std::optional<vm_id> guest_on(const std::string& link);

  /// From now on this guest never answers (`is_silent`), or does again. May be said before the
  /// guest exists.
  void set_silent(vm_id vm, bool is_silent);

  /// From now on this guest ignores a graceful shutdown, or obeys again.
  void set_deaf(vm_id vm, bool is_deaf);

  /// Adds a fault; several may wait at once, and each strikes once.
  void plan(simulated_fault fault);

  /// Forgets the faults that have not struck.
  void forget_faults();

  /// The guest's process dies: stopped, `crashed`. Not running: nothing.
  void crash_guest(vm_id vm);

  /// Somebody else pulls the plug: stopped, `host`. Not running: nothing.
  void destroy_guest(vm_id vm);

  /// The guest shuts itself down: stopped, `guest`. Not running: nothing.
  void power_off_guest(vm_id vm);

  /// The guest vanishes, running or not, as if somebody else had undefined it.
  void lose_guest(vm_id vm);

  /// Every driver's connection breaks; each must `connect` again.
  void lose_connections();

  /// How the guest stands, with what no driver tells; none when there is none.
  [[nodiscard]] std::optional<simulated_guest> guest(vm_id vm);

  [[nodiscard]] std::size_t guest_count();

  /// How often this verb was called on any driver of this world.
  [[nodiscard]] std::uint64_t verb_count(simulated_verb verb) const;

private:
  friend class simulated_hypervisor;

  using steady_time = std::chrono::steady_clock::time_point;

  /// One driver's ear. Alive as long as the driver, known to the world by a weak pointer.
  struct observer {
    std::shared_mutex guard; ///< held shared while `listener` runs, so that `listen` can wait
    guest_listener listener;
    std::atomic<bool> is_connected = false;
  };

  /// A durable world has one that is used, whose lock goes with the turn among the processes.
  struct shard {
    std::mutex guard;
    std::condition_variable job_ended;
    std::unordered_map<uuid, simulated_guest> guests;
  };

  struct armed_fault {
    simulated_fault fault;
    std::uint32_t calls_left;
  };

  enum class alarm_kind : std::uint8_t { job, fate };

  struct alarm {
    vm_id vm;
    alarm_kind kind;
    std::chrono::system_clock::time_point due{}; ///< of the job that is meant
  };

  /// A shard's lock, and among processes the turn: what others changed before is read first.
  class turn {
  public:
    turn(simulated_world& world, shard& where);
    turn(const turn&) = delete;
    turn& operator=(const turn&) = delete;
    ~turn();

    /// Gives it away until something may have changed, or `deadline`; false: that has passed.
    [[nodiscard]] bool wait(steady_time deadline);

  private:
    void begin();
    void end();

    simulated_world& x_world;
    shard& x_where;
    std::unique_lock<std::mutex> x_lock;
  };

  /// What a change of one guest did.
  struct outcome {
    result<guest_seen> seen;
    bool is_visible = false; ///< a listener should hear of it
  };

  // Many guests on few locks: 64 keeps the chance of two of 8 threads meeting below a half.
  static constexpr std::size_t shard_count = 64;

  explicit simulated_world(options settings);

  void attach(const std::shared_ptr<observer>& ear);
  void notify(vm_id vm);
  void disconnect(observer& ear);

  [[nodiscard]] shard& shard_of(vm_id vm);
  [[nodiscard]] std::span<shard> shards(); ///< all that are used

  /// Counts the call and says which fault strikes it, if any.
  [[nodiscard]] std::optional<simulated_fault> begin(simulated_verb verb, std::optional<vm_id> vm);

  [[nodiscard]] result<guest_seen> change(vm_id vm, simulated_operation operation,
                                          std::chrono::microseconds duration,
                                          std::chrono::microseconds patience);
  [[nodiscard]] result<guest_seen> finish_job(vm_id vm, std::chrono::system_clock::time_point due);
  void finish_fate(vm_id vm);
  void stop_guest(vm_id vm, stop_cause cause);

  void plug(vm_id vm, const std::string& link);
  void unplug(const std::string& link);

  [[nodiscard]] outcome apply(shard& where, vm_id vm, const simulated_operation& operation);
  [[nodiscard]] outcome apply_define(std::optional<simulated_guest>& guest,
                                     const simulated_operation& operation) const;
  [[nodiscard]] outcome apply_known(vm_id vm, std::optional<simulated_guest>& guest,
                                    const simulated_operation& operation) const;
  [[nodiscard]] bool obeys_shutdown(vm_id vm, const simulated_guest& guest) const;
  [[nodiscard]] result<void> keep(vm_id vm, const std::optional<simulated_guest>& guest);

  void set_alarm(std::chrono::microseconds from_now, alarm what);
  void ring_alarms();
  void resume(const std::vector<std::pair<vm_id, simulated_guest>>& guests,
              std::chrono::microseconds patience);

  const options x_options;
  std::optional<simulated_store> x_store;
  std::uint64_t x_changes = 0; ///< of a durable world, as they are known; needs the turn
  std::array<shard, shard_count> x_shards;

  std::array<std::atomic<std::uint64_t>, simulated_verb_count> x_verb_counts{};

  mutable std::mutex x_links_guard;
  std::unordered_map<std::string, vm_id> x_links; ///< who is plugged into which link

  mutable std::mutex x_told_guard;
  std::vector<armed_fault> x_faults;
  std::set<vm_id> x_silent;
  std::set<vm_id> x_deaf;
  std::atomic<bool> x_has_faults = false;
  std::atomic<bool> x_has_told = false; ///< any of `x_silent`, `x_deaf`: spares the lock

  mutable std::shared_mutex x_observers_guard;
  std::vector<std::weak_ptr<observer>> x_observers;

  std::mutex x_alarms_guard;
  std::condition_variable x_alarms_changed;
  std::multimap<steady_time, alarm> x_alarms;
  bool x_is_closing = false;
  std::thread x_alarm_thread; ///< started with the first alarm
};

/// The guest as a driver reports it.
[[nodiscard]] guest_seen seen_of(vm_id vm, const std::optional<simulated_guest>& guest);

} // namespace orrery::drivers
