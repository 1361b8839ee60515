// A bidirectional gRPC stream of serialized messages, as both services of nodes use it. Includes gRPC: for the adapters
// (config_sync_service.cc, telemetry_service.cc) alone.
//
// gRPC may call back from within any call into it, and may destroy the reactor as soon as Finish was called and nothing is
// under way. Hence: state under `mu`, calls into gRPC outside of it, and Finish only when no read or write is being started.
// The Core outlives the reactor for whoever holds it.
#pragma once

#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "controlplane/push/node_tokens.h"

namespace gw {

using SharedBytes = std::shared_ptr<const std::string>;

class ByteStream {
 public:
  struct Handlers {
    // One message; nothing more is read until read_on().
    std::function<void(std::string bytes)> message;
    std::function<void()> closed;  // once, last
  };
  class Core;

  // The reactor to return to gRPC, which owns it. Reading begins with start().
  static std::shared_ptr<Core> make(size_t max_queued_bytes, size_t max_message_bytes);

  class Core : public std::enable_shared_from_this<Core> {
   public:
    Core(size_t max_queued_bytes, size_t max_message_bytes)
        : max_queued_bytes_(max_queued_bytes), max_message_bytes_(max_message_bytes) {}

    grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* reactor();
    void start(Handlers handlers);
    void send(std::vector<SharedBytes> frames);
    void close(absl::Status status);
    void read_on();

   private:
    friend class ByteStream;
    class Reactor;
    void written(bool ok);
    void read(bool ok);
    void cancelled();
    void done();
    void write_next(std::unique_lock<std::mutex>& lock);
    void maybe_finish(std::unique_lock<std::mutex>& lock);

    const size_t max_queued_bytes_;
    const size_t max_message_bytes_;
    std::mutex mu_;
    Reactor* reactor_ = nullptr;  // until done()
    Handlers handlers_;
    std::deque<SharedBytes> queue_;
    size_t queued_bytes_ = 0;
    SharedBytes writing_bytes_;
    grpc::ByteBuffer write_buffer_, read_buffer_;
    bool writing_ = false;
    int starting_ = 0;
    bool closing_ = false, finished_ = false;
    absl::Status status_;
  };
};

// Text after "Bearer " of the call's authorization, or empty.
std::string bearer_token(const grpc::CallbackServerContext& context);
// That, and the certificate that the other side of the connection showed.
NodeCredentials node_credentials(const grpc::CallbackServerContext& context);
grpc::Status to_grpc(const absl::Status& status);

}  // namespace gw
