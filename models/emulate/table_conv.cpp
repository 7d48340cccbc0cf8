// Convolutions whose products come from a table: sums of table[w][a], exact in int32.
//
// For one weight the 256 products are a row of the table. Rows are stored as product - minimum, the
// minima are added at the end, and a row that is constant costs nothing. The vector paths look bytes
// up: a value v < 2^14 is (v & 127, v >> 7), a row that reaches further is the sum of several. Two of
// each fit a byte, so weights are taken in pairs, bytes are added, then even and odd bytes are summed
// in 16 bits (all: sum of even + 256 * odd; and odd alone) and widened every MAX_TAPS.
//
// Where products are the sum of what the activation's low and high four bits give, as those of a table that is
// affine in the bits, each is a look-up among 16: one byte shuffle for a digit of seven bits. Such a row is
// low digit, high digit for the low four bits, then for the high; all shuffled bytes of a digit sum to a byte,
// so these weights are taken one by one. The four bits have planes of their own.

#include "planes.h"

#ifdef __aarch64__
#include <arm_neon.h>
#endif

namespace {

using namespace encmac;

constexpr int64_t BLOCK = 256;     // positions that one output channel computes before the next one does
constexpr int64_t MAX_TAPS = 512;  // 256 pairs of at most 254 fit 16 bits
constexpr int64_t MAX_NIBBLE_TAPS = 256;

// Rows of the products of weight byte w: first[w] .. first[w + 1]; products are constant[w] + their sum.
struct Table {
  const uint8_t* rows;
  const int32_t* first;
  const int32_t* constant;
  int64_t row_bytes;
};

struct Tap {  // one row of products and where the activations for it lie, from the group's first plane
  const uint8_t* row;
  int64_t offset;
};

// What an output channel adds up: `constant` and an even number of taps. All sums are modulo 2^32, which is
// exact where the result fits int32.
struct Output {
  const Tap *begin, *end;
  int64_t high;  // from the plane of low four bits to that of high ones
  uint32_t constant;
};

struct Outputs {
  std::vector<Tap> taps;
  std::vector<Output> list;

  Outputs(const Shape& s, const Planes& p, const int8_t* weights, const Table& table, int64_t high) : list(s.outputs) {
    std::vector<int64_t> offsets;
    for (int64_t c = 0; c < s.group_channels(); ++c)
      for (int64_t ky = 0; ky < s.kernel_h; ++ky)
        for (int64_t kx = 0; kx < s.kernel_w; ++kx) offsets.push_back(c * p.channel_pitch + p.offset(ky, kx));
    const int64_t each = offsets.size();
    int64_t rows[256], number = s.outputs;  // at most one of zeros to make each even
    for (int w = 0; w < 256; ++w) rows[w] = table.first[w + 1] - table.first[w];
    for (int64_t i = 0; i < s.outputs * each; ++i) number += rows[static_cast<uint8_t>(weights[i])];
    taps.resize(number);
    Tap* tap = taps.data();
    for (Output& output : list) {
      output = {tap, tap, high, 0};
      for (int64_t k = 0; k < each; ++k) {
        const int w = static_cast<uint8_t>(*weights++);
        output.constant += table.constant[w];
        const uint8_t* row = table.rows + table.first[w] * table.row_bytes;
        for (int64_t i = 0; i < rows[w]; ++i, row += table.row_bytes) *tap++ = {row, offsets[k]};
      }
      if ((tap - output.begin) % 2) *tap++ = {table.rows + table.first[256] * table.row_bytes, 0};
      output.end = tap;
    }
  }
};

// sums[p] = constant + sum over taps of row[x[offset + p]], for `count` positions or a few more (at most BLOCK).
using Sum = void (*)(const uint8_t* x, const Output& output, int64_t count, uint32_t* sums);

void sum_portable(const uint8_t* x, const Output& output, int64_t count, uint32_t* sums) {
  std::fill_n(sums, count, output.constant);
  for (const Tap* tap = output.begin; tap < output.end; ++tap) {
    const uint16_t* row = reinterpret_cast<const uint16_t*>(tap->row);
    const uint8_t* at = x + tap->offset;
    for (int64_t p = 0; p < count; ++p) sums[p] += row[at[p]];
  }
}

#ifdef ENCMAC_X86

#define AVX2 __attribute__((target("avx2")))

// Adds to the sums of 32 positions: low + 128 * high, each as (all, odd) 16-bit sums.
AVX2 inline void widen_avx2(__m256i low, __m256i low_odd, __m256i high, __m256i high_odd, uint32_t* sums) {
  const __m256i low_even = _mm256_sub_epi16(low, _mm256_slli_epi16(low_odd, 8));
  const __m256i high_even = _mm256_sub_epi16(high, _mm256_slli_epi16(high_odd, 8));
  const __m256i l[2] = {_mm256_unpacklo_epi16(low_even, low_odd), _mm256_unpackhi_epi16(low_even, low_odd)};
  const __m256i h[2] = {_mm256_unpacklo_epi16(high_even, high_odd), _mm256_unpackhi_epi16(high_even, high_odd)};
  for (int half = 0; half < 2; ++half) {
    for (int i = 0; i < 2; ++i) {  // positions 16 * half + 8 * i ..
      const __m128i l16 = half ? _mm256_extracti128_si256(l[i], 1) : _mm256_castsi256_si128(l[i]);
      const __m128i h16 = half ? _mm256_extracti128_si256(h[i], 1) : _mm256_castsi256_si128(h[i]);
      const __m256i sum = _mm256_add_epi32(_mm256_cvtepu16_epi32(l16), _mm256_slli_epi32(_mm256_cvtepu16_epi32(h16), 7));
      __m256i* at = reinterpret_cast<__m256i*>(sums + 16 * half + 8 * i);
      _mm256_storeu_si256(at, _mm256_add_epi32(_mm256_loadu_si256(at), sum));
    }
  }
}

// Rows as differences: 16 bytes that count from activation 0 on, 16 more from 16 on, ... A shuffle gives 0
// for a negative index, so what is added up while 16 is taken off the index again and again is the product.
template <bool SIGNED>
AVX2 void sum_avx2(const uint8_t* x, const Output& output, int64_t count, uint32_t* sums) {
  constexpr int V = 2, STEPS = 8;
  const __m256i sixteen = _mm256_set1_epi8(16), sign = _mm256_set1_epi8(-128);
  for (int64_t p = 0; p < count; p += 32 * V, x += 32 * V, sums += 32 * V) {
    std::fill_n(sums, 32 * V, output.constant);
    for (const Tap *tap = output.begin, *end; tap < output.end; tap = end) {
      end = std::min(tap + MAX_TAPS, output.end);
      __m256i all_l[V], odd_l[V], all_h[V], odd_h[V];
      for (int v = 0; v < V; ++v) all_l[v] = odd_l[v] = all_h[v] = odd_h[v] = _mm256_setzero_si256();
      while (tap < end) {
        __m256i l[V], h[V];
        for (int v = 0; v < V; ++v) l[v] = h[v] = _mm256_setzero_si256();
        for (int one = 0; one < 2; ++one, ++tap) {
          const __m128i* row = reinterpret_cast<const __m128i*>(tap->row);
          __m256i a[V];
          for (int v = 0; v < V; ++v)
            a[v] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + tap->offset + 32 * v));
          for (int half = 0; half < (SIGNED ? 2 : 1); ++half) {  // activations 0 .. 127, then -128 .. -1
            if (half) {
              for (int v = 0; v < V; ++v) {
                const __m256i negative = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + tap->offset + 32 * v));
                a[v] = _mm256_xor_si256(negative, sign);
              }
            }
#pragma GCC unroll 8
            for (int step = 0; step < STEPS; ++step, row += 2) {
              const __m256i low = _mm256_broadcastsi128_si256(_mm_loadu_si128(row));
              const __m256i high = _mm256_broadcastsi128_si256(_mm_loadu_si128(row + 1));
              for (int v = 0; v < V; ++v) {
                l[v] = _mm256_add_epi8(l[v], _mm256_shuffle_epi8(low, a[v]));
                h[v] = _mm256_add_epi8(h[v], _mm256_shuffle_epi8(high, a[v]));
                a[v] = _mm256_subs_epi8(a[v], sixteen);  // stays negative
              }
            }
          }
        }
        for (int v = 0; v < V; ++v) {
          all_l[v] = _mm256_add_epi16(all_l[v], l[v]);
          odd_l[v] = _mm256_add_epi16(odd_l[v], _mm256_srli_epi16(l[v], 8));
          all_h[v] = _mm256_add_epi16(all_h[v], h[v]);
          odd_h[v] = _mm256_add_epi16(odd_h[v], _mm256_srli_epi16(h[v], 8));
        }
      }
      for (int v = 0; v < V; ++v) widen_avx2(all_l[v], odd_l[v], all_h[v], odd_h[v], sums + 32 * v);
    }
  }
}

AVX2 void sum_nibbles_avx2(const uint8_t* x, const Output& output, int64_t count, uint32_t* sums) {
  constexpr int V = 2;
  for (int64_t p = 0; p < count; p += 32 * V, x += 32 * V, sums += 32 * V) {
    std::fill_n(sums, 32 * V, output.constant);
    for (const Tap *tap = output.begin, *end; tap < output.end; tap = end) {
      end = std::min(tap + MAX_NIBBLE_TAPS, output.end);
      __m256i all_l[V], odd_l[V], all_h[V], odd_h[V];
      for (int v = 0; v < V; ++v) all_l[v] = odd_l[v] = all_h[v] = odd_h[v] = _mm256_setzero_si256();
      for (; tap < end; ++tap) {
        const __m128i* row = reinterpret_cast<const __m128i*>(tap->row);
        const __m256i low_l = _mm256_broadcastsi128_si256(row[0]), low_h = _mm256_broadcastsi128_si256(row[1]);
        const __m256i high_l = _mm256_broadcastsi128_si256(row[2]), high_h = _mm256_broadcastsi128_si256(row[3]);
        const uint8_t* at = x + tap->offset;
        for (int v = 0; v < V; ++v) {
          const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + 32 * v));
          const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + output.high + 32 * v));
          const __m256i l = _mm256_add_epi8(_mm256_shuffle_epi8(low_l, low), _mm256_shuffle_epi8(high_l, high));
          const __m256i h = _mm256_add_epi8(_mm256_shuffle_epi8(low_h, low), _mm256_shuffle_epi8(high_h, high));
          all_l[v] = _mm256_add_epi16(all_l[v], l);
          odd_l[v] = _mm256_add_epi16(odd_l[v], _mm256_srli_epi16(l, 8));
          all_h[v] = _mm256_add_epi16(all_h[v], h);
          odd_h[v] = _mm256_add_epi16(odd_h[v], _mm256_srli_epi16(h, 8));
        }
      }
      for (int v = 0; v < V; ++v) widen_avx2(all_l[v], odd_l[v], all_h[v], odd_h[v], sums + 32 * v);
    }
  }
}

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define AVX512_INLINE AVX512 __attribute__((always_inline)) inline
#define VBMI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")))
#define VBMI_INLINE VBMI __attribute__((always_inline)) inline

// Adds to the sums of 64 positions: low + 128 * high, each as (all, odd) 16-bit sums.
AVX512_INLINE void widen_avx512(__m512i low, __m512i low_odd, __m512i high, __m512i high_odd, uint32_t* sums) {
  const __m512i mask = _mm512_set1_epi32(0xFFFF);
  const __m512i low_even = _mm512_sub_epi16(low, _mm512_slli_epi16(low_odd, 8));
  const __m512i high_even = _mm512_sub_epi16(high, _mm512_slli_epi16(high_odd, 8));
  // 32-bit lane i: positions 4 i .. 4 i + 3
  const __m512i quads[4] = {
      _mm512_add_epi32(_mm512_and_si512(low_even, mask), _mm512_slli_epi32(_mm512_and_si512(high_even, mask), 7)),
      _mm512_add_epi32(_mm512_and_si512(low_odd, mask), _mm512_slli_epi32(_mm512_and_si512(high_odd, mask), 7)),
      _mm512_add_epi32(_mm512_srli_epi32(low_even, 16), _mm512_slli_epi32(_mm512_srli_epi32(high_even, 16), 7)),
      _mm512_add_epi32(_mm512_srli_epi32(low_odd, 16), _mm512_slli_epi32(_mm512_srli_epi32(high_odd, 16), 7))};
  const __m512i a = _mm512_unpacklo_epi32(quads[0], quads[1]), b = _mm512_unpackhi_epi32(quads[0], quads[1]);
  const __m512i c = _mm512_unpacklo_epi32(quads[2], quads[3]), d = _mm512_unpackhi_epi32(quads[2], quads[3]);
  const __m512i lanes[4] = {_mm512_unpacklo_epi64(a, c), _mm512_unpackhi_epi64(a, c), _mm512_unpacklo_epi64(b, d),
                            _mm512_unpackhi_epi64(b, d)};  // 128-bit lane j of lanes[i]: positions 16 j + 4 i ..
  const __m512i ab0 = _mm512_shuffle_i64x2(lanes[0], lanes[1], 0x44), ab1 = _mm512_shuffle_i64x2(lanes[0], lanes[1], 0xEE);
  const __m512i cd0 = _mm512_shuffle_i64x2(lanes[2], lanes[3], 0x44), cd1 = _mm512_shuffle_i64x2(lanes[2], lanes[3], 0xEE);
  const __m512i parts[4] = {_mm512_shuffle_i64x2(ab0, cd0, 0x88), _mm512_shuffle_i64x2(ab0, cd0, 0xDD),
                            _mm512_shuffle_i64x2(ab1, cd1, 0x88), _mm512_shuffle_i64x2(ab1, cd1, 0xDD)};
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i)
    _mm512_storeu_si512(sums + 16 * i, _mm512_add_epi32(_mm512_loadu_si512(sums + 16 * i), parts[i]));
}

// A row of 128 or 256 bytes in registers.
template <bool SIGNED>
struct Row {
  __m512i part[SIGNED ? 4 : 2];

  VBMI_INLINE void load(const uint8_t* bytes) {
#pragma GCC unroll 4
    for (int i = 0; i < (SIGNED ? 4 : 2); ++i) part[i] = _mm512_loadu_si512(bytes + 64 * i);
  }
  VBMI_INLINE __m512i operator[](__m512i a) const {
    const __m512i found = _mm512_permutex2var_epi8(part[0], a, part[1]);
    if constexpr (!SIGNED) return found;
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(a), found, _mm512_permutex2var_epi8(part[2], a, part[3]));
  }
};

template <bool SIGNED, int V>
VBMI_INLINE void sum_vectors(const uint8_t* x, const Output& output, uint32_t* sums) {
  constexpr int PLANE = SIGNED ? 256 : 128;
  std::fill_n(sums, 64 * V, output.constant);
  for (const Tap *tap = output.begin, *end; tap < output.end; tap = end) {
    end = std::min(tap + MAX_TAPS, output.end);
    __m512i all_l[V], odd_l[V], all_h[V], odd_h[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) all_l[v] = odd_l[v] = all_h[v] = odd_h[v] = _mm512_setzero_si512();
    for (; tap < end; tap += 2) {
      Row<SIGNED> low0, low1, high0, high1;
      low0.load(tap[0].row), high0.load(tap[0].row + PLANE);
      low1.load(tap[1].row), high1.load(tap[1].row + PLANE);
      const uint8_t *x0 = x + tap[0].offset, *x1 = x + tap[1].offset;
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        __m512i a0 = _mm512_loadu_si512(x0 + 64 * v), a1 = _mm512_loadu_si512(x1 + 64 * v);
        __asm__("" : "+v"(a0), "+v"(a1));
        const __m512i l = _mm512_add_epi8(low0[a0], low1[a1]), h = _mm512_add_epi8(high0[a0], high1[a1]);
        all_l[v] = _mm512_add_epi16(all_l[v], l);
        odd_l[v] = _mm512_add_epi16(odd_l[v], _mm512_srli_epi16(l, 8));
        all_h[v] = _mm512_add_epi16(all_h[v], h);
        odd_h[v] = _mm512_add_epi16(odd_h[v], _mm512_srli_epi16(h, 8));
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) widen_avx512(all_l[v], odd_l[v], all_h[v], odd_h[v], sums + 64 * v);
    __asm__ volatile("" ::: "memory");
  }
}

template <bool SIGNED>
VBMI void sum_vbmi(const uint8_t* x, const Output& output, int64_t count, uint32_t* sums) {
  constexpr int V = SIGNED ? 2 : 4;  // as many as registers allow
  for (; count > 64 * (V - 1); count -= 64 * V, x += 64 * V, sums += 64 * V) sum_vectors<SIGNED, V>(x, output, sums);
  if (count > 128) return sum_vectors<SIGNED, 3>(x, output, sums);
  if (count > 64) return sum_vectors<SIGNED, 2>(x, output, sums);
  if (count > 0) sum_vectors<SIGNED, 1>(x, output, sums);
}

template <int V>
AVX512_INLINE void sum_nibble_vectors(const uint8_t* x, const Output& output, uint32_t* sums) {
  std::fill_n(sums, 64 * V, output.constant);
  for (const Tap *tap = output.begin, *end; tap < output.end; tap = end) {
    end = std::min(tap + MAX_NIBBLE_TAPS, output.end);
    __m512i all_l[V], odd_l[V], all_h[V], odd_h[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) all_l[v] = odd_l[v] = all_h[v] = odd_h[v] = _mm512_setzero_si512();
    for (; tap < end; ++tap) {
      const __m128i* row = reinterpret_cast<const __m128i*>(tap->row);
      const __m512i low_l = _mm512_broadcast_i32x4(row[0]), low_h = _mm512_broadcast_i32x4(row[1]);
      const __m512i high_l = _mm512_broadcast_i32x4(row[2]), high_h = _mm512_broadcast_i32x4(row[3]);
      const uint8_t* at = x + tap->offset;
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        __m512i low = _mm512_loadu_si512(at + 64 * v), high = _mm512_loadu_si512(at + output.high + 64 * v);
        __asm__("" : "+v"(low), "+v"(high));
        const __m512i l = _mm512_add_epi8(_mm512_shuffle_epi8(low_l, low), _mm512_shuffle_epi8(high_l, high));
        const __m512i h = _mm512_add_epi8(_mm512_shuffle_epi8(low_h, low), _mm512_shuffle_epi8(high_h, high));
        all_l[v] = _mm512_add_epi16(all_l[v], l);
        odd_l[v] = _mm512_add_epi16(odd_l[v], _mm512_srli_epi16(l, 8));
        all_h[v] = _mm512_add_epi16(all_h[v], h);
        odd_h[v] = _mm512_add_epi16(odd_h[v], _mm512_srli_epi16(h, 8));
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) widen_avx512(all_l[v], odd_l[v], all_h[v], odd_h[v], sums + 64 * v);
    __asm__ volatile("" ::: "memory");
  }
}

AVX512 void sum_nibbles_avx512(const uint8_t* x, const Output& output, int64_t count, uint32_t* sums) {
  for (; count > 192; count -= 256, x += 256, sums += 256) sum_nibble_vectors<4>(x, output, sums);
  if (count > 128) return sum_nibble_vectors<3>(x, output, sums);
  if (count > 64) return sum_nibble_vectors<2>(x, output, sums);
  if (count > 0) sum_nibble_vectors<1>(x, output, sums);
}

constexpr int CHAINS = 12;  // that do not wait for each other

AVX2 int64_t peak_avx2(int64_t times) {
  __m256i found[CHAINS], row = _mm256_set1_epi8(1);
#pragma GCC unroll 12
  for (int i = 0; i < CHAINS; ++i) found[i] = row;
  for (int64_t n = 0; n < times; ++n)
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; ++i) __asm__ volatile("vpshufb %0, %1, %0" : "+x"(found[i]) : "x"(row));
  return times * CHAINS * 32;
}

template <bool TWO>
AVX512 int64_t peak_avx512(int64_t times) {
  __m512i found[CHAINS], row = _mm512_set1_epi8(1);
#pragma GCC unroll 12
  for (int i = 0; i < CHAINS; ++i) found[i] = row;
  for (int64_t n = 0; n < times; ++n) {
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; ++i) {
      if (TWO) {
        __asm__ volatile("vpermi2b %1, %1, %0" : "+v"(found[i]) : "v"(row));
      } else {
        __asm__ volatile("vpshufb %0, %1, %0" : "+v"(found[i]) : "v"(row));
      }
    }
  }
  return times * CHAINS * 64;
}

#endif

#ifdef __aarch64__

void sum_nibbles_neon(const uint8_t* x, const Output& output, int64_t count, uint32_t* sums) {
  constexpr int V = 4;
  for (int64_t p = 0; p < count; p += 16 * V, x += 16 * V, sums += 16 * V) {
    std::fill_n(sums, 16 * V, output.constant);
    for (const Tap *tap = output.begin, *end; tap < output.end; tap = end) {
      end = std::min(tap + MAX_NIBBLE_TAPS, output.end);
      uint16x8_t sums_l[2 * V], sums_h[2 * V];
      for (int i = 0; i < 2 * V; ++i) sums_l[i] = sums_h[i] = vdupq_n_u16(0);
      for (; tap < end; ++tap) {
        const uint8x16_t low_l = vld1q_u8(tap->row), low_h = vld1q_u8(tap->row + 16);
        const uint8x16_t high_l = vld1q_u8(tap->row + 32), high_h = vld1q_u8(tap->row + 48);
        const uint8_t* at = x + tap->offset;
        for (int v = 0; v < V; ++v) {
          const uint8x16_t low = vld1q_u8(at + 16 * v), high = vld1q_u8(at + output.high + 16 * v);
          const uint8x16_t l = vaddq_u8(vqtbl1q_u8(low_l, low), vqtbl1q_u8(high_l, high));
          const uint8x16_t h = vaddq_u8(vqtbl1q_u8(low_h, low), vqtbl1q_u8(high_h, high));
          sums_l[2 * v] = vaddw_u8(sums_l[2 * v], vget_low_u8(l));
          sums_l[2 * v + 1] = vaddw_high_u8(sums_l[2 * v + 1], l);
          sums_h[2 * v] = vaddw_u8(sums_h[2 * v], vget_low_u8(h));
          sums_h[2 * v + 1] = vaddw_high_u8(sums_h[2 * v + 1], h);
        }
      }
      for (int i = 0; i < 2 * V; ++i) {
        uint32_t* at = sums + 8 * i;
        const uint32x4_t first = vaddw_u16(vld1q_u32(at), vget_low_u16(sums_l[i]));
        const uint32x4_t second = vaddw_high_u16(vld1q_u32(at + 4), sums_l[i]);
        vst1q_u32(at, vaddq_u32(first, vshll_n_u16(vget_low_u16(sums_h[i]), 7)));
        vst1q_u32(at + 4, vaddq_u32(second, vshll_high_n_u16(sums_h[i], 7)));
      }
    }
  }
}

#endif

// The low four bits of bytes, and the high ones.
void split_nibbles(uint8_t* low, uint8_t* high, int64_t bytes) {
  for (int64_t i = 0; i < bytes; ++i) {
    high[i] = low[i] >> 4;
    low[i] &= 15;
  }
}

// In the order of models/emulate/table.py.
enum Path { PORTABLE, AVX2_ROWS, VBMI_ROWS, NIBBLES_AVX2, NIBBLES_AVX512, NIBBLES_NEON };

bool has_nibbles(int path) { return path >= NIBBLES_AVX2; }

struct Segment {  // consecutive pixels of one output row: `at` in the block, `to` in the plane of output channel 0
  int64_t at, to, length;
};

std::vector<Segment> segments_of(const Shape& s, const Planes& p, int64_t first, int64_t count) {
  std::vector<Segment> segments;
  for (int64_t position = first; position < first + count;) {
    const int64_t image = position / p.image_pitch, y = position % p.image_pitch / p.x.pitch, x = position % p.x.pitch;
    if (y < s.rows && x < s.columns) {
      const int64_t length = std::min(s.columns - x, first + count - position);
      segments.push_back({position - first, (image * s.outputs * s.rows + y) * s.columns + x, length});
    }
    position += p.x.pitch - x;
  }
  return segments;
}

void convolve_block(const Shape& s, const Planes& p, const uint8_t* planes, const Outputs& outputs, Sum sum,
                    int64_t first, int32_t* out) {
  const int64_t count = std::min(BLOCK, p.positions - first), group_outputs = s.outputs / s.groups;
  const std::vector<Segment> segments = segments_of(s, p, first, count);
  alignas(64) uint32_t sums[BLOCK];
  for (int64_t o = 0; o < s.outputs; ++o) {
    sum(planes + o / group_outputs * s.group_channels() * p.channel_pitch + first, outputs.list[o], count, sums);
    int32_t* plane = out + o * s.rows * s.columns;
    for (const Segment& segment : segments)
      for (int64_t i = 0; i < segment.length; ++i) plane[segment.to + i] = static_cast<int32_t>(sums[segment.at + i]);
  }
}

}  // namespace

extern "C" {

// Whether this processor and build have a path.
int encmac_has_path(int path) {
#ifdef ENCMAC_X86
  const bool wide = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
  if (path == AVX2_ROWS || path == NIBBLES_AVX2) return __builtin_cpu_supports("avx2") != 0;
  if (path == VBMI_ROWS) return wide && __builtin_cpu_supports("avx512vbmi");
  if (path == NIBBLES_AVX512) return wide;
#endif
#ifdef __aarch64__
  if (path == NIBBLES_NEON) return 1;
#endif
  return path == PORTABLE;
}

// Nothing but the byte look-ups of a path, as fast as the processor runs them; gives their number, 0 for a path without.
int64_t encmac_table_peak(int path, int64_t times) {
#ifdef ENCMAC_X86
  if (path == AVX2_ROWS || path == NIBBLES_AVX2) return peak_avx2(times);
  if (path == VBMI_ROWS) return peak_avx512<true>(times);
  if (path == NIBBLES_AVX512) return peak_avx512<false>(times);
#endif
  return 0;
}

// Bytes that encmac_table_conv needs for its planes.
int64_t encmac_planes_bytes(const int64_t* numbers, int path) {
  Shape s;
  std::memcpy(&s, numbers, sizeof s);
  return s.channels * Planes(s).channel_pitch * (has_nibbles(path) ? 2 : 1);
}

// x int8 [images][channels][height][width], weights int8 [outputs][channels / groups][kernel_h][kernel_w],
// out int32 [images][outputs][rows][columns]. Rows of the table have the form that `path` reads, for activations
// 0 .. 127 or, if `is_signed` or of nibbles, for all; one row of zeros follows the last.
void encmac_table_conv(const int8_t* x, const int8_t* weights, const uint8_t* rows, const int32_t* first,
                       const int32_t* constant, int32_t* out, uint8_t* planes, const int64_t* numbers, int64_t row_bytes,
                       int is_signed, int path, int threads) {
  Shape s;
  std::memcpy(&s, numbers, sizeof s);
  Planes p(s);
  const int64_t high = p.channel_pitch;
  if (has_nibbles(path)) p.channel_pitch *= 2;
  Sum sum = sum_portable;
#ifdef ENCMAC_X86
  if (path == AVX2_ROWS) sum = is_signed ? sum_avx2<true> : sum_avx2<false>;
  if (path == VBMI_ROWS) sum = is_signed ? sum_vbmi<true> : sum_vbmi<false>;
  if (path == NIBBLES_AVX2) sum = sum_nibbles_avx2;
  if (path == NIBBLES_AVX512) sum = sum_nibbles_avx512;
#endif
#ifdef __aarch64__
  if (path == NIBBLES_NEON) sum = sum_nibbles_neon;
#endif
  const Outputs outputs(s, p, weights, Table{rows, first, constant, row_bytes}, high);
  in_parallel(s.channels, threads, [&](int64_t c, int64_t) {
    uint8_t* to = planes + c * p.channel_pitch;
    fill_channel(s, p, x, c, to);
    if (has_nibbles(path)) split_nibbles(to, to + high, high);
  });
  in_parallel((p.positions + BLOCK - 1) / BLOCK, threads,
              [&](int64_t block, int64_t) { convolve_block(s, p, planes, outputs, sum, block * BLOCK, out); });
}

}  // extern "C"
