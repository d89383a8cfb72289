#include "pvip/apply/upstream_speaker.hpp"

namespace orrery::pvip {

namespace {

class simulated_speaker final : public upstream_speaker {
public:
  router_standing ensure(const std::string& /*uplink*/,
                         result<std::optional<upstream>> wanted) override {
    router_standing made;
    const auto right = wanted && *wanted ? check(**wanted)
                       : wanted          ? result<void>()
                                         : wanted.error();
    if (!right) {
      made.problem = right.error().text;
      return made;
    }
    const auto* routed = *wanted ? std::get_if<routed_upstream>(&**wanted) : nullptr;
    const auto* bgp = routed == nullptr ? nullptr : std::get_if<bgp_upstream>(&routed->protocol);
    if (bgp != nullptr) {
      for (const bgp_neighbour& each : bgp->neighbours) {
        made.neighbours.push_back(
            {.address = each.address, .established = true, .info = "Established"});
      }
    }
    return made;
  }
};

} // namespace

std::unique_ptr<upstream_speaker> make_simulated_speaker() {
  return std::make_unique<simulated_speaker>();
}

} // namespace orrery::pvip
