#pragma once

#include "actors/engine/log_fold.hpp"
#include "projections/store.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace orrery::actors {

struct refolder_birth {
  std::shared_ptr<log::log> log;
  log::log_identity identity;
  std::size_t partitions = 1;
  std::shared_ptr<projections::store> store;
  std::function<utc_time()> wall_clock;
};

enum class refold_outcome : std::uint8_t {
  running,
  done,    ///< replaced; or compared, and equal
  differs, ///< compared: the rows are not what the log says
  failed,  ///< `why` says it; the old rows go on
};

/// How folding a projection again goes, or went.
struct refold_report {
  projections::refold_aim aim = projections::refold_aim::replace;
  refold_outcome outcome = refold_outcome::running;
  utc_time began;
  std::optional<utc_time> ended;
  std::uint64_t records = 0;     ///< of the log, read so far
  std::uint64_t records_all = 0; ///< there were when it began
  std::string digest;            ///< compared: of the new rows
  std::string old_digest;        ///< compared: of the rows that answer
  std::string why;               ///< failed
};

/// Folds projections again beside their live rows: on a thread of its own, one at a time.
class refolder {
public:
  explicit refolder(refolder_birth birth);
  refolder(const refolder&) = delete;
  refolder& operator=(const refolder&) = delete;

  /// Gives up what is under way, and ends the thread.
  ~refolder();

  /// Begins, and returns at once. Errors: `not_found` (the projection), `busy` (another one is
  /// under way).
  [[nodiscard]] result<void> begin(std::string_view projection, projections::refold_aim aim);

  /// Of the last time that a projection was folded again by this process; nothing when it was not.
  [[nodiscard]] std::optional<refold_report> report(std::string_view projection) const;

private:
  void run();
  [[nodiscard]] result<refold_outcome> refold(projections::refold_aim aim);
  [[nodiscard]] result<refold_outcome> replace(projections::refolding& made);
  [[nodiscard]] result<refold_outcome> compare(projections::refolding& made);
  [[nodiscard]] result<bool> fold_some(projections::refolding& made);
  [[nodiscard]] result<bool> fold_until(projections::refolding& made,
                                        const std::function<bool()>& is_done, bool is_patient);
  void rest();
  void change(const std::function<void(refold_report&)>& how);

  const refolder_birth x_birth;
  std::vector<log_fold> x_folds; ///< of what is under way
  mutable std::mutex x_guard;
  std::condition_variable x_changed;
  std::map<std::string, refold_report, std::less<>> x_reports;
  std::string x_under_way; ///< its name; empty for none
  std::atomic<bool> x_is_stopping = false;
  std::thread x_thread;
};

} // namespace orrery::actors
