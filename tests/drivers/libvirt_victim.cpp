// An orchestrator that is killed while it starts a guest: defines and starts one, and is not heard
// of again. Arguments: socket, images, consoles, VM's UUID, installation's UUID, link.

#include "drivers/libvirt/libvirt_hypervisor.hpp"

#include <cstdio>
#include <string>
#include <vector>

int main(int argument_count, char** arguments) {
  using namespace orrery;
  const std::vector<std::string> words(arguments, arguments + argument_count);
  if (words.size() != 7)
    return 2;
  drivers::libvirt_hypervisor::options settings;
  settings.socket_path = words[1];
  settings.image_directory = words[2];
  settings.console_directory = words[3];
  const auto made = drivers::libvirt_hypervisor::make(settings);
  const auto vm = parse_uuid(words[4]);
  const auto installation = parse_uuid(words[5]);
  if (!made || !vm || !installation)
    return 2;
  drivers::guest_spec spec;
  spec.installation = *installation;
  spec.vm = vm_id{*vm};
  spec.name = "victim";
  spec.vcpus.count = 1;
  spec.memory.count = 128;
  spec.image = "tiny";
  spec.port.link = words[6];
  spec.port.mac.bytes = {0x0a, 0, 0, 0, 0xff, 1};
  const drivers::fencing_token token{.incarnation = 1, .epoch = 1};
  auto& driver = **made;
  if (!driver.connect() || !driver.define(spec, {1}, token))
    return 3;
  const auto started = driver.start(spec.vm, {2}, token);
  std::printf("start: %s\n", started ? "done" : started.error().text.c_str());
  return 4; // nobody killed us in time
}
