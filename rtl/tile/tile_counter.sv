// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Walks over the tiles of a layer in the order of their streams: all K tiles of one set of columns,
/// then the next set. Each stream has a walker of its own, so none must wait for another here; streams
/// with one packet for each set of columns walk with k_tiles_i = 1. After the last tile, and after an
/// abort, the numbers stay until the next start.
/// Latency: 1 cycle from a step.
module tile_counter (
    input  logic        clk_i,
    input  logic        rst_ni,
    input  logic        start_i,    // begin with the first tile
    input  logic        abort_i,    // there is nothing to work on any more; start_i comes before it
    input  logic        step_i,     // on to the next one; only while active_o
    input  logic [15:0] k_tiles_i,  // at least 1
    input  logic [15:0] n_tiles_i,  // at least 1
    output logic        active_o,   // there is a tile to work on
    output logic        k_first_o,
    output logic        k_last_o,
    output logic [15:0] k_tile_o,
    output logic [15:0] n_tile_o
);
  assign k_first_o = k_tile_o == '0;
  assign k_last_o  = k_tile_o == k_tiles_i - 1'b1;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      active_o <= 1'b0;
      k_tile_o <= '0;
      n_tile_o <= '0;
    end else if (start_i) begin
      active_o <= 1'b1;
      k_tile_o <= '0;
      n_tile_o <= '0;
    end else if (abort_i) begin
      active_o <= 1'b0;
    end else if (step_i) begin
      if (!k_last_o) begin
        k_tile_o <= k_tile_o + 1'b1;
      end else begin
        k_tile_o <= '0;
        n_tile_o <= n_tile_o + 1'b1;
        if (n_tile_o == n_tiles_i - 1'b1) active_o <= 1'b0;
      end
    end
  end
endmodule
