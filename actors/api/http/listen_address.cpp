#include "actors/api/http/listen_address.hpp"

#include "actors/api/http/server.hpp"
#include "events/core/text.hpp"

#include <boost/asio/ip/address.hpp>

#include <charconv>
#include <string_view>

namespace orrery::http {

result<listen_address> parse_listen(const std::string& listen) {
  const auto wrong = [&listen](std::string_view why) {
    return error{error_code::config_invalid,
                 "listen address '" + printable(listen, 80) + "' " + std::string(why), false};
  };
  const auto colon = listen.rfind(':');
  if (colon == std::string::npos)
    return wrong("has no port; want for instance 127.0.0.1:7480");
  auto host = listen.substr(0, colon);
  const auto port_text = std::string_view(listen).substr(colon + 1);
  std::uint16_t port = 0;
  const auto* end = port_text.data() + port_text.size();
  const auto parsed = std::from_chars(port_text.data(), end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end)
    return wrong("has a port that is not a number from 0 to 65535");
  if (host == "localhost")
    host = "127.0.0.1";
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != std::string::npos)
    return wrong("has an IPv6 address without brackets; want for instance [::1]:7480");
  boost::system::error_code failed;
  const auto address = boost::asio::ip::make_address(host, failed);
  if (failed)
    return wrong("has no IP address before the port; want for instance 127.0.0.1:7480");
  if (!address.is_loopback())
    return wrong("is not a loopback address: without TLS, which is not there yet, only 127.0.0.0/8 "
                 "and [::1] may be bound; put a TLS proxy on this machine in front");
  return listen_address{host, port};
}

result<void> check_listen(const std::string& listen) {
  const auto where = parse_listen(listen);
  if (!where)
    return where.error();
  return {};
}

} // namespace orrery::http
