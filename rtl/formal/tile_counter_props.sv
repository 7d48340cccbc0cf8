// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// tile_counter walks over every tile once and in order, in all 16 bits: proven by k-induction (flows/formal).
///
/// What is left to walk is counted down beside it.
module tile_counter_props (
    input logic        clk_i,
    input logic        rst_ni,
    input logic        start_i,
    input logic        abort_i,
    input logic        step_i,
    input logic [15:0] k_tiles_i,
    input logic [15:0] n_tiles_i,
    /// Situations that must be reachable, or the proof would be void.
    output logic [3:0] reached_o
);
  logic active, k_first, k_last;
  logic [15:0] k_tile, n_tile;
  tile_counter u_dut (
      .clk_i,
      .rst_ni,
      .start_i,
      .abort_i,
      .step_i,
      .k_tiles_i,
      .n_tiles_i,
      .active_o (active),
      .k_first_o(k_first),
      .k_last_o (k_last),
      .k_tile_o (k_tile),
      .n_tile_o (n_tile)
  );

  logic started_q;
  initial started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;
  always_comb assume (started_q || !rst_ni);

  // sizes are at least 1 and stand still while there are tiles; steps come only then
  logic [15:0] k_tiles_q, n_tiles_q;
  logic walking_q, walked_q;
  logic [15:0] k_left_q, n_left_q;  // tiles of this set, sets, this one included
  always_comb begin
    if (rst_ni) begin
      assume (k_tiles_i != '0 && n_tiles_i != '0);
      if (walking_q) assume (k_tiles_i == k_tiles_q && n_tiles_i == n_tiles_q);
      if (step_i) assume (walking_q);
    end
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      walking_q <= 1'b0;
      walked_q  <= 1'b0;
      k_left_q  <= '0;
      n_left_q  <= '0;
    end else begin
      if (start_i) begin
        walking_q <= 1'b1;
        k_left_q  <= k_tiles_i;
        n_left_q  <= n_tiles_i;
      end else if (abort_i) begin
        walking_q <= 1'b0;
      end else if (step_i) begin
        walked_q <= 1'b1;
        if (k_left_q != 16'd1) begin
          k_left_q <= k_left_q - 16'd1;
        end else begin
          k_left_q  <= k_tiles_i;
          n_left_q  <= n_left_q - 16'd1;
          walking_q <= n_left_q != 16'd1;
        end
      end
    end
  end
  always_ff @(posedge clk_i) {k_tiles_q, n_tiles_q} <= {k_tiles_i, n_tiles_i};

  always_comb begin
    if (rst_ni) begin
      assert (active == walking_q);
      if (walking_q) begin
        assert (k_left_q != '0 && n_left_q != '0);
        assert (k_tile + k_left_q == k_tiles_i && k_left_q <= k_tiles_i);
        assert (n_tile + n_left_q == n_tiles_i && n_left_q <= n_tiles_i);
        assert (k_first == (k_left_q == k_tiles_i));
        assert (k_last == (k_left_q == 16'd1));
      end
    end
  end
  assign reached_o[0] = rst_ni && walking_q && k_tile == 16'd2 && n_tile == 16'd1;
  assign reached_o[1] = rst_ni && walked_q && !walking_q;
  assign reached_o[2] = rst_ni && walking_q && start_i;
  assign reached_o[3] = rst_ni && walking_q && k_tiles_i == '1 && n_tiles_i == '1;
endmodule
