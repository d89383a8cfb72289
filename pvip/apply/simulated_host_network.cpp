#include "pvip/apply/simulated_host_network.hpp"

#include "pvip/apply/converge.hpp"
#include "pvip/apply/memory_kernel.hpp"

#include <mutex>
#include <utility>

namespace orrery::pvip {

namespace {

class simulated_host_network final : public host_network {
public:
  simulated_host_network(std::string link_prefix, answer_rule answers)
      : x_prefix(std::move(link_prefix)), x_answers(std::move(answers)) {}

  result<apply_report> reconcile(std::vector<port> ports) override {
    const std::lock_guard guard(x_lock);
    return converge(x_kernel, std::move(ports), x_prefix, std::nullopt);
  }

  result<void> ensure(const port& wanted) override {
    const std::lock_guard guard(x_lock);
    if (auto done = converge(x_kernel, {wanted}, x_prefix, wanted.link); !done) {
      return done.error();
    }
    return {};
  }

  result<void> remove(const std::string& link) override {
    const std::lock_guard guard(x_lock);
    return remove_port(x_kernel, link, x_prefix);
  }

  result<bool> answers_arp(const port& wanted, std::chrono::milliseconds patience) override {
    if (!exists(wanted.link)) {
      return error{.code = error_code::not_found,
                   .text = "link " + wanted.link + " does not exist; make the port first",
                   .retryable = true};
    }
    return x_answers(wanted, patience);
  }

private:
  bool exists(const std::string& link) {
    const std::lock_guard guard(x_lock);
    for (const found_link& each : x_kernel.state().links) {
      if (each.name == link) {
        return true;
      }
    }
    return false;
  }

  std::mutex x_lock;
  memory_kernel x_kernel;
  std::string x_prefix;
  answer_rule x_answers;
};

} // namespace

std::unique_ptr<host_network> make_simulated_host_network(std::string link_prefix,
                                                          answer_rule answers) {
  return std::make_unique<simulated_host_network>(std::move(link_prefix), std::move(answers));
}

} // namespace orrery::pvip
