#pragma once

#include <memory>
#include <utility>

namespace orrery {

/// A value that is mostly not there: where there is none it takes a pointer's room, as
/// `std::optional` takes the value's. A copy has a value of its own.
template <class Value> class rare {
public:
  rare() = default;

  rare(Value value) : x_value(std::make_unique<Value>(std::move(value))) {}

  rare(const rare& other) : x_value(other ? std::make_unique<Value>(*other) : nullptr) {}

  rare(rare&&) noexcept = default;

  rare& operator=(rare other) noexcept {
    x_value = std::move(other.x_value);
    return *this;
  }

  ~rare() = default;

  [[nodiscard]] bool has_value() const { return x_value != nullptr; }

  [[nodiscard]] explicit operator bool() const { return has_value(); }

  [[nodiscard]] Value& operator*() { return *x_value; }

  [[nodiscard]] const Value& operator*() const { return *x_value; }

  [[nodiscard]] Value* operator->() { return x_value.get(); }

  [[nodiscard]] const Value* operator->() const { return x_value.get(); }

  /// A value of its own making.
  Value& emplace() {
    x_value = std::make_unique<Value>();
    return *x_value;
  }

  void reset() { x_value.reset(); }

private:
  std::unique_ptr<Value> x_value;
};

} // namespace orrery
