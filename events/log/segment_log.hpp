#pragma once

#include "events/log/history.hpp"
#include "events/log/log.hpp"
#include "events/log/segment_files.hpp"
#include "events/log/segment_scan.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace orrery::log {

struct open_options {
  /// Takes a shared lock, never writes, creates or cuts; every append is `not_written{read_only}`.
  bool read_only = false;

  /// Bytes of a full-grown file (the first ones are smaller, so that a small log stays small).
  /// 256 MiB: rare enough that changing files costs nothing, small enough to copy and to lose.
  std::uint64_t segment_size = std::uint64_t{256} * 1024 * 1024;

  /// Called when it is unknown what the disk holds (a failed sync): what the kernel dropped cannot
  /// be asked for again. The default prints the text and aborts. A replacement that returns (tests)
  /// leaves a log that refuses all further appends.
  std::function<void(const std::string&)> on_fatal;

  file_calls calls = file_calls::system(); ///< replaced by tests only
};

/// What opening found.
struct open_report {
  std::optional<torn_tail> torn; ///< cut off (only seen, when `read_only`)
  std::uint64_t frames = 0;
  std::uint64_t files = 0;
};

struct segment_statistics {
  std::uint64_t records = 0;       ///< appended and durable since opening
  std::uint64_t syncs = 0;         ///< of files with records; records / syncs is the grouping
  std::uint64_t bytes_written = 0; ///< frames
};

/// The embedded log: plain files in one directory (their form is in `segment_frame.hpp`), one
/// process at a time. One writer thread takes all that waits, does one write and one `fdatasync`,
/// writes a `synced` frame as proof, then answers. Reads come from the files, of synced records
/// only.
///
/// What the proof is worth: it is in the kernel before the answer is given, so after the death of
/// the process every acknowledged record is provably one, and a flipped byte in it is damage, never
/// a torn tail. It is on the disk with the next sync, at the latest `marker_sync_delay` after the
/// log went idle; so for that long after the last append a power cut *together with* a damaged last
/// group would be taken for a torn tail, and reported as one.
///
/// A full disk: an append that needs a new file and gets no room for it is `not_written` with
/// `storage_full`; the log stays as it was and the next append tries again.
class segment_log final : public log {
public:
  /// Makes a new, empty log in `directory` (made too, if only its last part is missing) and opens
  /// it. Safe against a crash at any point: afterwards there is a log, or none and `create` works.
  /// Errors: `already_exists`, `locked`, `storage_full`, `damaged` (records without `log.meta`),
  /// `io_failed`.
  [[nodiscard]] static result<std::unique_ptr<segment_log>>
  create(const std::string& directory, const log_identity& identity, open_options options = {});

  /// Opens a log, reading all of it once (about 1 GB/s and more). Errors: `not_found`, `locked`,
  /// `damaged` (file and byte in the text), `unknown_record` (a newer format), `io_failed`.
  [[nodiscard]] static result<std::unique_ptr<segment_log>>
  open(const std::string& directory, open_options options, open_report& report);

  ~segment_log() override;

  void append(partition_number where, std::string bytes,
              std::function<void(const append_outcome&)> done) override;
  [[nodiscard]] result<std::vector<record>> read(partition_number where, offset from,
                                                 std::size_t bytes_max,
                                                 std::chrono::milliseconds patience) override;
  [[nodiscard]] result<offset> end(partition_number where) override;

  [[nodiscard]] const log_identity& identity() const;

  /// 1, and more behind each restore from a backup.
  [[nodiscard]] std::uint64_t incarnation() const;
  [[nodiscard]] segment_statistics statistics() const;

private:
  class core;

  explicit segment_log(std::unique_ptr<core> made);

  std::unique_ptr<core> x_core;
};

} // namespace orrery::log
