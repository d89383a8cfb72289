#include "tools/orrery/ranges.hpp"

#include "events/core/net.hpp"
#include "tools/orrery/failure.hpp"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <istream>

namespace orrery::cli {

namespace {

failure misuse(const std::string& text) { return {exit_code::usage, "usage", text}; }

void add_line(std::vector<ipv4_range>& all, std::string line, const std::string& where) {
  line.resize(std::min(line.find('#'), line.size()));
  constexpr auto* blank = " \t\r";
  const auto first = line.find_first_not_of(blank);
  if (first == std::string::npos)
    return;
  const auto read = parse_ipv4_range(line.substr(first, line.find_last_not_of(blank) - first + 1));
  if (!read)
    throw misuse(where + ": " + read.error().text);
  all.push_back(*read);
}

void add_lines(std::vector<ipv4_range>& all, std::istream& from, const std::string& name) {
  std::size_t number = 0;
  for (std::string line; std::getline(from, line);)
    add_line(all, line, name + ":" + std::to_string(++number));
}

/// In order, with those that touch or overlap as one.
std::vector<ipv4_range> joined(std::vector<ipv4_range> all) {
  std::ranges::sort(all);
  std::vector<ipv4_range> made;
  for (const auto& one : all) {
    const bool touches = !made.empty() && (one.first <= made.back().last ||
                                           one.first.bits - 1 == made.back().last.bits);
    if (touches)
      made.back().last = std::max(made.back().last, one.last);
    else
      made.push_back(one);
  }
  return made;
}

} // namespace

json ranges_of(const std::vector<std::string>& said, const std::string& file) {
  std::vector<ipv4_range> all;
  for (const auto& text : said) {
    const auto read = parse_ipv4_range(text);
    if (!read)
      throw misuse(read.error().text);
    all.push_back(*read);
  }
  if (file == "-")
    add_lines(all, std::cin, "standard input");
  else if (!file.empty()) {
    std::ifstream from(file);
    if (!from)
      throw misuse("cannot read '" + file + "': name a file with one address or range a line");
    add_lines(all, from, file);
  }
  if (all.empty())
    throw misuse("there is no range: want FIRST-LAST or one address, or --file with one a line");
  auto made = json::list();
  for (const auto& one : joined(std::move(all)))
    made.items.push_back(json::of(to_text(one)));
  return made;
}

} // namespace orrery::cli
