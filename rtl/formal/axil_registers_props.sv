// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// axil_registers keeps the protocol of AXI4-Lite whatever its master and the engine do, keeps sizes while
/// busy, and starts only when it may: proven by k-induction (flows/formal).
module axil_registers_props (
    input logic        clk_i,
    input logic        rst_ni,
    input logic [ 7:0] s_axil_awaddr,
    input logic        s_axil_awvalid,
    input logic [31:0] s_axil_wdata,
    input logic [ 3:0] s_axil_wstrb,
    input logic        s_axil_wvalid,
    input logic        s_axil_bready,
    input logic [ 7:0] s_axil_araddr,
    input logic        s_axil_arvalid,
    input logic        s_axil_rready,
    input logic        busy_i,
    input logic [ 6:0] errors_i,
    input logic [31:0] tile_i,
    /// Situations that must be reachable, or the proof would be void.
    output logic [5:0] reached_o
);
  localparam int Rows = 5, Depth = 9;
  logic s_axil_awready, s_axil_wready, s_axil_bvalid, s_axil_arready, s_axil_rvalid;
  logic [1:0] s_axil_bresp, s_axil_rresp;
  logic [31:0] s_axil_rdata;
  logic start, abort, raw;
  logic [15:0] k_tiles, n_tiles, vectors, last_rows;
  logic [7:0] min, max, zero_point;
  axil_registers #(
      .Rows (Rows),
      .Cols (3),
      .Depth(Depth)
  ) u_dut (
      .clk_i,
      .rst_ni,
      .s_axil_awaddr,
      .s_axil_awvalid,
      .s_axil_awready,
      .s_axil_wdata,
      .s_axil_wstrb,
      .s_axil_wvalid,
      .s_axil_wready,
      .s_axil_bresp,
      .s_axil_bvalid,
      .s_axil_bready,
      .s_axil_araddr,
      .s_axil_arvalid,
      .s_axil_arready,
      .s_axil_rdata,
      .s_axil_rresp,
      .s_axil_rvalid,
      .s_axil_rready,
      .start_o      (start),
      .abort_o      (abort),
      .busy_i,
      .errors_i,
      .tile_i,
      .cycles_i     (32'd0),
      .open_cycles_i(32'd0),
      .open_beats_i (32'd0),
      .k_tiles_o    (k_tiles),
      .n_tiles_o    (n_tiles),
      .vectors_o    (vectors),
      .last_rows_o  (last_rows),
      .raw_o        (raw),
      .min_o        (min),
      .max_o        (max),
      .zero_point_o (zero_point)
  );

  logic started_q;
  initial started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;
  always_comb assume (started_q || !rst_ni);

  // Requests that were taken and have no answer yet; the answers of the cycle before that were not taken.
  logic aw_taken_q, w_taken_q, ar_taken_q, b_waits_q, r_waits_q, busy_q;
  logic [ 1:0] bresp_q;
  logic [33:0] r_q;
  logic [88:0] sizes, sizes_q;
  assign sizes = {k_tiles, n_tiles, vectors, last_rows, raw, min, max, zero_point};
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      {aw_taken_q, w_taken_q, ar_taken_q, b_waits_q, r_waits_q, busy_q} <= '0;
    end else begin
      // an answer shows a cycle after both are there, unless the one before still waits
      if (s_axil_awvalid && s_axil_awready) aw_taken_q <= 1'b1;
      else if (aw_taken_q && w_taken_q && !s_axil_bvalid) aw_taken_q <= 1'b0;
      if (s_axil_wvalid && s_axil_wready) w_taken_q <= 1'b1;
      else if (aw_taken_q && w_taken_q && !s_axil_bvalid) w_taken_q <= 1'b0;
      ar_taken_q <= s_axil_arvalid && s_axil_arready;
      b_waits_q  <= s_axil_bvalid && !s_axil_bready;
      r_waits_q  <= s_axil_rvalid && !s_axil_rready;
      busy_q     <= busy_i;
    end
  end
  logic answered_q;  // a write happened in the cycle before
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) answered_q <= 1'b0;
    else answered_q <= aw_taken_q && w_taken_q && !s_axil_bvalid;
  end
  always_ff @(posedge clk_i) {bresp_q, r_q, sizes_q} <= {s_axil_bresp, s_axil_rresp, s_axil_rdata, sizes};

  always_comb begin
    if (rst_ni) begin
      // one write and one read at a time, each answered once and only then
      assert (s_axil_awready == !aw_taken_q && s_axil_wready == !w_taken_q);
      assert (s_axil_bvalid == (b_waits_q || answered_q));
      assert (!(b_waits_q && answered_q));
      assert (s_axil_rvalid == (r_waits_q || ar_taken_q));
      assert (s_axil_arready == !s_axil_rvalid);
      // answers are known ones and stand still until they are taken
      assert (!s_axil_bresp[0] && !s_axil_rresp[0]);
      if (b_waits_q) assert (s_axil_bresp == bresp_q);
      if (r_waits_q) assert ({s_axil_rresp, s_axil_rdata} == r_q);
      // while busy sizes stand still and nothing starts; a start has sizes that are allowed
      if (busy_q) assert (sizes == sizes_q);
      if (start) assert (!busy_i && aw_taken_q && w_taken_q);
      if (start) assert (k_tiles != '0 && n_tiles != '0 && vectors != '0 && 32'(vectors) <= Depth);
      if (start) assert (last_rows != '0 && 32'(last_rows) <= Rows && $signed(min) <= $signed(max));
    end
  end
  logic done_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) done_q <= 1'b0;
    else done_q <= done_q || start;
  end
  assign reached_o[0] = rst_ni && start;
  assign reached_o[1] = rst_ni && b_waits_q && aw_taken_q && w_taken_q;
  assign reached_o[2] = rst_ni && r_waits_q && answered_q && s_axil_bresp == 2'b10;
  assign reached_o[3] = rst_ni && abort && busy_i;
  assign reached_o[4] = rst_ni && done_q && s_axil_rvalid && s_axil_rresp == 2'b10;
  assign reached_o[5] = rst_ni && w_taken_q && !aw_taken_q && s_axil_awvalid;
endmodule
