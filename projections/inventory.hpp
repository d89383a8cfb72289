#pragma once

#include "projections/paging.hpp"
#include "projections/past.hpp"
#include "projections/projection.hpp"
#include "projections/views.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace orrery::projections {

/// Nouns that the inventory has rows of. The numbers stand in keys.
enum class inventory_noun : std::uint8_t {
  cluster = 1,
  node = 2,
  network = 3,
  vm = 4,
  installation = 5
};

/// "cluster", …; also the prefix of ids.
[[nodiscard]] std::string_view name_of(inventory_noun noun);

/// What there is: the installation, clusters, nodes, networks, VMs; and a small trace of each VM
/// and network that is gone.
class inventory final : public projection {
public:
  static constexpr std::string_view family = "inventory";

  [[nodiscard]] std::string_view name() const override { return family; }

  [[nodiscard]] std::uint32_t version() const override { return 8; }

  void apply(commit_span commits, writer& rows) const override;
};

/// A label that things shall have: with this value, or with any.
struct label_term {
  std::string key;
  std::optional<std::string> value;
};

/// Reads "env=prod,tier": all of them. Errors: `invalid_argument`.
[[nodiscard]] result<std::vector<label_term>> parse_labels(std::string_view text);

/// Which VMs. Empty or unspecified: any. Cluster and node by id or name.
struct vm_filter {
  std::string cluster = {};
  std::string node = {};
  std::string name = {};
  v1::VmObserved::State observed = v1::VmObserved::STATE_UNSPECIFIED;
  std::vector<label_term> labels = {};
};

/// Which clusters, nodes or networks. Empty: any. The cluster by id or name; it is ignored for
/// clusters.
struct inventory_filter {
  std::string cluster = {};
  std::string name = {};
  std::vector<label_term> labels = {};
};

// Lists come in the order of the ids, that is of creation. Errors: `invalid_argument` (page),
// `not_found` and `conflict` (a name in the filter that fits nothing or several).

[[nodiscard]] result<listing<v1::Vm>> list_vms(const reader& rows, const vm_filter& filter,
                                               const page& wanted);
[[nodiscard]] result<listing<v1::Cluster>>
list_clusters(const reader& rows, const inventory_filter& filter, const page& wanted);
[[nodiscard]] result<listing<v1::Node>>
list_nodes(const reader& rows, const inventory_filter& filter, const page& wanted);
[[nodiscard]] result<listing<v1::Network>>
list_networks(const reader& rows, const inventory_filter& filter, const page& wanted);

/// One thing by `vm_<uuid>`, a bare UUID or its name; `View` is v1::Vm, v1::Cluster, v1::Node or
/// v1::Network. Errors: `not_found` (says when a deleted one was deleted), `conflict` (several have
/// the name: lists their ids), `invalid_argument` (the id of another kind of thing).
template <class View>
[[nodiscard]] result<answer<View>> find_thing(const reader& rows, std::string_view name_or_id);

/// The same of a moment of the past; a name is that of whatever was called so then. `history` are
/// the rows of the timeline. Names of other things are what they are called now. Errors: as above,
/// and those of `state_at`.
template <class View>
[[nodiscard]] result<answer<View>> find_thing(const reader& rows, const reader& history,
                                              std::string_view name_or_id, const as_of& when);

/// The installation with this id. Errors: `not_found` (it was not founded yet).
[[nodiscard]] result<answer<v1::Installation>> find_installation(const reader& rows,
                                                                 const uuid& id);

/// The id behind the name or id of anything, living or gone, for lists that are ordered by
/// resource. A bare or prefixed id is believed. Errors as above.
[[nodiscard]] result<uuid> find_resource(const reader& rows, std::string_view name_or_id);

/// The id of one VM, living or, where none living is called so, gone. Errors: `not_found`,
/// `conflict` (the name fits several), `invalid_argument`.
[[nodiscard]] result<uuid> find_vm_that_was(const reader& rows, std::string_view name_or_id);

/// True when the inventory has or had a row of it.
[[nodiscard]] bool is_known(const reader& rows, const uuid& id);

} // namespace orrery::projections
