// Facts for `describe`: what an object means where it stands. Pure.
#pragma once

#include <vector>

#include "controlplane/snapshot/catalog.h"
#include "gw/v1/admin.pb.h"

namespace gw {

// Appends to view.facts, in the order in which they are to be read.
void add_facts(const Catalog& now, const v1::Object& object, const std::vector<v1::NodeInfo>& nodes, v1::ObjectView& view);

}  // namespace gw
