// The node's two streams to the control plane over gRPC: the one file of this side that includes it is grpc_channels.cc,
// which is compiled without thread sanitizer (the system's gRPC is not instrumented) and hands over under mutexes.
#pragma once

#include <memory>
#include <string>

#include "dataplane/agent/control_identity.h"
#include "dataplane/agent/sync_channel.h"
#include "dataplane/telemetry/usage_client.h"

namespace gw {

// `control`: host:port. TLS by the identity in force at each open(), shown but in join(); plain text while `identity` has no CA, or
// is null.
std::unique_ptr<SyncChannel> make_grpc_sync_channel(const std::string& control, std::shared_ptr<const IdentityHolder> identity = nullptr);
std::unique_ptr<TelemetryChannel> make_grpc_telemetry_channel(const std::string& control,
                                                              std::shared_ptr<const IdentityHolder> identity = nullptr);

}  // namespace gw
