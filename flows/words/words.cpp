// A netlist as straight-line code (flows/words/code.py writes it in place of the mark), run step by step.
//
// Bit l of a word belongs to lane l: a stream of its own. Lane 8 j + i is that of byte 64 i + j of 512 bytes, so that
// bytes become words, one for each of their bits, by exchanges of bits between words alone.

#include <cstdint>
#include <cstring>
#include <vector>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

typedef uint64_t word __attribute__((vector_size(64)));
typedef uint64_t counter __attribute__((vector_size(64)));  // three counts of kField bits each

namespace {

constexpr int kLanes = 512, kField = 21;
constexpr word kZeros = {}, kOnes = ~word{};

template <int truth>
inline word look2(word a, word b) {
  switch (truth) {
    case 0: return kZeros;
    case 1: return ~(a | b);
    case 2: return a & ~b;
    case 3: return ~b;
    case 4: return ~a & b;
    case 5: return ~a;
    case 6: return a ^ b;
    case 7: return ~(a & b);
    case 8: return a & b;
    case 9: return ~(a ^ b);
    case 10: return a;
    case 11: return a | ~b;
    case 12: return b;
    case 13: return ~a | b;
    case 14: return a | b;
    default: return kOnes;
  }
}

/// A function of three words: bit i of `truth` for a = bit 0, b = bit 1, c = bit 2 of i.
template <int truth>
inline word look(word a, word b, word c) {
#ifdef __AVX512F__
  return (word)_mm512_ternarylogic_epi64((__m512i)c, (__m512i)b, (__m512i)a, truth);
#else
  constexpr int low = truth & 15, high = truth >> 4;
  if (low == high) return look2<low>(a, b);
  if (low == (high ^ 15)) return look2<low>(a, b) ^ c;
  if (low == 0) return look2<high>(a, b) & c;
  if (high == 0) return look2<low>(a, b) & ~c;
  if (low == 15) return look2<high>(a, b) | ~c;
  if (high == 15) return look2<low>(a, b) | c;
  return look2<low>(a, b) ^ (look2<low ^ high>(a, b) & c);
#endif
}

inline counter ones(word w) {
#ifdef __AVX512VPOPCNTDQ__
  return (counter)_mm512_popcnt_epi64((__m512i)w);
#else
  counter found;
  for (int i = 0; i < 8; i++) found[i] = __builtin_popcountll(w[i]);
  return found;
#endif
}

/// Rises, falls and ones of a word, in the lanes of a mask.
inline void tally(counter& count, word was, word is, word mask) {
  const counter rises = ones(look<0b00100000>(is, was, mask)), falls = ones(look<0b01000000>(is, was, mask));
  count += rises + (falls << kField) + (ones(is & mask) << 2 * kField);
}

}  // namespace

// the netlist

extern "C" {

/// Lanes run through all steps for one tile of weights after the other.
struct Run {
  const uint8_t* bytes;      // [group][step][lane]: operands, each group some ports
  const int32_t* places;     // [port]: 8 * group + bit
  const uint8_t* held;       // [tile][held]
  const int32_t* expected;   // [tile][column][step - first][lane], or null
  int32_t* sums;             // the same, or null
  const uint8_t* masks;      // [step][depth][64]: lanes that count, or null: those used, from step `first` on
  uint8_t* raw;              // [tile][step][output][64], or null
  int64_t* counts;           // [tile][entry][rises, falls, ones], added to
  uint8_t* told;             // [tile][held node]
  int64_t groups, steps, first, tiles, columns, lanes;  // the first `lanes` are used
  int64_t wrong;  // out: sums that differ from the expected
};
}

namespace {

/// 8 words of bytes, a lane each, to 8 words of bits, a bit each; and back.
inline void transpose(word* w) {
  constexpr uint64_t masks[3] = {0x0f0f0f0f0f0f0f0f, 0x3333333333333333, 0x5555555555555555};
  for (int k = 0, shift = 4; k < 3; k++, shift /= 2)
    for (int i = 0; i < 8; i++) {
      if (i & shift) continue;
      const word moved = ((w[i] >> shift) ^ w[i + shift]) & masks[k];
      w[i + shift] ^= moved;
      w[i] ^= moved << shift;
    }
}

/// The words of all ports, [step][port], from the bytes of their groups.
void pack(const Run& run, word* in) {
  std::vector<std::vector<int>> ports(run.groups);
  for (int port = 0; port < kPorts; port++) ports[run.places[port] / 8].push_back(port);
  for (int64_t group = 0; group < run.groups; group++)
    for (int64_t step = 0; step < run.steps; step++) {
      word planes[8];
      std::memcpy(planes, run.bytes + (group * run.steps + step) * kLanes, sizeof planes);
      transpose(planes);
      for (int port : ports[group]) in[step * kPorts + port] = planes[run.places[port] % 8];
    }
}

/// The sum of a column in every lane, from its bits, the last of which is the sign.
void unpack(const word* bits, int64_t width, int32_t* sums) {
  word planes[4][8];
  for (int i = 0; i < 32; i++) planes[i / 8][i % 8] = bits[i < width ? i : width - 1];
  for (auto& eight : planes) transpose(eight);
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(planes);
  for (int lane = 0; lane < kLanes; lane++)
    sums[lane] = static_cast<int32_t>(bytes[lane] | bytes[kLanes + lane] << 8 | bytes[2 * kLanes + lane] << 16 |
                                      static_cast<uint32_t>(bytes[3 * kLanes + lane]) << 24);
}

/// Memory of words, aligned and zero.
class Words {
 public:
  explicit Words(int64_t count) : data_(new word[count]()) {}
  ~Words() { delete[] data_; }
  Words(const Words&) = delete;
  operator word*() { return data_; }
  word& operator[](int64_t i) { return data_[i]; }

 private:
  word* data_;
};

/// Results of a step: compared, kept.
void results(Run& run, int64_t tile, int64_t step, const word* y) {
  if (run.raw) std::memcpy(run.raw + (tile * run.steps + step) * kOutputs * sizeof(word), y, kOutputs * sizeof(word));
  if (step < run.first || !(run.expected || run.sums)) return;
  const int64_t width = kOutputs / run.columns, counted = run.steps - run.first;
  for (int64_t column = 0; column < run.columns; column++) {
    const int64_t at = ((tile * run.columns + column) * counted + step - run.first) * kLanes;
    int32_t sums[kLanes];
    unpack(y + column * width, width, sums);
    if (run.sums) std::memcpy(run.sums + at, sums, sizeof sums);
    if (!run.expected) continue;
    int64_t wrong = 0;
    for (int lane = 0; lane < run.lanes; lane++) wrong += sums[lane] != run.expected[at + lane];
    run.wrong += wrong;
  }
}

}  // namespace

/// Runs all tiles; a step's words are counted before a counter's fields are full (2^15 steps).
extern "C" void encmac_words(Run* run) {
  Words in(run->steps * kPorts + 1), slots(kSlots), held(kHeld + 1), y(kOutputs + 1), counters(kEntries + 1);
  Words masks(run->steps * kDepths + 1);
  pack(*run, in);
  word used = kZeros;
  for (int lane = 0; lane < run->lanes; lane++) reinterpret_cast<uint8_t*>(&used)[lane % 64] |= 1 << lane / 64;
  for (int64_t step = 0; step < run->steps; step++)
    for (int depth = 0; depth < kDepths; depth++) {
      const int64_t at = step * kDepths + depth;
      if (run->masks)
        std::memcpy(&masks[at], run->masks + at * sizeof(word), sizeof(word));
      else if (step >= run->first)
        masks[at] = used;
    }
  for (int64_t tile = 0; tile < run->tiles; tile++) {
    for (int i = 0; i < kHeld; i++) held[i] = run->held[tile * kHeld + i] ? kOnes : kZeros;
    allHolds(slots, held, counters, masks);
    if (run->told) tell(slots, run->told + tile * kTold);
    for (int i = 0; i < kEntries; i++) counters[i] = kZeros;
    for (int64_t step = 0; step < run->steps; step++) {
      allSteps(slots, in + step * kPorts, counters, masks + step * kDepths);
      give(slots, y);
      results(*run, tile, step, y);
    }
    for (int i = 0; i < kEntries; i++)
      for (int field = 0; field < 3; field++)
        for (int k = 0; k < 8; k++)
          run->counts[(tile * kEntries + i) * 3 + field] += counters[i][k] >> field * kField & ((1 << kField) - 1);
  }
}
