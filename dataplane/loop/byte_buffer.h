// Bytes being composed: reserve once, then append without checks.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>

namespace gw {

class ByteBuffer {
 public:
  void clear() { size_ = 0; }
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  std::string_view view() const { return {data_.get(), size_}; }

  // Makes room for `more` bytes behind what is there.
  void reserve(size_t more) {
    if (size_ + more <= capacity_) return;
    size_t capacity = capacity_ == 0 ? 4096 : capacity_;
    while (capacity < size_ + more) capacity *= 2;
    std::unique_ptr<char[]> grown(new char[capacity]);
    if (size_ > 0) std::memcpy(grown.get(), data_.get(), size_);
    data_ = std::move(grown);
    capacity_ = capacity;
  }
  // REQUIRES: reserved.
  void put(std::string_view text) {
    if (text.empty()) return;  // its data may be null
    std::memcpy(data_.get() + size_, text.data(), text.size());
    size_ += text.size();
  }
  // `size` bytes to be written by the caller. REQUIRES: reserved.
  char* claim(size_t size) {
    char* at = data_.get() + size_;
    size_ += size;
    return at;
  }
  void append(std::string_view text) {
    reserve(text.size());
    put(text);
  }

 private:
  std::unique_ptr<char[]> data_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace gw
