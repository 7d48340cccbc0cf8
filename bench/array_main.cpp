// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

// The ceiling: an array driven at its ports by C++ alone. Arguments: vectors of a tile, tiles.
// Prints cycles, processor seconds and a checksum of all results.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <vector>

#include "Vtop.h"
#include "verilated.h"

template <typename Port>
static void set(Port& port, const int8_t* values) { std::memcpy(&port, values, sizeof port); }

int main(int argc, char** argv) {
  const int vectors = std::atoi(argv[1]), tiles = std::atoi(argv[2]);
  Vtop top;
  const int columns = sizeof top.s_axis_w_tdata, rows = sizeof top.s_axis_a_tdata;
  std::minstd_rand random(1);
  std::vector<int8_t> weights(size_t(rows) * columns), activations(size_t(vectors) * rows);
  for (int8_t& w : weights) w = int8_t(random() >> 8);
  for (int8_t& a : activations) a = int8_t(random() >> 8);
  std::vector<uint32_t> results(size_t(vectors) * columns);
  uint64_t cycles = 0;
  const auto edge = [&](int level) {
    top.clk_i = level;
    top.eval();
    Verilated::threadContextp()->timeInc(5000);
  };
  top.rst_ni = 0;
  top.s_axis_w_tvalid = top.s_axis_a_tvalid = 0;
  top.m_axis_y_tready = 1;
  for (int i = 0; i < 8; ++i) edge(i & 1);
  edge(0);
  top.rst_ni = 1;
  uint32_t sum = 0;
  const std::clock_t started = std::clock();
  for (int tile = 0; tile < tiles; ++tile) {
    int w = 0, a = 0, y = 0;
    while (y < vectors) {
      top.s_axis_w_tvalid = w < rows;
      top.s_axis_w_tlast = w == rows - 1;
      if (w < rows) set(top.s_axis_w_tdata, &weights[size_t(w) * columns]);
      top.s_axis_a_tvalid = a < vectors;
      top.s_axis_a_tlast = a == vectors - 1;
      if (a < vectors) set(top.s_axis_a_tdata, &activations[size_t(a) * rows]);
      edge(0);
      const bool w_beat = top.s_axis_w_tvalid && top.s_axis_w_tready;
      const bool a_beat = top.s_axis_a_tvalid && top.s_axis_a_tready;
      if (top.m_axis_y_tvalid) std::memcpy(&results[size_t(y++) * columns], &top.m_axis_y_tdata, size_t(columns) * 4);
      w += w_beat;
      a += a_beat;
      edge(1);
      ++cycles;
    }
    for (uint32_t value : results) sum = sum * 31 + value;
  }
  const double seconds = double(std::clock() - started) / CLOCKS_PER_SEC;
  std::printf("%llu %.6f %u\n", static_cast<unsigned long long>(cycles), seconds, sum);
  return 0;
}
