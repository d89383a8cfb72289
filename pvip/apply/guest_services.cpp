#include "pvip/apply/guest_services.hpp"

#include "pvip/apply/system_error.hpp"
#include "pvip/guest/dhcp.hpp"
#include "pvip/guest/dhcp6.hpp"
#include "pvip/guest/guest_question.hpp"
#include "pvip/guest/ipv6_frame.hpp"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <iterator>
#include <set>
#include <utility>

namespace orrery::pvip {

namespace {

/// A question fits into an Ethernet frame of 1500 bytes; what is longer is cut, and then malformed.
constexpr std::size_t frame_bytes_max = 2'048;

/// What waits while the thread is busy: at about 1 KiB each, the first questions of four thousand
/// guests that start at once.
constexpr int waiting_bytes_max = 4 * 1024 * 1024;

/// How many frames are read before the thread looks whether it shall end.
constexpr int frames_in_a_row_max = 256;

/// Of all frames of the namespace, the untagged whole UDP datagrams to DHCP's server ports and the
/// solicitations of IPv6, decided within the kernel. The kernel takes a tag off before we see the
/// frame, but remembers it.
result<void> attach_filter(const file_descriptor& socket) {
  constexpr std::uint32_t tag_present =
      static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT);
  constexpr std::uint32_t more_fragments_or_offset = 0x3fff;
  constexpr std::uint16_t load_half = BPF_LD | BPF_H | BPF_ABS;
  constexpr std::uint16_t load_byte = BPF_LD | BPF_B | BPF_ABS;
  constexpr std::uint16_t if_equal = BPF_JMP | BPF_JEQ | BPF_K;
  constexpr std::uint16_t if_any_bit = BPF_JMP | BPF_JSET | BPF_K;
  constexpr std::uint16_t give = BPF_RET | BPF_K;
  std::array<sock_filter, 22> program{{
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, tag_present},
      {if_equal, 0, 19, 0},
      {load_half, 0, 0, 12}, // ethertype
      {if_equal, 0, 7, ETH_P_IP},
      {load_byte, 0, 0, 23}, // protocol
      {if_equal, 0, 15, IPPROTO_UDP},
      {load_half, 0, 0, 20}, // fragment
      {if_any_bit, 13, 0, more_fragments_or_offset},
      {BPF_LDX | BPF_B | BPF_MSH, 0, 0, 14}, // length of the IPv4 header
      {BPF_LD | BPF_H | BPF_IND, 0, 0, 16},  // target port
      {if_equal, 9, 10, dhcp_server_port},
      {if_equal, 0, 9, ETH_P_IPV6},
      {load_byte, 0, 0, 20}, // what follows the only header
      {if_equal, 0, 2, IPPROTO_UDP},
      {load_half, 0, 0, 56}, // target port
      {if_equal, 4, 5, dhcp6_server_port},
      {if_equal, 0, 4, IPPROTO_ICMPV6},
      {load_byte, 0, 0, 54}, // type
      {if_equal, 1, 0, ND_ROUTER_SOLICIT},
      {if_equal, 0, 1, ND_NEIGHBOR_SOLICIT},
      {give, 0, 0, frame_bytes_max},
      {give, 0, 0, 0},
  }};
  const sock_fprog all{.len = program.size(), .filter = program.data()};
  if (::setsockopt(socket.number(), SOL_SOCKET, SO_ATTACH_FILTER, &all, sizeof(all)) != 0) {
    return system_error("a filter for questions of guests cannot be attached", errno);
  }
  return {};
}

result<file_descriptor> open_socket() {
  // Protocol 0 until the filter is there, so that nothing else comes in between.
  file_descriptor socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.is_open()) {
    return system_error("a raw socket for questions of guests cannot be opened", errno);
  }
  if (auto attached = attach_filter(socket); !attached) {
    return attached.error();
  }
  const int on = 1;
  sockaddr_ll everywhere{};
  everywhere.sll_family = AF_PACKET;
  // All protocols: only such sockets are before the filter of what guests send.
  everywhere.sll_protocol = htons(ETH_P_ALL);
  const bool is_ready =
      ::setsockopt(socket.number(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) == 0 &&
      ::setsockopt(socket.number(), SOL_SOCKET, SO_RCVBUFFORCE, &waiting_bytes_max,
                   sizeof(waiting_bytes_max)) == 0 &&
      ::bind(socket.number(), reinterpret_cast<const sockaddr*>(&everywhere), sizeof(everywhere)) ==
          0;
  if (!is_ready) {
    return system_error("a raw socket for questions of guests cannot be made ready", errno);
  }
  return socket;
}

std::chrono::nanoseconds now() { return std::chrono::steady_clock::now().time_since_epoch(); }

std::array<token_bucket, all_guest_services.size()> full_buckets() {
  return {token_bucket(rate_of(guest_service::dhcp)), token_bucket(rate_of(guest_service::dhcp6)),
          token_bucket(rate_of(guest_service::router)),
          token_bucket(rate_of(guest_service::neighbour))};
}

} // namespace

guest_services::served::served() : buckets(full_buckets()) {}

result<std::unique_ptr<guest_services>>
guest_services::open(std::chrono::nanoseconds advertises_every) {
  auto socket = open_socket();
  if (!socket) {
    return socket.error();
  }
  file_descriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.is_open()) {
    return system_error("an event to wake a thread by cannot be made", errno);
  }
  return std::make_unique<guest_services>(*std::move(socket), std::move(wake), advertises_every);
}

guest_services::guest_services(file_descriptor socket, file_descriptor wake,
                               std::chrono::nanoseconds advertises_every)
    : x_advertises_every(advertises_every), x_socket(std::move(socket)), x_wake(std::move(wake)),
      x_thread([this] { work(); }) {}

guest_services::~guest_services() {
  {
    const std::lock_guard guard(x_lock);
    x_is_over = true;
  }
  wake();
  x_thread.join();
}

void guest_services::wake() {
  (void)::eventfd_write(x_wake.number(), 1); // fails only when it is woken already
}

void guest_services::replace(std::vector<port> ports) {
  const std::lock_guard guard(x_lock);
  std::set<std::string> wanted;
  for (port& each : ports) {
    wanted.insert(each.link);
    put_locked(std::move(each));
  }
  for (auto each = x_ports.begin(); each != x_ports.end();) {
    each = wanted.contains(each->first) ? std::next(each) : forget(each);
  }
}

void guest_services::put(port one) {
  const std::lock_guard guard(x_lock);
  put_locked(std::move(one));
}

void guest_services::put_locked(port one) {
  const int index = static_cast<int>(::if_nametoindex(one.link.c_str()));
  auto& kept = x_ports[one.link];
  const bool is_news = kept.index != index || kept.settings != one;
  kept.settings = std::move(one);
  if (kept.index != index) {
    forget_index_of(kept);
    kept.index = index;
  }
  if (index != 0) {
    x_by_index[index] = &kept;
  }
  if (is_news) {
    advertise_at(kept, now());
    wake();
  }
}

void guest_services::advertise_at(served& one, std::chrono::nanoseconds when) {
  x_to_advertise.erase({one.advertised_at, one.settings.link});
  if (one.index != 0 && has_service(one.settings, guest_service::router)) {
    one.advertised_at = when;
    x_to_advertise.emplace(when, one.settings.link);
  }
}

void guest_services::forget_index_of(const served& one) {
  const auto known = x_by_index.find(one.index);
  if (known != x_by_index.end() && known->second == &one) { // else another link has the number now
    x_by_index.erase(known);
  }
}

guest_services::port_map::iterator guest_services::forget(port_map::iterator one) {
  forget_index_of(one->second);
  x_to_advertise.erase({one->second.advertised_at, one->first});
  return x_ports.erase(one);
}

void guest_services::remove(const std::string& link) {
  const std::lock_guard guard(x_lock);
  if (const auto known = x_ports.find(link); known != x_ports.end()) {
    forget(known);
  }
}

std::map<std::string, guest_counts> guest_services::counts() const {
  const std::lock_guard guard(x_lock);
  std::map<std::string, guest_counts> all;
  for (const auto& [link, one] : x_ports) {
    all.emplace(link, one.counts);
  }
  return all;
}

void guest_services::work() {
  pthread_setname_np(pthread_self(), "guest-services");
  while (true) {
    const auto patience = advertise_what_is_due();
    std::array<pollfd, 2> waited{{{.fd = x_wake.number(), .events = POLLIN, .revents = 0},
                                  {.fd = x_socket.number(), .events = POLLIN, .revents = 0}}};
    // Interrupted: nothing is ready, again.
    (void)::poll(waited.data(), waited.size(), static_cast<int>(patience.count()));
    if (waited[0].revents != 0) {
      eventfd_t woken = 0;
      (void)::eventfd_read(x_wake.number(), &woken);
      const std::lock_guard guard(x_lock);
      if (x_is_over) {
        return;
      }
    }
    if (waited[1].revents != 0) {
      read_what_came();
    }
  }
}

std::chrono::milliseconds guest_services::advertise_what_is_due() {
  using std::chrono::milliseconds;
  for (int i = 0; i < frames_in_a_row_max; ++i) {
    int index = 0;
    std::vector<std::byte> frame;
    {
      const std::lock_guard guard(x_lock);
      if (x_to_advertise.empty()) {
        return advertisement_interval; // whoever comes wakes us
      }
      const auto& [when, link] = *x_to_advertise.begin();
      const auto left = when - now();
      if (left.count() > 0) {
        return std::chrono::ceil<milliseconds>(left);
      }
      served& on = x_ports.at(link);
      index = on.index;
      frame = router_advertisement(on.settings, all_nodes);
      advertise_at(on, now() + x_advertises_every);
    }
    send(index, frame);
  }
  return milliseconds{0};
}

void guest_services::read_what_came() {
  std::array<std::byte, frame_bytes_max> bytes; // not set: the kernel writes what is read
  for (int i = 0; i < frames_in_a_row_max; ++i) {
    sockaddr_ll from{};
    socklen_t length = sizeof(from);
    const auto count = ::recvfrom(x_socket.number(), bytes.data(), bytes.size(), 0,
                                  reinterpret_cast<sockaddr*>(&from), &length);
    if (count < 0) {
      return; // nothing more; or a link went, which the socket tells once
    }
    answer(from.sll_ifindex,
           std::span<const std::byte>(bytes).first(static_cast<std::size_t>(count)));
  }
}

void guest_services::answer(int index, std::span<const std::byte> frame) {
  const auto service = service_of(frame);
  if (!service) {
    return;
  }
  const auto number = static_cast<std::size_t>(*service);
  guest_answer made;
  {
    const std::lock_guard guard(x_lock);
    const auto found = x_by_index.find(index);
    if (found == x_by_index.end()) {
      return; // of the uplink, of `lo`, of somebody else's link
    }
    served& on = *found->second;
    if (!has_service(on.settings, *service)) {
      return;
    }
    made = on.buckets[number].take(now()) ? answer_guest(on.settings, *service, frame)
                                          : silence(guest_outcome::too_many);
    ++on.counts[number][static_cast<std::size_t>(made.outcome)];
  }
  if (made.frame) {
    send(index, *made.frame);
  }
}

void guest_services::send(int index, std::span<const std::byte> frame) {
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = index;
  // Not sent when the guest reads nothing, or its link went: it asks again, or is told again.
  (void)::sendto(x_socket.number(), frame.data(), frame.size(), 0,
                 reinterpret_cast<const sockaddr*>(&to), sizeof(to));
}

} // namespace orrery::pvip
