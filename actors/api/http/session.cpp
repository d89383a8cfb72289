#include "actors/api/http/session.hpp"

#include "actors/api/http/message.hpp"
#include "actors/api/http/outflow.hpp"
#include "actors/api/http/problem.hpp"
#include "actors/api/http/request_reader.hpp"

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <atomic>
#include <utility>
#include <vector>

namespace orrery::http {

namespace {

namespace asio = boost::asio;
using boost::system::error_code; // orrery::error_code is written with its namespace here
using tcp = asio::ip::tcp;
using clock = std::chrono::steady_clock;

// Concrete executors throughout: the type-erased default costs compile time and an allocation.
using strand = asio::strand<asio::io_context::executor_type>;
using client_socket = asio::basic_stream_socket<tcp, strand>;
using client_timer = asio::basic_waitable_timer<clock, asio::wait_traits<clock>, strand>;

/// One read from a socket.
constexpr std::size_t read_size = std::size_t{8} * 1024;
/// Sent to a client that is turned away, then read and dropped, so that the reply reaches it before
/// the reset that a close with unread bytes gives.
constexpr std::size_t drain_size_max = std::size_t{4} * 1024 * 1024;
constexpr std::chrono::milliseconds drain_max = std::chrono::seconds(1);

/// What a session that has become a stream holds.
struct streaming {
  outflow out;
  stream_events tell;
  bool is_finishing = false;
  stream_end end = stream_end::by_client;
};

class live_session final : public session, public std::enable_shared_from_this<live_session> {
public:
  live_session(client_socket taken, hall& home, std::uint64_t number)
      : x_socket(std::move(taken)), x_timer(x_socket.get_executor()), x_hall(home),
        x_number(number), x_reader(home.limits) {
    error_code ignored;
    const auto remote = x_socket.remote_endpoint(ignored);
    const auto address = remote.address().to_string();
    x_peer = (remote.address().is_v6() ? "[" + address + "]" : address) + ":" +
             std::to_string(remote.port());
    x_socket.set_option(tcp::no_delay(true), ignored);
  }

  void post(std::function<void(session&)> act) override {
    asio::post(x_socket.get_executor(),
               [self = shared_from_this(), act = std::move(act)] { act(*self); });
  }

  void begin() override {
    if (x_phase == phase::idle)
      next_request();
  }

  void refuse() override {
    turn_away(503, error{orrery::error_code::too_many_requests,
                         "the server has " +
                             std::to_string(x_hall.limits.connections + x_hall.limits.streams) +
                             " connections open, its limit; close idle ones or try later",
                         true});
  }

  void wind_up() override {
    if (x_phase == phase::idle)
      return end();
    if (x_phase != phase::streaming)
      return;
    x_stream->out.keep_what_is_begun();
    arm(drain_max);
    finish();
  }

  void end() override {
    if (x_phase == phase::closed)
      return;
    x_phase = phase::closed;
    error_code ignored;
    x_timer.cancel(ignored);
    x_socket.shutdown(tcp::socket::shutdown_both, ignored);
    x_socket.close(ignored);
    if (x_stream && x_stream->tell.closed)
      x_stream->tell.closed(x_stream->end);
    x_hall.leave(x_number, x_stream != nullptr, x_is_plain);
  }

  void answer(std::uint64_t turn, const response& reply) override {
    if (x_phase != phase::answering || turn != x_turn)
      return;
    if (reply.open_stream && !x_head_only)
      begin_stream(reply);
    else
      send(reply);
  }

  void take(std::shared_ptr<const std::string> bytes) override {
    if (x_phase != phase::streaming || x_stream->is_finishing)
      return;
    x_stream->out.add(std::move(bytes));
    flow();
  }

  void finish() override {
    if (x_phase != phase::streaming)
      return;
    x_stream->is_finishing = true;
    x_stream->end = stream_end::by_server;
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
      if (!x_stream->is_finishing)
        x_stream->end = stream_end::too_slow;
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
    auto& out = x_stream->out;
    if (out.is_writing())
      return;
    if (out.is_empty()) {
      x_deadline = clock::time_point::max();
      error_code ignored;
      x_timer.cancel(ignored);
      if (x_stream->is_finishing)
        begin_draining(); // what the client sends is being read already
      return;
    }
    std::vector<asio::const_buffer> pieces;
    for (const auto& piece : out.begin_write())
      pieces.push_back(asio::buffer(piece));
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
    if (x_stream->out.wrote(size) && x_stream->tell.drained)
      x_stream->tell.drained();
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
  bool x_is_plain = false;             ///< is kept for more plain requests
  std::unique_ptr<streaming> x_stream; ///< when it is one
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

void live_session::begin_stream(const response& reply) {
  if (!x_hall.admit_stream(x_is_plain))
    return turn_away(503, error{orrery::error_code::too_many_requests,
                                "the server has " + std::to_string(x_hall.limits.streams) +
                                    " streams open, its limit; close some or try later",
                                true});
  x_is_plain = false;
  x_phase = phase::streaming;
  x_stream = std::make_unique<streaming>();
  error_code ignored;
  x_socket.set_option(asio::socket_base::send_buffer_size(stream_send_buffer_size), ignored);
  auto head = std::make_shared<std::string>(
      to_bytes(reply, framing{.close = true, .head_only = false, .streamed = true}));
  *x_stream->out.waiting() += head->size();
  x_stream->out.add(std::move(head));
  x_stream->tell = reply.open_stream(
      std::make_shared<open_stream>(x_hall.door, shared_from_this(), x_stream->out.waiting()));
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

void live_session::dispatch() {
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

std::shared_ptr<session> session::make(asio::io_context& on, const accepted_socket& taken,
                                       hall& home, std::uint64_t number) {
  client_socket socket(asio::make_strand(on));
  error_code failed; // of a socket that broke meanwhile: its first read tells
  socket.assign(taken.is_v6 ? tcp::v6() : tcp::v4(), taken.descriptor, failed);
  return std::make_shared<live_session>(std::move(socket), home, number);
}

} // namespace orrery::http
