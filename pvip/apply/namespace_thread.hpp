#pragma once

#include "events/core/error.hpp"
#include "pvip/apply/file_descriptor.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

namespace orrery::pvip {

/// A thread that lives in a network namespace: setns(2) changes the calling thread only, so the
/// callers stay where they are and hand their work over. Sockets and /proc/sys/net belong to the
/// namespace of the thread that opens them.
class namespace_thread {
public:
  /// Tasks that may wait; each belongs to a caller that blocks, so more means a bug of a caller.
  static constexpr std::size_t tasks_max = 1'024;

  /// `name` as in `ip netns` (a file in /run/netns), or empty for the caller's own. Errors:
  /// `invalid_argument` (not a file name), `not_found`, `io_failed` (no right to enter).
  [[nodiscard]] static result<std::unique_ptr<namespace_thread>> start(std::string name);

  explicit namespace_thread(std::string name);
  namespace_thread(const namespace_thread&) = delete;
  namespace_thread& operator=(const namespace_thread&) = delete;

  /// Waits for the task in progress; those that wait are done too.
  ~namespace_thread();

  /// Runs `task`, a function of nothing that returns a `result<…>`, in the namespace, and blocks
  /// until it ended. Tasks run one after the other. When the namespace of that name was deleted or
  /// made anew since, the thread follows: `not_found`, or entered again, before the task. Errors:
  /// those of `start`, `too_many_requests`, and the task's.
  template <class Task> std::invoke_result_t<Task> run(Task task) {
    using answer = std::invoke_result_t<Task>;
    // Shared, because the caller may wake and leave while the thread is still within set_value.
    auto promise = std::make_shared<std::promise<answer>>();
    auto future = promise->get_future();
    auto handed_over = hand_over([this, promise, &task] {
      if (auto in = enter(); !in) {
        promise->set_value(in.error());
      } else {
        promise->set_value(task());
      }
    });
    if (!handed_over) {
      return handed_over.error();
    }
    return future.get();
  }

  /// How often the thread entered a namespace: what was opened before another number is stale.
  /// Only within tasks.
  [[nodiscard]] std::uint64_t entries() const { return x_entries; }

private:
  [[nodiscard]] result<void> hand_over(std::function<void()> task);
  [[nodiscard]] result<void> enter();
  void work();

  std::string x_name;
  std::uint64_t x_entries = 0;      // by the thread only, as are the next two
  std::uint64_t x_entered_disk = 0; // device and inode of the namespace that the thread is in
  std::uint64_t x_entered_inode = 0;
  file_descriptor x_entered; // held, so that its inode's number is not given to another

  std::mutex x_lock;
  std::condition_variable x_changed;
  std::deque<std::function<void()>> x_tasks;
  bool x_ending = false;
  std::thread x_thread;
};

} // namespace orrery::pvip
