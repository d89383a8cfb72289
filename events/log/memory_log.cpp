#include "events/log/memory_log.hpp"

#include "events/log/append_check.hpp"

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

namespace orrery::log {

class memory_store {
public:
  std::mutex lock;
  std::condition_variable grown;
  std::map<partition_number, std::vector<std::string>> partitions;
};

std::shared_ptr<memory_store> make_memory_store() { return std::make_shared<memory_store>(); }

/// The one thread that stores and calls `done`, as the disk's writer does.
class memory_log::writer {
public:
  explicit writer(std::shared_ptr<memory_store> store)
      : x_store(std::move(store)), x_thread([this] { run(); }) {}

  ~writer() {
    {
      const std::lock_guard hold(x_lock);
      x_closing = true;
    }
    x_wake.notify_one();
    x_thread.join();
  }

  void add(partition_number where, std::string bytes,
           std::function<void(const append_outcome&)> done) {
    {
      const std::lock_guard hold(x_lock);
      auto refusal = append_refusal(where, bytes.size(), x_pending_bytes);
      if (refusal)
        bytes = {};
      x_pending_bytes += bytes.size();
      x_waiting.push_back({where, std::move(bytes), std::move(done), std::move(refusal)});
    }
    x_wake.notify_one();
  }

private:
  struct waiting {
    partition_number where;
    std::string bytes;
    std::function<void(const append_outcome&)> done;
    std::optional<error> refusal;
  };

  void run() {
    std::unique_lock hold(x_lock);
    while (true) {
      x_wake.wait(hold, [this] { return x_closing || !x_waiting.empty(); });
      if (x_waiting.empty())
        return;
      auto next = std::move(x_waiting.front());
      x_waiting.pop_front();
      x_pending_bytes -= next.bytes.size();
      hold.unlock();
      store(std::move(next));
      hold.lock();
    }
  }

  void store(waiting next) {
    if (next.refusal) {
      next.done({append_fate::not_written, 0, *next.refusal});
      return;
    }
    offset at = 0;
    {
      const std::lock_guard hold(x_store->lock);
      auto& records = x_store->partitions[next.where];
      at = records.size();
      records.push_back(std::move(next.bytes));
    }
    x_store->grown.notify_all();
    next.done({append_fate::durable, at, {}});
  }

  std::shared_ptr<memory_store> x_store;
  std::mutex x_lock;
  std::condition_variable x_wake;
  std::deque<waiting> x_waiting;
  std::size_t x_pending_bytes = 0;
  bool x_closing = false;
  std::thread x_thread;
};

memory_log::memory_log(std::shared_ptr<memory_store> store)
    : x_store(std::move(store)), x_writer(std::make_unique<writer>(x_store)) {}

memory_log::~memory_log() = default;

void memory_log::append(partition_number where, std::string bytes,
                        std::function<void(const append_outcome&)> done) {
  x_writer->add(where, std::move(bytes), std::move(done));
}

result<std::vector<record>> memory_log::read(partition_number where, offset from,
                                             std::size_t bytes_max,
                                             std::chrono::milliseconds patience) {
  std::unique_lock hold(x_store->lock);
  const auto& stored = x_store->partitions[where];
  if (from > stored.size())
    return read_above_end(where, from, stored.size());
  x_store->grown.wait_for(hold, patience, [&] { return stored.size() > from; });
  std::vector<record> found;
  std::size_t bytes = 0;
  for (offset at = from; at < stored.size(); ++at) {
    if (!found.empty() && bytes + stored[at].size() > bytes_max)
      break;
    bytes += stored[at].size();
    found.push_back({at, stored[at]});
  }
  return found;
}

result<offset> memory_log::end(partition_number where) {
  const std::lock_guard hold(x_store->lock);
  return offset{x_store->partitions[where].size()};
}

} // namespace orrery::log
