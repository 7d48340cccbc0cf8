// Exchange of weight codes: coordinate descent on the sums that a layer's true products give.
//
// A channel sums products P(a, w) over its taps; its residual r[s] is what it should give less what it gives, for
// sample s, both without their mean. One tap after the other gets the code q for which
//
//     sum_s (r[s] - d[s])^2 + S * damping * (slope[q] - goal)^2,    d[s] = P(x[s], q) - P(x[s], now), less its mean
//
// is least. x takes 256 values at most, so sum_s r[s] d[s] needs only the sums of r over samples with one value.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

namespace {

constexpr int VALUES = 256;

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE __attribute__((target_clones("avx2", "default")))  // no fused operations: the same results on both
#else
#define WIDE
#endif

struct Shape {  // filled from Python in this order (models/quant/choose.py)
  int64_t groups, taps, samples, levels, outputs, passes;
};

struct Layer {
  Shape shape;
  const uint8_t* x;        // [groups][taps][samples]
  const float* products;   // [VALUES][levels]
  const float* slopes;     // [groups][taps][levels]
  const float* counts;     // [groups][taps][VALUES]
  const int32_t* order;    // [groups][taps]
  const float* damping;    // [groups]
  const float* goals;      // [groups][outputs][taps]
  float* residual;         // [groups][outputs][samples]
  int32_t* chosen;         // [groups][outputs][taps]
};

// One channel, until nothing changes or all passes are done.
WIDE void exchange_channel(const Layer& layer, int64_t group, int64_t channel, std::vector<float>& work) {
  const Shape& s = layer.shape;
  float* r = layer.residual + channel * s.samples;
  int32_t* chosen = layer.chosen + channel * s.taps;
  float *gain = work.data(), *mean = gain + s.levels;
  for (int64_t pass = 0; pass < s.passes; ++pass) {
    int64_t changed = 0;
    for (int64_t i = 0; i < s.taps; ++i) {
      const int64_t tap = group * s.taps + layer.order[group * s.taps + i];
      const int64_t k = layer.order[group * s.taps + i];
      const uint8_t* x = layer.x + tap * s.samples;
      float sums[4][VALUES] = {};  // four, so that equal neighbours do not wait for each other
      int64_t p = 0;
      for (; p + 4 <= s.samples; p += 4)
        for (int64_t j = 0; j < 4; ++j) sums[j][x[p + j]] += r[p + j];
      for (; p < s.samples; ++p) sums[0][x[p]] += r[p];

      const float* counts = layer.counts + tap * VALUES;
      const int32_t now = chosen[k];
      std::fill_n(gain, 2 * s.levels, 0.0f);
      for (int a = 0; a < VALUES; ++a) {
        if (counts[a] == 0) continue;
        const float* row = layer.products + a * s.levels;
        const float twice = 2 * (sums[0][a] + sums[1][a] + sums[2][a] + sums[3][a]), count = counts[a], base = row[now];
        for (int64_t q = 0; q < s.levels; ++q) {
          const float d = row[q] - base, counted = count * d;
          gain[q] += d * (counted - twice);
          mean[q] += counted;
        }
      }
      const float* slopes = layer.slopes + tap * s.levels;
      const float goal = layer.goals[channel * s.taps + k];
      const float scale = layer.damping[group] * static_cast<float>(s.samples);
      const float per = 1.0f / static_cast<float>(s.samples);
      float before = slopes[now] - goal, least = scale * before * before;
      int32_t best = now;
      for (int64_t q = 0; q < s.levels; ++q) {
        const float off = slopes[q] - goal, cost = gain[q] - mean[q] * mean[q] * per + scale * off * off;
        if (cost < least) least = cost, best = static_cast<int32_t>(q);
      }
      if (best == now) continue;
      ++changed;
      chosen[k] = best;
      float step[VALUES];
      const float shift = mean[best] * per;
      for (int a = 0; a < VALUES; ++a)
        step[a] = layer.products[a * s.levels + best] - layer.products[a * s.levels + now] - shift;
      for (int64_t p2 = 0; p2 < s.samples; ++p2) r[p2] -= step[x[p2]];
    }
    if (!changed) break;
  }
}

}  // namespace

extern "C" {

// Changes `chosen` and `residual` in place. Channels are independent: the result does not depend on `threads`.
void encmac_exchange(const int64_t* numbers, const uint8_t* x, const float* products, const float* slopes,
                     const float* counts, const int32_t* order, const float* damping, const float* goals,
                     float* residual, int32_t* chosen, int threads) {
  Layer layer;
  std::memcpy(&layer.shape, numbers, sizeof layer.shape);
  layer.x = x, layer.products = products, layer.slopes = slopes, layer.counts = counts, layer.order = order;
  layer.damping = damping, layer.goals = goals, layer.residual = residual, layer.chosen = chosen;
  const Shape& s = layer.shape;
  std::atomic<int64_t> next{0};
  auto loop = [&] {
    std::vector<float> work(2 * s.levels);
    for (int64_t channel; (channel = next++) < s.groups * s.outputs;)
      exchange_channel(layer, channel / s.outputs, channel, work);
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(loop);
  loop();
  for (std::thread& thread : others) thread.join();
}

}  // extern "C"
