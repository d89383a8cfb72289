#include "drivers/libvirt/call_book.hpp"

#include <map>
#include <system_error>
#include <thread>

namespace orrery::drivers::libvirt {

std::shared_ptr<call_book> call_book::of(const std::string& socket_path) {
  struct shelf {
    std::mutex guard;
    std::map<std::string, std::shared_ptr<call_book>> books;
  };

  // Never destroyed: a call that hangs at the process's end still holds its book.
  static auto& all = *new shelf;
  const std::lock_guard lock(all.guard);
  auto& book = all.books[socket_path];
  if (!book) {
    book = std::make_shared<call_book>();
    book->x_self = book;
  }
  return book;
}

result<void> call_book::begin(std::optional<vm_id> vm, steady_time end) {
  std::unique_lock lock(x_guard);
  const auto is_free = [&] {
    return x_calls < calls_max && (!vm || (x_changes < changes_max && !x_busy.contains(*vm)));
  };
  if (!x_changed.wait_until(lock, end, is_free))
    return error{.code = error_code::unavailable,
                 .text = vm ? "guest " + to_text(*vm) +
                                  " is busy: an earlier call to its hypervisor has not ended"
                            : "the hypervisor has not ended the calls before this one",
                 .retryable = true};
  ++x_calls;
  if (vm) {
    ++x_changes;
    x_busy.insert(*vm);
  }
  return {};
}

result<void> call_book::spawn(std::optional<vm_id> vm, std::function<void()> work) {
  try {
    // Detached: nobody can wait for a call that does not return. It holds all that it needs.
    std::thread(std::move(work)).detach();
    return {};
  } catch (const std::system_error& failure) {
    finish(vm);
    return error{.code = error_code::unavailable,
                 .text = std::string("no thread for a call to the hypervisor: ") + failure.what(),
                 .retryable = true};
  }
}

void call_book::finish(std::optional<vm_id> vm) {
  {
    const std::lock_guard lock(x_guard);
    --x_calls;
    if (vm) {
      --x_changes;
      x_busy.erase(*vm);
    }
  }
  x_changed.notify_all();
}

error call_book::no_answer(std::chrono::milliseconds patience) {
  return {.code = error_code::unavailable,
          .text = "the hypervisor did not answer within " + std::to_string(patience.count()) +
                  " ms; what was asked may still happen",
          .retryable = true};
}

} // namespace orrery::drivers::libvirt
