#include "dataplane/node/admin_server.h"

#include <pthread.h>

#include <map>
#include <mutex>
#include <vector>

#include "dataplane/http1/server_session.h"
#include "dataplane/loop/listener.h"

namespace gw {
namespace {

// One request on the admin listener.
class AdminExchange final : public DownstreamEvents {
 public:
  using OnDone = std::function<void(uint64_t id)>;

  AdminExchange(uint64_t id, DownstreamStream& stream, const AdminServer::Handler& handler,
                std::function<AdminServer::Reply(uint64_t)> make_reply, OnDone done)
      : id_(id), stream_(&stream), handler_(handler), make_reply_(std::move(make_reply)), done_(std::move(done)) {}

  RequestHead& request_head() override { return request_; }

  void on_request_head() override {
    std::string_view path = request_.target, query;
    if (size_t mark = path.find('?'); mark != std::string_view::npos) {
      query = path.substr(mark + 1);
      path = path.substr(0, mark);
    }
    if (request_.method != Method::kGet && request_.method != Method::kHead) {
      answer({405, "text/plain; charset=utf-8", "only GET and HEAD\n"});
      return;
    }
    handler_(path, query, make_reply_(id_));
  }
  void on_request_invalid(const ProxyError& error) override {
    answer({error.status != 0 ? error.status : info(error.reason).status, "text/plain; charset=utf-8", std::string(error.detail) + "\n"});
  }
  void on_request_data(std::string_view, bool, const HeaderList*) override {}
  void on_downstream_closed() override {
    DownstreamStream* stream = stream_;
    stream_ = nullptr;
    if (stream == nullptr) return;
    stream->reset();
    stream->release();
    done_(id_);
  }
  void on_downstream_drained() override {}
  void on_request_read_done() override {}

  void answer(const AdminServer::Page& page) {
    if (stream_ == nullptr) return;
    ResponseHead head;
    head.status = page.status;
    head.headers.add("content-type", page.content_type);
    head.headers.add("cache-control", "no-store");
    head.content_length = static_cast<int64_t>(page.body.size());
    head.has_body = request_.method != Method::kHead;
    DownstreamStream* stream = stream_;
    stream_ = nullptr;
    stream->send_head(head, request_.has_body);
    stream->send_data(head.has_body ? std::string_view(page.body) : std::string_view(), true, nullptr);
    stream->release();
    done_(id_);
  }

 private:
  const uint64_t id_;
  DownstreamStream* stream_;
  const AdminServer::Handler& handler_;
  std::function<AdminServer::Reply(uint64_t)> make_reply_;
  OnDone done_;
  RequestHead request_;
};

// What replies go through: they may come when the server is gone.
class Door {
 public:
  explicit Door(Loop& loop) : loop_(&loop) {}
  void post(std::function<void()> task) {
    std::lock_guard lock(mutex_);
    if (loop_ != nullptr) loop_->post(std::move(task));
  }
  void close() {
    std::lock_guard lock(mutex_);
    loop_ = nullptr;
  }

 private:
  std::mutex mutex_;
  Loop* loop_;
};

}  // namespace

class AdminServer::Impl final : public ServerHost {
 public:
  Impl(ListenSocket socket, Handler handler)
      : socket_(std::move(socket)), handler_(std::move(handler)), turn_task_([](void* self) { static_cast<Impl*>(self)->bury(); }, this) {
    for (int socket : socket_.fds()) {
      listeners_.push_back(std::make_unique<Listener>(loop_, socket, false, [this](int fd) { accept(fd); }));
    }
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "gw-admin");
      loop_.run();
      listeners_.clear();
      while (sessions_ != nullptr) sessions_->abort();
      bury();
    });
  }
  ~Impl() override {
    door_->close();
    loop_.stop();
    thread_.join();
  }

  const ListenSocket& socket() const { return socket_; }
  void hand_over() {
    loop_.post([this] {
      listeners_.clear();
      draining_ = true;
      for (ServerConnection* session = sessions_; session != nullptr;) {
        ServerConnection* next = session->next;
        session->drain(limits_.idle_timeout_ms);
        session = next;
      }
    });
  }

 private:
  void accept(int fd) {
    auto* session = new http1::ServerSession(loop_, *this, 0);
    if (session->start(fd) != 0 || count_ >= kMaxConnections) {
      delete session;
      return;
    }
    session->next = sessions_;
    if (sessions_ != nullptr) sessions_->prev = session;
    sessions_ = session;
    ++count_;
  }

  DownstreamEvents& open_exchange(DownstreamStream& stream, uint32_t) override {
    uint64_t id = ++last_id_;
    auto make_reply = [this](uint64_t of) -> Reply {
      return [this, of, door = door_](Page page) {
        door->post([this, of, page = std::move(page)] {
          if (auto it = exchanges_.find(of); it != exchanges_.end()) it->second->answer(page);
        });
      };
    };
    auto done = [this](uint64_t of) {
      ended_.push_back(of);
      loop_.defer(turn_task_);
    };
    auto exchange = std::make_unique<AdminExchange>(id, stream, handler_, make_reply, done);
    return *(exchanges_[id] = std::move(exchange));
  }
  const ServerLimits& limits(uint32_t) override { return limits_; }
  bool draining() const override { return draining_; }
  Http2Gauges& http2_gauges() override { return http2_gauges_; }
  void connection_closed(ServerConnection& session) override {
    if (session.prev != nullptr) session.prev->next = session.next;
    if (session.next != nullptr) session.next->prev = session.prev;
    if (sessions_ == &session) sessions_ = session.next;
    --count_;
    dead_.push_back(&session);
    loop_.defer(turn_task_);
  }
  void bury() {
    for (uint64_t id : ended_) exchanges_.erase(id);
    ended_.clear();
    std::vector<ServerConnection*> dead;
    dead.swap(dead_);
    for (ServerConnection* session : dead) delete session;
  }

  Loop loop_;
  std::shared_ptr<Door> door_ = std::make_shared<Door>(loop_);
  ListenSocket socket_;
  Handler handler_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  bool draining_ = false;
  ServerLimits limits_;
  Http2Gauges http2_gauges_;  // of nothing: it speaks HTTP/1 alone
  ServerConnection* sessions_ = nullptr;
  size_t count_ = 0;
  uint64_t last_id_ = 0;
  std::map<uint64_t, std::unique_ptr<AdminExchange>> exchanges_;
  std::vector<uint64_t> ended_;
  std::vector<ServerConnection*> dead_;
  Deferred turn_task_;
  std::thread thread_;
};

std::unique_ptr<AdminServer> AdminServer::start(ListenSocket socket, Handler handler) {
  return std::unique_ptr<AdminServer>(new AdminServer(std::make_unique<Impl>(std::move(socket), std::move(handler))));
}

AdminServer::AdminServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AdminServer::~AdminServer() = default;
const ListenSocket& AdminServer::socket() const { return impl_->socket(); }
void AdminServer::hand_over() { impl_->hand_over(); }

}  // namespace gw
