#pragma once

#include "actors/engine/batch.hpp"
#include "actors/engine/last_moment.hpp"
#include "actors/engine/outbox.hpp"
#include "actors/engine/snapshot.hpp"
#include "events/log/clock_guard.hpp"
#include "events/log/history.hpp"
#include "events/log/liveness.hpp"
#include "events/log/log.hpp"
#include "events/log/owner.hpp"
#include "projections/folded_commit.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace orrery::actors {

/// Where an engine stands, for /v1/status and metrics.
struct engine_status {
  std::string_view standing;
  std::uint64_t epoch = 0;
  std::uint64_t seq = 0;
  std::uint64_t entities = 0;
  std::uint64_t queued = 0;
  std::string alarm; ///< why nothing is decided now
  /// Those who wait for a decision of this process wait in vain: the last that was tried failed.
  bool is_blocked = false;
};

/// What an engine tells the rest of the process as it goes; nothing may block.
struct engine_observer {
  /// A record was folded; the store checks its position against the log. An error stops the
  /// process.
  std::function<result<void>(std::uint64_t seq, const log::digest& head)> check_projections;
  /// Every entity that is there when everything that was in the log at start is folded.
  std::function<void(const domain::entity_state&)> present;
  /// Then, once: up to this record, this commit. An error stops the process.
  std::function<result<void>(std::uint64_t last_seq, std::uint64_t last_commit_seq)> replayed;
  /// This process may write from now on.
  std::function<void(std::uint64_t epoch)> owning;
  /// It may not any more.
  std::function<void()> owning_ended;
  /// Whether this process reads the partition less than a second behind; told when it changes.
  std::function<void(bool is_current)> current;
  /// About once a tick: whose decision somebody here waits for, as a process; 0 when nobody does.
  std::function<void(std::uint64_t owner)> waiting;
  /// A claim was accepted; `process` made it.
  std::function<void(std::uint64_t process)> claimed;
  /// Something that only a restart or a human can mend.
  std::function<void(const error&)> fatal;
  /// `outcome`: "done", or the name of an error code.
  std::function<void(std::string_view noun, std::string_view outcome)> command_decided;
  /// A commit of this process was accepted, so long after the first command of it came.
  std::function<void(const projections::folded_commit&, std::chrono::microseconds took)> committed;
  std::function<void(std::string_view reason)> record_void;
  std::function<void(const projections::folded_commit&)> folded; ///< every commit after replay
  /// The messages of a stream up to this one are decided: for the engine of `source`, which sends
  /// them. While the log is replayed, too.
  std::function<void(partition_number source, std::uint64_t number)> stream_taken;
  /// An operator trusts the clock again: for all partitions' engines.
  std::function<void()> clock_trusted;
  std::function<void()> still_owning;                 ///< about once a second
  std::function<void(const engine_status&)> standing; ///< with each tick
};

/// Everything that an engine needs to know at its start.
struct engine_birth {
  partition_number where{};
  log::log_identity identity;
  const domain::kind_policies* policies = nullptr;
  v1::Edition edition = v1::HOSTING; ///< of an installation that this process founds
  bool is_read_only = false;         ///< never claims
  /// Several processes have the log open: a command for whoever owns it goes by a transport, and
  /// this one claims only when it is told to (`set_wanted`).
  bool is_shared = false;
  std::uint64_t process = 0; ///< this life of the process, random; 0 when not shared
  std::string owner_name;    ///< display only
  std::string address;       ///< display only
  std::shared_ptr<partition_snapshot> start; ///< to go on from; null: from the first record on
  log::offset end_at_start = 0;              ///< what the log held when it was opened
  std::uint64_t projected_seq = 0;           ///< commits up to here need not be projected again
  bool has_projections = false;
  std::shared_ptr<std::atomic<std::size_t>> queued; ///< commands waiting, for the door
  std::shared_ptr<last_moment> moment;              ///< null: not remembered
  std::function<utc_time()> wall_clock;
  std::function<std::chrono::steady_clock::time_point()> steady_clock;
  std::function<std::uint64_t()> random;
  engine_observer tell;
};

/// What an engine has others do. None of it calls the engine back before it has returned.
class engine_hands {
public:
  engine_hands() = default;
  engine_hands(const engine_hands&) = delete;
  engine_hands& operator=(const engine_hands&) = delete;
  virtual ~engine_hands() = default;

  /// Appends a record to the log; `on_appended` is told what became of it.
  virtual void append(std::uint64_t ticket, std::string record) = 0;

  /// Has entities decide, side by side; `on_decided` is told the answer of each.
  virtual void decide(std::vector<std::pair<uuid, decide_request>> asked) = 0;

  /// A commit of ours counts: its entities evolve, its effects may begin.
  virtual void accepted(const projections::folded_commit& commit) = 0;

  /// A commit for the projections.
  virtual void project(std::shared_ptr<const projections::folded_commit> commit) = 0;

  /// Ownership began, and everything that the partition's state wants may be pursued; or it ended,
  /// and nothing may be touched any more.
  virtual void owning(std::uint64_t epoch) = 0;
  virtual void owning_ended() = 0;

  /// Sends a command to whoever owns the partition that it is for, ours or another; it may get
  /// lost.
  virtual void carry(const v1::Command& command) = 0;
};

/// Commands that may wait: more than a second's work. The door answers 429 above it.
inline constexpr std::size_t queue_size_max = 10'000;

/// Commands in one record: beyond that only the latency grows.
inline constexpr std::size_t batch_size_max = 1'000;

/// A process that reads further behind is not one to own anything.
inline constexpr std::chrono::seconds ready_lag_max{1};

/// How long an engine that reads late may still take changes: clients would wait for ever.
inline constexpr std::chrono::seconds behind_max{5};

/// One partition in one process: reads it, and owns it when it may. Without threads, actors and
/// I/O, so that the simulation runs what the product runs.
///
///   on_submit -> queue -> batch -> entities decide -> ONE record -> append -> read back, accepted,
///   delivered -> replies, effects
///
/// What a decision sends to entities of other partitions is in the record too, and sent until their
/// partition has decided it.
///
/// On a shared log the command of a client goes round by the transport, whoever owns the partition,
/// and its reply is taken from the accepted record, which every process reads.
class engine {
public:
  /// Takes the state out of `birth.start`.
  engine(engine_birth birth, engine_hands& hands);

  /// A command from this process: the API, a timer, a hypervisor.
  void on_submit(std::shared_ptr<submission> what);

  /// A command that the transport brought: from any process, perhaps again, perhaps not for us.
  void on_carried(v1::Command command);

  /// The next records of the log. `end` is the log's end as far as it is known.
  void on_records(const std::vector<log::record>& records, log::offset end);
  void on_read_failed(const error& why);
  void on_appended(std::uint64_t ticket, const log::append_outcome& outcome);
  void on_decided(const decide_answer& decided);

  /// The log of `target` says that it decided our messages up to `number`.
  void on_stream_taken(partition_number target, std::uint64_t number);

  /// An operator says that the clock of this process is right.
  void trust_clock();

  /// Whether this process is the one that should own the partition now. Shared logs only; the
  /// others are always wanted.
  void set_wanted(bool wanted);

  /// Decides nothing more: another process shall take over. What is under way is finished.
  void retire();

  /// Timers, repetitions, claims. To be called every `tick_interval`.
  void on_tick();

  /// Refuses whoever waits and does nothing any more.
  void stop();

  [[nodiscard]] const domain::partition_state& state() const { return x_state; }

  [[nodiscard]] bool is_owning() const { return x_owner.stands() == log::standing::owning; }

  [[nodiscard]] engine_status status() const;

  /// Messages of this partition that others are known to have decided: the last number by target.
  [[nodiscard]] std::map<partition_number, std::uint64_t> acknowledged() const {
    return x_outbox.acknowledged();
  }

  static constexpr std::chrono::milliseconds tick_interval{250};

private:
  using steady_time = std::chrono::steady_clock::time_point;
  using submission_ptr = std::shared_ptr<submission>;

  /// A record of ours between append and acceptance.
  struct in_flight {
    std::uint64_t ticket = 0;
    std::vector<batch::answered> recorded;
    steady_time began;
    utc_time sent_at;
    std::shared_ptr<const projections::folded_commit> folded; ///< once read back
  };

  /// Somebody who waits for what a shared log will say.
  struct asker {
    submission_ptr who;
    steady_time give_up;
    steady_time repeat;
  };

  /// What the commands of a batch must not share.
  struct batch_marks {
    std::set<std::uint64_t> keys;
    std::set<std::pair<std::uint64_t, std::uint64_t>> origins;
    std::map<partition_number, std::uint64_t> streams; ///< the last number of each
  };

  // Owning (engine.cpp)
  void claim();
  void take_ownership(std::uint64_t epoch);
  void lose_ownership();
  void doubt();
  void found_installation();
  [[nodiscard]] static std::chrono::milliseconds paced(steady_time now);
  [[nodiscard]] std::uint64_t jitter() const;

  // Asking on a shared log (asking.cpp)
  void ask(submission_ptr what);
  void pass_on(const v1::Command& command);
  void repeat_asking(bool at_once);
  void answer_askers(const v1::CommitBody& body, std::uint64_t seq);
  [[nodiscard]] std::optional<error> not_now() const;
  [[nodiscard]] bool answer_from_key(submission& who) const;
  void answer_repetition(submission& who) const;
  void report_standing();

  // Between partitions (streaming.cpp)
  void note_streams(const v1::CommitBody& body);
  void send_streams();
  [[nodiscard]] bool is_out_of_turn(const v1::Command& command, batch_marks& marks) const;

  // Deciding and committing (committing.cpp)
  void pump();
  [[nodiscard]] result<utc_time> time_to_decide();
  std::vector<submission_ptr> take_commands();
  /// True when there is nothing to decide: it was decided before, or is out of date.
  bool is_settled(submission& who, batch_marks& marks);
  void ask_on();
  void commit();
  void append(v1::CommitBody body, std::vector<batch::answered> recorded);
  void on_not_written(const error& why);
  void raise_alarm(const std::string& why);
  void distrust_clock(const std::string& why);
  void end_alarm();
  void answer_recorded(const in_flight& flight, std::uint64_t seq) const;
  void answer_commit(const in_flight& flight);
  void finish_commit();
  void give_back(std::vector<submission_ptr> commands);

  // What ended its owners (caution.cpp)
  [[nodiscard]] bool is_cautious() const;
  /// Whether it is to be decided alone.
  [[nodiscard]] bool is_suspect(const v1::Command& command) const;
  /// Whether it is not to be tried for now.
  [[nodiscard]] bool is_poison(const v1::Command& command);
  void refuse_poison(submission_ptr who, utc_time now);
  void note_begin(const std::vector<submission_ptr>& commands);
  void note_end();
  [[nodiscard]] command_kind kind_of(const v1::Command& command) const;

  // Folding (folding.cpp)
  void read_record(const log::record& record);
  void judge_clock(const log::record& record, const log::reading& read);
  void on_claim(const log::reading& read);
  void fold(const log::reading& read, std::uint64_t seq);
  /// Commands that wait here but were accepted in a record that this owner does not wait for.
  void answer_from(const v1::CommitBody& body, std::uint64_t seq);
  void after_replay();
  void note_timers(const domain::touched& one);

  // Time (engine.cpp)
  void fire_timers();
  void report_state();
  void halt(const error& why);

  engine_birth x_birth;
  engine_hands& x_hands;
  log::owner x_owner;
  log::claim_pacer x_pacer;
  log::clock_guard x_clock;
  domain::partition_state x_state;

  std::deque<submission_ptr> x_queue;
  std::optional<batch> x_batch;
  std::optional<in_flight> x_in_flight;
  std::unordered_map<uuid, asker> x_askers; ///< by command id
  outbox x_outbox;
  std::uint64_t x_batch_number = 0;
  std::uint64_t x_ticket = 0;
  steady_time x_batch_began;
  steady_time x_not_before; ///< no append before this: the log is full
  steady_time x_owning_since;
  std::optional<utc_time> x_claim_sent_at; ///< the first one since somebody's was accepted
  std::vector<std::pair<command_kind, steady_time>> x_refused_since; ///< what ended its owners
  steady_time x_current_at; ///< when all that was known to be in the log was folded

  std::set<std::pair<utc_time, uuid>> x_timers;

  log::offset x_next_offset = 0;
  std::uint64_t x_last_seq = 0;        ///< of the last accepted record
  std::uint64_t x_last_commit_seq = 0; ///< of the last accepted commit
  std::uint64_t x_owner_process = 0;   ///< of the last accepted claim
  bool x_is_wanted = true;
  bool x_is_retired = false;
  bool x_is_replayed = false;
  bool x_is_current = false;
  bool x_is_told_current = false;
  bool x_is_stopped = false;
  std::string x_alarm;      ///< why nothing is decided now
  std::string x_alarm_told; ///< the last that the process's log was told
  bool x_is_alarm_of_clock = false;
  steady_time x_last_report;
};

/// Too many commands wait already: said at the door, and where they wait.
[[nodiscard]] error queue_is_full();

/// An operator says that the clock is right after all.
[[nodiscard]] bool is_trust_command(const v1::Command& command);

/// The command is for an entity of another partition.
[[nodiscard]] error wrong_partition(const v1::Command& command);

/// Tells whoever waits, if somebody does.
void answer(const submission& who, v1::Reply reply, const uuid& command, std::uint64_t seq);
void refuse(const submission& who, const error& failure);

} // namespace orrery::actors
