// A second try that runs beside the first (`retries.hedgeAfter`): the first good answer is taken, the other try is given up.
//
// It belongs to the Exchange and is the other end of the second try's stream. Until it has won it decides by itself; from then
// on it hands everything to the exchange, whose upstream that stream now is. Worker's thread.
#pragma once

#include <cstdint>

#include "dataplane/exchange/streams.h"
#include "dataplane/loop/timer_wheel.h"
#include "dataplane/upstream/pool.h"

namespace gw {

class Exchange;

class Hedge final : private UpstreamEvents {
 public:
  explicit Hedge(Exchange& exchange);

  // Sends the request to another target after so long.
  void arm(Loop& loop, int64_t delay_ms);
  // A stream is at work whose answer may still be taken.
  bool running() const { return stream_ != nullptr && !won_; }
  // Gives the second try up, whatever has become of it.
  void drop(AttemptResult result, int status);
  // The exchange takes the second try for its own.
  void take_over();

 private:
  void begin();
  void ended(AttemptResult result, int status);

  ResponseHead& response_head() override;
  void on_response_interim(int status, const HeaderList& headers) override;
  void on_response_head() override;
  void on_response_data(std::string_view piece, bool last, const HeaderList* trailers) override;
  void on_response_spliced(uint64_t bytes, bool last, bool full) override;
  void on_upstream_failed(const ProxyError& error) override;
  void on_upstream_drained() override;
  void on_response_read_done() override;
  void on_upstream_available() override {}  // it never waits in the pool

  Exchange& exchange_;
  Timer timer_;
  UpstreamStream* stream_ = nullptr;
  UpstreamPool::Attempt attempt_;
  uint64_t cookie_ = 0;
  int64_t begun_ns_ = 0;
  bool won_ = false;
};

}  // namespace gw
