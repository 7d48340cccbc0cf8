// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Clock gate without glitches: a latch that is open while the clock is low holds the enable.
///
/// `clk_o` is the clock in every cycle whose first edge saw `enable_i` = 1, else 0. Synthesis puts the
/// library's own cell in its place (`clock_gate` of a platform).
/// Latency: 0 cycles.
module clock_gate (
    input  logic clk_i,
    input  logic enable_i,  // stable before the rise of the clock
    output logic clk_o
);
  logic open;
  always_latch begin
    if (!clk_i) open = enable_i;
  end
  assign clk_o = clk_i & open;
endmodule
