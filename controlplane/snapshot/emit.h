// Objects to entries: names become uids, what only people need is left out. Pure.
#pragma once

#include <string>
#include <vector>

#include "controlplane/snapshot/catalog.h"
#include "controlplane/snapshot/publication.h"

namespace gw {

// The entry that nodes hold for `object`, or null for kinds that nodes do not see (Team, Product), and for a Secret that none needs.
// REQUIRES: the checks found no error.
EntryPtr emit(const Catalog& catalog, const v1::Object& object);

// The key of that entry; kind ENTRY_KIND_UNSPECIFIED for kinds that nodes do not see.
EntryKey entry_key(const v1::Object& object);

// An entry from its bytes: hash, references and capabilities worked out.
EntryPtr make_entry(const EntryKey& key, std::string bytes, std::string object);

v1::Stream stream_of(v1::EntryKind kind);
Digest digest_of(const EntryTable& entries);

}  // namespace gw
