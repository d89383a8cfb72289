#pragma once

#include "drivers/hypervisor.hpp"

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

/// The words spoken with libvirt: a guest's XML and the two elements that we keep in its metadata.
/// Pure, and knows nothing of libvirt's library.
namespace orrery::drivers::libvirt {

/// How guests run on a node. `tcg` is full emulation: slow, but needs nothing of the machine.
enum class acceleration : std::uint8_t { kvm, tcg };

/// The files that a guest boots from.
struct boot_files {
  std::filesystem::path kernel;
  std::filesystem::path initrd;
  std::string extra_arguments; ///< from the image's file `cmdline`; may be empty
};

/// What we keep in a guest's metadata. Two elements, since a fence must be able to write its token
/// without touching what a dead predecessor may have written a moment before.
struct guest_record {
  uuid installation{};
  vm_id vm{};
  generation_number generation{};
  std::uint64_t spec_hash = 0;
  bool was_started = false; ///< tells "never ran" from "libvirt forgot why it stopped"

  friend bool operator==(const guest_record&, const guest_record&) = default;
};

/// The XML namespaces of the two elements, and the prefixes libvirt gives them.
inline constexpr const char* guest_namespace = "urn:orrery:guest:1";
inline constexpr const char* guest_prefix = "orrery";
inline constexpr const char* fence_namespace = "urn:orrery:fence:1";
inline constexpr const char* fence_prefix = "orrery-fence";

/// The domain's name in libvirt: `orrery-` and the VM's UUID. A VM's own name is only its title,
/// since two VMs of one name may meet on a node while the older one is being deleted.
[[nodiscard]] std::string domain_name(vm_id vm);
inline constexpr std::string_view domain_name_prefix = "orrery-";

/// `text` for an XML attribute or element: the five special characters as entities, control
/// characters (which XML 1.0 cannot hold) as '?'.
[[nodiscard]] std::string xml_escaped(std::string_view text);

/// A hash of the whole spec: equal specs, equal hashes, on every machine and version (FNV-1a).
[[nodiscard]] std::uint64_t hash_of(const guest_spec& spec);

/// The elements without namespace prefix, as virDomainSetMetadata wants them.
[[nodiscard]] std::string to_xml(const guest_record& record);
[[nodiscard]] std::string to_xml(fencing_token token);

/// Parses what libvirt gives back of them. Errors: `driver_failed`, naming the attribute (somebody
/// edited it).
[[nodiscard]] result<guest_record> parse_guest_record(std::string_view xml);
[[nodiscard]] result<fencing_token> parse_fence(std::string_view xml);

/// What a domain is made from beside its spec.
struct domain_surroundings {
  acceleration how = acceleration::tcg;
  boot_files boot;
  std::filesystem::path console; ///< file of the serial console
};

/// The whole domain. `spec` has passed `check_spec`.
[[nodiscard]] std::string domain_xml(const guest_spec& spec, const guest_record& record,
                                     fencing_token token, const domain_surroundings& around);

/// The kernel command line of a guest.
[[nodiscard]] std::string kernel_arguments(const guest_spec& spec, std::string_view extra);

} // namespace orrery::drivers::libvirt
