#pragma once

#include "actors/api/http/server.hpp"
#include "projections/metrics.hpp"
#include "projections/store.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace orrery::actors {

/// Entries that are read and written together: some 20 KB, so that one thread serves many watchers
/// in turn.
inline constexpr std::size_t entries_per_read = 32;

/// Bytes that may wait for one watcher before it gets more; when it has taken all, it goes on from
/// the rows. So a watcher takes this and one piece at most, however slowly it reads.
inline constexpr std::size_t watcher_waiting_max = std::size_t{32} * 1024;

/// A watcher to whom nothing was written for so long gets a sign of life, with its position.
/// Proxies cut what is silent for a minute.
inline constexpr std::chrono::milliseconds heartbeat_interval = std::chrono::seconds(15);

/// Which entries somebody watches. Empty: all.
struct watch_terms {
  std::optional<uuid> resource = {};
  std::string noun = {}; ///< "vm"
};

/// What hubs need of the rest of the process.
struct watch_birth {
  std::shared_ptr<projections::store> store;
  std::shared_ptr<projections::metrics> metrics;
  std::chrono::milliseconds heartbeat = heartbeat_interval;
};

/// Gives the entries of the timeline to whoever watches, as server-sent events, from rows that the
/// projections hold already: who asks for what he was told of finds it.
///
/// Every watcher has a place in the log, and gets what is read from there. There is no difference
/// between one who catches up and one who is at the end, hence no seam; but what is read and
/// rendered from a place is kept for a while, and those who are at the end are all at one place.
///
///   store.apply -> wake -> the hub's thread: for each watcher who takes more
///                            entries behind his place, read or known -> write -> his next place
class watch_hub {
public:
  explicit watch_hub(watch_birth birth);
  watch_hub(const watch_hub&) = delete;
  watch_hub& operator=(const watch_hub&) = delete;

  /// The server whose streams joined must have stopped.
  ~watch_hub();

  /// The projections have folded something. Any thread; does next to nothing, and nothing at all
  /// while nobody watches.
  void wake();

  /// One more watcher, who knows everything up to `from` (not ahead of the rows). Any thread; does
  /// not block.
  [[nodiscard]] http::stream_events join(watch_terms terms, projections::entry_places from,
                                         std::shared_ptr<http::stream> out);

private:
  struct place;
  struct piece;
  struct watcher;
  using shared_place = std::shared_ptr<const place>;
  using shared_piece = std::shared_ptr<const piece>;

  void nudge();
  void run();
  [[nodiscard]] bool serve_all();
  [[nodiscard]] bool serve(watcher& one, const projections::log_positions& upto);
  [[nodiscard]] result<shared_piece> piece_behind(const shared_place& from,
                                                  const projections::log_positions& upto);
  void give(watcher& one, const piece& what);
  void give_heartbeat(watcher& one) const;

  const watch_birth x_birth;
  std::atomic<std::size_t> x_count = 0; ///< of watchers
  std::mutex x_guard;                   ///< of the next three
  std::condition_variable x_changed;
  std::vector<std::shared_ptr<watcher>> x_joining;
  bool x_has_news = false;
  bool x_is_closing = false;
  // The thread's own.
  std::vector<std::shared_ptr<watcher>> x_watchers;
  std::map<std::string, shared_piece> x_known; ///< by the place that they are behind
  std::deque<std::string> x_known_in_order;
  std::uint64_t x_given = 0; ///< entries since metrics were told
  std::thread x_thread;
};

} // namespace orrery::actors
