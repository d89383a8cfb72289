#pragma once

#include "events/log/log.hpp"
#include "events/log/segment_index.hpp"
#include "events/log/segment_log.hpp"
#include "events/log/segment_spare.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace orrery::log {

/// How long the log must be idle before the last `synced` frame is synced too. Long enough that a
/// lone client's appends never pay for it, short enough to matter to nobody.
inline constexpr std::chrono::milliseconds marker_sync_delay{200};

/// Where the writer goes on.
struct writer_start {
  file current; ///< the last file; none for a log that only reads
  segment_info info;
  std::uint64_t position = 0;
  std::uint64_t next_number = 0;
  bool proven = true; ///< a `synced` frame stands behind the last record
};

/// The one thread that writes a segment log:
///
///   append -> waiting -> [take all] -> encode -> one pwrite -> fdatasync -> synced frame ->
///   publish
///                                         |                                                 |
///                                    file full: next file                            done, in
///                                    order
class segment_writer {
public:
  /// All references outlive this.
  segment_writer(const log_directory& directory, const open_options& options, frame_seed seed,
                 const log_id& log, segment_index& index, writer_start start);

  /// Answers everything that waits, then ends.
  ~segment_writer();

  void append(partition_number where, std::string bytes,
              std::function<void(const append_outcome&)> done);

  [[nodiscard]] segment_statistics statistics() const;

private:
  struct waiting {
    partition_number where{0};
    std::string bytes;
    std::function<void(const append_outcome&)> done;
    std::optional<error> refusal;
    offset at = 0;
  };

  using batch = std::vector<waiting>;

  void run();
  [[nodiscard]] bool wait_for_work(std::unique_lock<std::mutex>& hold);
  [[nodiscard]] batch take();
  void commit(batch& taken);
  [[nodiscard]] std::size_t encode(batch& taken, std::size_t from);
  [[nodiscard]] std::optional<append_outcome> store();
  [[nodiscard]] std::optional<append_outcome> write(const std::string& bytes);
  [[nodiscard]] bool take_back(std::size_t size);
  [[nodiscard]] bool sync_current();
  void write_marker();
  void sync_marker();
  [[nodiscard]] std::optional<append_outcome> next_file(std::uint64_t frame);
  [[nodiscard]] std::optional<append_outcome> change_to(segment_spare::prepared next);
  void prepare_next();
  [[nodiscard]] std::uint64_t next_size() const;
  [[nodiscard]] bool fits(std::uint64_t bytes) const;
  void answer(batch& taken, std::size_t from, std::size_t to,
              const std::optional<append_outcome>& failed);
  void fatal(const std::string& text);
  [[nodiscard]] append_outcome refused_for_ever() const;

  const log_directory& x_directory;
  const open_options& x_options;
  const frame_seed x_seed;
  const log_id x_log;
  segment_index& x_index;
  segment_spare x_spare;

  // Of the writer thread.
  file x_current;
  segment_info x_info;
  std::size_t x_file_number = 0;
  std::uint64_t x_position = 0;
  std::uint64_t x_next_number = 0;
  std::uint64_t x_synced_to = 0;
  std::map<partition_number, offset> x_ends;
  std::string x_buffer;
  std::vector<placed_record> x_placed;
  bool x_marker_unsynced = false;
  std::optional<std::string> x_failed;

  mutable std::mutex x_lock;
  std::condition_variable x_wake;
  std::deque<waiting> x_waiting;
  std::size_t x_pending_bytes = 0;
  bool x_closing = false;

  std::atomic<std::uint64_t> x_records = 0;
  std::atomic<std::uint64_t> x_syncs = 0;
  std::atomic<std::uint64_t> x_bytes_written = 0;

  std::thread x_thread; // last: it uses all the others
};

/// Writes and syncs a file's header. Errors: `storage_full`, `io_failed`.
[[nodiscard]] result<void> write_segment_header(const file_calls& calls, const file& to,
                                                const segment_header& header);

/// File sizes are multiples of a page (and of the alignment of frames).
[[nodiscard]] constexpr std::uint64_t whole_pages(std::uint64_t bytes) {
  constexpr std::uint64_t page_size = 4096;
  return std::max((bytes + page_size - 1) / page_size, std::uint64_t{1}) * page_size;
}

/// The size of the file after one of `size` bytes.
[[nodiscard]] std::uint64_t grown_size(std::uint64_t size, std::uint64_t segment_size);

} // namespace orrery::log
