#include "pvip/guest/guest_outcome.hpp"

namespace orrery::pvip {

std::string_view name_of(guest_service service) {
  switch (service) {
  case guest_service::dhcp:
    return "dhcp";
  case guest_service::dhcp6:
    return "dhcp6";
  case guest_service::router:
    return "router";
  case guest_service::neighbour:
    return "neighbour";
  }
  return "unknown";
}

std::string_view name_of(guest_outcome outcome) {
  switch (outcome) {
  case guest_outcome::offered:
    return "offered";
  case guest_outcome::acknowledged:
    return "acknowledged";
  case guest_outcome::answered:
    return "answered";
  case guest_outcome::refused:
    return "refused";
  case guest_outcome::nothing_due:
    return "nothing_due";
  case guest_outcome::other_server:
    return "other_server";
  case guest_outcome::foreign:
    return "foreign";
  case guest_outcome::relayed:
    return "relayed";
  case guest_outcome::malformed:
    return "malformed";
  case guest_outcome::too_many:
    return "too_many";
  }
  return "unknown";
}

} // namespace orrery::pvip
