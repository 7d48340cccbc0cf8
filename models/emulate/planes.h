// Padded planes of a convolution's input, common to all kernels.
//
// The input is copied once into padded planes, one for each channel and each residue of the pixel's
// place modulo the stride, images one after the other. There the activations that meet one weight are
// a run of consecutive bytes, one for each output position: no im2col, whatever kernel, stride or
// grouping. Rows and images share their padding, so that few positions lie between output rows; those
// are computed and dropped.

#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__)
#define ENCMAC_X86 1
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC 12 blames what its own header leaves undefined on purpose
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

namespace encmac {

constexpr int64_t VECTOR = 64;  // bytes of the widest

// All in elements; filled from Python in this order (models/emulate/table.py).
struct Shape {
  int64_t images, channels, height, width;
  int64_t outputs, kernel_h, kernel_w, stride_y, stride_x;
  int64_t top, left, rows, columns, groups, pad_value;
  int64_t group_channels() const { return channels / groups; }
};

// One axis of the padded planes. Position p of a plane is pixel p * stride + residue - before.
struct Axis {
  int64_t size, stride, before, planes, pitch, length;

  Axis(int64_t size, int64_t kernel, int64_t stride, int64_t before, int64_t outputs)
      : size(size), stride(stride), before(before), planes(std::min(stride, kernel)) {
    const int64_t reach = (kernel - 1) / stride;
    length = outputs + reach;
    int64_t shared = reach;  // padding at the end of a row that can be the next row's beginning
    for (int64_t residue = 0; residue < planes; ++residue)
      shared = std::min({shared, begin(residue), length - end(residue)});
    pitch = length - shared;
  }
  int64_t pixel(int64_t position, int64_t residue) const { return position * stride + residue - before; }
  // Positions begin .. end hold pixels of the input, the others padding.
  int64_t begin(int64_t residue) const { return first_at_least(0, residue); }
  int64_t end(int64_t residue) const { return std::max(begin(residue), first_at_least(size, residue)); }
  int64_t first_at_least(int64_t bound, int64_t residue) const {
    return std::clamp<int64_t>((bound + before - residue + stride - 1) / stride, 0, length);
  }
};

struct Planes {
  Axis y, x;
  int64_t image_pitch, positions, used, plane_pitch, channel_pitch;

  explicit Planes(const Shape& s)
      : y(s.height, s.kernel_h, s.stride_y, s.top, s.rows), x(s.width, s.kernel_w, s.stride_x, s.left, s.columns) {
    image_pitch = y.pitch * x.pitch;
    positions = s.images * image_pitch;
    used = positions + y.length * x.pitch + x.length;      // where the taps of the last position may lie
    plane_pitch = (used + VECTOR - 1) / VECTOR * VECTOR + VECTOR;  // vectors reach beyond, whatever is there
    channel_pitch = y.planes * x.planes * plane_pitch;
  }
  int64_t offset(int64_t ky, int64_t kx) const {
    const int64_t plane = ky % y.stride * x.planes + kx % x.stride;
    return plane * plane_pitch + ky / y.stride * x.pitch + kx / x.stride;
  }
};

// Every `stride`-th byte of rows; a STRIDE that is known lets the compiler use vectors.
template <int STRIDE>
inline void copy_rows(const int8_t* from, int64_t from_pitch, int64_t stride, uint8_t* to, int64_t to_pitch,
                      int64_t rows, int64_t count) {
  for (int64_t row = 0; row < rows; ++row, from += from_pitch, to += to_pitch)
    for (int64_t i = 0; i < count; ++i) to[i] = static_cast<uint8_t>(from[i * (STRIDE ? STRIDE : stride)]);
}

#ifdef ENCMAC_X86

// The same for strides 1 and 2: short rows are a masked load and a masked store.
template <int STRIDE>
__attribute__((target("avx512f,avx512bw,avx512vl"))) void copy_rows_wide(const int8_t* from, int64_t from_pitch,
                                                                         uint8_t* to, int64_t to_pitch, int64_t rows,
                                                                         int64_t count) {
  constexpr int64_t STEP = VECTOR / STRIDE;
  for (int64_t done = 0; done < count; done += STEP, from += VECTOR, to += STEP) {
    const int64_t number = std::min(STEP, count - done);
    const __mmask64 read = ~uint64_t{0} >> (VECTOR - 1 - STRIDE * (number - 1));
    for (int64_t row = 0; row < rows; ++row) {
      const __m512i bytes = _mm512_maskz_loadu_epi8(read, from + row * from_pitch);
      if constexpr (STRIDE == 1) {
        _mm512_mask_storeu_epi8(to + row * to_pitch, read, bytes);
      } else {
        const __mmask32 written = ~uint32_t{0} >> (STEP - number);
        _mm256_mask_storeu_epi8(to + row * to_pitch, written, _mm512_cvtepi16_epi8(bytes));
      }
    }
  }
}

#endif

inline void copy_rows(const int8_t* from, int64_t from_pitch, int64_t stride, uint8_t* to, int64_t to_pitch,
                      int64_t rows, int64_t count) {
#ifdef ENCMAC_X86
  static const bool wide = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  if (wide && stride == 1) return copy_rows_wide<1>(from, from_pitch, to, to_pitch, rows, count);
  if (wide && stride == 2) return copy_rows_wide<2>(from, from_pitch, to, to_pitch, rows, count);
#endif
  if (stride == 1) return copy_rows<1>(from, from_pitch, 1, to, to_pitch, rows, count);
  if (stride == 2) return copy_rows<2>(from, from_pitch, 2, to, to_pitch, rows, count);
  copy_rows<0>(from, from_pitch, stride, to, to_pitch, rows, count);
}

inline void fill_channel(const Shape& s, const Planes& p, const int8_t* x, int64_t channel, uint8_t* to) {
  for (int64_t ry = 0; ry < p.y.planes; ++ry) {
    for (int64_t rx = 0; rx < p.x.planes; ++rx, to += p.plane_pitch) {
      const int64_t left = p.x.begin(rx), count = p.x.end(rx) - left, top = p.y.begin(ry), rows = p.y.end(ry) - top;
      const bool whole = s.stride_x == 1 && s.stride_y == 1 && count == p.x.pitch;  // an image is one run of bytes
      const int64_t dense = count == p.x.pitch && rows == p.y.pitch ? p.positions : 0;  // will be overwritten
      std::memset(to + dense, static_cast<int>(s.pad_value), p.used - dense);
      if (!rows || !count) continue;
      const int64_t first = p.y.pixel(top, ry) * s.width + p.x.pixel(left, rx);
      for (int64_t image = 0; image < s.images; ++image) {
        const int8_t* from = x + (image * s.channels + channel) * s.height * s.width + first;
        uint8_t* lines = to + image * p.image_pitch + top * p.x.pitch + left;
        if (whole) {
          std::memcpy(lines, from, rows * count);
        } else {
          copy_rows(from, s.stride_y * s.width, s.stride_x, lines, p.x.pitch, rows, count);
        }
      }
    }
  }
}

// work(item, worker) for all items; those of one worker follow each other.
template <class Work>
void in_parallel(int64_t items, int threads, Work work) {
  if (threads < 2 || items < 2) {  // without the atomic: it would wait for every store before it
    for (int64_t item = 0; item < items; ++item) work(item, 0);
    return;
  }
  std::atomic<int64_t> next{0};
  auto loop = [&](int64_t worker) {
    for (int64_t item; (item = next++) < items;) work(item, worker);
  };
  std::vector<std::thread> others;
  for (int64_t i = 1; i < std::min<int64_t>(threads, items); ++i) others.emplace_back(loop, i);
  loop(0);
  for (std::thread& thread : others) thread.join();
}

}  // namespace encmac
