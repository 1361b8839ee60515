// The one file of gwctl that includes gRPC, against a server in the process.
#include "cli/client.h"

#include <grpcpp/grpcpp.h>

#include <catch2/catch.hpp>
#include <mutex>

#include "common/base/diagnostic.h"
#include "common/base/status.h"
#include "gw/v1/admin.grpc.pb.h"

namespace gw::cli {
namespace {

class FakeService final : public v1::Admin::Service {
 public:
  grpc::Status WhoAmI(grpc::ServerContext* context, const v1::WhoAmIRequest*, v1::WhoAmIResponse* response) override {
    auto range = context->client_metadata().equal_range("authorization");
    std::string all;
    for (auto it = range.first; it != range.second; ++it) all += std::string(it->second.data(), it->second.size());
    response->set_name(all);
    return grpc::Status::OK;
  }

  grpc::Status Apply(grpc::ServerContext*, const v1::ApplyRequest* request, v1::ApplyResponse*) override {
    if (request->message() == "conflict") return {grpc::StatusCode::ABORTED, "changed meanwhile"};
    v1::Diagnostics details;
    v1::Diagnostic& d = *details.add_items();
    d.set_severity(v1::Diagnostic::ERROR);
    d.set_code("GW1201");
    d.set_kind("Route");
    d.set_object("a/b");
    d.set_path("spec.to");
    d.set_message("wrong");
    return {grpc::StatusCode::INVALID_ARGUMENT, "one error", details.SerializeAsString()};
  }

  grpc::Status ListObjects(grpc::ServerContext*, const v1::ListObjectsRequest*, v1::ListObjectsResponse* response) override {
    // More than gRPC's default of 4 MiB.
    for (int i = 0; i < 100; ++i) {
      v1::ObjectView& v = *response->add_objects();
      v.mutable_object()->mutable_team()->set_title(std::string(100'000, 'x'));
    }
    return grpc::Status::OK;
  }

  grpc::Status WatchRollout(grpc::ServerContext* context, const v1::WatchRolloutRequest* request,
                            grpc::ServerWriter<v1::RolloutStatus>* writer) override {
    v1::RolloutStatus status;
    for (uint64_t i = 1; i <= 3; ++i) {
      status.set_version(i);
      if (!writer->Write(status)) return grpc::Status::CANCELLED;
    }
    if (request->version() == 0) return grpc::Status::OK;
    while (!context->IsCancelled()) writer->Write(status);
    return grpc::Status::CANCELLED;
  }
};

struct Running {
  Running() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service);
    server = builder.BuildAndStart();
  }
  ~Running() { server->Shutdown(std::chrono::system_clock::now()); }
  Endpoint endpoint() const { return {"127.0.0.1:" + std::to_string(port), "gwt_token", 60'000}; }

  FakeService service;
  int port = 0;
  std::unique_ptr<grpc::Server> server;
};

}  // namespace

TEST_CASE("every call carries the bearer token") {
  Running running;
  auto client = connect_admin(running.endpoint());
  auto who = client->who_am_i({});
  REQUIRE(who.ok());
  CHECK(who->name() == "Bearer gwt_token");
}

TEST_CASE("findings and codes of the server arrive as they were") {
  Running running;
  auto client = connect_admin(running.endpoint());
  absl::Status refused = client->apply({}).status();
  CHECK(refused.code() == absl::StatusCode::kInvalidArgument);
  DiagnosticList list;
  REQUIRE(diagnostics_of(refused, list));
  CHECK(to_text(list.items()[0]) == "error GW1201: Route a/b: spec.to: wrong");
  v1::ApplyRequest request;
  request.set_message("conflict");
  absl::Status conflict = client->apply(request).status();
  CHECK(conflict.code() == absl::StatusCode::kAborted);
  CHECK(message_of(conflict) == "changed meanwhile");
}

TEST_CASE("an answer may be larger than gRPC's default") {
  Running running;
  auto client = connect_admin(running.endpoint());
  auto objects = client->list_objects({});
  REQUIRE(objects.ok());
  CHECK(objects->objects_size() == 100);
}

TEST_CASE("a watch ends when the stream does, when the caller has seen enough, or when its time is up") {
  Running running;
  auto client = connect_admin(running.endpoint());
  v1::WatchRolloutRequest request;
  uint64_t last = 0;
  CHECK(client->watch_rollout(request, 60'000, [&](const v1::RolloutStatus& s) { return (last = s.version()) > 0; }).ok());
  CHECK(last == 3);
  request.set_version(1);
  CHECK(client->watch_rollout(request, 60'000, [&](const v1::RolloutStatus& s) { return (last = s.version()) < 2; }).ok());
  CHECK(last == 2);
  absl::Status late = client->watch_rollout(request, 50, [](const v1::RolloutStatus&) { return true; });
  CHECK(late.code() == absl::StatusCode::kDeadlineExceeded);
}

TEST_CASE("a control plane that is not there is UNAVAILABLE at once") {
  Endpoint nowhere;
  {
    Running running;
    nowhere = running.endpoint();
  }
  CHECK(connect_admin(nowhere)->who_am_i({}).status().code() == absl::StatusCode::kUnavailable);
}

}  // namespace gw::cli
