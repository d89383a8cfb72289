#include "pvip/apply/nft_request.hpp"

#include "events/core/check.hpp"
#include "pvip/plan/filter.hpp"

#include <nlohmann/json.hpp>

#include <cstdlib>
#include <map>
#include <utility>
#include <variant>

namespace orrery::pvip {

namespace {

using nlohmann::json;

/// Builds {"nftables":[…]}; elements of one set and verb stand in one command.
class transaction {
public:
  explicit transaction(std::string_view table) : x_table(table) {}

  void operator()(const make_filter& what) {
    if (what.was == base_state::changed) {
      command(filter_rules(x_table));
      return;
    }
    if (what.was == base_state::broken) {
      delete_table();
    }
    command(filter_base(x_table));
  }

  void operator()(const remove_filter&) { delete_table(); }

  void operator()(const filter_link& what) {
    if (what.chain) {
      delete_chains(what.link, what.is_chain_taken, what.is_out_chain_taken);
      command(filter_chains_of(x_table, what.link, what.rules));
    }
    for (const filter_element& element : what.added) {
      add_element("add", element);
    }
    for (const filter_element& element : what.removed) {
      add_element("delete", element);
    }
  }

  void operator()(const unfilter_link& what) {
    for (const filter_element& element : what.removed) {
      add_element("delete", element);
    }
    for (const drop_reason reason : drop_reasons) {
      // Adding first, so that deleting a counter that was never needed cannot fail.
      const std::string value = std::to_string(static_cast<unsigned>(reason));
      put("add", drops_set, what.link, value);
      put("delete", drops_set, what.link, value);
    }
    delete_chains(what.link, what.has_chain, what.has_out_chain);
  }

  template <class Other> void operator()(const Other&) {
    ORRERY_CHECK(false); // not of the filter
  }

  [[nodiscard]] std::string text() const {
    // Tables, chains and rules first: elements need their sets.
    std::string all = x_commands;
    for (const auto verb : {"add", "delete"}) {
      for (const auto& [key, elements] : x_elements) {
        if (key.first == verb) {
          all += (all.empty() ? "" : ",");
          all += R"({")" + key.first + R"(":{"element":{"family":"netdev","table":")" + x_table +
                 R"(","name":")" + key.second + R"(","elem":[)" + elements + "]}}}";
        }
      }
    }
    return R"({"nftables":[)" + all + "]}";
  }

private:
  void command(const std::string& what) { x_commands += (x_commands.empty() ? "" : ",") + what; }

  void delete_table() {
    command(R"({"delete":{"table":{"family":"netdev","name":")" + x_table + "\"}}}");
  }

  void delete_chains(const std::string& link, bool in, bool out) {
    if (in) {
      delete_chain(link);
    }
    if (out) {
      delete_chain(link + std::string(out_chain_end));
    }
  }

  void delete_chain(const std::string& name) {
    command(R"({"delete":{"chain":{"family":"netdev","table":")" + x_table + R"(","name":")" +
            name + "\"}}}");
  }

  void add_element(const char* verb, const filter_element& element) {
    if (!is_of_a_set(element.set)) {
      return; // comes and goes with the chain
    }
    const auto slash = element.value.find('/');
    const std::string address = element.value.substr(0, slash);
    const json value =
        slash == std::string::npos
            ? json(element.value)
            : json{{"prefix",
                    {{"addr", address}, {"len", std::atoi(element.value.c_str() + slash + 1)}}}};
    put(verb, name_of(element.set), element.link, value.dump());
  }

  void put(const char* verb, std::string_view set, const std::string& link,
           const std::string& value) {
    std::string& elements = x_elements[{verb, std::string(set)}];
    elements += (elements.empty() ? "" : ",");
    elements += R"({"concat":[)" + json(link).dump() + "," + value + "]}";
  }

  std::string x_table;
  std::string x_commands;
  std::map<std::pair<std::string, std::string>, std::string> x_elements; // by verb and set
};

} // namespace

std::string transaction_of(std::string_view table,
                           const std::vector<const operation*>& operations) {
  transaction all(table);
  for (const operation* each : operations) {
    std::visit(all, *each);
  }
  return all.text();
}

std::string listing_of_tables() {
  return R"({"nftables":[{"list":{"tables":{"family":"netdev"}}}]})";
}

std::string listing_of(std::string_view table) {
  return R"({"nftables":[{"list":{"table":{"family":"netdev","name":")" + std::string(table) +
         "\"}}}]}";
}

std::string listing_of(std::string_view table, filter_set set) {
  return R"({"nftables":[{"list":{"set":{"family":"netdev","table":")" + std::string(table) +
         R"(","name":")" + std::string(name_of(set)) + "\"}}}]}";
}

std::string marking_of(std::string_view table, std::string_view mark) {
  const std::string begin = R"({"family":"netdev","table":")" + std::string(table) + "\",";
  const std::string named = begin + R"("name":")" + std::string(mark_chain) + "\"}}}";
  return R"({"nftables":[{"add":{"chain":)" + named + R"(,{"flush":{"chain":)" + named +
         R"(,{"add":{"rule":)" + begin + R"("chain":")" + std::string(mark_chain) +
         R"(","comment":")" + std::string(mark) + R"(","expr":[{"return":null}]}}}]})";
}

} // namespace orrery::pvip
