#pragma once

#include "events/core/error.hpp"
#include "events/core/time.hpp"
#include "events/log/backup_manifest.hpp"
#include "events/log/segment_files.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace orrery::log {

// A backup of the embedded log is a directory of the same form (`segment_frame.hpp`) with a
// manifest beside: `orrery log verify` works on it, and nothing has to be unpacked. All of these
// block for as long as reading and writing take. Whatever fails, or is killed, leaves nothing under
// the name that was asked for; what a killed one left under the name with `.partial` behind it is
// removed by the next one.

struct backup_options {
  /// What is done, and how many bytes of how many are behind.
  std::function<void(std::string_view what, std::uint64_t done, std::uint64_t all)> progress;

  file_calls calls = file_calls::system(); ///< replaced by tests only
};

struct backup_facts {
  backup_manifest manifest;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0; ///< of records
};

/// Copies the log in the directory `log` into the new directory `backup`, an orreryd running on it
/// or not: all that was acknowledged before this began, and perhaps more; a prefix of the log. Then
/// reads the copy back. Nothing of it slows the log but the disk.
/// Errors: `not_found` (no log there), `already_exists` (`backup` is there), `locked` (another one
/// makes the same backup), `damaged` (of the log: nothing is backed up then), `unknown_record` (a
/// newer format), `storage_full`, `io_failed`.
[[nodiscard]] result<backup_facts> create_backup(const std::string& log, const std::string& backup,
                                                 utc_time now, const backup_options& options = {});

/// Reads a whole backup: every checksum, the chain of hashes, the acceptance rule, and that all is
/// there that the manifest says. Errors: `not_found` (no backup there), `damaged` (the text says
/// where), `unknown_record` (a newer format), `locked`, `io_failed`.
[[nodiscard]] result<backup_facts> verify_backup(const std::string& backup,
                                                 const backup_options& options = {});

/// What a restored log is.
struct restored_log {
  backup_facts from;
  std::uint64_t incarnation = 1; ///< above the one of the backup
};

/// Verifies a backup, then makes a log of it in `<data_directory>/log` (the directory is made too,
/// if only its last part is missing) under a higher incarnation: so many seconds since 1970, that
/// two restores of one backup differ. Errors: those of `verify_backup`, `already_exists` (there is
/// a log, or projections of one), `storage_full`.
[[nodiscard]] result<restored_log> restore_backup(const std::string& backup,
                                                  const std::string& data_directory, utc_time now,
                                                  const backup_options& options = {});

} // namespace orrery::log
