#include "pvip/apply/comparison.hpp"

#include <utility>

namespace orrery::pvip {

namespace {

std::string owner_text(const std::optional<std::uint32_t>& uid) {
  return uid ? "user " + std::to_string(*uid) : std::string("everybody");
}

} // namespace

void comparison::make_taps() {
  for (const wanted_link& link : x_wanted.links) {
    if (is_taken(link.name)) {
      x_result.refusals.push_back(in_the_way("link " + link.name +
                                             " exists and is not a tap, so it is not ours and is "
                                             "left as it is; rename or remove it"));
    } else if (existing(link.name) == nullptr) {
      add(make_tap{link}, "link " + link.name, link.name, change::added,
          "link " + link.name + " was missing");
    }
  }
}

void comparison::adopt_taps() {
  for (const wanted_link& link : x_wanted.links) {
    const found_link* has = existing(link.name);
    if (has == nullptr || !has->tap) {
      continue;
    }
    if (has->owner_uid != link.owner_uid || !has->persistent) {
      std::string was = has->persistent ? "belonged to " + owner_text(has->owner_uid)
                                        : std::string("was not persistent");
      repair_link(adopt_tap{link}, link.name, "link " + link.name + " " + was);
    }
  }
}

void comparison::dress_links() {
  for (const wanted_link& link : x_wanted.links) {
    const found_link* has = existing(link.name);
    if (has == nullptr) {
      add(dress_link{link}, "link " + link.name, link.name, change::added, {});
    } else if (has->tap) {
      dress_existing(link, *has);
    }
  }
}

void comparison::dress_existing(const wanted_link& link, const found_link& has) {
  const std::string name = "link " + link.name;
  std::string sentence;
  if (has.mac != gateway_mac) {
    sentence = name + " had MAC " + to_text(has.mac) + ", wanted " + to_text(gateway_mac);
  } else if (has.alias != mark_of(link.gateway)) {
    sentence = name + " had another mark than \"" + mark_of(link.gateway) + "\"";
  } else if (has.makes_addresses) {
    sentence = name + " made IPv6 addresses by itself";
  }
  if (!sentence.empty()) {
    repair_link(dress_link{link}, link.name, std::move(sentence));
  }
}

void comparison::raise_links() {
  for (const wanted_link& link : x_wanted.links) {
    const found_link* has = existing(link.name);
    if (has == nullptr) {
      add(raise_link{link.name}, "link " + link.name, link.name, change::added, {});
    } else if (has->tap && !has->up) {
      repair_link(raise_link{link.name}, link.name, "link " + link.name + " was down");
    }
  }
}

void comparison::remove_links() {
  for (const found_link& link : x_found.links) {
    if (is_marked(link, x_prefix) && !x_wanted_names.contains(link.name)) {
      const std::string object = "link " + link.name;
      add(remove_link{.link = link.name, .index = link.index}, object, {}, change::removed,
          object + " is wanted by nobody");
    }
  }
}

} // namespace orrery::pvip
