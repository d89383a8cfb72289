#pragma once

#include "drivers/hypervisor.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

namespace orrery::drivers::libvirt {

/// Runs blocking calls of one libvirtd with a limit on the caller's patience, and knows which are
/// still under way when their callers have gone. Libvirt's calls cannot be cancelled, so each runs
/// in a thread of its own; a call that outlived its caller must not go on to its next step, and
/// whoever wants to change the same guest waits for its end.
///
///   caller --(slot free, guest free)--> thread: body --> answer --> caller
///                                          \--(patience over)--> caller gets `unavailable`;
///                                              the body sees `is_abandoned` before its next step
class call_book {
public:
  /// How a body learns that nobody waits for it any more. Copies speak of the same call.
  class call {
  public:
    [[nodiscard]] bool is_abandoned() const { return x_is_abandoned->load(); }

  private:
    friend class call_book;
    std::shared_ptr<std::atomic<bool>> x_is_abandoned = std::make_shared<std::atomic<bool>>(false);
  };

  /// One book for each libvirtd of this process, found by its socket's path, so that a driver made
  /// anew still waits for the calls of the one before it.
  [[nodiscard]] static std::shared_ptr<call_book> of(const std::string& socket_path);

  /// Runs a question: beside anything else. Errors: those of `body`, `unavailable` after
  /// `patience`. Blocks at most `patience`.
  template <class T>
  [[nodiscard]] result<T> ask(std::chrono::milliseconds patience,
                              std::function<result<T>(const call&)> body) {
    return run<T>(std::nullopt, patience, std::move(body));
  }

  /// Runs a change of `vm`: only after every earlier change of that guest has ended.
  template <class T>
  [[nodiscard]] result<T> change(vm_id vm, std::chrono::milliseconds patience,
                                 std::function<result<T>(const call&)> body) {
    return run<T>(vm, patience, std::move(body));
  }

private:
  using steady_time = std::chrono::steady_clock::time_point;

  // libvirtd reads no more than five calls of a client at once (max_client_requests). A sixth would
  // lie unread in the socket, where it could be found after our death and our successor's fence.
  // Changes leave one for questions.
  static constexpr unsigned calls_max = 5;
  static constexpr unsigned changes_max = 4;

  template <class T> struct answer {
    std::mutex guard;
    std::condition_variable given;
    std::optional<result<T>> value;
  };

  template <class T>
  result<T> run(std::optional<vm_id> vm, std::chrono::milliseconds patience,
                std::function<result<T>(const call&)> body) {
    const auto end = std::chrono::steady_clock::now() + patience;
    if (auto begun = begin(vm, end); !begun)
      return begun.error();
    const auto given = std::make_shared<answer<T>>();
    const call mine;
    if (auto begun = spawn(vm,
                           [self = x_self.lock(), given, mine, vm, body = std::move(body)] {
                             auto value = body(mine);
                             // The book first: a caller that has its answer may begin the next
                             // change at once.
                             self->finish(vm);
                             const std::lock_guard lock(given->guard);
                             given->value = std::move(value);
                             given->given.notify_all();
                           });
        !begun)
      return begun.error();
    std::unique_lock lock(given->guard);
    if (given->given.wait_until(lock, end, [&] { return given->value.has_value(); }))
      return std::move(*given->value);
    mine.x_is_abandoned->store(true);
    return no_answer(patience);
  }

  [[nodiscard]] result<void> begin(std::optional<vm_id> vm, steady_time end);
  [[nodiscard]] result<void> spawn(std::optional<vm_id> vm, std::function<void()> work);
  void finish(std::optional<vm_id> vm);
  [[nodiscard]] static error no_answer(std::chrono::milliseconds patience);

  std::weak_ptr<call_book> x_self;
  std::mutex x_guard;
  std::condition_variable x_changed;
  unsigned x_calls = 0;
  unsigned x_changes = 0;
  std::set<vm_id> x_busy; ///< guests with a change under way
};

} // namespace orrery::drivers::libvirt
