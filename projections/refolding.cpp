#include "projections/refolding.hpp"

#include "projections/row_digest.hpp"
#include "projections/rows.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace orrery::projections {

namespace {

result<std::string> digest_of(std::string_view family, const reader& rows) {
  row_digest made;
  made.add(family, rows);
  if (rows.failure())
    return *rows.failure();
  return made.finish();
}

} // namespace

refolding::refolding(const projection& fold, std::string path, std::unique_ptr<database::bulk> rows,
                     std::unique_ptr<reader> old, std::size_t gathered_bytes)
    : x_fold(fold), x_path(std::move(path)), x_rows(std::move(rows)), x_old(std::move(old)),
      x_until(x_old ? positions_of(*x_old) : log_positions()), x_gathered_bytes(gathered_bytes) {}

result<void> refolding::apply(commit_span commits) {
  std::vector<std::shared_ptr<const folded_commit>> wanted;
  wanted.reserve(commits.size());
  for (const auto& commit : commits) {
    const auto& until = x_until.at(commit->where);
    if (commit->seq <= x_at.at(commit->where).seq || (x_old && commit->seq > until.seq))
      continue;
    if (x_old && commit->seq == until.seq && commit->head != until.head)
      return built_from_another(x_path, name(), *commit, until.head);
    x_at.set(commit->where, {commit->seq, commit->head});
    wanted.push_back(commit);
  }
  if (!wanted.empty())
    x_fold.apply(wanted, x_rows->rows());
  return x_rows->bytes_gathered() < x_gathered_bytes ? result<void>() : write_out();
}

bool refolding::is_at_least(const log_positions& goal) const {
  return std::ranges::all_of(
      goal.all(), [this](const auto& one) { return x_at.at(one.first).seq >= one.second.seq; });
}

result<void> refolding::write_out() {
  for (const auto& [where, position] : x_at.all())
    x_rows->rows().put(position_key(where), to_row(position));
  return x_rows->write_out();
}

result<std::string> refolding::digest() {
  if (auto written = write_out(); !written)
    return written.error();
  return digest_of(name(), *x_rows->written());
}

result<std::string> refolding::old_digest() const { return digest_of(name(), *x_old); }

} // namespace orrery::projections
