// Memory of one exchange: bump allocation, freed all at once. Pointers stay good until reset(). One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

namespace gw {

class Arena {
 public:
  static constexpr size_t kInline = 2048;

  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Aligned for any fundamental type.
  char* allocate(size_t size) {
    size = (size + 15) & ~size_t{15};
    if (size <= static_cast<size_t>(end_ - at_)) {
      char* out = at_;
      at_ += size;
      return out;
    }
    return grow(size);
  }

  std::string_view copy(std::string_view text) {
    char* out = allocate(text.size());
    std::memcpy(out, text.data(), text.size());
    return {out, text.size()};
  }

  // T must need no destructor.
  template <class T, class... Args>
  T* make(Args&&... args) {
    static_assert(std::is_trivially_destructible_v<T>);
    return new (allocate(sizeof(T))) T{std::forward<Args>(args)...};
  }

  void reset() {
    at_ = inline_;
    end_ = inline_ + kInline;
    if (!blocks_.empty()) blocks_.clear();
    extra_ = 0;
  }

  // Bytes beyond the inline part; counts against the memory limit.
  size_t extra_bytes() const { return extra_; }

 private:
  char* grow(size_t size) {
    size_t block = size > 4096 ? size : 4096;
    blocks_.push_back(std::make_unique<char[]>(block));
    extra_ += block;
    char* out = blocks_.back().get();
    at_ = out + size;
    end_ = out + block;
    return out;
  }

  alignas(16) char inline_[kInline];
  char* at_ = inline_;
  char* end_ = inline_ + kInline;
  std::vector<std::unique_ptr<char[]>> blocks_;
  size_t extra_ = 0;
};

}  // namespace gw
