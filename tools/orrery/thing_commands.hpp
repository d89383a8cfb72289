#pragma once

#include "tools/orrery/command_tree.hpp"

namespace orrery::cli {

// The nouns for what an installation consists of, each with its verbs.

void add_cluster(tree& t);
void add_node(tree& t);
void add_network(tree& t);
void add_vm(tree& t);

} // namespace orrery::cli
