// Convolutions whose products are a few products of bytes: constant[w] + sum over r of u[r][a] * v[r][w], exact
// in int32.
//
// A channel becomes `rank` channels of features u[r][a] and the convolution one of bytes, whose instruction adds
// four products to a 32-bit lane (VNNI). Features of a group are counted through its channels and taken by fours,
// quads: the four bytes of a lane. A plane of a quad has the positions of the padded planes, four bytes each.

#include "planes.h"

#include <memory>

namespace {

using namespace encmac;

constexpr int64_t QUAD = 4;
constexpr int64_t LANES = VECTOR / QUAD;  // positions of a vector
constexpr int64_t HALF = LANES / 2;
constexpr int64_t FEW_BYTES = 1 << 20;
constexpr int64_t TILE = 6;               // outputs at a time: with 4 vectors of positions all in registers

struct Features {
  const uint8_t* of_activation;  // [rank][256]
  const int8_t* of_weight;       // [rank][256]
  const int32_t* constant;       // [256] by weight
  int64_t rank;                  // of those that are multiplied
  const uint8_t* shared;         // [256], or null: a term of the activation alone, summed once for all outputs
};

// Places of the features of one group.
struct Quads {
  int64_t features, number, shared, taps, pitch;
  std::vector<int64_t> offsets;  // [number + shared][taps], from the group's first plane

  Quads(const Shape& s, const Planes& p, int64_t rank, bool has_shared)
      : features(s.group_channels() * rank),
        number((features + QUAD - 1) / QUAD),
        shared(has_shared ? (s.group_channels() + QUAD - 1) / QUAD : 0),
        taps(s.kernel_h * s.kernel_w),
        pitch(QUAD * p.channel_pitch) {
    for (int64_t quad = 0; quad < number + shared; ++quad)
      for (int64_t ky = 0; ky < s.kernel_h; ++ky)
        for (int64_t kx = 0; kx < s.kernel_w; ++kx) offsets.push_back(quad * pitch + QUAD * p.offset(ky, kx));
  }
  int64_t steps() const { return number * taps; }
  // Bytes of the planes of one group: its channels, then its quads.
  int64_t set(const Shape& s, const Planes& p) const { return s.group_channels() * p.channel_pitch + (number + shared) * pitch; }
};

// Consecutive output pixels among the positions of a vector: `mask` of its lanes, `to` in the plane of output 0.
struct Run {
  int64_t to;
  uint32_t mask;
};

// The vectors of positions that are computed, whichever are the fewest: 16 consecutive positions, 16 of one row,
// or 8 of one row and 8 of the next.
struct Vectors {
  std::vector<int64_t> places;  // offset of each in a plane of a quad
  int64_t gap = VECTOR / 2;     // from there to its second half
  std::vector<Run> runs;
  std::vector<int64_t> first;  // run of each vector, and the end

  Vectors(const Shape& s, const Planes& p) {
    const int64_t along = (p.positions + LANES - 1) / LANES, across = (s.columns + LANES - 1) / LANES;
    const bool pairs = s.columns <= HALF && s.rows % 2 == 0 && s.images * s.rows / 2 < along;
    const bool by_rows = s.images * s.rows * across < along;
    if (pairs) gap = QUAD * p.x.pitch;
    for (int64_t image = 0; image < s.images; ++image) {
      for (int64_t y = 0; y < s.rows; ++y) {
        const int64_t from = image * p.image_pitch + y * p.x.pitch;
        const int64_t to = (image * s.outputs * s.rows + y) * s.columns;
        for (int64_t x = 0, number; x < s.columns; x += number) {
          const int64_t lane = pairs ? y % 2 * HALF : (by_rows ? x : from + x) % LANES;
          number = std::min(LANES - lane, s.columns - x);
          add(QUAD * (pairs ? from - y % 2 * p.x.pitch : from + x - lane), lane, number, to + x);
        }
      }
    }
    first.push_back(runs.size());
  }
  int64_t number() const { return places.size(); }

 private:
  void add(int64_t place, int64_t lane, int64_t number, int64_t to) {
    if (places.empty() || places.back() != place) {
      first.push_back(runs.size());
      places.push_back(place);
    }
    if (first.back() == static_cast<int64_t>(runs.size()) || next != to) runs.push_back({to, 0});
    runs.back().mask |= ((1u << number) - 1) << lane;
    next = to + number;
  }
  int64_t next = 0;  // pixel that continues the last run
};

#ifdef ENCMAC_X86

#define VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vnni")))
#define VNNI_INLINE VNNI __attribute__((always_inline)) inline

// 256 bytes in registers.
struct Bytes {
  __m512i part[4];

  VNNI_INLINE void load(const void* from) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) part[i] = _mm512_loadu_si512(static_cast<const uint8_t*>(from) + VECTOR * i);
  }
  VNNI_INLINE __m512i operator[](__m512i a) const {
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(a), _mm512_permutex2var_epi8(part[0], a, part[1]),
                                  _mm512_permutex2var_epi8(part[2], a, part[3]));
  }
};

// `bytes` positions of the four features of a quad: `from` planes of their channels, interleaved into `to`.
VNNI void fill_quad(const uint8_t* const from[QUAD], const uint8_t* const feature[QUAD], int64_t bytes, uint8_t* to) {
  // 128-bit lane j gets 32-bit lanes j, 4 + j, ..: so that what two levels of unpacking bring together is in order
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  Bytes table[QUAD];
#pragma GCC unroll 4
  for (int64_t j = 0; j < QUAD; ++j) table[j].load(feature[j]);
  for (int64_t i = 0; i < bytes; i += VECTOR) {
    __m512i f[QUAD];
#pragma GCC unroll 4
    for (int64_t j = 0; j < QUAD; ++j)
      f[j] = table[j][_mm512_permutexvar_epi32(order, _mm512_loadu_si512(from[j] + i))];
    const __m512i a = _mm512_unpacklo_epi8(f[0], f[1]), b = _mm512_unpackhi_epi8(f[0], f[1]);
    const __m512i c = _mm512_unpacklo_epi8(f[2], f[3]), d = _mm512_unpackhi_epi8(f[2], f[3]);
    _mm512_storeu_si512(to + QUAD * i, _mm512_unpacklo_epi16(a, c));
    _mm512_storeu_si512(to + QUAD * i + 64, _mm512_unpackhi_epi16(a, c));
    _mm512_storeu_si512(to + QUAD * i + 128, _mm512_unpacklo_epi16(b, d));
    _mm512_storeu_si512(to + QUAD * i + 192, _mm512_unpackhi_epi16(b, d));
  }
}

constexpr int64_t WORD = 16;  // bytes of the features of a weight side by side, as many as there can be

// Features of all weights side by side: [256][WORD].
std::vector<uint8_t> side_by_side(const Features& f) {
  std::vector<uint8_t> words(256 * WORD);
  for (int64_t r = 0; r < f.rank; ++r)
    for (int64_t w = 0; w < 256; ++w) words[w * WORD + r] = f.of_weight[256 * r + w];
  return words;
}

// Features of the weights of one output, four bytes for each quad and tap; gives the sum of their constants.
VNNI int32_t fill_weights(const int8_t* weights, int64_t depth, const Quads& q, const Features& f,
                          const uint8_t* words, int32_t* to) {
  const uint8_t* codes = reinterpret_cast<const uint8_t*>(weights);
  uint32_t constant = 0;
  for (int64_t i = 0; i < depth; ++i) constant += f.constant[codes[i]];
  if (q.taps == 1) {  // features follow each other as they are stored
    uint8_t* bytes = reinterpret_cast<uint8_t*>(to);
    std::memset(to + q.number - 1, 0, QUAD);
    int64_t i = 0;
    for (; (i * f.rank + WORD) <= QUAD * q.number; ++i) std::memcpy(bytes + i * f.rank, words + codes[i] * WORD, WORD);
    for (; i < depth; ++i) std::memcpy(bytes + i * f.rank, words + codes[i] * WORD, f.rank);
    return static_cast<int32_t>(constant);
  }
  const int64_t pitch = depth + VECTOR;  // a row of features, one of zeros follows
  const std::unique_ptr<uint8_t[]> rows(new uint8_t[(f.rank + 1) * pitch]);
  std::memset(rows.get() + f.rank * pitch, 0, pitch);
  for (int64_t r = 0; r < f.rank; ++r) {
    Bytes table;
    table.load(f.of_weight + 256 * r);
    for (int64_t i = 0; i < depth; i += VECTOR) {
      const __mmask64 some = ~uint64_t{0} >> std::max<int64_t>(VECTOR - (depth - i), 0);
      _mm512_storeu_si512(rows.get() + r * pitch + i, table[_mm512_maskz_loadu_epi8(some, codes + i)]);
    }
  }
  const int64_t run = f.rank == QUAD ? depth : q.taps;  // steps for which the four come from runs of bytes
  for (int64_t quad = 0; quad * run < q.steps(); ++quad, to += run) {
    const uint8_t* at[QUAD];
    for (int64_t j = 0; j < QUAD; ++j) {
      const int64_t number = quad * QUAD + j;
      at[j] = number < q.features ? rows.get() + number % f.rank * pitch + number / f.rank * q.taps
                                  : rows.get() + f.rank * pitch;
    }
    for (int64_t tap = 0; tap < run; tap += LANES) {
      __m512i bytes[QUAD];
#pragma GCC unroll 4
      for (int64_t j = 0; j < QUAD; ++j)
        bytes[j] = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at[j] + tap)));
      const __m512i low = _mm512_or_si512(bytes[0], _mm512_slli_epi32(bytes[1], 8));
      const __m512i high = _mm512_or_si512(bytes[2], _mm512_slli_epi32(bytes[3], 8));
      const int64_t number = std::min(LANES, run - tap);
      _mm512_mask_storeu_epi32(to + tap, static_cast<__mmask16>((1u << number) - 1),
                               _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
    }
  }
  return static_cast<int32_t>(constant);
}

struct Tile {
  const int64_t* offsets;
  int64_t steps;
  const int32_t* weights;    // [outputs][steps]
  const int32_t* constants;  // of outputs
  const int32_t* shared;     // of positions
  const int64_t* places;     // of the vectors
  int64_t gap;
  const Run* runs;
  const int64_t* first;  // of the vectors
  int32_t* out;          // plane of the first output
  int64_t plane;
};

VNNI_INLINE __m256i load_half(const uint8_t* at) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)); }

// V vectors of positions of the group whose first plane is `x`, O outputs.
template <bool WHOLE, int V, int O>
VNNI void sum_tile(const uint8_t* x, const Tile& tile) {
  __m512i sums[O][V];
#pragma GCC unroll 8
  for (int o = 0; o < O; ++o)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sums[o][v] = _mm512_add_epi32(_mm512_set1_epi32(tile.constants[o]), _mm512_loadu_si512(tile.shared + LANES * v));
  const uint8_t* at[V];
#pragma GCC unroll 8
  for (int v = 0; v < V; ++v) at[v] = x + tile.places[v];
  const int32_t* weights[O];
#pragma GCC unroll 8
  for (int o = 0; o < O; ++o) weights[o] = tile.weights + o * tile.steps;
  for (int64_t step = 0; step < tile.steps; ++step) {
    const int64_t offset = tile.offsets[step], second = offset + tile.gap;
    __m512i a[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v)
      a[v] = WHOLE ? _mm512_loadu_si512(at[v] + offset)
                   : _mm512_inserti64x4(_mm512_castsi256_si512(load_half(at[v] + offset)), load_half(at[v] + second), 1);
#pragma GCC unroll 8
    for (int o = 0; o < O; ++o) {
      const __m512i w = _mm512_set1_epi32(weights[o][step]);
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) __asm__("vpdpbusd %2, %1, %0" : "+v"(sums[o][v]) : "v"(a[v]), "v"(w));
    }
  }
#pragma GCC unroll 8
  for (int v = 0; v < V; ++v) {
    for (int64_t run = tile.first[v]; run < tile.first[v + 1]; ++run) {
      const uint32_t mask = tile.runs[run].mask;
      const __mmask16 some = static_cast<__mmask16>((1u << __builtin_popcount(mask)) - 1);
      int32_t* to = tile.out + tile.runs[run].to;
#pragma GCC unroll 8
      for (int o = 0; o < O; ++o)
        _mm512_mask_storeu_epi32(to + o * tile.plane, some,
                                 _mm512_maskz_compress_epi32(static_cast<__mmask16>(mask), sums[o][v]));
    }
  }
}

// The shared term's sums of a vector of positions: `steps` of quads of ones.
VNNI void sum_shared(const uint8_t* x, const int64_t* offsets, int64_t steps, int64_t gap, int32_t* sums) {
  const __m512i ones = _mm512_set1_epi8(1);
  __m512i sum[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
  for (int64_t step = 0; step < steps; ++step) {
    const uint8_t* at = x + offsets[step];
    const __m512i a = _mm512_inserti64x4(_mm512_castsi256_si512(load_half(at)), load_half(at + gap), 1);
    sum[step % 2] = _mm512_dpbusd_epi32(sum[step % 2], a, ones);
  }
  _mm512_storeu_si512(sums, _mm512_add_epi32(sum[0], sum[1]));
}

VNNI int64_t dot_peak(int64_t times) {
  constexpr int CHAINS = 12;  // that do not wait for each other
  __m512i sums[CHAINS], a = _mm512_set1_epi8(1), w = _mm512_set1_epi8(2);
#pragma GCC unroll 12
  for (int i = 0; i < CHAINS; ++i) sums[i] = _mm512_setzero_si512();
  for (int64_t n = 0; n < times; ++n)
#pragma GCC unroll 12
    for (int i = 0; i < CHAINS; ++i) __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(sums[i]) : "v"(a), "v"(w));
  return times * CHAINS * VECTOR;
}

using Sum = void (*)(const uint8_t* x, const Tile& tile);
constexpr int MOST = 8;  // vectors at a time
constexpr int vectors_of(int64_t outputs) { return outputs < 3 ? MOST : 4; }

// [whole][outputs - 1][vectors - 1]; those of more than `vectors_of(outputs)` are not called.
#define FOUR(WHOLE, O) sum_tile<WHOLE, 1, O>, sum_tile<WHOLE, 2, O>, sum_tile<WHOLE, 3, O>, sum_tile<WHOLE, 4, O>
#define EIGHT(WHOLE, O) \
  FOUR(WHOLE, O), sum_tile<WHOLE, 5, O>, sum_tile<WHOLE, 6, O>, sum_tile<WHOLE, 7, O>, sum_tile<WHOLE, 8, O>
#define ALL(WHOLE) \
  {{EIGHT(WHOLE, 1)}, {EIGHT(WHOLE, 2)}, {FOUR(WHOLE, 3)}, {FOUR(WHOLE, 4)}, {FOUR(WHOLE, 5)}, {FOUR(WHOLE, 6)}}
constexpr Sum SUMS[2][TILE][MOST] = {ALL(false), ALL(true)};
#undef ALL
#undef EIGHT
#undef FOUR

struct Work {
  const Shape& s;
  const Planes& p;
  const Features& f;
  const Quads& q;
  const Vectors& vectors;
  const int8_t *x, *weights;
  const uint8_t* words;
  int32_t *quads, *constants, *out;

  void convolve(int64_t group, uint8_t* channels, int threads) const {
    const int64_t depth = s.group_channels() * q.taps, each = s.outputs / s.groups;
    uint8_t* features = channels + s.group_channels() * p.channel_pitch;
    const int helpers = q.set(s, p) < FEW_BYTES ? 1 : threads;  // for less, starting them takes longer
    in_parallel(s.group_channels(), helpers, [&](int64_t c, int64_t) {
      fill_channel(s, p, x, group * s.group_channels() + c, channels + c * p.channel_pitch);
    });
    in_parallel(q.number + q.shared, helpers, [&](int64_t quad, int64_t) {
      static const uint8_t none[256] = {};
      const bool shared = quad >= q.number;
      const int64_t rank = shared ? 1 : f.rank, features_of_kind = s.group_channels() * rank;
      const uint8_t *from[QUAD], *feature[QUAD];
      for (int64_t j = 0; j < QUAD; ++j) {
        const int64_t number = (shared ? quad - q.number : quad) * QUAD + j;
        const bool used = number < features_of_kind;
        from[j] = channels + (used ? number / rank : 0) * p.channel_pitch;
        feature[j] = !used ? none : shared ? f.shared : f.of_activation + number % rank * 256;
      }
      fill_quad(from, feature, p.channel_pitch, features + quad * q.pitch);
    });
    in_parallel(each, helpers, [&](int64_t i, int64_t) {
      const int64_t o = group * each + i;
      constants[o] = fill_weights(weights + o * depth, depth, q, f, words, quads + o * q.steps());
    });
    const int64_t tiles = (each + TILE - 1) / TILE, most = vectors_of((each + tiles - 1) / tiles);
    const int64_t all = vectors.number();
    in_parallel((all + most - 1) / most, threads, [&](int64_t block, int64_t) {
      const int64_t vector = block * most, number = std::min(most, all - vector);
      alignas(64) int32_t sums[MOST * LANES] = {};
      for (int64_t v = 0; q.shared && v < number; ++v)
        sum_shared(features + vectors.places[vector + v], q.offsets.data() + q.steps(), q.shared * q.taps, vectors.gap,
                   sums + LANES * v);
      for (int64_t tile = 0; tile < tiles; ++tile) {  // of nearly equal sizes
        const int64_t first = group * each + tile * each / tiles, end = group * each + (tile + 1) * each / tiles;
        const Tile t{q.offsets.data(),
                     q.steps(),
                     quads + first * q.steps(),
                     constants + first,
                     sums,
                     &vectors.places[vector],
                     vectors.gap,
                     vectors.runs.data(),
                     &vectors.first[vector],
                     out + first * s.rows * s.columns,
                     s.rows * s.columns};
        SUMS[vectors.gap == VECTOR / 2][end - first - 1][number - 1](features, t);
      }
    });
  }
};

#endif

}  // namespace

extern "C" {

// Whether this processor and build can run encmac_dot_conv.
int encmac_has_dot() {
#ifdef ENCMAC_X86
  return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
  return 0;
}

// Nothing but the instruction that encmac_dot_conv is bound by, as fast as the processor runs it; gives the number of
// products of bytes.
int64_t encmac_dot_peak(int64_t times) {
#ifdef ENCMAC_X86
  return dot_peak(times);
#endif
  return 0;
}

// Bytes that encmac_dot_conv needs for planes.
int64_t encmac_dot_bytes(const int64_t* numbers, int64_t rank, int has_shared, int threads) {
  Shape s;
  std::memcpy(&s, numbers, sizeof s);
  const Planes p(s);
  return std::min<int64_t>(threads, s.groups) * Quads(s, p, rank, has_shared).set(s, p);
}

// x int8 [images][channels][height][width], weights int8 [outputs][channels / groups][kernel_h][kernel_w],
// out int32 [images][outputs][rows][columns]; see Features for the others. `has_shared`: u has a row more, whose v is 1.
void encmac_dot_conv(const int8_t* x, const int8_t* weights, const uint8_t* of_activation, const int8_t* of_weight,
                     const int32_t* constant, int32_t* out, uint8_t* planes, const int64_t* numbers, int64_t rank,
                     int has_shared, int threads) {
#ifdef ENCMAC_X86
  Shape s;
  std::memcpy(&s, numbers, sizeof s);
  const Planes p(s);
  const Features f{of_activation, of_weight, constant, rank, has_shared ? of_activation + 256 * rank : nullptr};
  const Quads q(s, p, rank, has_shared);
  const Vectors vectors(s, p);
  const std::unique_ptr<int32_t[]> quads(new int32_t[s.outputs * q.steps()]), constants(new int32_t[s.outputs]);
  const std::vector<uint8_t> words = side_by_side(f);
  const Work work{s, p, f, q, vectors, x, weights, words.data(), quads.get(), constants.get(), out};
  // one group at a time where there are several: its planes stay in the cache
  in_parallel(s.groups, threads, [&](int64_t group, int64_t worker) {
    work.convolve(group, planes + worker * q.set(s, p), s.groups > 1 ? 1 : threads);
  });
#endif
}

}  // extern "C"
