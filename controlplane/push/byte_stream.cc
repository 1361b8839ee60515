#include "controlplane/push/byte_stream.h"

#include <grpc/grpc_security_constants.h>

#include <utility>

#include "common/base/status.h"

namespace gw {
namespace {

// The frame's own bytes, without a copy: the slice holds a reference until gRPC has written it.
grpc::ByteBuffer to_buffer(const SharedBytes& bytes) {
  auto* held = new SharedBytes(bytes);
  grpc::Slice slice(
      const_cast<char*>(bytes->data()), bytes->size(), [](void* reference) { delete static_cast<SharedBytes*>(reference); },
      held);
  return grpc::ByteBuffer(&slice, 1);
}

bool to_string(grpc::ByteBuffer& buffer, std::string& out) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return false;
  out.clear();
  for (const grpc::Slice& slice : slices) out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return true;
}

}  // namespace

class ByteStream::Core::Reactor final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  explicit Reactor(std::shared_ptr<Core> core) : core_(std::move(core)) {}
  void OnWriteDone(bool ok) override { core_->written(ok); }
  void OnReadDone(bool ok) override { core_->read(ok); }
  void OnCancel() override { core_->cancelled(); }
  void OnDone() override {
    core_->done();
    delete this;
  }

 private:
  std::shared_ptr<Core> core_;
};

std::shared_ptr<ByteStream::Core> ByteStream::make(size_t max_queued_bytes, size_t max_message_bytes) {
  auto core = std::make_shared<Core>(max_queued_bytes, max_message_bytes);
  core->reactor_ = new Core::Reactor(core);
  return core;
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* ByteStream::Core::reactor() { return reactor_; }

void ByteStream::Core::start(Handlers handlers) {
  {
    std::lock_guard lock(mu_);
    handlers_ = std::move(handlers);
  }
  read_on();
}

void ByteStream::Core::send(std::vector<SharedBytes> frames) {
  std::unique_lock lock(mu_);
  if (closing_ || reactor_ == nullptr) return;
  if (queued_bytes_ > max_queued_bytes_) {
    queue_.clear();
    queued_bytes_ = 0;
    closing_ = true;
    status_ = resource_exhausted("the node does not read what it is sent; it may come back");
    maybe_finish(lock);
    return;
  }
  for (SharedBytes& frame : frames) {
    queued_bytes_ += frame->size();
    queue_.push_back(std::move(frame));
  }
  write_next(lock);
}

// Releases the lock.
void ByteStream::Core::write_next(std::unique_lock<std::mutex>& lock) {
  if (writing_ || finished_) return;
  if (queue_.empty()) {
    maybe_finish(lock);
    return;
  }
  writing_bytes_ = std::move(queue_.front());
  queue_.pop_front();
  queued_bytes_ -= writing_bytes_->size();
  write_buffer_ = to_buffer(writing_bytes_);
  writing_ = true;
  Reactor* reactor = reactor_;
  lock.unlock();
  reactor->StartWrite(&write_buffer_);
}

void ByteStream::Core::written(bool ok) {
  std::unique_lock lock(mu_);
  writing_ = false;
  writing_bytes_.reset();
  if (!ok) {
    closing_ = true;
    queue_.clear();
    queued_bytes_ = 0;
  }
  write_next(lock);
}

void ByteStream::Core::close(absl::Status status) {
  std::unique_lock lock(mu_);
  if (closing_) return;
  closing_ = true;
  status_ = std::move(status);
  write_next(lock);
}

void ByteStream::Core::maybe_finish(std::unique_lock<std::mutex>& lock) {
  if (!closing_ || finished_ || writing_ || starting_ > 0 || reactor_ == nullptr || !queue_.empty()) return;
  finished_ = true;
  Reactor* reactor = reactor_;
  grpc::Status status = to_grpc(status_);
  lock.unlock();
  reactor->Finish(std::move(status));
}

void ByteStream::Core::read_on() {
  std::unique_lock lock(mu_);
  if (closing_ || finished_ || reactor_ == nullptr) return;
  ++starting_;
  Reactor* reactor = reactor_;
  lock.unlock();
  reactor->StartRead(&read_buffer_);
  lock.lock();
  --starting_;
  maybe_finish(lock);
}

void ByteStream::Core::read(bool ok) {
  std::unique_lock lock(mu_);
  if (!ok) {
    closing_ = true;
    write_next(lock);
    return;
  }
  std::string bytes;
  bool readable = read_buffer_.Length() <= max_message_bytes_ && to_string(read_buffer_, bytes);
  if (!readable) {
    closing_ = true;
    status_ = invalid_argument("a message is larger than " + std::to_string(max_message_bytes_) + " bytes");
    write_next(lock);
    return;
  }
  auto handler = handlers_.message;
  lock.unlock();
  handler(std::move(bytes));
}

void ByteStream::Core::cancelled() {
  std::unique_lock lock(mu_);
  closing_ = true;
  queue_.clear();
  queued_bytes_ = 0;
  write_next(lock);
}

void ByteStream::Core::done() {
  std::function<void()> closed;
  {
    std::lock_guard lock(mu_);
    reactor_ = nullptr;
    closing_ = finished_ = true;
    closed = std::move(handlers_.closed);
    handlers_ = Handlers{};
  }
  if (closed) closed();
}

std::string bearer_token(const grpc::CallbackServerContext& context) {
  auto at = context.client_metadata().find("authorization");
  if (at == context.client_metadata().end()) return {};
  std::string value(at->second.data(), at->second.size());
  constexpr std::string_view kPrefix = "Bearer ";
  return value.starts_with(kPrefix) ? value.substr(kPrefix.size()) : std::string();
}

NodeCredentials node_credentials(const grpc::CallbackServerContext& context) {
  NodeCredentials out;
  out.token = bearer_token(context);
  auto peer = context.auth_context();
  if (!peer) return out;
  for (const grpc::string_ref& certificate : peer->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME)) {
    out.certificate.assign(certificate.data(), certificate.size());
  }
  return out;
}

grpc::Status to_grpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), message_of(status)};
}

}  // namespace gw
