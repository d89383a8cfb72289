#pragma once

#include <atomic>
#include <memory>

namespace orrery {

/// What `held` points to, to be changed: the very one when nobody else holds it, else a copy that
/// `held` points to from then on. Never null; it was made as a non-const object.
template <class Value> [[nodiscard]] Value& own(std::shared_ptr<const Value>& held) {
  if (held.use_count() > 1)
    held = std::make_shared<Value>(*held);
  else // whoever let go of it last has read it before
    std::atomic_thread_fence(std::memory_order_acquire);
  return const_cast<Value&>(*held);
}

} // namespace orrery
