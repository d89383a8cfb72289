#include "drivers/libvirt/domain_xml.hpp"

#include "events/core/text.hpp"

#include <array>
#include <charconv>

namespace orrery::drivers::libvirt {

namespace {

error unreadable(std::string_view what) {
  return {.code = error_code::driver_failed,
          .text = "the guest's metadata in libvirt was changed by somebody: attribute '" +
                  std::string(what) + "' is missing or wrong; undefine the domain by hand",
          .retryable = false};
}

/// The value of ` name='…'` or ` name="…"`. Our values hold no special characters, so nothing has
/// to be unescaped; libvirt has parsed the document already.
std::optional<std::string_view> attribute(std::string_view xml, std::string_view name) {
  for (auto at = xml.find(name); at != std::string_view::npos; at = xml.find(name, at + 1)) {
    const auto equals = at + name.size();
    if (at == 0 || xml[at - 1] != ' ' || equals + 1 >= xml.size() || xml[equals] != '=')
      continue;
    const char quote = xml[equals + 1];
    if (quote != '\'' && quote != '"')
      continue;
    const auto end = xml.find(quote, equals + 2);
    if (end == std::string_view::npos)
      return std::nullopt;
    return xml.substr(equals + 2, end - equals - 2);
  }
  return std::nullopt;
}

std::optional<std::uint64_t> number(std::string_view xml, std::string_view name, int base = 10) {
  const auto text = attribute(xml, name);
  if (!text)
    return std::nullopt;
  std::uint64_t value = 0;
  const auto* end = text->data() + text->size();
  const auto [stop, failure] = std::from_chars(text->data(), end, value, base);
  if (failure != std::errc{} || stop != end)
    return std::nullopt;
  return value;
}

std::string hex(std::uint64_t value) {
  constexpr int base = 16;
  std::array<char, 16> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, base).ptr;
  return {digits.data(), end};
}

std::string attribute_text(std::string_view name, std::string_view value) {
  return " " + std::string(name) + "='" + xml_escaped(value) + "'";
}

std::string element(std::string_view name, std::string_view value) {
  return "<" + std::string(name) + ">" + xml_escaped(value) + "</" + std::string(name) + ">\n";
}

std::string guest_attributes(const guest_record& record) {
  return attribute_text("installation", to_text(record.installation)) +
         attribute_text("vm", to_text(record.vm.value)) +
         attribute_text("generation", std::to_string(record.generation.count)) +
         attribute_text("spec", hex(record.spec_hash)) +
         attribute_text("started", record.was_started ? "1" : "0");
}

std::string fence_attributes(fencing_token token) {
  return attribute_text("incarnation", std::to_string(token.incarnation)) +
         attribute_text("epoch", std::to_string(token.epoch));
}

std::string metadata_xml(const guest_record& record, fencing_token token) {
  return "<metadata>\n<orrery:guest xmlns:orrery='" + std::string(guest_namespace) + "'" +
         guest_attributes(record) + "/>\n<orrery-fence:fence xmlns:orrery-fence='" +
         std::string(fence_namespace) + "'" + fence_attributes(token) + "/>\n</metadata>\n";
}

/// Memory, processors and the limits of the guest's cgroup; that of its memory is set after the
/// start, since as a part of the definition it would also let the guest lock that much.
std::string resources_xml(const guest_spec& spec) {
  constexpr std::uint32_t shares_per_vcpu = 1024;   // the kernel's default weight of one process
  constexpr std::uint32_t quota_period_us = 100000; // the kernel's default period
  const auto period = std::to_string(quota_period_us);
  // One whole processor for each virtual one, and one for QEMU's own threads.
  return "<memory unit='MiB'>" + std::to_string(spec.memory.count) + "</memory>\n" +
         "<vcpu placement='static'>" + std::to_string(spec.vcpus.count) + "</vcpu>\n" +
         "<cputune>\n" + element("shares", std::to_string(spec.vcpus.count * shares_per_vcpu)) +
         element("period", period) + element("quota", period) + element("emulator_period", period) +
         element("emulator_quota", period) + "</cputune>\n";
}

std::string devices_xml(const guest_spec& spec, const domain_surroundings& around) {
  const auto console = xml_escaped(around.console.string());
  // The tap exists already (managed='no'): libvirt only opens it. Appending keeps what the guest
  // said before a restart; virtlogd rolls the file over at its limit.
  return "<devices>\n<controller type='usb' model='none'/>\n"
         "<interface type='ethernet'>\n<mac address='" +
         to_text(spec.port.mac) + "'/>\n<target" + attribute_text("dev", spec.port.link) +
         " managed='no'/>\n<model type='virtio'/>\n<rom enabled='no'/>\n</interface>\n"
         "<serial type='file'><source path='" +
         console +
         "' append='on'/><target port='0'/></serial>\n"
         "<console type='file'><source path='" +
         console +
         "' append='on'/><target type='serial' port='0'/></console>\n"
         "<memballoon model='none'/>\n</devices>\n";
}

} // namespace

std::string domain_name(vm_id vm) { return std::string(domain_name_prefix) + to_text(vm.value); }

std::string xml_escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
    case '&':
      out += "&amp;";
      break;
    case '<':
      out += "&lt;";
      break;
    case '>':
      out += "&gt;";
      break;
    case '\'':
      out += "&apos;";
      break;
    case '"':
      out += "&quot;";
      break;
    default:
      out += static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? '?' : c;
    }
  }
  return out;
}

std::uint64_t hash_of(const guest_spec& spec) {
  constexpr std::uint64_t offset_basis = 0xcbf29ce484222325ULL;
  constexpr std::uint64_t prime = 0x100000001b3ULL;
  std::uint64_t hash = offset_basis;
  // No field holds a zero byte, so a zero after each keeps "ab","c" and "a","bc" apart.
  const auto add = [&hash](std::string_view text) {
    for (const char c : text)
      hash = (hash ^ static_cast<unsigned char>(c)) * prime;
    hash *= prime;
  };
  add(to_text(spec.installation));
  add(to_text(spec.vm.value));
  add(spec.name);
  add(std::to_string(spec.vcpus.count));
  add(std::to_string(spec.memory.count));
  add(spec.image);
  add(spec.port.link);
  add(to_text(spec.port.mac));
  add(to_text(spec.port.address));
  add(std::to_string(spec.port.prefix_length));
  add(to_text(spec.port.gateway));
  if (spec.port.has_address6())
    add(to_text(spec.port.address6));
  return hash;
}

std::string to_xml(const guest_record& record) {
  return "<guest" + guest_attributes(record) + "/>";
}

std::string to_xml(fencing_token token) { return "<fence" + fence_attributes(token) + "/>"; }

result<guest_record> parse_guest_record(std::string_view xml) {
  constexpr int base = 16;
  guest_record record;
  const auto installation = parse_uuid(attribute(xml, "installation").value_or(""));
  if (!installation)
    return unreadable("installation");
  const auto vm = parse_uuid(attribute(xml, "vm").value_or(""));
  if (!vm)
    return unreadable("vm");
  const auto generation = number(xml, "generation");
  if (!generation)
    return unreadable("generation");
  const auto spec = number(xml, "spec", base);
  if (!spec)
    return unreadable("spec");
  const auto started = number(xml, "started");
  if (!started || *started > 1)
    return unreadable("started");
  record.installation = *installation;
  record.vm.value = *vm;
  record.generation.count = *generation;
  record.spec_hash = *spec;
  record.was_started = *started == 1;
  return record;
}

result<fencing_token> parse_fence(std::string_view xml) {
  const auto incarnation = number(xml, "incarnation");
  if (!incarnation)
    return unreadable("incarnation");
  const auto epoch = number(xml, "epoch");
  if (!epoch)
    return unreadable("epoch");
  return fencing_token{.incarnation = *incarnation, .epoch = *epoch};
}

std::string kernel_arguments(const guest_spec& spec, std::string_view extra) {
  // no_timer_check: an emulated timer on a loaded machine fails the kernel's boot-time check.
  std::string text =
      "console=ttyS0 quiet panic=1 no_timer_check orrery.address=" + to_text(spec.port.address) +
      "/" + std::to_string(spec.port.prefix_length) +
      " orrery.gateway=" + to_text(spec.port.gateway);
  if (spec.port.has_address6())
    text += " orrery.address6=" + to_text(alone(spec.port.address6));
  if (!extra.empty())
    text.append(" ").append(extra);
  return text;
}

std::string domain_xml(const guest_spec& spec, const guest_record& record, fencing_token token,
                       const domain_surroundings& around) {
  std::string xml;
  std::string cpu;
  switch (around.how) {
  case acceleration::kvm:
    xml = "<domain type='kvm'>\n";
    cpu = "<cpu mode='host-passthrough'/>\n";
    break;
  case acceleration::tcg:
    xml = "<domain type='qemu'>\n";
    cpu = "<cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model>"
          "</cpu>\n";
    break;
  }
  xml += element("name", domain_name(spec.vm)) + element("uuid", to_text(spec.vm.value)) +
         element("title", spec.name) + metadata_xml(record, token) + resources_xml(spec) +
         "<os>\n<type arch='x86_64' machine='q35'>hvm</type>\n" +
         element("kernel", around.boot.kernel.string()) +
         element("initrd", around.boot.initrd.string()) +
         element("cmdline", kernel_arguments(spec, around.boot.extra_arguments)) + "</os>\n" +
         "<features><acpi/></features>\n" + cpu + "<clock offset='utc'/>\n" +
         "<on_poweroff>destroy</on_poweroff>\n<on_reboot>restart</on_reboot>\n"
         "<on_crash>destroy</on_crash>\n" +
         devices_xml(spec, around) + "</domain>\n";
  return xml;
}

} // namespace orrery::drivers::libvirt
