#include "tools/orrery/upstream.hpp"

#include "tools/orrery/failure.hpp"
#include "tools/orrery/units.hpp"

#include <charconv>
#include <string_view>
#include <utility>

namespace orrery::cli {

namespace {

[[noreturn]] void refuse(const std::string& why) { throw failure(exit_code::usage, "usage", why); }

json number_of(std::string_view text, const std::string& router) {
  std::uint32_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size())
    refuse("--router " + router + ": '" + std::string(text) + "' is no AS number");
  return json::of(std::uint64_t{number});
}

/// ADDRESS,as=NUMBER[,secret=NAME]
json router_of(const std::string& said) {
  auto made = json::object();
  std::string_view rest = said;
  bool has_as = false;
  for (bool is_first = true; is_first || !rest.empty(); is_first = false) {
    const auto part = rest.substr(0, rest.find(','));
    rest.remove_prefix(part.size() + (part.size() < rest.size() ? 1 : 0));
    if (is_first)
      made.set("address", json::of(part));
    else if (part.starts_with("as=")) {
      made.set("as", number_of(part.substr(3), said));
      has_as = true;
    } else if (part.starts_with("secret=") && part.size() > 7)
      made.set("secret", json::of(part.substr(7)));
    else
      refuse("--router " + said + ": want ADDRESS,as=NUMBER or ADDRESS,as=NUMBER,secret=NAME");
  }
  if (!has_as)
    refuse("--router " + said + ": its AS number is missing: want ADDRESS,as=NUMBER");
  return made;
}

void set_seconds(json& body, const char* field, const char* flag, const std::string& said) {
  if (!said.empty())
    body.set(field, json::of(whole_seconds(flag, said)));
}

/// Flags that were said, and whose protocol they are of.
void refuse_foreign(const upstream_words& said) {
  const bool is_bgp = said.protocol == "bgp";
  const bool is_ospf = said.protocol == "ospf";
  const std::pair<const char*, bool> foreign[] = {
      {"--as", said.as && !is_bgp},
      {"--router", !said.routers.empty() && !is_bgp},
      {"--hold", !said.hold.empty() && !is_bgp},
      {"--area", !said.area.empty() && !is_ospf},
      {"--hello", !said.hello.empty() && !is_ospf},
      {"--dead", !said.dead.empty() && !is_ospf},
      {"--secret", !said.secret.empty() && !is_ospf},
      {"--ipv6", said.ipv6 && !is_ospf},
      {"--learn-default", said.learn_default && !is_bgp && !is_ospf},
      {"--learn-guests", said.learn_guests && !is_bgp && !is_ospf},
      {"--uplink", !said.uplink.empty() && said.protocol == "none"}};
  for (const auto& [flag, is_foreign] : foreign)
    if (is_foreign)
      refuse(std::string(flag) + " is not of '" + said.protocol + "'");
}

json bgp_of(const upstream_words& said) {
  if (!said.as || said.routers.empty())
    refuse("bgp needs --as, and a --router at least");
  auto made = json::object();
  made.set("as", json::of(std::uint64_t{*said.as}));
  auto routers = json::list();
  for (const auto& one : said.routers)
    routers.items.push_back(router_of(one));
  made.set("routers", std::move(routers));
  set_seconds(made, "holdSeconds", "--hold", said.hold);
  return made;
}

json ospf_of(const upstream_words& said) {
  auto made = json::object();
  if (!said.area.empty())
    made.set("area", json::of(said.area));
  set_seconds(made, "helloSeconds", "--hello", said.hello);
  set_seconds(made, "deadSeconds", "--dead", said.dead);
  if (!said.secret.empty())
    made.set("secret", json::of(said.secret));
  if (said.ipv6)
    made.set("ipv6", json::of(true));
  return made;
}

} // namespace

json upstream_of(const upstream_words& said) {
  refuse_foreign(said);
  auto body = json::object();
  if (said.protocol == "none")
    return body;
  if (said.uplink.empty())
    refuse(said.protocol + " needs --uplink");
  body.set("uplink", json::of(said.uplink));
  if (said.protocol == "bgp")
    body.set("bgp", bgp_of(said));
  else if (said.protocol == "ospf")
    body.set("ospf", ospf_of(said));
  else
    body.set("arp", json::object());
  if (said.learn_default)
    body.set("learnDefault", json::of(true));
  if (said.learn_guests)
    body.set("learnGuests", json::of(true));
  return body;
}

} // namespace orrery::cli
