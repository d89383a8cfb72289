#pragma once

#include <unistd.h>

#include <utility>

namespace orrery::pvip {

/// Owns one file descriptor; closes it.
class file_descriptor {
public:
  file_descriptor() = default;

  explicit file_descriptor(int number) : x_number(number) {}

  file_descriptor(file_descriptor&& other) noexcept : x_number(std::exchange(other.x_number, -1)) {}

  file_descriptor& operator=(file_descriptor&& other) noexcept {
    std::swap(x_number, other.x_number);
    return *this;
  }

  file_descriptor(const file_descriptor&) = delete;
  file_descriptor& operator=(const file_descriptor&) = delete;

  ~file_descriptor() {
    if (x_number >= 0) {
      ::close(x_number);
    }
  }

  [[nodiscard]] int number() const { return x_number; }

  [[nodiscard]] bool is_open() const { return x_number >= 0; }

private:
  int x_number = -1;
};

} // namespace orrery::pvip
