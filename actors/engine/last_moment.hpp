#pragma once

#include "events/core/id.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace orrery::actors {

/// A sort of command: its noun and verb, and the entity that it is for when that exists already (of
/// a create each has another).
struct command_kind {
  uuid entity;
  std::uint32_t verb = 0; ///< field numbers of the command's body and of its verb; never 0

  bool operator==(const command_kind&) const = default;
};

/// What was being decided when the process last died, so that a command that ends its owner is
/// found and not tried for ever. It is written into memory that outlives the process (a mapped
/// file): a death, even by kill -9, leaves it as it stood, and no call is made for it.
///
///   first death: only "something" is known; in the next life each command is decided alone
///   then: which; it is decided alone until it lives, or has ended `deaths_max` lives
///
/// It guides liveness only: what is refused for it is recorded like any refusal. Not thread-safe.
class last_moment {
public:
  /// Bytes of the memory.
  static constexpr std::size_t size = 4096;

  /// Deaths with a sort of command alone in hand before it is refused: one may be a coincidence.
  static constexpr std::uint32_t deaths_max = 2;

  /// Reads what the last life left in `memory`, of at least `size` bytes, which must outlive this.
  /// Content of another program version, or of nobody, counts as nothing: the mistake may be
  /// mended.
  last_moment(std::span<std::byte> memory, std::string_view version);

  /// Whether the last life ended while something was decided.
  [[nodiscard]] bool died_deciding() const { return x_died_deciding; }

  /// Whether some sort of command has ended a life and not been decided since.
  [[nodiscard]] bool has_suspects() const { return x_has_suspects; }

  /// How many lives ended while just this was decided.
  [[nodiscard]] std::uint32_t deaths(const command_kind& kind) const;

  /// One command of this sort, or several of any, are about to be decided.
  void begin_one(const command_kind& kind);
  void begin_many();

  /// They are decided: nobody died. A sort that was alone is innocent.
  void end();

  /// They will not be decided, here or now. Says nothing about them.
  void let_go();

  /// One death less for it.
  void forgive(const command_kind& kind);

private:
  static constexpr std::size_t suspects_max = 64;

  struct suspect {
    std::uint64_t entity_a;
    std::uint64_t entity_b;
    std::uint32_t verb; ///< 0: nobody
    std::uint32_t deaths;
  };

  struct page {
    std::array<char, 8> magic;
    std::array<char, 48> version;
    std::uint32_t is_deciding_many;
    std::uint32_t deciding; ///< place of the suspect, from 1
    std::array<suspect, suspects_max> suspects;
  };

  static_assert(sizeof(page) <= size);

  [[nodiscard]] suspect* find(const command_kind& kind) const;
  void look_for_suspects();

  page* x_page;
  bool x_died_deciding = false;
  bool x_has_suspects = false;
};

} // namespace orrery::actors
