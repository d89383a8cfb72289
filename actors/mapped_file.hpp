#pragma once

#include "events/core/error.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <utility>

namespace orrery::actors {

/// A small file as memory: what is written there outlives the process, however that ends. Not what
/// is safe against a loss of power.
class mapped_file {
public:
  /// Opens or makes the file (mode 0600), brings it to `bytes` with zeros at its end, and takes
  /// room on the disk for all of it. Errors: `io_failed`.
  [[nodiscard]] static result<mapped_file> open(const std::string& path, std::size_t bytes);

  mapped_file(mapped_file&& other) noexcept : x_memory(std::exchange(other.x_memory, {})) {}

  mapped_file& operator=(mapped_file&& other) noexcept {
    std::swap(x_memory, other.x_memory);
    return *this;
  }

  mapped_file(const mapped_file&) = delete;
  mapped_file& operator=(const mapped_file&) = delete;
  ~mapped_file();

  [[nodiscard]] std::span<std::byte> memory() const { return x_memory; }

private:
  explicit mapped_file(std::span<std::byte> memory) : x_memory(memory) {}

  std::span<std::byte> x_memory;
};

} // namespace orrery::actors
