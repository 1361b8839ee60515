// What stands between a TcpStream's owner and the wire: TLS. The stream keeps the socket, the filter turns bytes into others.
//
// Owner: the TcpStream. Loop's thread. Whatever a call leaves in the loop's cipher_out() is sent by the stream at once; a
// filter leaves nothing there between calls.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <string_view>

namespace gw {

class TcpStream;

class StreamFilter {
 public:
  virtual ~StreamFilter() = default;
  // The first bytes of ours, if we speak first. Negative errno: it cannot begin.
  virtual int begin() = 0;
  // Bytes from the wire. They stay where they are until park(), and come only when read() has said EAGAIN.
  virtual void feed(std::string_view wire) = 0;
  // Takes what was fed. Above 0: so many bytes for the owner. 0: the peer has ended in due form. -EAGAIN: feed me; or, with
  // blocked(), wait. Else the connection is broken (what the peer is told of that stands in cipher_out()).
  virtual ssize_t read(std::span<char> room) = 0;
  // The bytes that were fed go away: keeps those that read() has not taken.
  virtual void park() = 0;
  // read() may bring bytes without any from the wire.
  virtual bool has_parked() const = 0;
  // The handshake waits for something of ours; TcpStream::filter_unblocked() ends that.
  virtual bool blocked() const { return false; }
  // The handshake is done: the owner gets bytes from now on.
  virtual bool ready() const = 0;
  // What both sides have agreed to speak (ALPN), once ready(): "h2", "http/1.1", or empty.
  virtual std::string_view protocol() const { return {}; }
  // After a failure, in words.
  virtual const std::string& why() const = 0;
  // Bytes of the owner's towards the wire; before ready() they are kept. False: broken.
  virtual bool write(std::string_view a, std::string_view b, std::string_view c) = 0;
  // Tells the peer that nothing follows.
  virtual void end() = 0;
  // The stream that it belongs to has moved.
  TcpStream* stream = nullptr;
};

}  // namespace gw
