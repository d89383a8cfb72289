#include "tests/sim/settings.hpp"

namespace orrery::sim {

namespace {

constexpr std::array<std::string_view, fault_count> names{"log",   "crash", "pause",     "cut",
                                                          "clock", "board", "transport", "leave",
                                                          "verb",  "host",  "guest"};

std::string all_names() {
  std::string text;
  for (const auto name : names)
    text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

} // namespace

std::string_view name_of(fault what) { return names[static_cast<std::size_t>(what)]; }

settings with_all_faults(std::uint64_t seed) {
  settings made;
  made.seed = seed;
  made.on.fill(true);
  return made;
}

result<void> set_faults(settings& of, std::string_view wanted) {
  if (wanted == "all" || wanted == "none") {
    of.on.fill(wanted == "all");
    return {};
  }
  of.on.fill(false);
  while (!wanted.empty()) {
    const auto name = wanted.substr(0, wanted.find(','));
    wanted.remove_prefix(std::min(name.size() + 1, wanted.size()));
    std::size_t at = 0;
    while (at < names.size() && names[at] != name)
      ++at;
    if (at == names.size())
      return error{error_code::invalid_argument,
                   "there is no fault '" + std::string(name) + "': there are all, none, " +
                       all_names(),
                   false};
    of.on[at] = true;
  }
  return {};
}

std::string command_line(const settings& of) {
  std::string faults;
  bool is_all = true;
  for (std::size_t at = 0; at < names.size(); ++at) {
    is_all = is_all && of.on[at];
    if (of.on[at])
      faults += (faults.empty() ? "" : ",") + std::string(names[at]);
  }
  auto line = "orrery-sim --seed " + std::to_string(of.seed) + " --seconds " +
              std::to_string(of.seconds) + " --vms " + std::to_string(of.vms);
  if (of.processes != 0)
    line += " --processes " + std::to_string(of.processes);
  if (of.partitions != 0)
    line += " --partitions " + std::to_string(of.partitions);
  if (!of.has_barrier)
    line += " --without-barrier";
  if (!is_all)
    line += " --faults " + (faults.empty() ? "none" : faults);
  return line;
}

} // namespace orrery::sim
