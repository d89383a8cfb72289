#include "pvip/apply/comparison.hpp"

#include <utility>

namespace orrery::pvip {

void comparison::refuse_loose_filter() {
  if (x_scope == apply_scope::whole_node && x_found.filter_of_all == "2") {
    x_result.refusals.push_back(
        {.code = error_code::conflict,
         .text = "net.ipv4.conf.all.rp_filter is 2 (loose), which would let guests send from "
                 "addresses of others; set it to 0 or 1 in the node's namespace",
         .retryable = true});
  }
}

void comparison::keep_listening_to_routers() {
  for (const std::string& link : x_found.router_listeners) {
    if (x_has_ipv6 && !x_wanted_names.contains(link)) {
      const std::string path = path_of_router_listening(link);
      add(write_setting{.path = path, .value = "2"}, "setting " + path, {}, change::repaired,
          path + " was 1, wanted 2, to listen to routers also when the node forwards");
    }
  }
}

void comparison::set_node() {
  for (std::size_t i = 0; i < node_settings.size() && i < x_found.node_values.size(); ++i) {
    const node_setting& setting = node_settings[i];
    const bool is_wanted = setting.use != setting_use::with_ipv6 || x_has_ipv6;
    if (is_wanted && x_found.node_values[i] != setting.value) {
      const std::string path(setting.path);
      add(write_setting{.path = path, .value = std::string(setting.value)}, "setting " + path, {},
          change::repaired,
          path + " was " + x_found.node_values[i] + ", wanted " + std::string(setting.value));
    }
  }
}

void comparison::set_links() {
  for (const wanted_link& link : x_wanted.links) {
    const found_link* has = existing(link.name);
    if (has == nullptr || has->tap) {
      set_link(link, has);
    }
  }
}

void comparison::set_link(const wanted_link& link, const found_link* has) {
  const std::string& name = link.name;
  for (std::size_t i = 0; i < link_settings.size(); ++i) {
    const link_setting& setting = link_settings[i];
    if (setting.use == setting_use::with_ipv6 && !link.has_ipv6) {
      continue;
    }
    write_setting what{.path = path_of(setting, name),
                       .value = std::string(setting.value),
                       .optional = setting.use == setting_use::if_there};
    if (has == nullptr) {
      add(std::move(what), "link " + name, name, change::added, {});
      continue;
    }
    const auto value = i < has->settings.size() ? has->settings[i] : std::nullopt;
    if (value == setting.value || (!value && what.optional)) {
      continue;
    }
    std::string sentence =
        what.path + " was " + value.value_or("missing") + ", wanted " + what.value;
    repair_link(std::move(what), name, std::move(sentence));
  }
}

} // namespace orrery::pvip
