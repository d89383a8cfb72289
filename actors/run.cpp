#include "actors/run.hpp"

#include "actors/api/api.hpp"
#include "actors/hypervisors/kinds.hpp"
#include "actors/log_opening.hpp"
#include "actors/log_reader.hpp"
#include "actors/membership.hpp"
#include "actors/partition.hpp"
#include "actors/policies.hpp"
#include "actors/projector.hpp"
#include "actors/system_config.hpp"
#include "events/log/new_identity.hpp"
#include "events/log/sha256.hpp"
#include "projections/state_totals.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/send.hpp>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>

namespace orrery::actors {

namespace {

using log::random_number;

/// Chunks of records on their way to the partition: 16 MB.
constexpr std::size_t chunks_handed_max = 4;

/// Commits on their way to the projections: a tenth of a second's work.
constexpr std::size_t commits_projected_max = 1'024;

/// How long a start waits for the projections to catch up with the log.
constexpr std::chrono::hours catch_up_patience{24};

/// How long a process that ends waits for another to own the log: several times what it takes.
constexpr std::chrono::seconds hand_over_patience{3};

constexpr partition_number the_partition{0};

utc_time wall_clock() {
  return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

error system_failure(const std::string& what, int number) {
  return {error_code::io_failed, what + ": " + std::strerror(number), false};
}

result<void> make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST)
    return {};
  return system_failure("cannot make the directory " + path, errno);
}

/// Writes a small file at once, mode 0600.
result<void> write_private(const std::string& path, const std::string& content) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0)
    return system_failure("cannot write " + path, errno);
  const auto written = ::write(file, content.data(), content.size());
  const int number = errno;
  ::close(file);
  if (written != static_cast<ssize_t>(content.size()))
    return system_failure("cannot write " + path, number);
  return {};
}

/// The token in the file, made on the first start. A file that others may read is refused.
result<std::string> load_token(const std::string& path) {
  constexpr std::size_t token_size_min = 16;

  struct stat seen {};

  if (::stat(path.c_str(), &seen) != 0) {
    std::string token = "orr_";
    for (int i = 0; i < 4; ++i) {
      char digits[17];
      std::snprintf(digits, sizeof digits, "%016llx",
                    static_cast<unsigned long long>(random_number()));
      token += digits;
    }
    if (auto written = write_private(path, token + "\n"); !written)
      return written.error();
    return token;
  }
  if ((seen.st_mode & 077) != 0)
    return error{error_code::config_invalid,
                 "others may read the token file " + path + ": chmod 600 it", false};
  std::ifstream file(path);
  std::string token;
  std::getline(file, token);
  if (token.size() < token_size_min)
    return error{error_code::config_invalid,
                 "the token in " + path + " is too short: delete the file, a new one is made",
                 false};
  return token;
}

/// Everything of one process, in the order in which it is made.
class process {
public:
  process(const config& settings, const run_events& tell) : x_settings(settings), x_tell(tell) {}

  result<void> start();
  result<void> wait();
  void stop();

private:
  struct replay_end {
    std::uint64_t last_commit_seq = 0;
  };

  void start_actors();
  void start_membership();
  void share(partition_birth& birth);
  partition_birth make_partition_birth();
  hypervisor_birth make_hypervisor_birth(const hypervisor_kind_traits& traits, const uuid& cluster,
                                         const partition_actor& partition);
  api_services make_api_services();
  void stamp(v1::Command& command);
  void fail(const error& why);

  const config& x_settings;
  const run_events& x_tell;
  std::string x_token;
  domain::kind_policies x_policies = make_policies();
  opened_log x_log;
  std::shared_ptr<projections::store> x_store;
  std::shared_ptr<projections::metrics> x_metrics = std::make_shared<projections::metrics>();
  std::shared_ptr<flow> x_handed = std::make_shared<flow>(chunks_handed_max);
  std::shared_ptr<flow> x_projected = std::make_shared<flow>(commits_projected_max);
  std::shared_ptr<std::atomic<std::size_t>> x_queued =
      std::make_shared<std::atomic<std::size_t>>(0);
  std::uint64_t x_origin_nonce = random_number() | 1;
  std::atomic<std::uint64_t> x_origin_number{0};
  std::vector<hypervisor_kind_traits> x_kinds;
  projections::state_totals x_totals; ///< the partition's thread only

  std::mutex x_guard;
  std::optional<error> x_failure;
  std::promise<std::uint64_t> x_replayed;
  std::promise<void> x_owning;
  bool x_is_replay_told = false;
  bool x_is_owning_told = false;

  std::unique_ptr<caf::actor_system_config> x_actor_config;
  std::unique_ptr<caf::actor_system> x_system;
  std::optional<projector_actor> x_projector;
  std::optional<partition_actor> x_partition;
  std::unique_ptr<log_reader> x_reader;
  std::unique_ptr<membership> x_members; ///< of a shared log
  std::unique_ptr<api> x_api;
  std::unique_ptr<http::server> x_server;
};

void process::stamp(v1::Command& command) {
  command.mutable_origin()->set_nonce(x_origin_nonce);
  command.mutable_origin()->set_number(++x_origin_number);
}

/// Told by any thread; the main thread wakes and ends everything.
void process::fail(const error& why) {
  const std::lock_guard lock(x_guard);
  if (!x_failure)
    x_failure = why;
  if (!x_is_replay_told) {
    x_is_replay_told = true;
    x_replayed.set_value(0);
  }
  if (!x_is_owning_told) {
    x_is_owning_told = true;
    x_owning.set_value();
  }
  ::kill(::getpid(), SIGTERM);
}

partition_birth process::make_partition_birth() {
  partition_birth birth;
  birth.engine.where = the_partition;
  birth.log = x_log.log;
  birth.engine.identity = x_log.identity;
  birth.engine.policies = &x_policies;
  birth.engine.edition = x_settings.edition;
  birth.engine.is_read_only = x_settings.is_read_only;
  birth.engine.owner_name = "orreryd " + std::to_string(::getpid());
  birth.engine.address = x_settings.listen;
  const auto end = x_log.log->end(the_partition);
  birth.engine.end_at_start = end ? *end : 0; // an error is told by the first read
  birth.engine.projected_seq = x_store->lowest_position().seq;
  birth.projector = x_projector;
  birth.handed = x_handed;
  birth.projected = x_projected;
  birth.engine.queued = x_queued;
  birth.make_hypervisor =
      [this](v1::HypervisorKind kind, const uuid& cluster,
             const partition_actor& partition) -> std::optional<hypervisor_actor> {
    for (const auto& traits : x_kinds)
      if (traits.kind == kind)
        return spawn_hypervisor(*x_system, make_hypervisor_birth(traits, cluster, partition));
    return std::nullopt;
  };
  birth.engine.wall_clock = wall_clock;
  birth.engine.steady_clock = std::chrono::steady_clock::now;
  birth.engine.random = random_number;
  auto& tell = birth.engine.tell;
  tell.check_projections = [this](std::uint64_t seq, const log::digest& head) {
    return x_store->check(seq, head);
  };
  tell.present = [this](const domain::entity_state& state) { x_totals.add(state); };
  tell.replayed = [this](std::uint64_t last_seq, std::uint64_t last_commit_seq) -> result<void> {
    if (auto checked = x_store->check_log_end(last_seq); !checked)
      return checked;
    const std::lock_guard lock(x_guard);
    if (!x_is_replay_told) {
      x_is_replay_told = true;
      x_replayed.set_value(last_commit_seq);
    }
    x_metrics->set_log_end(last_seq);
    return {};
  };
  tell.owning = [this](std::uint64_t epoch) {
    std::fprintf(stderr, "info: log: owning partition 0 since record %llu\n",
                 static_cast<unsigned long long>(epoch));
    const std::lock_guard lock(x_guard);
    if (!x_is_owning_told) {
      x_is_owning_told = true;
      x_owning.set_value();
    }
  };
  tell.fatal = [this](const error& why) { fail(why); };
  tell.command_decided = [this](std::string_view noun, std::string_view outcome) {
    x_metrics->count_command(noun, outcome);
  };
  tell.committed = [this](std::size_t, std::chrono::microseconds took) {
    x_metrics->count_commit(took);
  };
  tell.record_void = [this](std::string_view reason) { x_metrics->count_void_record(reason); };
  tell.folded = [this](const projections::folded_commit& folded) {
    x_totals.apply(folded.touched);
    x_metrics->set_log_end(folded.seq);
  };
  tell.still_owning = [this] { x_metrics->set_state(x_totals.gauges()); };
  if (x_members)
    share(birth);
  return birth;
}

/// What the partition of a shared log does beside: it tells the membership how it stands.
void process::share(partition_birth& birth) {
  birth.engine.is_shared = true;
  birth.engine.process = x_origin_nonce;
  birth.carry = [this](const v1::Command& command) { x_members->carry(command); };
  auto& tell = birth.engine.tell;
  tell.replayed = [this, also = tell.replayed](std::uint64_t last_seq,
                                               std::uint64_t last_commit_seq) -> result<void> {
    auto checked = also(last_seq, last_commit_seq);
    if (checked)
      x_members->on_replayed();
    return checked;
  };
  tell.owning = [this, also = tell.owning](std::uint64_t epoch) {
    also(epoch);
    x_members->on_owning(true);
  };
  tell.owning_ended = [this] {
    std::fprintf(stderr, "info: log: another process owns partition 0 now, or will\n");
    x_members->on_owning(false);
  };
  tell.claimed = [this](std::uint64_t by) { x_members->on_claimed(by); };
  tell.folded = [this, also = tell.folded](const projections::folded_commit& folded) {
    also(folded);
    x_members->on_accepted(folded.seq);
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
  birth.where = the_partition;
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
  birth.where = the_partition;
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
  services.token = x_token;
  services.is_read_only = x_settings.is_read_only;
  services.installation = x_log.identity.installation.value;
  services.where = the_partition;
  services.queued = x_queued;
  services.submit = [to = *x_partition](std::shared_ptr<submission> what) {
    caf::anon_send(to, submit{std::move(what)});
  };
  services.console = [to = *x_partition](console_request asked) {
    caf::anon_send(to, std::move(asked));
  };
  services.status = [to = *x_partition](status_request asked) {
    caf::anon_send(to, std::move(asked));
  };
  services.stamp = [this](v1::Command& command) { stamp(command); };
  services.wall_clock = wall_clock;
  services.random = random_number;
  return services;
}

void process::start_actors() {
  x_actor_config = make_system_config(x_settings.scheduler_threads);
  x_system = std::make_unique<caf::actor_system>(*x_actor_config);
  projector_birth projector;
  projector.store = x_store;
  projector.projected = x_projected;
  projector.fatal = [this](const error& why) { fail(why); };
  projector.applied = [this](std::uint64_t seq, log::offset) {
    for (const auto& one : x_store->status())
      x_metrics->set_projection(one.name, seq);
  };
  x_projector = spawn_projector(*x_system, std::move(projector));
  start_membership();
  x_partition = spawn_partition(*x_system, make_partition_birth());
  if (x_members)
    x_members->serve(*x_partition);
  x_reader =
      std::make_unique<log_reader>(x_log.log, the_partition, *x_partition, x_handed, x_projected);
}

result<void> process::start() {
  if (auto made = make_directory(x_settings.data_directory); !made)
    return made;
  auto token = load_token(x_settings.token_file);
  if (!token)
    return token.error();
  x_token = std::move(*token);
  auto opened = open_log(x_settings);
  if (!opened)
    return opened.error();
  x_log = std::move(*opened);
  auto store = projections::store::open(x_settings.data_directory + "/projections");
  if (!store)
    return store.error();
  x_store = std::move(*store);
  if (!x_settings.is_read_only)
    if (auto written = write_private(x_settings.data_directory + "/orreryd.pid",
                                     std::to_string(::getpid()) + "\n");
        !written)
      return written;
  x_kinds = {kvm(x_settings), simulated(x_settings)};
  start_actors();
  const auto last_commit = x_replayed.get_future().get();
  if (!x_settings.is_read_only && !x_members)
    x_owning.get_future().get();
  {
    const std::lock_guard lock(x_guard);
    if (x_failure)
      return *x_failure;
  }
  if (!x_store->wait_for(last_commit, catch_up_patience))
    return error{error_code::timed_out, "the projections do not catch up with the log", true};
  x_api = std::make_unique<api>(make_api_services());
  http::options wanted;
  wanted.listen = x_settings.listen;
  wanted.threads = 4;
  auto server = http::server::start(wanted, [this](http::request request, http::responder respond) {
    x_api->handle(std::move(request), std::move(respond));
  });
  if (!server)
    return server.error();
  x_server = std::move(*server);
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
  if (x_members && x_partition) {
    caf::anon_send(*x_partition, retire_atom::value);
    x_members->leave(hand_over_patience);
  }
  if (x_server)
    x_server->stop();
  x_reader.reset();
  if (x_members)
    x_members->serve(std::nullopt);
  if (x_partition)
    caf::anon_send(*x_partition, stop_atom::value);
  if (x_projector)
    caf::anon_send(*x_projector, stop_atom::value);
  x_partition.reset();
  x_projector.reset();
  if (x_api)
    x_api->disconnect();
  x_system.reset(); // waits for every actor, and for the verbs under way
  x_api.reset();
  x_server.reset();
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
