// A gRPC client in C++ for tests/system/grpc_test.py: raw bytes as messages, by gRPC's generic stub.
//
//   gw_test_grpc_client HOST:PORT unary METHOD MESSAGE
//   gw_test_grpc_client HOST:PORT bidi METHOD MESSAGE…
//
// Prints each message of the answer on a line, then the status and its text. Every call has a deadline.
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace {

constexpr std::chrono::seconds kDeadline(60);

grpc::ByteBuffer to_buffer(const std::string& text) {
  grpc::Slice slice(text);
  return grpc::ByteBuffer(&slice, 1);
}

void print(const grpc::ByteBuffer& message) {
  std::vector<grpc::Slice> slices;
  if (!message.Dump(&slices).ok()) return;
  std::string text;
  for (const grpc::Slice& slice : slices) text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  std::printf("%s\n", text.c_str());
}

// Waits for what was begun last. False: it did not come to be.
bool next(grpc::CompletionQueue& queue) {
  void* tag = nullptr;
  bool ok = false;
  return queue.Next(&tag, &ok) && ok;
}

grpc::Status unary(grpc::GenericStub& stub, grpc::ClientContext& context, const std::string& method, const std::string& message) {
  grpc::CompletionQueue queue;
  grpc::ByteBuffer answer;
  grpc::Status status;
  auto call = stub.PrepareUnaryCall(&context, method, to_buffer(message), &queue);
  call->StartCall();
  call->Finish(&answer, &status, nullptr);
  next(queue);
  if (status.ok()) print(answer);
  return status;
}

// Each message is sent once the answer to the one before it has come.
grpc::Status bidi(grpc::GenericStub& stub, grpc::ClientContext& context, const std::string& method, const std::vector<std::string>& messages) {
  grpc::CompletionQueue queue;
  auto call = stub.PrepareCall(&context, method, &queue);
  call->StartCall(nullptr);
  bool open = next(queue);
  for (size_t i = 0; open && i < messages.size(); ++i) {
    call->Write(to_buffer(messages[i]), nullptr);
    open = next(queue);
    if (!open) break;
    grpc::ByteBuffer answer;
    call->Read(&answer, nullptr);
    open = next(queue);
    if (open) print(answer);
  }
  if (open) {
    call->WritesDone(nullptr);
    next(queue);
  }
  grpc::Status status;
  call->Finish(&status, nullptr);
  next(queue);
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: %s HOST:PORT unary|bidi METHOD MESSAGE...\n", argv[0]);
    return 2;
  }
  grpc::GenericStub stub(grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  std::string how = argv[2], method = argv[3];
  std::vector<std::string> messages(argv + 4, argv + argc);
  grpc::Status status = how == "unary" ? unary(stub, context, method, messages[0]) : bidi(stub, context, method, messages);
  std::printf("status %d %s\n", static_cast<int>(status.error_code()), status.error_message().c_str());
  return status.ok() ? 0 : 1;
}
