#pragma once

#include "tests/sim/surroundings.hpp"

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace orrery::sim {

class process;

/// The board and the transport between processes: what the product has in `log::board` and
/// `log::transport`, going wrong.
class bus {
public:
  explicit bus(surroundings& around) : x_around(around) {}

  void join(const std::shared_ptr<process>& who) { x_members.push_back(who); }

  /// A heartbeat. All hear the same ones in the same order, but for those who are cut off.
  void post(const process& from, std::string bytes);

  /// A command for whoever owns `where`.
  void send(const process& from, partition_number where, std::string bytes);

  /// A process begins to listen to the commands of `where`: it hears the last ones again.
  void repeat(const std::shared_ptr<process>& to, partition_number where);

private:
  void deliver(partition_number where, const std::string& bytes);

  surroundings& x_around;
  std::vector<std::weak_ptr<process>> x_members;
  std::map<partition_number, std::deque<std::string>> x_last;
};

} // namespace orrery::sim
