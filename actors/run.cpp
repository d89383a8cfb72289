#include "actors/run.hpp"

#include "actors/api/api.hpp"
#include "actors/file_limit.hpp"
#include "actors/hypervisors/kinds.hpp"
#include "actors/log_opening.hpp"
#include "actors/log_reader.hpp"
#include "actors/mapped_file.hpp"
#include "actors/membership.hpp"
#include "actors/partition.hpp"
#include "actors/policies.hpp"
#include "actors/private_files.hpp"
#include "actors/projector.hpp"
#include "actors/refolder.hpp"
#include "actors/snapshot_files.hpp"
#include "actors/snapshot_keeper.hpp"
#include "actors/system_config.hpp"
#include "events/log/new_identity.hpp"
#include "projections/state_totals.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/send.hpp>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <utility>

namespace orrery::actors {

namespace {

using log::random_number;

/// Chunks of records on their way to the partitions: 16 MB.
constexpr std::size_t chunks_handed_max = 4;

/// Commits on their way to the projections: a tenth of a second's work.
constexpr std::size_t commits_projected_max = 1'024;

/// How long a start waits for the projections to catch up with the log.
constexpr std::chrono::hours catch_up_patience{24};

/// How long a process that ends waits for others to own its partitions: several times what it
/// takes.
constexpr std::chrono::seconds hand_over_patience{3};

/// How long a partition may take to say what it knows of others.
constexpr std::chrono::seconds acknowledged_patience{10};

std::string snapshots_in(const config& settings) { return settings.data_directory + "/snapshots"; }

utc_time wall_clock() {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

/// One partition in this process.
struct seat {
  explicit seat(partition_number number) : where(number) {}

  const partition_number where;
  const std::shared_ptr<std::atomic<std::size_t>> queued =
      std::make_shared<std::atomic<std::size_t>>(0);
  projections::state_totals totals; ///< the partition's thread only
  std::optional<mapped_file> deciding;
  std::shared_ptr<partition_snapshot> start; ///< what it goes on from; null: the first record
  log::offset first = 0;                     ///< to read
  // Guarded by the process.
  bool is_replayed = false;
  bool was_owned = false;
  std::uint64_t last_commit_seq = 0; ///< of what was in the log at start
};

/// Everything of one process, in the order in which it is made.
class process {
public:
  process(const config& settings, const run_events& tell) : x_settings(settings), x_tell(tell) {}

  result<void> start();
  result<void> wait();
  void stop();

private:
  void start_actors();
  void start_membership();
  void observe(partition_birth& birth, seat& of);
  void share(partition_birth& birth);
  partition_birth make_partition_birth(seat& of);
  std::shared_ptr<last_moment> remember_moment(seat& of);
  hypervisor_birth make_hypervisor_birth(const hypervisor_kind_traits& traits, const uuid& cluster,
                                         const partition_actor& partition);
  api_services make_api_services();
  void start_refolder();
  result<void> find_starts();
  void start_snapshots();
  std::optional<std::map<partition_number, std::uint64_t>> acknowledged(partition_number where);
  result<void> bind_server();
  result<void> wait_until_replayed();
  [[nodiscard]] std::optional<partition_actor> partition_at(partition_number where);
  void carry(const v1::Command& command);
  void stamp(v1::Command& command);
  void fail(const error& why);

  const config& x_settings;
  const run_events& x_tell;
  std::string x_token;
  domain::kind_policies x_policies = make_policies();
  opened_log x_log;
  std::shared_ptr<projections::store> x_store;
  std::shared_ptr<projections::metrics> x_metrics = std::make_shared<projections::metrics>(
      projections::metrics_birth{ORRERY_VERSION, x_settings.data_directory});
  std::shared_ptr<watch_hub> x_watched;
  std::shared_ptr<flow> x_handed = std::make_shared<flow>(chunks_handed_max);
  std::shared_ptr<flow> x_projected = std::make_shared<flow>(commits_projected_max);
  std::uint64_t x_origin_nonce = random_number() | 1;
  std::atomic<std::uint64_t> x_origin_number{0};
  std::vector<hypervisor_kind_traits> x_kinds;

  std::mutex x_guard;
  std::condition_variable x_changed;
  std::optional<error> x_failure;
  std::deque<seat> x_seats;                  ///< by number
  std::vector<partition_actor> x_partitions; ///< by number; none once they are about to end

  std::unique_ptr<caf::actor_system_config> x_actor_config;
  std::unique_ptr<caf::actor_system> x_system;
  std::optional<projector_actor> x_projector;
  std::vector<std::unique_ptr<log_reader>> x_readers;
  std::unique_ptr<membership> x_members; ///< of a shared log
  std::shared_ptr<refolder> x_refolder;
  std::unique_ptr<snapshot_keeper> x_snapshots;
  std::unique_ptr<api> x_api;
  std::unique_ptr<http::server> x_server;
};

void process::stamp(v1::Command& command) {
  command.mutable_origin()->set_nonce(x_origin_nonce);
  command.mutable_origin()->set_number(++x_origin_number);
}

/// Told by any thread; the main thread wakes and ends everything.
void process::fail(const error& why) {
  {
    const std::lock_guard lock(x_guard);
    if (!x_failure)
      x_failure = why;
  }
  x_changed.notify_all();
  ::kill(::getpid(), SIGTERM);
}

std::optional<partition_actor> process::partition_at(partition_number where) {
  const std::lock_guard lock(x_guard);
  const auto index = static_cast<std::size_t>(where);
  return index < x_partitions.size() ? std::optional(x_partitions[index]) : std::nullopt;
}

/// To whoever owns the partition that the command is for: only this process when the log is not
/// shared.
void process::carry(const v1::Command& command) {
  if (x_members)
    return x_members->carry(command);
  if (const auto to = partition_at(domain::target_of(command)))
    caf::anon_send(*to,
                   carried{std::make_shared<std::vector<v1::Command>>(std::size_t{1}, command)});
}

partition_birth process::make_partition_birth(seat& of) {
  partition_birth birth;
  birth.engine.where = of.where;
  birth.log = x_log.log;
  birth.engine.identity = x_log.identity;
  birth.engine.policies = &x_policies;
  birth.engine.edition = x_settings.edition;
  birth.engine.is_read_only = x_settings.is_read_only;
  birth.engine.owner_name = "orreryd " + std::to_string(::getpid());
  birth.engine.address = x_settings.listen;
  const auto end = x_log.log->end(of.where);
  birth.engine.start = std::exchange(of.start, nullptr);
  birth.engine.end_at_start = end ? *end : 0; // an error is told by the first read
  birth.engine.projected_seq = x_store->lowest_position(of.where).seq;
  birth.projector = x_projector;
  birth.handed = x_handed;
  birth.projected = x_projected;
  birth.engine.queued = of.queued;
  birth.engine.moment = remember_moment(of);
  birth.make_hypervisor =
      [this](v1::HypervisorKind kind, const uuid& cluster,
             const partition_actor& partition) -> std::optional<hypervisor_actor> {
    for (const auto& traits : x_kinds)
      if (traits.kind == kind)
        return spawn_hypervisor(*x_system, make_hypervisor_birth(traits, cluster, partition));
    return std::nullopt;
  };
  birth.carry = [this](const v1::Command& command) { carry(command); };
  birth.engine.wall_clock = wall_clock;
  birth.engine.steady_clock = std::chrono::steady_clock::now;
  birth.engine.random = random_number;
  observe(birth, of);
  if (x_members)
    share(birth);
  return birth;
}

/// Where the partition notes what it is about to decide. Without it a command that ends orreryd is
/// not found, but all else goes on.
std::shared_ptr<last_moment> process::remember_moment(seat& of) {
  if (x_settings.is_read_only)
    return nullptr;
  auto file = mapped_file::open(x_settings.data_directory + "/deciding-" + to_text(of.where),
                                last_moment::size);
  if (!file) {
    std::fprintf(stderr, "warn: %s\n", file.error().text.c_str());
    return nullptr;
  }
  of.deciding.emplace(std::move(*file));
  auto made = std::make_shared<last_moment>(of.deciding->memory(), ORRERY_VERSION);
  if (made->died_deciding())
    std::fprintf(stderr,
                 "warn: orreryd died when it decided something for partition %s: it decides one "
                 "command after the other for a minute\n",
                 to_text(of.where).c_str());
  return made;
}

/// What the process wants to know of a partition as it goes.
void process::observe(partition_birth& birth, seat& of) {
  auto& tell = birth.engine.tell;
  const auto where = of.where;
  tell.check_projections = [this, where](std::uint64_t seq, const log::digest& head) {
    return x_store->check(where, seq, head);
  };
  tell.present = [&of](const domain::entity_state& state) { of.totals.add(state); };
  tell.replayed = [this, &of](std::uint64_t last_seq,
                              std::uint64_t last_commit_seq) -> result<void> {
    if (auto checked = x_store->check_log_end(of.where, last_seq); !checked)
      return checked;
    x_metrics->set_log_end(of.where, last_commit_seq);
    {
      const std::lock_guard lock(x_guard);
      of.is_replayed = true;
      of.last_commit_seq = last_commit_seq;
    }
    x_changed.notify_all();
    return {};
  };
  tell.owning = [this, &of](std::uint64_t epoch) {
    std::fprintf(stderr, "info: log: owning partition %u since record %llu\n",
                 static_cast<unsigned>(of.where), static_cast<unsigned long long>(epoch));
    {
      const std::lock_guard lock(x_guard);
      of.was_owned = true;
    }
    x_changed.notify_all();
  };
  tell.owning_ended = [this, where] { x_metrics->clear_state(where); };
  tell.fatal = [this](const error& why) { fail(why); };
  tell.command_decided = [this](std::string_view noun, std::string_view outcome) {
    x_metrics->count_command(noun, outcome);
  };
  tell.committed = [this](const projections::folded_commit& commit,
                          std::chrono::microseconds took) {
    x_metrics->count_commit(commit, took);
  };
  tell.standing = [this, where](const engine_status& now) {
    x_metrics->set_standing(where, {now.standing, now.queued, now.is_blocked});
  };
  tell.record_void = [this](std::string_view reason) { x_metrics->count_void_record(reason); };
  tell.folded = [this, &of](const projections::folded_commit& folded) {
    of.totals.apply(folded.touched);
    x_metrics->set_log_end(of.where, folded.seq);
  };
  tell.still_owning = [this, &of] { x_metrics->set_state(of.where, of.totals.gauges()); };
  tell.clock_trusted = [this] {
    const std::lock_guard lock(x_guard);
    for (const auto& one : x_partitions)
      caf::anon_send(one, trust_clock_atom::value);
  };
  tell.stream_taken = [this, where](partition_number source, std::uint64_t number) {
    if (const auto to = partition_at(source))
      caf::anon_send(*to, stream_taken{where, number});
  };
}

/// What a partition of a shared log does beside: it tells the membership how it stands.
void process::share(partition_birth& birth) {
  birth.engine.is_shared = true;
  birth.engine.process = x_origin_nonce;
  auto& tell = birth.engine.tell;
  const auto where = birth.engine.where;
  tell.current = [this, where](bool is_current) { x_members->on_current(where, is_current); };
  tell.waiting = [this, where](std::uint64_t owner) { x_members->on_waiting(where, owner); };
  tell.owning = [this, where, also = tell.owning](std::uint64_t epoch) {
    also(epoch);
    x_members->on_owning(where, true);
  };
  tell.owning_ended = [this, where, also = tell.owning_ended] {
    also();
    std::fprintf(stderr, "info: log: another process owns partition %u now, or will\n",
                 static_cast<unsigned>(where));
    x_members->on_owning(where, false);
  };
  tell.claimed = [this, where](std::uint64_t by) { x_members->on_claimed(where, by); };
  tell.folded = [this, also = tell.folded](const projections::folded_commit& folded) {
    also(folded);
    x_members->on_accepted(folded.where, folded.seq);
  };
}

void process::start_membership() {
  if (!x_log.commands || x_settings.is_read_only)
    return;
  membership_birth birth;
  birth.commands = x_log.commands;
  birth.heartbeats = x_log.heartbeats;
  birth.self = log::process_id{x_origin_nonce};
  birth.address = x_settings.listen;
  birth.partitions = x_log.partitions;
  x_members = std::make_unique<membership>(std::move(birth));
}

hypervisor_birth process::make_hypervisor_birth(const hypervisor_kind_traits& traits,
                                                const uuid& cluster,
                                                const partition_actor& partition) {
  hypervisor_birth birth;
  birth.traits = traits;
  birth.installation = x_log.identity.installation.value;
  birth.cluster = cluster;
  birth.partition = partition;
  birth.where = cluster.partition();
  birth.incarnation = x_log.incarnation;
  birth.stamp = [this](v1::Command& command) { stamp(command); };
  birth.wall_clock = wall_clock;
  birth.random = random_number;
  birth.tell.effect_done = [this](std::string_view kind, std::string_view verb,
                                  std::string_view outcome, std::chrono::microseconds took) {
    x_metrics->count(projections::hypervisor_effect{kind, verb, outcome, took});
  };
  return birth;
}

api_services process::make_api_services() {
  api_services services;
  services.store = x_store;
  services.metrics = x_metrics;
  services.refolds = x_refolder;
  services.watched = x_watched;
  services.token = x_token;
  services.is_read_only = x_settings.is_read_only;
  services.installation = x_log.identity.installation.value;
  services.partitions = x_seats.size();
  services.queued = [this](partition_number where) {
    const auto index = static_cast<std::size_t>(where);
    return index < x_seats.size() ? x_seats[index].queued->load() : 0;
  };
  services.submit = [this](std::shared_ptr<submission> what) {
    if (const auto to = partition_at(domain::target_of(what->command)))
      caf::anon_send(*to, submit{std::move(what)});
    else
      refuse(*what, wrong_partition(what->command));
  };
  services.console = [this](console_request asked) {
    if (const auto to = partition_at(asked.vm.partition()))
      caf::anon_send(*to, std::move(asked));
  };
  services.status = [this](partition_number where, status_request asked) {
    if (const auto to = partition_at(where))
      caf::anon_send(*to, std::move(asked));
  };
  services.stamp = [this](v1::Command& command) { stamp(command); };
  services.wall_clock = wall_clock;
  services.random = random_number;
  return services;
}

/// The snapshots that the partitions go on from.
result<void> process::find_starts() {
  for (std::size_t i = 0; i < x_log.partitions; ++i) {
    auto& one = x_seats.emplace_back(static_cast<partition_number>(i));
    auto found = find_snapshot(
        snapshots_in(x_settings), x_log.identity, one.where,
        x_store->lowest_position(one.where).seq, *x_log.log, [](const error& why) {
          std::fprintf(stderr, "warn: a snapshot is passed over: %s\n", why.text.c_str());
        });
    if (!found)
      return found.error();
    if (!*found)
      continue;
    const auto& at = **found;
    if (auto checked = x_store->check(one.where, at.seq(), at.head.hash); !checked)
      return checked;
    one.first = at.next;
    one.last_commit_seq = at.seq();
    one.start = std::make_shared<partition_snapshot>(std::move(**found));
    std::fprintf(stderr, "info: log: partition %s goes on from a snapshot of record %llu\n",
                 to_text(one.where).c_str(), static_cast<unsigned long long>(one.last_commit_seq));
  }
  return {};
}

/// What a partition knows that others have decided of its messages.
std::optional<std::map<partition_number, std::uint64_t>>
process::acknowledged(partition_number where) {
  struct answer {
    std::mutex guard;
    std::condition_variable changed;
    std::optional<std::map<partition_number, std::uint64_t>> told;
  };

  const auto to = partition_at(where);
  if (!to)
    return std::nullopt;
  const auto waited = std::make_shared<answer>();
  status_request asked;
  asked.done = [waited](const partition_status& status) {
    {
      const std::lock_guard lock(waited->guard);
      waited->told = status.acknowledged;
    }
    waited->changed.notify_one();
  };
  caf::anon_send(*to, std::move(asked));
  std::unique_lock lock(waited->guard);
  static_cast<void>(waited->changed.wait_for(lock, acknowledged_patience,
                                             [&] { return waited->told.has_value(); }));
  return waited->told;
}

void process::start_snapshots() {
  if (x_settings.is_read_only)
    return;
  snapshot_keeper_birth birth;
  birth.log = x_log.log;
  birth.identity = x_log.identity;
  birth.partitions = x_seats.size();
  birth.store = x_store;
  birth.directory = snapshots_in(x_settings);
  birth.interval = x_settings.snapshot_interval;
  birth.acknowledged = [this](partition_number where) { return acknowledged(where); };
  std::vector<log::offset> last;
  for (const auto& one : x_seats)
    last.push_back(one.first);
  x_snapshots = std::make_unique<snapshot_keeper>(std::move(birth), std::move(last));
}

void process::start_refolder() {
  refolder_birth birth;
  birth.log = x_log.log;
  birth.identity = x_log.identity;
  birth.partitions = x_seats.size();
  birth.store = x_store;
  birth.wall_clock = wall_clock;
  x_refolder = std::make_shared<refolder>(std::move(birth));
}

void process::start_actors() {
  x_actor_config = make_system_config(x_settings.scheduler_threads);
  x_system = std::make_unique<caf::actor_system>(*x_actor_config);
  projector_birth projector;
  projector.store = x_store;
  projector.projected = x_projected;
  projector.fatal = [this](const error& why) { fail(why); };
  projector.applied = [this] {
    for (const auto& one : x_store->status())
      x_metrics->set_projection(one.name, one.at.total());
    x_watched->wake();
  };
  x_projector = spawn_projector(*x_system, std::move(projector));
  x_metrics->set_partitions(x_log.partitions);
  start_membership();
  std::vector<partition_actor> made;
  for (auto& one : x_seats)
    made.push_back(spawn_partition(*x_system, make_partition_birth(one)));
  {
    const std::lock_guard lock(x_guard);
    x_partitions = made;
  }
  if (x_members)
    x_members->serve(made);
  for (const auto& one : x_seats)
    x_readers.push_back(std::make_unique<log_reader>(x_log.log, one.where, one.first,
                                                     made[static_cast<std::size_t>(one.where)],
                                                     x_handed, x_projected));
}

/// Until everything that was in the log at start is folded and projected, and, when nobody else can
/// own it, owned.
result<void> process::wait_until_replayed() {
  const bool needs_owner = !x_settings.is_read_only && !x_members;
  {
    std::unique_lock lock(x_guard);
    x_changed.wait(lock, [&] {
      return x_failure || std::ranges::all_of(x_seats, [needs_owner](const seat& one) {
               return one.is_replayed && (one.was_owned || !needs_owner);
             });
    });
    if (x_failure)
      return *x_failure;
  }
  for (const auto& one : x_seats)
    if (!x_store->wait_for(one.where, one.last_commit_seq, catch_up_patience))
      return error{error_code::timed_out, "the projections do not catch up with the log", true};
  return {};
}

/// Takes the port before anything is claimed, so that two of one configuration harm nobody.
result<void> process::bind_server() {
  http::options wanted;
  wanted.listen = x_settings.listen;
  wanted.threads = 4;
  const auto open_files_max = allow_open_files(open_files_wanted());
  wanted.limits.streams = streams_within(open_files_max);
  if (wanted.limits.streams < http::stream_count_max)
    std::fprintf(stderr,
                 "warn: orreryd may have %zu files open, and wants %zu: at most %zu clients can "
                 "watch events at once; raise its hard limit (ulimit -Hn, LimitNOFILE)\n",
                 open_files_max, open_files_wanted(), wanted.limits.streams);
  auto server = http::server::bind(wanted, [this](http::request request, http::responder respond) {
    x_api->handle(std::move(request), std::move(respond));
  });
  if (!server)
    return server.error();
  x_server = std::move(*server);
  return {};
}

result<void> process::start() {
  if (auto made = make_directory(x_settings.data_directory); !made)
    return made;
  if (auto bound = bind_server(); !bound)
    return bound;
  auto token = load_token(x_settings.token_file);
  if (!token)
    return token.error();
  x_token = std::move(*token);
  auto opened = open_log(x_settings);
  if (!opened)
    return opened.error();
  x_log = std::move(*opened);
  const auto rows = x_settings.data_directory + "/projections";
  if (auto made = make_directory(rows); !made)
    return made; // RocksDB would make it readable for everybody
  auto store = projections::store::open(rows);
  if (!store)
    return store.error();
  x_store = std::move(*store);
  x_watched = std::make_shared<watch_hub>(watch_birth{x_store, x_metrics});
  if (!x_settings.is_read_only)
    if (auto written = write_private(x_settings.data_directory + "/orreryd.pid",
                                     std::to_string(::getpid()) + "\n");
        !written)
      return written;
  if (auto found = find_starts(); !found)
    return found;
  x_kinds = {kvm(x_settings), simulated(x_settings)};
  start_actors();
  if (auto replayed = wait_until_replayed(); !replayed)
    return replayed;
  start_refolder();
  start_snapshots();
  x_api = std::make_unique<api>(make_api_services());
  if (auto serving = x_server->serve(); !serving)
    return serving;
  if (x_tell.ready)
    x_tell.ready(x_server->port());
  return {};
}

result<void> process::wait() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  if (x_tell.user_signal)
    sigaddset(&signals, SIGUSR2);
  int which = 0;
  while (sigwait(&signals, &which) == 0 && which == SIGUSR2)
    x_tell.user_signal();
  const std::lock_guard lock(x_guard);
  if (x_failure)
    return *x_failure;
  return {};
}

void process::stop() {
  std::vector<partition_actor> ending;
  {
    const std::lock_guard lock(x_guard);
    ending = x_partitions;
  }
  if (x_members && !ending.empty()) {
    for (const auto& one : ending)
      caf::anon_send(one, retire_atom::value);
    x_members->leave(hand_over_patience);
  }
  if (x_server)
    x_server->stop();
  x_snapshots.reset();
  for (const auto& one : x_readers)
    one->stop();
  x_readers.clear();
  if (x_members)
    x_members->serve({});
  {
    const std::lock_guard lock(x_guard);
    x_partitions.clear();
  }
  for (const auto& one : ending)
    caf::anon_send(one, stop_atom::value);
  ending.clear();
  if (x_projector)
    caf::anon_send(*x_projector, stop_atom::value);
  x_projector.reset();
  if (x_api)
    x_api->disconnect();
  x_system.reset(); // waits for every actor, and for the verbs under way
  x_api.reset();
  x_server.reset();
  x_refolder.reset();
  x_watched.reset();
  x_members.reset();
  if (!x_settings.is_read_only && x_log.log)
    ::unlink((x_settings.data_directory + "/orreryd.pid").c_str());
}

} // namespace

result<void> check(const config& settings) { return http::check_listen(settings.listen); }

result<void> run(const config& settings, const run_events& tell) {
  if (auto checked = check(settings); !checked)
    return checked; // before anything is made or claimed
  process running(settings, tell);
  auto done = running.start();
  if (done)
    done = running.wait();
  running.stop();
  return done;
}

} // namespace orrery::actors
