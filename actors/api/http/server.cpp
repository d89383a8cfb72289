#include "actors/api/http/server.hpp"

#include "actors/api/http/listen_address.hpp"
#include "actors/api/http/message.hpp"
#include "actors/api/http/problem.hpp"
#include "actors/api/http/request_reader.hpp"
#include "events/core/check.hpp"

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
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
using client_timer = asio::basic_waitable_timer<clock, asio::wait_traits<clock>, strand>;
using accept_socket = asio::basic_socket_acceptor<tcp, strand>;

/// One read from a socket.
constexpr std::size_t read_size = std::size_t{8} * 1024;
/// Sent to a client that is turned away, then read and dropped, so that the reply reaches it before
/// the reset that a close with unread bytes gives.
constexpr std::size_t drain_size_max = std::size_t{4} * 1024 * 1024;
constexpr std::chrono::milliseconds drain_max = std::chrono::seconds(1);
/// Connections above the limit that get a reply before their close; those beyond get the close.
constexpr std::size_t refused_count_max = 32;
/// Before accepting again when there are no descriptors.
constexpr std::chrono::milliseconds accept_pause = std::chrono::milliseconds(100);
constexpr unsigned thread_count_max = 16;
/// Pieces of a stream in one system call.
constexpr std::size_t gather_count_max = 16;

/// Programs that this process starts must not inherit its connections.
void close_on_exec(int descriptor) { ::fcntl(descriptor, F_SETFD, FD_CLOEXEC); }

class session;

/// Open while the threads run. A responder may be called or dropped by anybody at any time, also
/// when the server is gone: it reaches the server through this gate only.
struct gate {
  std::mutex mutex;
  bool open = true;

  /// Runs `act` on the strand of a session, if it and the server are there still.
  template <class Action> void post(const std::weak_ptr<session>& whom, Action act);
};

/// What the sessions of one server share.
struct hall {
  explicit hall(http::limits wanted, handler taken)
      : limits(wanted), handle(std::move(taken)), door(std::make_shared<gate>()) {}

  const http::limits limits;
  const handler handle;
  const std::shared_ptr<gate> door;
  std::atomic<bool> stopping = false;
  std::mutex mutex; ///< of what is below
  std::condition_variable emptied;
  std::map<std::uint64_t, std::shared_ptr<session>> sessions;
  std::size_t streams = 0; ///< of the sessions
  std::size_t plain = 0;   ///< of the sessions: are kept for more plain requests

  /// Whether one more session may be kept for more plain requests; then it counts as one.
  bool admit_plain() {
    const std::lock_guard lock(mutex);
    if (plain >= limits.connections)
      return false;
    ++plain;
    return true;
  }

  /// Whether one more session may become a stream; then it counts as one.
  bool admit_stream(bool was_plain) {
    const std::lock_guard lock(mutex);
    if (streams >= limits.streams)
      return false;
    ++streams;
    plain -= was_plain ? 1 : 0;
    return true;
  }

  void leave(std::uint64_t number, bool is_stream, bool is_plain) {
    std::shared_ptr<session> last; // let go after the lock
    const std::lock_guard lock(mutex);
    streams -= is_stream ? 1 : 0;
    plain -= is_plain ? 1 : 0;
    const auto found = sessions.find(number);
    if (found == sessions.end())
      return;
    last = std::move(found->second);
    sessions.erase(found);
    if (sessions.empty())
      emptied.notify_all();
  }
};

/// What of a stream is on its way to the client. On the strand of its session, but for `waiting`.
struct outflow {
  std::shared_ptr<std::atomic<std::size_t>> waiting = std::make_shared<std::atomic<std::size_t>>(0);
  std::deque<std::shared_ptr<const std::string>> queue;
  std::size_t sent = 0; ///< bytes of the first
  stream_events tell;
  bool is_writing = false;
  bool is_finishing = false;
  stream_end end = stream_end::by_client;
};

/// One connection. Everything runs on its strand, except construction.
class session : public std::enable_shared_from_this<session> {
public:
  session(client_socket taken, hall& home, std::uint64_t number)
      : x_socket(std::move(taken)), x_timer(x_socket.get_executor()), x_hall(home),
        x_number(number), x_reader(home.limits) {
    error_code ignored;
    const auto remote = x_socket.remote_endpoint(ignored);
    const auto address = remote.address().to_string();
    x_peer = (remote.address().is_v6() ? "[" + address + "]" : address) + ":" +
             std::to_string(remote.port());
    x_socket.set_option(tcp::no_delay(true), ignored);
    close_on_exec(x_socket.native_handle());
  }

  [[nodiscard]] strand executor() { return x_socket.get_executor(); }

  /// Begins to read requests.
  void begin() {
    if (x_phase == phase::idle)
      next_request();
  }

  /// Says that there are too many connections, and closes.
  void refuse() {
    turn_away(503, error{orrery::error_code::too_many_requests,
                         "the server has " +
                             std::to_string(x_hall.limits.connections + x_hall.limits.streams) +
                             " connections open, its limit; close idle ones or try later",
                         true});
  }

  /// The server stops: ends now when nothing runs, else after the reply; of a stream after what is
  /// being written.
  void wind_up() {
    if (x_phase == phase::idle)
      return end();
    if (x_phase != phase::streaming)
      return;
    auto& out = *x_outflow;
    const auto kept = out.is_writing ? gather_count_max : std::size_t{out.sent > 0 ? 1U : 0U};
    out.queue.resize(std::min(out.queue.size(), kept));
    arm(drain_max);
    finish();
  }

  /// Ends at once, whatever runs.
  void end() {
    if (x_phase == phase::closed)
      return;
    x_phase = phase::closed;
    error_code ignored;
    x_timer.cancel(ignored);
    x_socket.shutdown(tcp::socket::shutdown_both, ignored);
    x_socket.close(ignored);
    if (x_outflow && x_outflow->tell.closed)
      x_outflow->tell.closed(x_outflow->end);
    x_hall.leave(x_number, x_outflow != nullptr, x_is_plain);
  }

  /// The reply of request number `turn`; late ones are dropped.
  void answer(std::uint64_t turn, const response& reply) {
    if (x_phase != phase::answering || turn != x_turn)
      return;
    if (reply.open_stream && !x_head_only)
      begin_stream(reply);
    else
      send(reply);
  }

  /// Of a stream: what its writer gives.
  void take(std::shared_ptr<const std::string> bytes) {
    if (x_phase != phase::streaming || x_outflow->is_finishing)
      return;
    x_outflow->queue.push_back(std::move(bytes));
    flow();
  }

  /// Of a stream: its writer has given all.
  void finish() {
    if (x_phase != phase::streaming)
      return;
    x_outflow->is_finishing = true;
    x_outflow->end = stream_end::by_server;
    flow();
  }

private:
  enum class phase { idle, reading, answering, writing, streaming, draining, closed };

  void arm(std::chrono::milliseconds time) {
    x_deadline = clock::now() + time;
    x_timer.expires_at(x_deadline);
    x_timer.async_wait([self = shared_from_this()](error_code failed) {
      // A wait that ended just before it was armed again still comes here.
      if (!failed && clock::now() >= self->x_deadline)
        self->out_of_time();
    });
  }

  void out_of_time() {
    switch (x_phase) {
    case phase::reading:
      turn_away(408, error{orrery::error_code::timed_out,
                           "the request did not arrive within " +
                               std::to_string(x_hall.limits.request_read.count()) + " ms",
                           true});
      return;
    case phase::answering:
      ++x_turn; // the responder may still be called
      turn_away(504, error{orrery::error_code::timed_out,
                           "no answer within " + std::to_string(x_hall.limits.answer.count()) +
                               " ms; the request may still be carried out",
                           true});
      return;
    case phase::streaming:
      if (!x_outflow->is_finishing)
        x_outflow->end = stream_end::too_slow;
      end();
      return;
    case phase::idle:
    case phase::writing:
    case phase::draining:
    case phase::closed:
      end();
      return;
    }
  }

  void next_request() {
    x_reader.next();
    x_close_after = false;
    x_head_only = false;
    x_phase = phase::idle;
    if (x_hall.stopping) {
      end();
      return;
    }
    arm(x_hall.limits.idle);
    go_on();
  }

  /// Reads what came, or waits for more.
  void go_on() {
    if (x_reader.is_empty())
      read();
    else
      parse();
  }

  void read() {
    x_socket.async_read_some(asio::buffer(x_chunk),
                             [self = shared_from_this()](error_code failed, std::size_t size) {
                               self->received(failed, size);
                             });
  }

  void received(error_code failed, std::size_t size) {
    if (x_phase != phase::idle && x_phase != phase::reading)
      return; // the deadline came first
    if (failed) {
      end(); // closed by the client, between requests or within one
      return;
    }
    x_reader.add({x_chunk.data(), size});
    go_on();
  }

  void parse() {
    if (x_phase == phase::idle) {
      x_phase = phase::reading;
      arm(x_hall.limits.request_read);
    }
    switch (x_reader.parse()) {
    case request_reader::outcome::more:
      return read();
    case request_reader::outcome::expects_continue:
      return say_continue();
    case request_reader::outcome::complete:
      return dispatch();
    case request_reader::outcome::refused:
      return turn_away(x_reader.refusal().status, x_reader.refusal().why);
    }
  }

  void say_continue() {
    static constexpr std::string_view words = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(x_socket, asio::buffer(words),
                      [self = shared_from_this()](error_code failed, std::size_t) {
                        if (self->x_phase != phase::reading)
                          return;
                        if (failed)
                          self->end();
                        else
                          self->read();
                      });
  }

  /// Sends a problem and closes, since what follows on the connection cannot be trusted.
  void turn_away(int status, const error& why) {
    auto reply = problem_response(why);
    reply.status = status;
    reply.body = problem_body(why, status, {});
    x_close_after = true;
    send(reply);
  }

  void dispatch();

  void send(const response& reply) {
    x_phase = phase::writing;
    if (x_hall.stopping)
      x_close_after = true;
    if (!x_is_plain && !x_close_after) {
      x_is_plain = x_hall.admit_plain();
      x_close_after = !x_is_plain;
    }
    x_outgoing = to_bytes(reply, framing{.close = x_close_after, .head_only = x_head_only});
    arm(x_hall.limits.write);
    asio::async_write(
        x_socket, asio::buffer(x_outgoing),
        [self = shared_from_this()](error_code failed, std::size_t) { self->sent(failed); });
  }

  void sent(error_code failed) {
    if (x_phase != phase::writing)
      return;
    x_outgoing = {}; // a large reply must not stay in memory of an idle connection
    if (failed) {
      end();
    } else if (x_close_after || x_hall.stopping) {
      error_code ignored;
      x_socket.cancel(ignored); // a read that a deadline overtook
      begin_draining();
      drain();
    } else {
      next_request();
    }
  }

  void begin_draining() {
    x_phase = phase::draining;
    error_code ignored;
    x_socket.shutdown(tcp::socket::shutdown_send, ignored);
    arm(drain_max);
  }

  void begin_stream(const response& reply);

  /// Writes what waits of a stream, a part at a time: each that the client takes gives it more
  /// time.
  void flow() {
    auto& out = *x_outflow;
    if (out.is_writing)
      return;
    if (out.queue.empty()) {
      x_deadline = clock::time_point::max();
      error_code ignored;
      x_timer.cancel(ignored);
      if (out.is_finishing)
        begin_draining(); // what the client sends is being read already
      return;
    }
    std::vector<asio::const_buffer> pieces;
    for (std::size_t i = 0; i < std::min(out.queue.size(), gather_count_max); ++i)
      pieces.push_back(asio::buffer(*out.queue[i]) + (i == 0 ? out.sent : 0));
    out.is_writing = true;
    if (!x_hall.stopping) // else it has its time
      arm(x_hall.limits.write);
    x_socket.async_write_some(pieces,
                              [self = shared_from_this()](error_code failed, std::size_t size) {
                                self->flowed(failed, size);
                              });
  }

  void flowed(error_code failed, std::size_t size) {
    if (x_phase != phase::streaming)
      return;
    if (failed)
      return end();
    auto& out = *x_outflow;
    out.is_writing = false;
    out.sent += size;
    while (!out.queue.empty() && out.sent >= out.queue.front()->size()) {
      out.sent -= out.queue.front()->size();
      out.queue.pop_front();
    }
    const bool is_empty = out.waiting->fetch_sub(size) == size;
    if (is_empty && out.tell.drained)
      out.tell.drained();
    flow();
  }

  void drain() {
    x_socket.async_read_some(
        asio::buffer(x_chunk), [self = shared_from_this()](error_code failed, std::size_t size) {
          self->x_drained += size;
          if (failed || self->x_drained > drain_size_max)
            self->end();
          else if (self->x_phase == phase::draining || self->x_phase == phase::streaming)
            self->drain();
        });
  }

  client_socket x_socket;
  client_timer x_timer;
  hall& x_hall;
  std::uint64_t x_number;
  std::string x_peer;
  phase x_phase = phase::idle;
  clock::time_point x_deadline;
  request_reader x_reader;
  std::array<char, read_size> x_chunk{};
  std::string x_outgoing; ///< the reply that is being written
  std::size_t x_drained = 0;
  std::uint64_t x_turn = 0; ///< number of the request that is being answered
  bool x_close_after = false;
  bool x_head_only = false;
  bool x_is_plain = false;            ///< is kept for more plain requests
  std::unique_ptr<outflow> x_outflow; ///< when it is a stream
};

/// What the writer of a stream holds.
class open_stream final : public stream {
public:
  open_stream(std::shared_ptr<gate> door, const std::shared_ptr<session>& visitor,
              std::shared_ptr<std::atomic<std::size_t>> waiting)
      : x_door(std::move(door)), x_visitor(visitor), x_waiting(std::move(waiting)) {}

  void write(std::shared_ptr<const std::string> bytes) override {
    if (bytes->empty())
      return;
    *x_waiting += bytes->size();
    x_door->post(x_visitor, [bytes = std::move(bytes)](session& one) { one.take(bytes); });
  }

  [[nodiscard]] std::size_t waiting() const override { return *x_waiting; }

  void finish() override {
    x_door->post(x_visitor, [](session& one) { one.finish(); });
  }

private:
  std::shared_ptr<gate> x_door;
  std::weak_ptr<session> x_visitor;
  std::shared_ptr<std::atomic<std::size_t>> x_waiting;
};

template <class Action> void gate::post(const std::weak_ptr<session>& whom, Action act) {
  const std::lock_guard lock(mutex);
  if (!open)
    return;
  auto visitor = whom.lock();
  if (visitor == nullptr)
    return;
  const auto executor = visitor->executor();
  asio::post(executor,
             [visitor = std::move(visitor), act = std::move(act)]() mutable { act(*visitor); });
}

void session::begin_stream(const response& reply) {
  if (!x_hall.admit_stream(x_is_plain))
    return turn_away(503, error{orrery::error_code::too_many_requests,
                                "the server has " + std::to_string(x_hall.limits.streams) +
                                    " streams open, its limit; close some or try later",
                                true});
  x_is_plain = false;
  x_phase = phase::streaming;
  x_outflow = std::make_unique<outflow>();
  error_code ignored;
  x_socket.set_option(asio::socket_base::send_buffer_size(stream_send_buffer_size), ignored);
  auto head = std::make_shared<std::string>(
      to_bytes(reply, framing{.close = true, .head_only = false, .streamed = true}));
  *x_outflow->waiting += head->size();
  x_outflow->queue.push_back(std::move(head));
  x_outflow->tell = reply.open_stream(
      std::make_shared<open_stream>(x_hall.door, shared_from_this(), x_outflow->waiting));
  flow();
  drain(); // sees the client close
  if (x_hall.stopping)
    wind_up();
}

/// What all copies of one responder share. The first call wins; when none came, the last copy
/// answers 500.
class ticket {
public:
  ticket(std::shared_ptr<gate> door, const std::shared_ptr<session>& visitor, std::uint64_t turn)
      : x_door(std::move(door)), x_visitor(visitor), x_turn(turn) {}

  ticket(const ticket&) = delete;
  ticket& operator=(const ticket&) = delete;

  ~ticket() {
    if (x_used)
      return;
    try {
      answer(problem_response(
          error{orrery::error_code::internal, "the request was dropped without an answer", true}));
    } catch (...) {
      // No memory for a reply: the deadline of the connection ends it.
      return;
    }
  }

  void answer(response reply) {
    if (x_used.exchange(true))
      return;
    x_door->post(x_visitor, [turn = x_turn, reply = std::move(reply)](session& visitor) {
      visitor.answer(turn, reply);
    });
  }

private:
  std::shared_ptr<gate> x_door;
  std::weak_ptr<session> x_visitor;
  std::uint64_t x_turn;
  std::atomic<bool> x_used = false;
};

void session::dispatch() {
  x_close_after = !x_reader.keeps_alive();
  x_head_only = x_reader.is_head();
  auto asked = x_reader.take(x_peer);
  if (!asked) {
    turn_away(status_of(asked.error().code), asked.error());
    return;
  }
  x_phase = phase::answering;
  arm(x_hall.limits.answer);
  auto made = std::make_shared<ticket>(x_hall.door, shared_from_this(), ++x_turn);
  responder respond = [made = std::move(made)](response reply) { made->answer(std::move(reply)); };
  try {
    x_hall.handle(std::move(*asked), std::move(respond));
  } catch (...) {
    // The responder dies with the handler's frame, and its ticket answers 500.
    return;
  }
}

} // namespace

class server::impl {
public:
  impl(http::limits wanted, handler handle)
      : x_hall(wanted, std::move(handle)), x_work(asio::make_work_guard(x_io)),
        x_acceptor(asio::make_strand(x_io)), x_pause(x_acceptor.get_executor()) {}

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

  result<void> listen(const tcp::endpoint& where, const std::string& text) {
    error_code failed;
    x_acceptor.open(where.protocol(), failed);
    if (!failed) {
      close_on_exec(x_acceptor.native_handle());
      x_acceptor.set_option(asio::socket_base::reuse_address(true), failed);
    }
    if (!failed)
      x_acceptor.bind(where, failed);
    if (!failed)
      x_acceptor.listen(asio::socket_base::max_listen_connections, failed);
    if (!failed)
      x_port = x_acceptor.local_endpoint(failed).port();
    if (failed)
      return error{orrery::error_code::io_failed,
                   "cannot listen on " + text + ": " + failed.message() +
                       (failed == asio::error::address_in_use
                            ? "; another process has the port, choose another or stop it"
                            : ""),
                   true};
    return {};
  }

  void run(unsigned threads) {
    asio::post(x_acceptor.get_executor(), [this] { accept(); });
    for (unsigned i = 0; i < threads; ++i)
      x_threads.emplace_back([this] { x_io.run(); });
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
    for_all([](session& one) { one.wind_up(); });
    {
      std::unique_lock lock(x_hall.mutex);
      x_hall.emptied.wait_for(lock, x_hall.limits.stop_grace,
                              [this] { return x_hall.sessions.empty(); });
    }
    for_all([](session& one) { one.end(); });
    x_work.reset();
    for (auto& thread : x_threads)
      thread.join();
    x_threads.clear();
    const std::lock_guard lock(x_hall.door->mutex);
    x_hall.door->open = false;
  }

private:
  template <class Action> void for_all(Action act) {
    const std::lock_guard lock(x_hall.mutex);
    for (const auto& [number, one] : x_hall.sessions)
      asio::post(one->executor(), [one = one, act] { act(*one); });
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
    const auto number = x_next_number++;
    const auto visitor = std::make_shared<session>(std::move(taken), x_hall, number);
    const auto places = x_hall.limits.connections + x_hall.limits.streams;
    std::size_t count = 0;
    {
      const std::lock_guard lock(x_hall.mutex);
      count = x_hall.sessions.size();
      if (count < places + refused_count_max)
        x_hall.sessions.emplace(number, visitor);
    }
    if (count >= places + refused_count_max)
      return; // closed here
    const bool welcome = count < places;
    asio::post(visitor->executor(), [visitor, welcome] {
      if (welcome)
        visitor->begin();
      else
        visitor->refuse();
    });
  }

  // The order matters: sessions live in the hall and in handlers of the context, and need both.
  asio::io_context x_io;
  hall x_hall;
  asio::executor_work_guard<io_executor> x_work;
  accept_socket x_acceptor;
  client_timer x_pause;
  std::vector<std::thread> x_threads;
  std::uint64_t x_next_number = 0;
  std::uint16_t x_port = 0;
};

server::server(std::unique_ptr<impl> made) : x_impl(std::move(made)) {}

server::~server() = default;

result<std::unique_ptr<server>> server::start(const options& wanted, handler handle) {
  ORRERY_CHECK(handle != nullptr);
  if (wanted.threads < 1 || wanted.threads > thread_count_max)
    return error{orrery::error_code::config_invalid,
                 "the HTTP server takes 1 to " + std::to_string(thread_count_max) +
                     " threads, not " + std::to_string(wanted.threads),
                 false};
  const auto where = parse_listen(wanted.listen);
  if (!where)
    return where.error();
  auto made = std::make_unique<impl>(wanted.limits, std::move(handle));
  const tcp::endpoint endpoint(asio::ip::make_address(where->host), where->port);
  if (auto listening = made->listen(endpoint, wanted.listen); !listening)
    return listening.error();
  made->run(wanted.threads);
  return std::unique_ptr<server>(new server(std::move(made)));
}

std::uint16_t server::port() const { return x_impl->port(); }

void server::stop() { x_impl->stop(); }

} // namespace orrery::http
