#include "pvip/apply/converge.hpp"

#include "pvip/apply/apply.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace orrery::pvip {

namespace {

/// What was done over all rounds, and what failed in the last one.
class ledger {
public:
  void begin_round() {
    x_failures.clear();
    x_done = 0;
  }

  void done(const step& of) {
    ++x_done;
    x_changes.emplace(of.object, of.kind);
    say(of.sentence);
  }

  void put_off(const step& of) {
    if (x_put_off.insert(of.sentence).second && !of.sentence.empty()) {
      say(of.sentence + "; put off while a guest holds it");
    }
  }

  void failed(error of) { x_failures.push_back(std::move(of)); }

  [[nodiscard]] bool did_something() const { return x_done > 0; }

  [[nodiscard]] bool has_failures() const { return !x_failures.empty(); }

  /// Whether something was in the way in the last round.
  [[nodiscard]] bool is_blocked() const {
    return std::ranges::find(x_failures, error_code::already_exists, &error::code) !=
           x_failures.end();
  }

  [[nodiscard]] error failure() const {
    error first = x_failures.front();
    if (x_failures.size() > 1) {
      first.text += "; and " + std::to_string(x_failures.size() - 1) + " more";
    }
    return first;
  }

  [[nodiscard]] apply_report report() const {
    apply_report all;
    for (const auto& [object, kind] : x_changes) {
      switch (kind) {
      case change::added:
        ++all.added;
        break;
      case change::repaired:
        ++all.repaired;
        break;
      case change::removed:
        ++all.removed;
        break;
      }
    }
    all.drift = x_drift;
    if (x_unsaid > 0) {
      all.drift.push_back("and " + std::to_string(x_unsaid) + " more");
    }
    return all;
  }

  [[nodiscard]] std::string last_said() const {
    return x_drift.empty() ? std::string() : " (last: " + x_drift.back() + ")";
  }

private:
  void say(const std::string& sentence) {
    if (sentence.empty()) {
      return;
    }
    if (x_drift.size() < drift_sentences_max) {
      x_drift.push_back(sentence);
    } else {
      ++x_unsaid;
    }
  }

  std::map<std::string, change> x_changes; // the first change of an object is what was found
  std::set<std::string> x_put_off;
  std::vector<std::string> x_drift;
  std::size_t x_unsaid = 0;
  std::vector<error> x_failures;
  std::size_t x_done = 0;
};

/// Does steps one after the other, those of the filter together: each of its transactions costs
/// what it has to look through.
class runner {
public:
  runner(kernel& on, ledger& book) : x_on(on), x_book(book) {}

  void run(const std::vector<step>& steps) {
    std::vector<const step*> together;
    for (const step& each : steps) {
      if (is_of_filter(each.what)) {
        together.push_back(&each);
        continue;
      }
      run_together(together);
      together.clear();
      run_one(each);
    }
    run_together(together);
  }

private:
  void run_one(const step& each) {
    if (x_broken.contains(each.link)) {
      return;
    }
    auto ended = x_on.apply(each.what);
    if (!ended) {
      fail(each, ended.error());
    } else if (*ended == outcome::put_off) {
      x_book.put_off(each);
    } else {
      x_book.done(each);
    }
  }

  void run_together(const std::vector<const step*>& steps) {
    std::vector<const step*> todo;
    std::vector<const operation*> all;
    for (const step* each : steps) {
      if (!x_broken.contains(each->link)) {
        todo.push_back(each);
        all.push_back(&each->what);
      }
    }
    if (todo.empty()) {
      return;
    }
    const auto ended = x_on.apply_together(all);
    for (const step* each : todo) {
      if (ended) {
        x_book.done(*each);
      } else if (ended.error().code == error_code::driver_failed && todo.size() > 1) {
        run_one(*each); // one of them was refused, and the others shall be done
      } else {
        fail(*each, ended.error());
      }
    }
  }

  void fail(const step& of, error failure) {
    if (!of.link.empty()) {
      x_broken.insert(of.link);
    }
    failure.text = of.object + ": " + failure.text;
    x_book.failed(std::move(failure));
  }

  kernel& x_on;
  ledger& x_book;
  std::set<std::string> x_broken; // links of which a step failed: what refers to them would, too
};

void run_steps(kernel& on, const difference& plan, ledger& book) {
  book.begin_round();
  for (const error& refusal : plan.refusals) {
    book.failed(refusal);
  }
  runner(on, book).run(plan.steps);
}

result<void> check_prefix(std::string_view link, std::string_view prefix) {
  if (!link.starts_with(prefix) || link.size() == prefix.size()) {
    return error{.code = error_code::invalid_argument,
                 .text = "link \"" + std::string(link) + "\" does not begin with \"" +
                         std::string(prefix) + "\", so it would not be known as ours"};
  }
  return {};
}

} // namespace

result<apply_report> converge(kernel& on, std::vector<port> ports, std::string_view link_prefix,
                              const std::optional<std::string>& only_link, former_tail former) {
  for (const port& each : ports) {
    if (auto right = check_prefix(each.link, link_prefix); !right) {
      return right.error();
    }
  }
  const auto wanted = plan(std::move(ports));
  if (!wanted) {
    return wanted.error();
  }
  const apply_scope scope = only_link ? apply_scope::one_port : apply_scope::whole_node;
  ledger book;
  const bool with_tails =
      former == former_tail::perhaps || std::ranges::any_of(wanted->routes, &wanted_route::is_tail);
  reading part{.only_link = only_link,
               .with_tails = with_tails,
               .with_listeners = std::ranges::any_of(wanted->links, &wanted_link::has_ipv6)};
  for (int round = 0; round < rounds_max; ++round) {
    const auto found = on.read(part);
    if (!found) {
      return found.error();
    }
    const difference todo = compare(*wanted, *found, link_prefix, scope);
    run_steps(on, todo, book);
    if (part.only_link && book.is_blocked()) {
      part.only_link.reset(); // what is in the way stands elsewhere
      continue;
    }
    if (book.did_something()) {
      continue; // look whether it is so
    }
    if (book.has_failures()) {
      return book.failure();
    }
    return book.report();
  }
  if (book.has_failures()) {
    return book.failure();
  }
  return error{.code = error_code::conflict,
               .text = "the node's network still differs after " + std::to_string(rounds_max) +
                       " repairs; something else changes it, stop that" + book.last_said(),
               .retryable = true};
}

result<void> remove_port(kernel& on, const std::string& link, std::string_view link_prefix,
                         apply_scope scope) {
  if (auto right = check_prefix(link, link_prefix); !right) {
    return right;
  }
  // Of a whole node all links are read, since others tell which gateways are still needed.
  const bool is_alone = scope == apply_scope::one_port;
  const auto found =
      on.read({.only_link = is_alone ? std::optional(link) : std::nullopt, .with_settings = false});
  if (!found) {
    return found.error();
  }
  ledger book;
  run_steps(on, compare_without(link, *found, link_prefix, scope), book);
  if (book.has_failures()) {
    return book.failure();
  }
  return {};
}

} // namespace orrery::pvip
