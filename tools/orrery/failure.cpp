#include "tools/orrery/failure.hpp"

#include "tools/orrery/terminal.hpp"

#include <array>

namespace orrery::cli {

namespace {

struct row {
  std::string_view code;
  exit_code exit;
};

constexpr std::array<row, 15> exits{{
    {"unauthenticated", exit_code::login_needed},
    {"not_found", exit_code::not_found},
    {"already_exists", exit_code::conflict},
    {"busy", exit_code::conflict},
    {"conflict", exit_code::conflict},
    {"superseded", exit_code::conflict},
    {"key_reused", exit_code::conflict},
    {"capacity_exhausted", exit_code::refused},
    {"addresses_exhausted", exit_code::refused},
    {"unsupported", exit_code::refused},
    {"too_many_requests", exit_code::refused},
    {"read_only", exit_code::refused},
    {"image_unknown", exit_code::refused},
    {"target_behind", exit_code::refused},
    {"limit_reached", exit_code::refused},
}};

} // namespace

failure::failure(exit_code how, std::string_view name, std::string text)
    : exit(how), code(name), detail(std::move(text)) {}

failure::failure(const error& why)
    : exit(exit_of(name_of(why.code), 0)), code(name_of(why.code)), detail(why.text) {}

exit_code exit_of(std::string_view code, int status) {
  for (const auto& [known, exit] : exits)
    if (known == code)
      return exit;
  switch (status) {
  case 401:
    return exit_code::login_needed;
  case 404:
    return exit_code::not_found;
  case 409:
  case 412:
    return exit_code::conflict;
  case 403:
  case 429:
    return exit_code::refused;
  default:
    return exit_code::failed;
  }
}

std::string failure_text(const failure& why, bool as_json, bool coloured) {
  if (as_json) {
    if (why.problem.is_object())
      return to_json(why.problem, json_layout::compact) + "\n";
    json made = json::object();
    made.set("type", json::of("urn:orrery:problem:" + why.code))
        .set("detail", json::of(clean(why.detail)))
        .set("code", json::of(why.code));
    return to_json(made, json_layout::compact) + "\n";
  }
  return (coloured ? "\033[31merror:\033[0m " : "error: ") + clean(why.detail) + " (" +
         clean(why.code) + ")\n";
}

} // namespace orrery::cli
