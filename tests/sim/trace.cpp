#include "tests/sim/trace.hpp"

#include <cstdio>
#include <cstring>

namespace orrery::sim {

namespace {

/// Takes eight bytes at once into a hash; multiplier and shift are those of SplitMix64.
void take(std::uint64_t& hash, std::uint64_t value) {
  hash = (hash ^ value) * 0xbf58476d1ce4e5b9ULL;
  hash ^= hash >> 31;
}

void take(std::uint64_t& hash, std::string_view bytes) {
  take(hash, bytes.size());
  while (!bytes.empty()) {
    std::uint64_t word = 0;
    const auto size = std::min(bytes.size(), sizeof word);
    std::memcpy(&word, bytes.data(), size); // all machines that run this are little endian
    take(hash, word);
    bytes.remove_prefix(size);
  }
}

} // namespace

void trace::note(std::string_view what, std::uint64_t number, std::string_view bytes) {
  take(x_hash, static_cast<std::uint64_t>(x_time.now().count()));
  take(x_hash, what);
  take(x_hash, number);
  take(x_hash, bytes);
}

void trace::write(std::string_view what, std::uint64_t number, const std::string& text) const {
  char begin[96];
  std::snprintf(begin, sizeof begin, "%12.6f %-10.*s %4llu  ",
                static_cast<double>(x_time.now().count()) / 1e6, static_cast<int>(what.size()),
                what.data(), static_cast<unsigned long long>(number));
  x_to(begin + text);
}

} // namespace orrery::sim
