#include "dataplane/loop/loop.h"

#include <cstdlib>

namespace gw {
namespace {

template <class Handle>
void free_on_close(uv_handle_t* handle) {
  delete reinterpret_cast<Handle*>(handle);
}

template <class Handle>
void close_and_free(Handle* handle) {
  uv_close(reinterpret_cast<uv_handle_t*>(handle), free_on_close<Handle>);
}

}  // namespace

void Deferred::cancel() {
  if (prev_ == nullptr) return;
  prev_->next_ = next_;
  next_->prev_ = prev_;
  prev_ = next_ = nullptr;
}

Loop::UvLoop::UvLoop() {
  if (uv_loop_init(this) != 0) std::abort();  // no descriptors left at start-up
}

Loop::Loop() : mail_signal_(new uv_async_t), prepare_(new uv_prepare_t), timer_(new uv_timer_t), wheel_(now_ms()) {
  deferred_.prev_ = deferred_.next_ = &deferred_;
  uv_async_init(&loop_, mail_signal_, [](uv_async_t* h) { static_cast<Loop*>(h->data)->take_mail(); });
  mail_signal_->data = this;
  uv_prepare_init(&loop_, prepare_);
  prepare_->data = this;
  uv_prepare_start(prepare_, [](uv_prepare_t* h) { static_cast<Loop*>(h->data)->end_turn(); });
  uv_timer_init(&loop_, timer_);
  timer_->data = this;
}

Loop::~Loop() {
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  run_deferred();
  close_and_free(mail_signal_);
  close_and_free(prepare_);
  close_and_free(timer_);
  // Whatever its owners have closed already gets its close callback here.
  while (uv_run(&loop_, UV_RUN_DEFAULT) != 0) {
  }
  uv_loop_close(&loop_);
  deferred_.prev_ = deferred_.next_ = nullptr;
}

void Loop::run() {
  uv_run(&loop_, UV_RUN_DEFAULT);
  std::lock_guard lock(mutex_);
  closed_ = true;
  mail_.clear();
}

void Loop::stop() {
  post([this] { uv_stop(&loop_); });
}

bool Loop::post(std::function<void()> task) {
  std::lock_guard lock(mutex_);
  if (closed_) return false;
  mail_.push_back(std::move(task));
  // Inside the lock: at shutdown the handle is closed only after closed_ was set under it.
  uv_async_send(mail_signal_);
  return true;
}

void Loop::take_mail() {
  begin_turn();
  std::vector<std::function<void()>> mail;
  {
    std::lock_guard lock(mutex_);
    mail.swap(mail_);
  }
  for (auto& task : mail) task();
}

void Loop::defer(Deferred& task) {
  if (task.pending()) return;
  task.prev_ = deferred_.prev_;
  task.next_ = &deferred_;
  deferred_.prev_->next_ = &task;
  deferred_.prev_ = &task;
}

void Loop::run_deferred() {
  while (deferred_.next_ != &deferred_) {
    Deferred& task = *deferred_.next_;
    task.cancel();
    task.fn_(task.arg_);  // may defer more
  }
}

// Runs before the loop waits: nothing deferred and nothing to send is left over.
void Loop::end_turn() {
  do {
    run_deferred();
    sends_.flush();
  } while (deferred_.next_ != &deferred_);
  turn_ended();
}

void Loop::turn_ended() {
  if (turn_begin_ns_ == 0) return;
  int64_t now_ns = static_cast<int64_t>(uv_hrtime());
  int64_t busy_ns = now_ns - turn_begin_ns_;
  turn_begin_ns_ = 0;
  if (turn_fn_ != nullptr) turn_fn_(turn_arg_, busy_ns, now_ns);
}

void Loop::arm(Timer& timer, int64_t delay_ms) {
  if (wake_ms_ < 0) wheel_.skip_to(now_ms());
  wheel_.arm(timer, now_ms(), delay_ms);
  if (wake_ms_ < 0 || now_ms() + delay_ms < wake_ms_) schedule_timers();
}

void Loop::schedule_timers() {
  wake_ms_ = wheel_.next_wake_ms();
  if (wake_ms_ < 0) {
    uv_timer_stop(timer_);
    return;
  }
  int64_t delay = wake_ms_ - now_ms();
  uv_timer_start(
      timer_,
      [](uv_timer_t* h) {
        auto* loop = static_cast<Loop*>(h->data);
        loop->begin_turn();
        loop->wheel_.advance(loop->now_ms());
        loop->schedule_timers();
      },
      delay > 0 ? static_cast<uint64_t>(delay) : 0, 0);
}

}  // namespace gw
