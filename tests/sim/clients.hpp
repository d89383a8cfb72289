#pragma once

#include "tests/sim/process.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace orrery::sim {

/// People and scripts: they ask any process for changes, ask again when they got no answer, and
/// remember what they were told.
class clients {
public:
  /// `anyone`: a process that takes calls now, or null.
  clients(surroundings& around, std::function<std::shared_ptr<process>()> anyone);

  /// A cluster, its nodes and its networks, and then what people do all day.
  void begin();

  /// No more wishes but what is needed to settle: a VM that is not as it should be is started or
  /// stopped once more, and whoever has no answer asks on.
  void settle();

  /// Nobody waits for an answer.
  [[nodiscard]] bool is_quiet() const { return x_open == 0; }

  [[nodiscard]] std::uint64_t answered() const { return x_answered; }

  [[nodiscard]] std::uint64_t refused() const { return x_refused; }

  [[nodiscard]] std::uint64_t unheard() const { return x_unheard; }

  /// An operator says that the clock is right.
  void trust_clock();

  /// Whether his word may still be on its way.
  [[nodiscard]] bool is_trusting() const { return x_trusting && x_trusting->is_open; }

private:
  /// Makes the command for a request, with what the process that is asked knows; false: it cannot
  /// be asked for there (yet).
  using maker = std::function<bool(process&, v1::Command&)>;

  struct request {
    std::uint64_t number = 0;
    partition_number where{}; ///< which partition decides it
    maker make;
    std::uint64_t key = 0; ///< 0: without a client's key, so never asked again
    std::uint32_t attempt = 0;
    bool is_open = true;
    std::optional<uuid> decided; ///< the command that was decided for it
  };

  std::shared_ptr<request> ask(partition_number where, maker make, bool is_keyed);
  void attempt(const std::shared_ptr<request>& one);
  void on_answer(const std::shared_ptr<request>& one, const v1::Command& asked,
                 const actors::command_reply& said);
  void give_up_or_again(const std::shared_ptr<request>& one, micros pause);
  void found();
  void add_cluster(std::string name, partition_number where);
  void furnish(partition_number where);
  void wish();
  void wish_for_vm(partition_number where);
  void wish_for_network(partition_number where);
  void add_network(partition_number where, std::string name, const ipv4_prefix& prefix,
                   bool is_keyed);
  void add_vm(partition_number where);
  void nudge();
  /// What the guests of a network are told.
  void set_guests(const uuid& network, std::uint64_t which);
  void set_rate(const uuid& vm, std::uint64_t which);
  /// Asks for an address more, or a network, or that one goes.
  void change_addresses(const uuid& vm, std::uint64_t which);
  void act_on(const uuid& vm, v1::VmCommand::BodyCase what, bool is_keyed);

  surroundings& x_around;
  std::vector<partition_number> x_homes; ///< partitions with a cluster that has nodes
  std::function<std::shared_ptr<process>()> x_anyone;
  std::uint64_t x_requests = 0;
  std::uint64_t x_names = 0;
  std::uint64_t x_clusters = 0;
  std::uint64_t x_networks = 0;
  std::uint64_t x_open = 0;
  std::uint64_t x_answered = 0;
  std::uint64_t x_refused = 0;
  std::uint64_t x_unheard = 0;
  std::shared_ptr<request> x_trusting; ///< the last one
  bool x_is_settling = false;
};

} // namespace orrery::sim
