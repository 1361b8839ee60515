// Requests to change sets: apply, delete, undo. Each works on the state that the change will be committed on, so that an
// apply is rebased by being built: only generations that the caller named can clash.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "controlplane/admin/access.h"
#include "controlplane/admin/engine.h"
#include "gw/v1/admin.pb.h"

namespace gw {

// `out` tells every object of the request, unchanged ones too. `warnings` are for a dry run. Errors carry findings:
// PERMISSION_DENIED, INVALID_ARGUMENT, ABORTED (changed meanwhile, another set's, held), RESOURCE_EXHAUSTED.
absl::Status build_apply(const v1::ApplyRequest& request, const Caller& caller, Engine& engine, const Catalog& now,
                         ChangeSet& change, v1::ApplyResponse& out);
// NOT_FOUND names all that are not there.
absl::Status build_delete(const v1::DeleteRequest& request, const Caller& caller, const Catalog& now, ChangeSet& change,
                          v1::ApplyResponse& out);
// Reverses one version alone. ABORTED lists the objects that changed since.
absl::Status build_undo(const v1::UndoRequest& request, const Caller& caller, Engine& engine, const Catalog& now,
                        ChangeSet& change, v1::ApplyResponse& out);

// What `before` -> `after` is to a reader; either may be null, not both.
v1::Change describe_change(const v1::Object* before, const v1::Object* after);
// Consequences of a change of a Plan, in words.
void add_plan_notes(Engine& engine, const Catalog& now, const v1::Object* before, const v1::Object& after, v1::Change& out);

}  // namespace gw
