#include "dataplane/loop/splice.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "dataplane/loop/tcp_stream.h"
#include "dataplane/loop/tcp_stream_box.h"

namespace gw {

PipePool::~PipePool() {
  for (Pipe pipe : kept_) {
    ::close(pipe.out);
    ::close(pipe.in);
  }
}

Pipe PipePool::get() {
  Pipe pipe;
  if (in_use_ >= kMaxInUse) return pipe;
  if (!kept_.empty()) {
    pipe = kept_.back();
    kept_.pop_back();
  } else {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return pipe;
    pipe = {ends[0], ends[1]};
  }
  ++in_use_;
  return pipe;
}

void PipePool::give_back(Pipe pipe, bool empty) {
  --in_use_;
  if (empty && kept_.size() < kMaxKept) {
    kept_.push_back(pipe);
    return;
  }
  ::close(pipe.out);
  ::close(pipe.in);
}

bool TcpStream::splice_to(TcpStream& sink, uint64_t bytes) {
  if (box_ == nullptr || splicing_ != nullptr || !sink.let_go_held() || !sink.may_sink()) return false;
  Pipe pipe = loop_.pipes().get();
  if (!pipe.open()) return false;
  splicing_ = std::make_unique<Splicing>(Splicing{pipe, &sink, bytes, 0});
  sink.feeder_ = this;
  return true;
}

bool TcpStream::may_sink() const {
  return box_ != nullptr && feeder_ == nullptr && !box_->failed && !box_->connecting && box_->queue.empty();
}

void TcpStream::end_splice() {
  loop_.pipes().give_back(splicing_->pipe, splicing_->in_pipe == 0);
  splicing_->sink->feeder_ = nullptr;
  splicing_.reset();
}

// Either end closes before all has moved. What the pipe held is lost, so nothing more can be read from the source.
void TcpStream::break_splice() {
  if (feeder_ != nullptr) {
    TcpStream* source = feeder_;
    source->end_splice();
    source->read_stop();
  }
  if (splicing_ != nullptr) {
    TcpStream* sink = splicing_->sink;
    end_splice();
    if (sink->box_ != nullptr) sink->poll();
  }
}

// Source or sink is ready: moves what it can.
void TcpStream::pump() {
  Box* box = box_;
  Splicing& s = *splicing_;
  TcpStream& sink = *s.sink;
  const bool was_full = s.in_pipe > 0;
  uint64_t moved = 0;
  int source_error = 1, sink_error = 0;  // of the source: 0 is its end
  for (int i = 0; i < kReadsAtOnce && s.left + s.in_pipe > 0; ++i) {
    if (s.in_pipe == 0) {
      size_t most = static_cast<size_t>(std::min<uint64_t>(s.left, kSpliceAtOnce));
      ssize_t got = ::splice(box->fd, nullptr, s.pipe.in, nullptr, most, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) break;
      if (got <= 0) {
        source_error = got < 0 ? -errno : 0;
        break;
      }
      s.in_pipe = static_cast<size_t>(got);
      s.left -= static_cast<uint64_t>(got);
    }
    ssize_t put = ::splice(s.pipe.out, nullptr, sink.box_->fd, nullptr, s.in_pipe, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (put <= 0) {
      if (put < 0 && errno != EAGAIN && errno != EINTR && errno != ENOBUFS) sink_error = -errno;
      break;
    }
    s.in_pipe -= static_cast<size_t>(put);
    moved += static_cast<uint64_t>(put);
    if (s.in_pipe > 0) break;  // no room for more
  }
  if (sink_error != 0) {
    sink.box_->failed = true;
    break_splice();
    read_stop();
    sink.events_.on_write_error(sink_error);
    return;
  }
  bool full = s.in_pipe > 0;
  if (s.left + s.in_pipe == 0) end_splice();
  sink.poll();
  poll();
  if (moved > 0 || (full && !was_full)) events_.on_spliced(moved, full);
  if (source_error > 0 || box->owner != this) return;
  if (splicing_ != nullptr) break_splice();
  read_stop();
  events_.on_read_end(source_error);
}

}  // namespace gw
