#include "actors/api/http/server.hpp"

#include "actors/api/http/hall.hpp"
#include "actors/api/http/listen_address.hpp"
#include "actors/api/http/session.hpp"
#include "events/core/check.hpp"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <fcntl.h>

#include <exception>
#include <thread>

namespace orrery::http {

namespace {

namespace asio = boost::asio;
using boost::system::error_code; // orrery::error_code is written with its namespace here
using tcp = asio::ip::tcp;
using clock = std::chrono::steady_clock;

// Concrete executors throughout: the type-erased default costs compile time and an allocation.
using io_executor = asio::io_context::executor_type;
using strand = asio::strand<io_executor>;
using client_socket = asio::basic_stream_socket<tcp, strand>;
using pause_timer = asio::basic_waitable_timer<clock, asio::wait_traits<clock>, strand>;
using accept_socket = asio::basic_socket_acceptor<tcp, strand>;

/// Connections above the limit that get a reply before their close; those beyond get the close.
constexpr std::size_t refused_count_max = 32;
/// Before accepting again when there are no descriptors.
constexpr std::chrono::milliseconds accept_pause = std::chrono::milliseconds(100);
constexpr unsigned thread_count_max = 16;

/// Programs that this process starts must not inherit its connections.
void close_on_exec(int descriptor) { ::fcntl(descriptor, F_SETFD, FD_CLOEXEC); }

} // namespace

class server::impl {
public:
  impl(http::limits wanted, unsigned threads, handler handle)
      : x_hall(wanted, std::move(handle)), x_work(asio::make_work_guard(x_io)),
        x_acceptor(asio::make_strand(x_io)), x_pause(x_acceptor.get_executor()),
        x_thread_count(threads) {}

  ~impl() {
    try {
      stop();
    } catch (...) {
      // A thread that cannot be joined still uses what is destroyed here.
      std::terminate();
    }
  }

  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  result<void> bind(const tcp::endpoint& where, const std::string& text) {
    x_text = text;
    error_code failed;
    x_acceptor.open(where.protocol(), failed);
    if (!failed) {
      close_on_exec(x_acceptor.native_handle());
      x_acceptor.set_option(asio::socket_base::reuse_address(true), failed);
    }
    if (!failed)
      x_acceptor.bind(where, failed);
    if (!failed)
      x_port = x_acceptor.local_endpoint(failed).port();
    return outcome_of(failed);
  }

  result<void> serve() {
    error_code failed;
    x_acceptor.listen(asio::socket_base::max_listen_connections, failed);
    if (failed)
      return outcome_of(failed);
    asio::post(x_acceptor.get_executor(), [this] { accept(); });
    for (unsigned i = 0; i < x_thread_count; ++i)
      x_threads.emplace_back([this] { x_io.run(); });
    return {};
  }

  [[nodiscard]] std::uint16_t port() const { return x_port; }

  void stop() {
    if (x_threads.empty())
      return;
    x_hall.stopping = true;
    asio::post(x_acceptor.get_executor(), [this] {
      error_code ignored;
      x_acceptor.close(ignored);
      x_pause.cancel(ignored);
    });
    x_hall.for_all([](session& one) { one.wind_up(); });
    x_hall.wait_until_empty(x_hall.limits.stop_grace);
    x_hall.for_all([](session& one) { one.end(); });
    x_work.reset();
    for (auto& thread : x_threads)
      thread.join();
    x_threads.clear();
    x_hall.door->close();
  }

private:
  [[nodiscard]] result<void> outcome_of(const error_code& failed) const {
    if (!failed)
      return {};
    return error{orrery::error_code::io_failed,
                 "cannot listen on " + x_text + ": " + failed.message() +
                     (failed == asio::error::address_in_use
                          ? "; another process has the port, choose another or stop it"
                          : ""),
                 true};
  }

  void accept() {
    x_acceptor.async_accept(asio::make_strand(x_io),
                            [this](error_code failed, client_socket taken) {
                              if (x_hall.stopping)
                                return; // a connection that came with the stop is closed here
                              if (failed) {
                                pause();
                                return;
                              }
                              welcome(std::move(taken));
                              accept();
                            });
  }

  /// No descriptors, most likely: what holds them must end first.
  void pause() {
    x_pause.expires_after(accept_pause);
    x_pause.async_wait([this](error_code failed) {
      if (!failed && !x_hall.stopping)
        accept();
    });
  }

  void welcome(client_socket taken) {
    error_code failed;
    const bool is_v6 = taken.local_endpoint(failed).address().is_v6();
    const auto descriptor = taken.release(failed);
    if (failed)
      return; // closed here
    close_on_exec(descriptor);
    const auto number = x_next_number++;
    const auto visitor = session::make(x_io, {descriptor, is_v6}, x_hall, number);
    const auto places = x_hall.limits.connections + x_hall.limits.streams;
    const auto count = x_hall.enter(number, visitor, places + refused_count_max);
    if (count >= places + refused_count_max)
      return; // closed here
    const bool is_welcome = count < places;
    visitor->post([is_welcome](session& one) { is_welcome ? one.begin() : one.refuse(); });
  }

  // The order matters: sessions live in the hall and in handlers of the context, and need both.
  asio::io_context x_io;
  hall x_hall;
  asio::executor_work_guard<io_executor> x_work;
  accept_socket x_acceptor;
  pause_timer x_pause;
  const unsigned x_thread_count;
  std::vector<std::thread> x_threads;
  std::uint64_t x_next_number = 0;
  std::uint16_t x_port = 0;
  std::string x_text; ///< where it listens
};

server::server(std::unique_ptr<impl> made) : x_impl(std::move(made)) {}

server::~server() = default;

result<std::unique_ptr<server>> server::start(const options& wanted, handler handle) {
  auto made = bind(wanted, std::move(handle));
  if (!made)
    return made;
  if (auto serving = (*made)->serve(); !serving)
    return serving.error();
  return made;
}

result<std::unique_ptr<server>> server::bind(const options& wanted, handler handle) {
  ORRERY_CHECK(handle != nullptr);
  if (wanted.threads < 1 || wanted.threads > thread_count_max)
    return error{orrery::error_code::config_invalid,
                 "the HTTP server takes 1 to " + std::to_string(thread_count_max) +
                     " threads, not " + std::to_string(wanted.threads),
                 false};
  const auto where = parse_listen(wanted.listen);
  if (!where)
    return where.error();
  auto made = std::make_unique<impl>(wanted.limits, wanted.threads, std::move(handle));
  const tcp::endpoint endpoint(asio::ip::make_address(where->host), where->port);
  if (auto bound = made->bind(endpoint, wanted.listen); !bound)
    return bound.error();
  return std::unique_ptr<server>(new server(std::move(made)));
}

result<void> server::serve() { return x_impl->serve(); }

std::uint16_t server::port() const { return x_impl->port(); }

void server::stop() { x_impl->stop(); }

} // namespace orrery::http
