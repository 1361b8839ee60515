// Read blocks of one worker, counted. A block belongs to one session at a time; idle sessions own none. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace gw {

class BlockPool;

// Owns `capacity` bytes; gives them back when destroyed.
class Block {
 public:
  Block() = default;
  Block(Block&& other) noexcept { swap(other); }
  Block& operator=(Block&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Block();
  explicit operator bool() const { return data_ != nullptr; }
  char* data() { return data_; }
  const char* data() const { return data_; }
  size_t capacity() const { return capacity_; }

 private:
  friend class BlockPool;
  Block(BlockPool* pool, char* data, size_t capacity) : pool_(pool), data_(data), capacity_(capacity) {}
  void swap(Block& other) {
    std::swap(pool_, other.pool_);
    std::swap(data_, other.data_);
    std::swap(capacity_, other.capacity_);
  }

  BlockPool* pool_ = nullptr;
  char* data_ = nullptr;
  size_t capacity_ = 0;
};

class BlockPool {
 public:
  static constexpr size_t kBlock = 16384;
  static constexpr size_t kKeepFree = 64;  // blocks kept for reuse; more are given back to the allocator

  BlockPool() = default;
  BlockPool(const BlockPool&) = delete;
  ~BlockPool() {
    for (char* data : free_) delete[] data;
  }

  Block get() { return get(kBlock); }
  // Blocks larger than kBlock are not kept.
  Block get(size_t capacity) {
    if (capacity < kBlock) capacity = kBlock;
    in_use_ += capacity;
    if (capacity == kBlock && !free_.empty()) {
      char* data = free_.back();
      free_.pop_back();
      return Block(this, data, kBlock);
    }
    return Block(this, new char[capacity], capacity);
  }

  size_t bytes_in_use() const { return in_use_; }

 private:
  friend class Block;
  void give_back(char* data, size_t capacity) {
    in_use_ -= capacity;
    if (capacity == kBlock && free_.size() < kKeepFree) {
      free_.push_back(data);
    } else {
      delete[] data;
    }
  }

  std::vector<char*> free_;
  size_t in_use_ = 0;
};

inline Block::~Block() {
  if (data_ != nullptr) pool_->give_back(data_, capacity_);
}

}  // namespace gw
