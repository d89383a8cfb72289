#include "actors/log_reader.hpp"

#include <caf/send.hpp>

namespace orrery::actors {

namespace {

/// How much is read at once: a few milliseconds of folding.
constexpr std::size_t chunk_bytes_max = std::size_t{4} * 1024 * 1024;

/// How long one read waits for new records: also how long stopping takes at most.
constexpr std::chrono::milliseconds patience{200};

} // namespace

log_reader::log_reader(std::shared_ptr<log::log> from, partition_number where, log::offset first,
                       partition_actor to, std::shared_ptr<flow> handed,
                       std::shared_ptr<flow> projected)
    : x_log(std::move(from)), x_where(where), x_next(first), x_to(std::move(to)),
      x_handed(std::move(handed)), x_projected(std::move(projected)) {
  x_thread = std::thread([this] { run(); });
}

log_reader::~log_reader() {
  stop();
  x_thread.join();
}

void log_reader::stop() {
  x_stopping = true;
  x_handed->close();
  x_projected->close();
}

void log_reader::run() {
  bool is_first = true;
  while (!x_stopping) {
    auto read = x_log->read(x_where, x_next, chunk_bytes_max,
                            is_first ? std::chrono::milliseconds(0) : patience);
    if (!read && read.error().code == error_code::unavailable) {
      std::this_thread::sleep_for(patience); // the brokers are away: they come back
      continue;
    }
    if (!read) {
      caf::anon_send(x_to, read_failed{read.error()});
      return;
    }
    if (read->empty() && !is_first)
      continue;
    is_first =
        false; // an empty log is told once, so that the partition knows that it has seen all of it
    auto records = std::make_shared<std::vector<log::record>>(std::move(*read));
    if (!records->empty())
      x_next = records->back().at + 1;
    if (!x_projected->wait_for_room() || !x_handed->enter())
      return;
    const auto end = x_log->end(x_where);
    caf::anon_send(x_to, records_read{std::move(records), end ? *end : x_next});
  }
}

} // namespace orrery::actors
