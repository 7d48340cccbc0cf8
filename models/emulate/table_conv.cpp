// Convolutions whose products come from a table: sums of table[w][a], exact in int32.
//
// A block of BLOCK output pixels is unrolled to window columns (im2col: row k holds, for every pixel,
// the activation that meets weight k) and stays in the L2 cache while every output channel passes
// over it. For one weight the 256 products are a row of the table; the AVX-512 VBMI path holds that
// row in registers as low and high bytes and looks up 64 activations with one instruction
// (vpermi2b). Products are summed in 16 bits as far as the row's extreme values prove that no sum can
// overflow, then widened to 32 bits.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__)
#define ENCMAC_VBMI 1
#include <immintrin.h>
#endif

namespace {

constexpr int64_t BLOCK = 512;

// All in elements; filled from Python in this order (models/emulate/table.py).
struct Shape {
  int64_t images, channels, height, width;
  int64_t outputs, kernel_h, kernel_w, stride_y, stride_x;
  int64_t top, left, rows, columns, groups, pad_value;
  int64_t taps() const { return channels / groups * kernel_h * kernel_w; }
  int64_t pixels() const { return images * rows * columns; }
};

struct Table {
  const int16_t* rows;    // [256 weights][256 activations], both by their byte
  const uint8_t* planes;  // [256 weights][2: low, high byte][256 activations]
};

// Where 16-bit sums must be widened: 1 before tap k of output o, [outputs][taps].
std::vector<uint8_t> widening_points(const Shape& s, const int8_t* weights, const int32_t* lowest,
                                     const int32_t* highest) {
  const int64_t taps = s.taps();
  std::vector<uint8_t> points(s.outputs * taps, 0);
  for (int64_t o = 0; o < s.outputs; ++o) {
    int32_t low = 0, high = 0;
    for (int64_t k = 0; k < taps; ++k) {
      const uint8_t w = static_cast<uint8_t>(weights[o * taps + k]);
      if (low + lowest[w] < INT16_MIN || high + highest[w] > INT16_MAX) {
        points[o * taps + k] = 1;
        low = high = 0;
      }
      low += lowest[w];
      high += highest[w];
    }
  }
  return points;
}

struct Segment {  // consecutive pixels of one output row
  int64_t image, y, x, length, at;
};

std::vector<Segment> segments_of(const Shape& s, int64_t first, int64_t count) {
  std::vector<Segment> segments;
  for (int64_t at = 0; at < count;) {
    const int64_t pixel = first + at, x = pixel % s.columns, line = pixel / s.columns;
    const int64_t length = std::min(s.columns - x, count - at);
    segments.push_back({line / s.rows, line % s.rows, x, length, at});
    at += length;
  }
  return segments;
}

// First multiple-of-stride position x with x * stride + offset >= bound.
int64_t first_at_least(int64_t bound, int64_t offset, int64_t stride) {
  return bound <= offset ? 0 : (bound - offset + stride - 1) / stride;
}

void unroll(const Shape& s, const uint8_t* x, int64_t group, const std::vector<Segment>& segments, uint8_t* columns) {
  const int64_t group_channels = s.channels / s.groups;
  const uint8_t pad = static_cast<uint8_t>(s.pad_value);
  for (int64_t c = 0; c < group_channels; ++c) {
    for (int64_t ky = 0; ky < s.kernel_h; ++ky) {
      for (int64_t kx = 0; kx < s.kernel_w; ++kx, columns += BLOCK) {
        const int64_t offset = kx - s.left;
        const int64_t inside = first_at_least(0, offset, s.stride_x);
        const int64_t outside = first_at_least(s.width, offset, s.stride_x);
        for (const Segment& g : segments) {
          uint8_t* to = columns + g.at;
          const int64_t y = g.y * s.stride_y + ky - s.top;
          const int64_t begin = std::clamp<int64_t>(inside - g.x, 0, g.length);
          const int64_t end = std::clamp<int64_t>(outside - g.x, begin, g.length);
          if (y < 0 || y >= s.height || begin == end) {
            std::memset(to, pad, g.length);
            continue;
          }
          const uint8_t* from =
              x + ((g.image * s.channels + group * group_channels + c) * s.height + y) * s.width + g.x * s.stride_x + offset;
          for (int64_t i = 0; i < begin; ++i) to[i] = pad;
          if (s.stride_x == 1) {
            std::memcpy(to + begin, from + begin, end - begin);
          } else {
            for (int64_t i = begin; i < end; ++i) to[i] = from[i * s.stride_x];
          }
          for (int64_t i = end; i < g.length; ++i) to[i] = pad;
        }
      }
    }
  }
}

// One output channel over one block: sums[p] = sum over k of table[weights[k]][columns[k][p]].
using Sum = void (*)(const uint8_t* columns, int64_t taps, const int8_t* weights, const uint8_t* widen, const Table& table,
                     int32_t* sums);

void sum_portable(const uint8_t* columns, int64_t taps, const int8_t* weights, const uint8_t*, const Table& table,
                  int32_t* sums) {
  std::fill_n(sums, BLOCK, 0);
  for (int64_t k = 0; k < taps; ++k, columns += BLOCK) {
    const int16_t* row = table.rows + 256 * static_cast<uint8_t>(weights[k]);
    for (int64_t p = 0; p < BLOCK; ++p) sums[p] += row[columns[p]];
  }
}

#ifdef ENCMAC_VBMI
#define VBMI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")))
constexpr int VECTORS = BLOCK / 64;

// Adds 16-bit sums (in the order that vpunpck leaves) to 32-bit sums in pixel order and clears them.
VBMI inline void widen_sums(__m512i* narrow, int32_t* sums) {
#pragma GCC unroll 8
  for (int v = 0; v < VECTORS; ++v) {
    const __m512i a = _mm512_cvtepi16_epi32(_mm512_castsi512_si256(narrow[2 * v]));
    const __m512i b = _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(narrow[2 * v], 1));
    const __m512i c = _mm512_cvtepi16_epi32(_mm512_castsi512_si256(narrow[2 * v + 1]));
    const __m512i d = _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(narrow[2 * v + 1], 1));
    const __m512i parts[4] = {_mm512_shuffle_i64x2(a, c, 0x44), _mm512_shuffle_i64x2(a, c, 0xEE),
                              _mm512_shuffle_i64x2(b, d, 0x44), _mm512_shuffle_i64x2(b, d, 0xEE)};
    for (int i = 0; i < 4; ++i) {
      int32_t* at = sums + 64 * v + 16 * i;
      _mm512_storeu_si512(at, _mm512_add_epi32(_mm512_loadu_si512(at), parts[i]));
    }
    narrow[2 * v] = narrow[2 * v + 1] = _mm512_setzero_si512();
  }
}

// SIGNED: activations use all 256 codes; otherwise only 0..127 and half the row is enough.
template <bool SIGNED>
VBMI void sum_vbmi(const uint8_t* columns, int64_t taps, const int8_t* weights, const uint8_t* widen, const Table& table,
                   int32_t* sums) {
  __m512i narrow[2 * VECTORS];
#pragma GCC unroll 16
  for (int i = 0; i < 2 * VECTORS; ++i) narrow[i] = _mm512_setzero_si512();
  std::fill_n(sums, BLOCK, 0);
  for (int64_t k = 0; k < taps; ++k, columns += BLOCK) {
    if (widen[k]) widen_sums(narrow, sums);
    const uint8_t* low = table.planes + 512 * static_cast<uint8_t>(weights[k]);
    const uint8_t* high = low + 256;
    const __m512i low0 = _mm512_loadu_si512(low), low1 = _mm512_loadu_si512(low + 64);
    const __m512i high0 = _mm512_loadu_si512(high), high1 = _mm512_loadu_si512(high + 64);
    __m512i low2, low3, high2, high3;
    if (SIGNED) {
      low2 = _mm512_loadu_si512(low + 128), low3 = _mm512_loadu_si512(low + 192);
      high2 = _mm512_loadu_si512(high + 128), high3 = _mm512_loadu_si512(high + 192);
    }
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; ++v) {
      const __m512i a = _mm512_loadu_si512(columns + 64 * v);
      __m512i l = _mm512_permutex2var_epi8(low0, a, low1);
      __m512i h = _mm512_permutex2var_epi8(high0, a, high1);
      if (SIGNED) {
        const __mmask64 negative = _mm512_movepi8_mask(a);
        l = _mm512_mask_blend_epi8(negative, l, _mm512_permutex2var_epi8(low2, a, low3));
        h = _mm512_mask_blend_epi8(negative, h, _mm512_permutex2var_epi8(high2, a, high3));
      }
      narrow[2 * v] = _mm512_add_epi16(narrow[2 * v], _mm512_unpacklo_epi8(l, h));
      narrow[2 * v + 1] = _mm512_add_epi16(narrow[2 * v + 1], _mm512_unpackhi_epi8(l, h));
    }
  }
  widen_sums(narrow, sums);
}
#endif

void store(const Shape& s, const int32_t* sums, int64_t output, int64_t first, int64_t count, int32_t* out) {
  const int64_t plane = s.rows * s.columns;
  for (int64_t at = 0; at < count;) {
    const int64_t image = (first + at) / plane, pixel = (first + at) % plane;
    const int64_t length = std::min(plane - pixel, count - at);
    std::memcpy(out + (image * s.outputs + output) * plane + pixel, sums + at, length * sizeof(int32_t));
    at += length;
  }
}

void convolve_block(const Shape& s, const uint8_t* x, const int8_t* weights, const uint8_t* widen, const Table& table,
                    Sum sum, int64_t first, uint8_t* columns, int32_t* out) {
  const int64_t count = std::min(BLOCK, s.pixels() - first), taps = s.taps(), group_outputs = s.outputs / s.groups;
  const std::vector<Segment> segments = segments_of(s, first, count);
  alignas(64) int32_t sums[BLOCK];
  for (int64_t group = 0; group < s.groups; ++group) {
    unroll(s, x, group, segments, columns);
    for (int64_t o = group * group_outputs; o < (group + 1) * group_outputs; ++o) {
      sum(columns, taps, weights + o * taps, widen + o * taps, table, sums);
      store(s, sums, o, first, count, out);
    }
  }
}

}  // namespace

extern "C" {

// 1 if this processor and this build have the AVX-512 VBMI path.
int encmac_has_vbmi() {
#ifdef ENCMAC_VBMI
  return __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
#else
  return 0;
#endif
}

// x int8 [images][channels][height][width], weights int8 [outputs][channels / groups][kernel_h][kernel_w],
// out int32 [images][outputs][rows][columns]. `extremes` int32 [4][256] by the weight's byte: lowest and
// highest product for activations 0..127, then for all. `vbmi`: use that path (only if it is there).
void encmac_table_conv(const int8_t* x, const int8_t* weights, const int16_t* rows, const uint8_t* planes,
                       const int32_t* extremes, int32_t* out, const int64_t* numbers, int threads, int vbmi) {
  Shape s;
  std::memcpy(&s, numbers, sizeof s);
  const int64_t elements = s.images * s.channels * s.height * s.width;
  bool is_signed = s.pad_value < 0;
  for (int64_t i = 0; i < elements && !is_signed; i += 4096) {
    const int64_t end = std::min(elements, i + 4096);
    int8_t lowest = 0;
    for (int64_t j = i; j < end; ++j) lowest = std::min(lowest, x[j]);
    is_signed = lowest < 0;
  }
  const int32_t* bounds = extremes + (is_signed ? 512 : 0);
  const std::vector<uint8_t> widen = widening_points(s, weights, bounds, bounds + 256);
  Sum sum = sum_portable;
#ifdef ENCMAC_VBMI
  if (vbmi) sum = is_signed ? sum_vbmi<true> : sum_vbmi<false>;
#endif
  const Table table{rows, planes};
  const int64_t blocks = (s.pixels() + BLOCK - 1) / BLOCK;
  std::atomic<int64_t> next{0};
  auto work = [&] {
    std::vector<uint8_t> columns(s.taps() * BLOCK, 0);
    for (int64_t block; (block = next++) < blocks;)
      convolve_block(s, reinterpret_cast<const uint8_t*>(x), weights, widen.data(), table, sum, block * BLOCK, columns.data(), out);
  };
  std::vector<std::thread> others;
  for (int64_t i = 1; i < std::min<int64_t>(threads, blocks); ++i) others.emplace_back(work);
  work();
  for (std::thread& thread : others) thread.join();
}

}  // extern "C"
