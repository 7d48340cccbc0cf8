// Convolutions whose products are a few products of bytes: constant[w] + sum over r of u[r][a] * v[r][w], exact
// in int32.
//
// A channel becomes `rank` channels of features u[r][a] and the convolution one of bytes, whose instruction adds
// four products to a 32-bit lane (VNNI). Features of a group are counted through its channels and taken by fours,
// quads: the four bytes of a lane. A plane of a quad has the positions of the padded planes, four bytes each.

#include "planes.h"

namespace {

using namespace encmac;

constexpr int64_t QUAD = 4;
constexpr int64_t LANES = VECTOR / QUAD;  // positions of a vector
constexpr int64_t TILE = 6;               // outputs at a time: with 4 vectors of positions all in registers

struct Features {
  const uint8_t* of_activation;  // [rank][256]; the sum of what its low and its high four bits give
  const int8_t* of_weight;       // [rank][256]
  const int32_t* constant;       // [256] by weight
  int64_t rank;
};

// Places of the features of one group.
struct Quads {
  int64_t features, number, taps, pitch;
  std::vector<int64_t> offsets;  // [number][taps], from the group's first plane

  Quads(const Shape& s, const Planes& p, int64_t rank)
      : features(s.group_channels() * rank),
        number((features + QUAD - 1) / QUAD),
        taps(s.kernel_h * s.kernel_w),
        pitch(QUAD * p.channel_pitch) {
    for (int64_t quad = 0; quad < number; ++quad)
      for (int64_t ky = 0; ky < s.kernel_h; ++ky)
        for (int64_t kx = 0; kx < s.kernel_w; ++kx) offsets.push_back(quad * pitch + QUAD * p.offset(ky, kx));
  }
  int64_t steps() const { return number * taps; }
};

// Consecutive output pixels among the positions of a vector: `mask` of its lanes, `to` in the plane of output 0.
struct Run {
  int64_t to;
  uint32_t mask;
};

struct Runs {
  std::vector<Run> list;
  std::vector<int64_t> first;  // of each vector

  Runs(const Shape& s, const Planes& p) {
    int64_t image = 0, y = 0, x = 0;
    bool fresh = true;
    for (int64_t position = 0; position < p.positions; ++position) {
      if (position % LANES == 0) {
        first.push_back(list.size());
        fresh = true;
      }
      if (y < s.rows && x < s.columns) {
        if (fresh) list.push_back({(image * s.outputs * s.rows + y) * s.columns + x, 0});
        list.back().mask |= 1u << position % LANES;
        fresh = false;
      }
      if (++x < p.x.pitch) continue;
      x = 0;
      if (++y < p.y.pitch) continue;
      y = 0, ++image, fresh = true;
    }
    first.push_back(list.size());
  }
};

// Weights as the kernel reads them: outputs of a tile side by side for each quad and tap.
struct Weights {
  std::vector<int64_t> tiles;  // first output of each, and their end; a tile has outputs of one group only
  std::vector<int32_t> quads;
  std::vector<int32_t> constants;  // of outputs

  Weights(const Shape& s, const Quads& q, const int8_t* weights, const Features& f)
      : quads(s.outputs * q.steps()), constants(s.outputs) {
    const int64_t each = s.outputs / s.groups, parts = (each + TILE - 1) / TILE;
    for (int64_t group = 0; group < s.groups; ++group)
      for (int64_t part = 0; part < parts; ++part) tiles.push_back(group * each + part * each / parts);
    tiles.push_back(s.outputs);
    const int8_t none[256] = {};
    const int64_t depth = s.group_channels() * q.taps;
    for (size_t tile = 0; tile + 1 < tiles.size(); ++tile) {
      const int64_t width = tiles[tile + 1] - tiles[tile];
      for (int64_t o = 0; o < width; ++o) {
        const uint8_t* from = reinterpret_cast<const uint8_t*>(weights) + (tiles[tile] + o) * depth;
        uint32_t constant = 0;
        for (int64_t i = 0; i < depth; ++i) constant += f.constant[from[i]];
        constants[tiles[tile] + o] = static_cast<int32_t>(constant);
        int32_t* to = quads.data() + tiles[tile] * q.steps() + o;
        for (int64_t quad = 0; quad < q.number; ++quad) {
          const int8_t* feature[QUAD];
          const uint8_t* at[QUAD];
          for (int64_t j = 0; j < QUAD; ++j) {
            const int64_t number = quad * QUAD + j;
            const bool used = number < q.features;
            feature[j] = used ? f.of_weight + number % f.rank * 256 : none;
            at[j] = from + (used ? number / f.rank * q.taps : 0);
          }
          for (int64_t tap = 0; tap < q.taps; ++tap, to += width) {
            uint32_t bytes = 0;
            for (int64_t j = 0; j < QUAD; ++j) bytes |= uint32_t{static_cast<uint8_t>(feature[j][at[j][tap]])} << 8 * j;
            *to = static_cast<int32_t>(bytes);
          }
        }
      }
    }
  }
};

#ifdef ENCMAC_X86

#define VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")))
#define VNNI_INLINE VNNI __attribute__((always_inline)) inline

// `bytes` positions of the four features of a quad: `from` planes of their channels, interleaved into `to`.
VNNI void fill_quad(const uint8_t* const from[QUAD], const uint8_t* const feature[QUAD], int64_t bytes, uint8_t* to) {
  const __m512i nibble = _mm512_set1_epi8(15);
  // 128-bit lane j gets 32-bit lanes j, 4 + j, ..: so that what two levels of unpacking bring together is in order
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  __m512i low[QUAD], high[QUAD];
  for (int64_t j = 0; j < QUAD; ++j) {
    uint8_t steps[16];
    for (int i = 0; i < 16; ++i) steps[i] = feature[j][16 * i] - feature[j][0];
    low[j] = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(feature[j])));
    high[j] = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(steps)));
  }
  for (int64_t i = 0; i < bytes; i += VECTOR) {
    __m512i f[QUAD];
#pragma GCC unroll 4
    for (int64_t j = 0; j < QUAD; ++j) {
      const __m512i a = _mm512_permutexvar_epi32(order, _mm512_loadu_si512(from[j] + i));
      const __m512i up = _mm512_and_si512(_mm512_srli_epi16(a, 4), nibble);
      f[j] = _mm512_add_epi8(_mm512_shuffle_epi8(low[j], _mm512_and_si512(a, nibble)), _mm512_shuffle_epi8(high[j], up));
    }
    const __m512i a = _mm512_unpacklo_epi8(f[0], f[1]), b = _mm512_unpackhi_epi8(f[0], f[1]);
    const __m512i c = _mm512_unpacklo_epi8(f[2], f[3]), d = _mm512_unpackhi_epi8(f[2], f[3]);
    _mm512_storeu_si512(to + QUAD * i, _mm512_unpacklo_epi16(a, c));
    _mm512_storeu_si512(to + QUAD * i + 64, _mm512_unpackhi_epi16(a, c));
    _mm512_storeu_si512(to + QUAD * i + 128, _mm512_unpacklo_epi16(b, d));
    _mm512_storeu_si512(to + QUAD * i + 192, _mm512_unpackhi_epi16(b, d));
  }
}

struct Tile {
  const int64_t* offsets;
  int64_t steps;
  const int32_t* weights;    // [steps][outputs of the tile]
  const int32_t* constants;  // of outputs
  const Run* runs;
  const int64_t* first;  // runs of the vectors
  int32_t* out;          // plane of the first output
  int64_t plane;
};

// V vectors of positions from `x` on, O outputs.
template <int V, int O>
VNNI void sum_tile(const uint8_t* x, const Tile& tile) {
  __m512i sums[O][V];
#pragma GCC unroll 8
  for (int o = 0; o < O; ++o)
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) sums[o][v] = _mm512_set1_epi32(tile.constants[o]);
  const int32_t* weights = tile.weights;
  for (int64_t step = 0; step < tile.steps; ++step, weights += O) {
    const uint8_t* at = x + tile.offsets[step];
    __m512i a[V];
#pragma GCC unroll 8
    for (int v = 0; v < V; ++v) a[v] = _mm512_loadu_si512(at + VECTOR * v);
#pragma GCC unroll 8
    for (int o = 0; o < O; ++o) {
      const __m512i w = _mm512_set1_epi32(weights[o]);
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

using Sum = void (*)(const uint8_t* x, const Tile& tile);
constexpr int MOST = 8;  // vectors at a time
constexpr int vectors(int64_t outputs) { return outputs < 3 ? MOST : 4; }

// [outputs - 1][vectors - 1]; those of more than `vectors(outputs)` are not called
constexpr Sum SUMS[TILE][MOST] = {
#define ROW(O) {sum_tile<1, O>, sum_tile<2, O>, sum_tile<3, O>, sum_tile<4, O>}
    {sum_tile<1, 1>, sum_tile<2, 1>, sum_tile<3, 1>, sum_tile<4, 1>, sum_tile<5, 1>, sum_tile<6, 1>, sum_tile<7, 1>, sum_tile<8, 1>},
    {sum_tile<1, 2>, sum_tile<2, 2>, sum_tile<3, 2>, sum_tile<4, 2>, sum_tile<5, 2>, sum_tile<6, 2>, sum_tile<7, 2>, sum_tile<8, 2>},
    ROW(3), ROW(4), ROW(5), ROW(6)
#undef ROW
};

#endif

}  // namespace

extern "C" {

// Whether this processor and build can run encmac_dot_conv.
int encmac_has_dot() {
#ifdef ENCMAC_X86
  return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
  return 0;
}

// Bytes that encmac_dot_conv needs for planes.
int64_t encmac_dot_bytes(const int64_t* numbers, int64_t rank) {
  Shape s;
  std::memcpy(&s, numbers, sizeof s);
  const Planes p(s);
  return (s.channels + s.groups * Quads(s, p, rank).number * QUAD) * p.channel_pitch;
}

// x int8 [images][channels][height][width], weights int8 [outputs][channels / groups][kernel_h][kernel_w],
// out int32 [images][outputs][rows][columns]; see Features for the others.
void encmac_dot_conv(const int8_t* x, const int8_t* weights, const uint8_t* of_activation, const int8_t* of_weight,
                     const int32_t* constant, int32_t* out, uint8_t* planes, const int64_t* numbers, int64_t rank,
                     int threads) {
#ifdef ENCMAC_X86
  Shape s;
  std::memcpy(&s, numbers, sizeof s);
  const Planes p(s);
  const Features f{of_activation, of_weight, constant, rank};
  const Quads q(s, p, rank);
  const Runs runs(s, p);
  const Weights w(s, q, weights, f);
  uint8_t* quads = planes + s.channels * p.channel_pitch;
  in_parallel(s.channels, threads, [&](int64_t c) { fill_channel(s, p, x, c, planes + c * p.channel_pitch); });
  in_parallel(s.groups * q.number, threads, [&](int64_t quad) {
    const uint8_t none[256] = {};
    const uint8_t *from[QUAD], *feature[QUAD];
    for (int64_t j = 0; j < QUAD; ++j) {
      const int64_t number = quad % q.number * QUAD + j;
      const bool used = number < q.features;
      from[j] = planes + (quad / q.number * s.group_channels() + (used ? number / rank : 0)) * p.channel_pitch;
      feature[j] = used ? of_activation + number % rank * 256 : none;
    }
    fill_quad(from, feature, p.channel_pitch, quads + quad * q.pitch);
  });
  const int64_t tiles = w.tiles.size() - 1, each = s.outputs / s.groups;
  const int64_t most = vectors(w.tiles[1]), all = runs.first.size() - 1, blocks = (all + most - 1) / most;
  in_parallel(blocks, threads, [&](int64_t block) {
    const int64_t vector = block * most, number = std::min(most, all - vector);
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t first = w.tiles[tile], width = w.tiles[tile + 1] - first;
      const Tile t{q.offsets.data(), q.steps(),           w.quads.data() + first * q.steps(),  w.constants.data() + first,
                   runs.list.data(), &runs.first[vector], out + first * s.rows * s.columns, s.rows * s.columns};
      SUMS[width - 1][number - 1](quads + first / each * q.number * q.pitch + vector * VECTOR, t);
    }
  });
#endif
}

}  // extern "C"
