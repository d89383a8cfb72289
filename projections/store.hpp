#pragma once

#include "projections/inventory.hpp"
#include "projections/jobs.hpp"
#include "projections/paging.hpp"
#include "projections/projection.hpp"
#include "projections/refolding.hpp"
#include "projections/timeline.hpp"
#include "projections/usage_query.hpp"

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::projections {

/// Commits folded into one write, at most: rows that several of them touch are written once.
inline constexpr std::size_t batch_commits_max = 100;

/// Bytes of the records folded into one write, at most (but for the last one's): rows are about as
/// large.
inline constexpr std::size_t batch_bytes_max = std::size_t{4} * 1024 * 1024;

/// Where a projection stands.
struct projection_status {
  std::string_view name; ///< lives as long as the store
  std::uint32_t version = 0;
  log_positions at;     ///< fold on from the next commits
  bool dropped = false; ///< its rows were of another version: they are folded again from 0
};

/// Which jobs. Empty or unspecified: any. The resource by id or name.
struct job_filter {
  std::string resource = {};
  v1::Job::State state = v1::Job::STATE_UNSPECIFIED;
};

/// Which events. Empty: of everything. The resource by id or name, living or gone.
struct event_filter {
  std::string resource = {};
  direction order = direction::ascending; ///< ascending: oldest first
};

/// There is no projection of that name: `not_found`.
[[nodiscard]] error no_projection(std::string_view name);

/// Which usage. Empty or nothing: any. The VM by id or name, living or gone; the cluster by id or
/// name.
struct usage_filter {
  utc_time from;
  utc_time to;
  std::string vm = {};
  std::string cluster = {};
  std::optional<meter> what = {};
};

/// The rows of all projections of all partitions, in a folder of their own that may be deleted at
/// any time.
///
///   open -> status, lowest_position -> fold each log: check(where, seq, head) for each record,
///   apply for each commit behind the lowest position -> check_log_end -> answer questions
///
/// One thread applies at a time; any number may ask meanwhile. Every question is answered from one
/// moment of the rows, and says which.
class store {
public:
  /// Opens or makes the folder (its parent must exist). Rows of a projection with another version,
  /// and of one that is no more, are dropped. Blocks: reads from the disk. Errors: `locked`
  /// (another process has it open), `damaged` (the text says how to rebuild), `storage_full`,
  /// `io_failed`.
  [[nodiscard]] static result<std::unique_ptr<store>>
  open(const std::string& path, projection_list projections = all_projections());

  ~store();
  store(const store&) = delete;
  store& operator=(const store&) = delete;

  // Folding

  /// Folds commits, those of a partition in order, into every projection that stands before them;
  /// what stands behind is passed over, so repetitions are harmless. Rows and positions go into one
  /// atomic write for each batch. Durable against a crash of the process; after a power loss an
  /// older position is found. Blocks. Errors: `log_cut` (a commit with the number of a projection's
  /// position but another hash), `storage_full` (retryable), `damaged`, `io_failed`; then nothing
  /// of the failed batch is kept.
  [[nodiscard]] result<void> apply(commit_span commits);

  /// Why the last `apply` failed, if it may succeed when it is repeated (a full disk): until then
  /// the rows fall behind. Nothing when it succeeded. Any thread.
  [[nodiscard]] std::optional<error> stalled() const;

  /// To be called with each accepted record (claims too) while the log of a partition is folded.
  /// Errors: `log_cut` (a projection was built from another record with that number).
  [[nodiscard]] result<void> check(partition_number where, std::uint64_t seq,
                                   const std::array<std::uint8_t, 32>& head) const;

  /// To be called with the number of a partition's last accepted record, 0 for none. Errors:
  /// `log_cut` (a projection is ahead of it: acknowledged records are lost).
  [[nodiscard]] result<void> check_log_end(partition_number where, std::uint64_t last_seq) const;

  [[nodiscard]] std::vector<projection_status> status() const;

  /// Of one projection; nothing when there is none of that name.
  [[nodiscard]] std::optional<log_positions> positions(std::string_view projection) const;

  /// In one partition, of the projection that stands furthest behind: fold its log on from there.
  [[nodiscard]] log_position lowest_position(partition_number where) const;

  /// The same in all partitions.
  [[nodiscard]] log_positions lowest_positions() const;

  /// Waits until every projection has folded the commit with number `seq` of `where`, so that a
  /// reader finds what it wrote. False when `timeout` passed before, or when folding is stalled.
  [[nodiscard]] bool wait_for(partition_number where, std::uint64_t seq,
                              std::chrono::milliseconds timeout) const;

  /// Waits until the inventory has a thing, living or gone, which another partition makes. False as
  /// above.
  [[nodiscard]] bool wait_for_thing(const uuid& id, std::chrono::milliseconds timeout) const;

  /// SHA-256 over (column family, key, value) of every row, in order, in hexadecimal: equal for
  /// equal logs, however often and in whatever batches they were folded. Reads everything. Errors:
  /// `damaged`, `io_failed`.
  [[nodiscard]] result<std::string> digest() const;

  // Folding again

  /// Begins to fold one projection anew beside its rows; one at a time for each. Blocks for a
  /// moment. Errors: `not_found`, `storage_full`, `damaged`, `io_failed`.
  [[nodiscard]] result<std::unique_ptr<refolding>>
  begin_refolding(std::string_view projection, refold_aim aim,
                  std::size_t gathered_bytes = gathered_bytes_max);

  /// While it is held nothing is folded into the live rows: they stand still, and still answer.
  /// Blocks until a batch that is under way is written.
  [[nodiscard]] std::unique_lock<std::mutex> hold();

  /// Makes the new rows those that answer, at once and durably. Only while the store is held, and
  /// when the new rows stand nowhere behind the old ones (`positions`). Blocks. Errors:
  /// `storage_full`, `damaged`, `io_failed`; the old rows go on then.
  [[nodiscard]] result<void> replace(const std::unique_lock<std::mutex>& held, refolding& made);

  // Questions. May read from the disk. Errors, besides those of each projection's own functions
  // (which see): `damaged`, `io_failed`.

  [[nodiscard]] result<listing<v1::Vm>> list_vms(const vm_filter& filter, const page& wanted) const;
  [[nodiscard]] result<listing<v1::Cluster>> list_clusters(const inventory_filter& filter,
                                                           const page& wanted) const;
  [[nodiscard]] result<listing<v1::Node>> list_nodes(const inventory_filter& filter,
                                                     const page& wanted) const;
  [[nodiscard]] result<listing<v1::Network>> list_networks(const inventory_filter& filter,
                                                           const page& wanted) const;
  [[nodiscard]] result<answer<v1::Vm>> find_vm(std::string_view name_or_id,
                                               const as_of& when = {}) const;
  [[nodiscard]] result<answer<v1::Cluster>> find_cluster(std::string_view name_or_id,
                                                         const as_of& when = {}) const;
  [[nodiscard]] result<answer<v1::Node>> find_node(std::string_view name_or_id,
                                                   const as_of& when = {}) const;
  [[nodiscard]] result<answer<v1::Network>> find_network(std::string_view name_or_id,
                                                         const as_of& when = {}) const;
  [[nodiscard]] result<answer<v1::Installation>> find_installation(const uuid& id) const;

  /// Newest first.
  [[nodiscard]] result<listing<v1::Job>> list_jobs(const job_filter& filter,
                                                   const page& wanted) const;
  [[nodiscard]] result<answer<v1::Job>> find_job(std::string_view id) const;

  /// `not_found` when the resource never was.
  [[nodiscard]] result<listing<v1::TimelineEntry>> list_events(const event_filter& filter,
                                                               const page& wanted) const;

  /// The id behind the name or id of a thing that has events, or is there. Errors: `not_found`,
  /// `conflict` (several have the name), `invalid_argument`.
  [[nodiscard]] result<uuid> id_of_resource(std::string_view name_or_id) const;

  /// See the timeline's `list_following`. `upto`: of `lowest_positions`, now or earlier.
  [[nodiscard]] result<following_entries>
  list_following(const entry_places& after, const log_positions& upto, std::size_t count_max) const;

  [[nodiscard]] result<listing<v1::UsageInterval>> list_usage(const usage_filter& filter,
                                                              const page& wanted) const;
  [[nodiscard]] result<listing<v1::VmUsage>> list_vm_usage(const usage_filter& filter,
                                                           const page& wanted) const;
  [[nodiscard]] result<listing<v1::UsageTotal>> list_total_usage(const usage_filter& filter,
                                                                 const page& wanted) const;

private:
  struct implementation;

  explicit store(std::unique_ptr<implementation> made);

  std::unique_ptr<implementation> x_implementation;
};

} // namespace orrery::projections
