#pragma once

#include "tests/support/world.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string_view>

namespace orrery::support {

/// A refusal with this code, no steps, and a text that holds each of `words`: names the thing and
/// the way out.
[[nodiscard]] inline testing::AssertionResult
is_refused(const v1::Decision& decision, error_code code,
           std::initializer_list<std::string_view> words) {
  const auto& reply = decision.reply();
  if (reply.code() == 0)
    return testing::AssertionFailure() << "it was allowed: " << decision.ShortDebugString();
  if (reply.code() != static_cast<std::uint32_t>(code))
    return testing::AssertionFailure()
           << "refused as " << name_of(static_cast<error_code>(reply.code())) << ", not as "
           << name_of(code) << ": " << reply.text();
  if (decision.steps_size() > 0)
    return testing::AssertionFailure() << "refused, and yet it has steps";
  for (const auto& word : words)
    if (reply.text().find(word) == std::string::npos)
      return testing::AssertionFailure() << "'" << word << "' is not in: " << reply.text();
  return testing::AssertionSuccess();
}

/// No promise was broken on the way here.
[[nodiscard]] inline testing::AssertionResult keeps_invariants(const world& at) {
  const auto found = check_invariants(at.commits(), at.state());
  return found.empty() ? testing::AssertionSuccess()
                       : testing::AssertionFailure() << to_text(found);
}

/// Nothing but the record of the refusal itself was left by `act`: same entities, same bytes of
/// each.
template <class Act>
[[nodiscard]] testing::AssertionResult leaves_nothing_behind(world& at, const Act& act) {
  const auto bytes_of = [](const world& one) {
    domain::state_bytes out;
    one.state().for_each([&out](const uuid& entity, const domain::entity_ptr& state) {
      out.add(entity);
      domain::write(out, *state);
    });
    return out.bytes();
  };
  const auto before = bytes_of(at);
  act();
  return before == bytes_of(at) ? testing::AssertionSuccess()
                                : testing::AssertionFailure() << "an entity has changed";
}

/// It is refused so, in these words, and changes nothing.
inline void expect_refused(world& at, const v1::Command& command, error_code code,
                           const std::string& words) {
  EXPECT_TRUE(leaves_nothing_behind(
      at, [&] { EXPECT_TRUE(is_refused(at.tell(command), code, {words})) << words; }));
}

} // namespace orrery::support
