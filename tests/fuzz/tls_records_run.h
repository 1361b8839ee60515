// A client's TLS records on a bad way to a TlsFilter: for the fuzz target `tls_records` and the unit test that walks its corpus.
//
// An input is bytes that are choices (choices.h): the version, then what happens next, again and again: bytes of the client's or the
// server's that are written, sent on in pieces, bent, lost, doubled, or put in between.
#pragma once

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "dataplane/loop/loop.h"
#include "dataplane/tls/server_context.h"
#include "tests/fuzz/choices.h"
#include "tests/support/certificates.h"
#include "tests/support/tls_memory_client.h"

namespace gw::fuzz {

class TlsRecordsRun {
 public:
  // What does not hold, or null.
  static const char* run(std::string_view input) {
    TlsRecordsRun run(input);
    return run.play();
  }

 private:
  static constexpr const char* kHost = "fuzz.test";

  static const TlsServerContext& context() {
    static const std::shared_ptr<const TlsServerContext> made = [] {
      test::CertificateMaker ca(std::time(nullptr));
      test::Issued issued = ca.issue({kHost});
      auto certificate = std::make_shared<TlsCertificate>();
      certificate->hosts = {kHost};
      certificate->key_pairs = {*TlsKeyPair::parse(issued.pem(), {})};
      TlsServerConfig config;
      config.certificates = {certificate};
      return *TlsServerContext::make(std::move(config));
    }();
    return *made;
  }
  static Loop& loop() {
    static Loop made;
    return made;
  }

  explicit TlsRecordsRun(std::string_view input)
      : choices_(input), client_(kHost, choices_.below(2) == 0 ? 0x0304 : 0x0303), filter_(context().open(loop(), nullptr)) {}

  const char* play() {
    filter_->begin();
    to_server_ = client_.take_wire();
    for (int i = 0; i < kMaxSteps && choices_.left() && wrong_ == nullptr; ++i) step();
    // What is left goes its way; an undisturbed connection ends in due form.
    if (wrong_ == nullptr && !bent_) {
      for (int i = 0; i < 8; ++i) {
        deliver(to_server_.size());
        answer();
      }
      client_.shutdown();
      to_server_ += client_.take_wire();
      deliver(to_server_.size());
      if (filter_->ready() && heard_ != said_) return "bytes were lost";
      if (filter_->ready() && !ended_) return "an end that is not seen";
      if (told_ != answered_) return "bytes of the answer were lost";
    }
    return wrong_;
  }

  void step() {
    switch (choices_.below(9)) {
      case 0: {
        std::string text = words(said_.size());
        if (client_.write(text)) said_ += text;
        to_server_ += client_.take_wire();
        break;
      }
      case 1: deliver(choices_.below(256) + 1); break;
      case 2: deliver(to_server_.size()); break;
      case 3: answer(); break;
      case 4: {
        std::string text = words(answered_.size());
        if (filter_->ready() && filter_->write(text, {}, {})) answered_ += text;
        collect();
        break;
      }
      case 5:
        client_.update_keys();
        break;
      case 6:
        if (to_server_.empty()) break;
        to_server_[choices_.below(256) % to_server_.size()] ^= static_cast<char>(1 << choices_.below(8));
        bent_ = true;
        break;
      case 7:
        to_server_.erase(0, std::min<size_t>(choices_.below(64) + 1, to_server_.size()));
        bent_ = true;
        break;
      case 8: {
        std::string put;
        for (size_t n = choices_.below(32); n > 0; --n) put += static_cast<char>(choices_.below(256));
        to_server_.insert(choices_.below(256) % (to_server_.size() + 1), put);
        bent_ = bent_ || !put.empty();
        break;
      }
    }
  }

  std::string words(size_t from) {
    std::string out(choices_.below(256) * (choices_.below(8) == 0 ? 100 : 1) + 1, '\0');
    for (char& c : out) c = static_cast<char>(from++ * 31);
    return out;
  }

  // Hands bytes on as a TcpStream does: from a buffer that is good during the call, read until nothing comes.
  void deliver(size_t size) {
    if (over_) return;
    std::string wire = to_server_.substr(0, size);
    to_server_.erase(0, wire.size());
    filter_->feed(wire);
    char room[512];
    ssize_t got;
    while ((got = filter_->read({room, sizeof room})) > 0) heard_.append(room, static_cast<size_t>(got));
    filter_->park();
    std::fill(wire.begin(), wire.end(), '?');
    if (got != -EAGAIN) {
      over_ = true;
      ended_ = got == 0;
      if (got < 0 && filter_->why().empty()) wrong_ = "a failure without a word";
      if (got < 0 && filter_->read({room, sizeof room}) >= 0) wrong_ = "bytes behind a failure";
    }
    if (said_.compare(0, heard_.size(), heard_) != 0) wrong_ = "bytes that the client has not said";
    if (!heard_.empty() && !filter_->ready()) wrong_ = "bytes before the handshake's end";
    collect();
  }

  void collect() {
    ByteBuffer& out = loop().cipher_out();
    to_client_ += out.view();
    out.clear();
  }

  void answer() {
    client_.feed(std::exchange(to_client_, {}));
    to_server_ += client_.take_wire();
    told_ += client_.take_plain();
    if (answered_.compare(0, told_.size(), told_) != 0) wrong_ = "bytes that the server has not said";
  }

  static constexpr int kMaxSteps = 200;

  Choices choices_;
  test::TlsMemoryClient client_;
  std::unique_ptr<TlsFilter> filter_;
  std::string to_server_, to_client_;
  std::string said_, heard_, answered_, told_;
  bool bent_ = false, over_ = false, ended_ = false;
  const char* wrong_ = nullptr;
};

}  // namespace gw::fuzz
