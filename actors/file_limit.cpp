#include "actors/file_limit.hpp"

#include "actors/api/http/server.hpp"

#include <sys/resource.h>

#include <algorithm>

namespace orrery::actors {

namespace {

/// Files of the log and the projections (RocksDB keeps its files open, some 2 MB or more each),
/// connections to brokers and hypervisors.
constexpr std::size_t files_kept = 1'024;

/// The same where there are not that many in all.
constexpr std::size_t files_kept_min = 256;

/// Connections without a stream, and those that are being turned away.
constexpr std::size_t plain_connections = 2 * http::connection_count_max;

} // namespace

std::size_t allow_open_files(std::size_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return 0;
  if (limit.rlim_cur < wanted) {
    auto raised = limit;
    raised.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0)
      limit = raised;
  }
  return limit.rlim_cur;
}

std::size_t streams_within(std::size_t open_files_max) {
  constexpr auto others = plain_connections + files_kept_min;
  if (open_files_max >= open_files_wanted())
    return http::stream_count_max;
  return std::min(http::stream_count_max, open_files_max - std::min(open_files_max, others));
}

std::size_t open_files_wanted() { return http::stream_count_max + plain_connections + files_kept; }

} // namespace orrery::actors
