#pragma once

#include "events/core/id.hpp"
#include "events/domain/types.hpp"
#include "tools/dev/bench/plain_loop.hpp"

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace orrery::bench {

/// Who is on the stage: one simulated cluster with one node and as many networks as its VMs need.
struct stage {
  uuid node;
  std::vector<uuid> vms;
};

/// Fills a log: makes `vms` VMs, each asked for, placed, given an address and seen to answer.
[[nodiscard]] stage set_the_stage(plain_loop& loop, std::size_t vms);

/// Time of the first commit of a log that is made for the bench: its commits are made faster than
/// real ones, and must not come to lie in the future.
[[nodiscard]] utc_time first_commit_time();

/// A node that greets (again), so that its epoch is one higher.
[[nodiscard]] v1::Command greeting_of(const uuid& node, std::uint64_t nonce);

enum class load_kind : std::uint8_t {
  skewed, ///< 80 % of the commands for 1 % of the VMs
  even,   ///< any VM as likely as any other
};

/// Observations of the node: a guest was seen off (it shut itself down), then on, then off … Each
/// is one command that leads to one event. The same seed gives the same commands.
class observations {
public:
  explicit observations(const stage& where);

  [[nodiscard]] std::vector<v1::Command> make(std::size_t count, load_kind kind,
                                              std::uint64_t node_epoch);

private:
  const stage& x_stage;
  std::vector<bool> x_is_off; ///< of each VM
  std::mt19937_64 x_random{20'261'122};
  std::uint64_t x_number = 0;
};

/// Commits observations of any VMs, in records of full size; each is one event.
void live(plain_loop& loop, observations& seen, std::size_t commands);

/// Fills a log with about ten events a VM: eight to make it, two of its life.
void fill(plain_loop& loop, std::size_t vms);

} // namespace orrery::bench
