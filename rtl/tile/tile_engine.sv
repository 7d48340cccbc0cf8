// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

`include "encmac_checks.svh"

/// Runs a whole layer on an array: adds up K tiles, adds the bias, brings sums back to int8.
///
/// The array is outside, at the three `array` streams; any array with the streams of mac_array
/// fits. After a start (axil_registers) a layer of N_TILES x K_TILES tiles is:
///
/// s_axis_w: for each set of columns, for each K tile one packet of Rows beats, as the array takes it.
/// s_axis_a: for each set of columns, for each K tile one packet of VECTORS beats, as the array takes it.
/// s_axis_p: for each set of columns one packet of Cols beats, column 0 first, int32 words from the
///           lowest: bias, multiplier, shift, one that is ignored.
/// m_axis_y: for each set of columns one packet of VECTORS beats. int8: column c at [c*8 +: 8], 0 above,
///           so that the low bytes are what s_axis_a of the next layer takes; raw: column c at [c*32 +: 32].
///
/// Rows that the last K tile does not use are 0 in weights and activations, whatever the streams hold;
/// an array that adds P(0, 0) != 0 for them must have it taken off in the bias.
/// Each stream waits for what it needs: nothing else orders packets of different streams. Before a
/// start and after the last packet nothing is taken. A packet of the wrong length is made right
/// (packet_framer) and reported; one without tlast takes the next one along, and the engine waits for
/// what is lost. Sums wrap at 32 bits.
///
/// An abort (CONTROL[1]) ends a layer at any time; registers and ERRORS stay. While it is 1 the streams
/// are emptied and the array is held in reset (so are position weights of a programmable one). A result
/// that is offered stays offered, as AXI4-Stream demands, and busy until it is taken; those behind it
/// are lost. Take the abort back, alone or with a start, when the sources have come to their ends.
///
/// Reset: asynchronous, any length, at any time, tvalid and arvalid, awvalid, wvalid low meanwhile; the
/// release must be synchronous to clk_i. After it everything starts anew.
/// s_axis_array_y_tready and the ready of the other streams do not depend on m_axis_y_tready.
/// Latency: that of the array, 1 cycle of the buffer and 3 of the requantiser.
module tile_engine #(
    parameter int Rows = 16,
    parameter int Cols = 16,
    /// Vectors of partial sums that are kept: the longest tile.
    parameter int Depth = 256
) (
    input  logic               clk_i,
    input  logic               rst_ni,
    // registers
    input  logic [        7:0] s_axil_awaddr,
    input  logic               s_axil_awvalid,
    output logic               s_axil_awready,
    input  logic [       31:0] s_axil_wdata,
    input  logic [        3:0] s_axil_wstrb,
    input  logic               s_axil_wvalid,
    output logic               s_axil_wready,
    output logic [        1:0] s_axil_bresp,
    output logic               s_axil_bvalid,
    input  logic               s_axil_bready,
    input  logic [        7:0] s_axil_araddr,
    input  logic               s_axil_arvalid,
    output logic               s_axil_arready,
    output logic [       31:0] s_axil_rdata,
    output logic [        1:0] s_axil_rresp,
    output logic               s_axil_rvalid,
    input  logic               s_axil_rready,
    // weights, activations, parameters of columns, results
    input  logic [ Cols*8-1:0] s_axis_w_tdata,
    input  logic               s_axis_w_tvalid,
    output logic               s_axis_w_tready,
    input  logic               s_axis_w_tlast,
    input  logic [ Rows*8-1:0] s_axis_a_tdata,
    input  logic               s_axis_a_tvalid,
    output logic               s_axis_a_tready,
    input  logic               s_axis_a_tlast,
    input  logic [      127:0] s_axis_p_tdata,
    input  logic               s_axis_p_tvalid,
    output logic               s_axis_p_tready,
    input  logic               s_axis_p_tlast,
    output logic [Cols*32-1:0] m_axis_y_tdata,
    output logic               m_axis_y_tvalid,
    input  logic               m_axis_y_tready,
    output logic               m_axis_y_tlast,
    // the array
    output logic               array_rst_no,
    output logic [ Cols*8-1:0] m_axis_array_w_tdata,
    output logic               m_axis_array_w_tvalid,
    input  logic               m_axis_array_w_tready,
    output logic               m_axis_array_w_tlast,
    output logic [ Rows*8-1:0] m_axis_array_a_tdata,
    output logic               m_axis_array_a_tvalid,
    input  logic               m_axis_array_a_tready,
    output logic               m_axis_array_a_tlast,
    input  logic [Cols*32-1:0] s_axis_array_y_tdata,
    input  logic               s_axis_array_y_tvalid,
    output logic               s_axis_array_y_tready,
    input  logic               s_axis_array_y_tlast
);
  `ENCMAC_REQUIRE(gen_check_sizes,
                  Rows > 0 && Rows < 65536 && Cols > 0 && Cols < 65536 && Depth > 0 && Depth < 65536,
                  "tile_engine: Rows, Cols and Depth must be 1..65535")

  logic start, abort, layer, busy, raw;
  logic [15:0] k_tiles, n_tiles, vectors, last_rows;
  logic [7:0] min, max, zero_point;
  logic [31:0] cycles_q, open_cycles_q, open_beats_q;
  logic w_early, w_late, a_early, a_late, p_early, p_late, p_range;
  logic [15:0] y_k_tile, y_n_tile;

  axil_registers #(
      .Rows (Rows),
      .Cols (Cols),
      .Depth(Depth)
  ) u_registers (
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
      .busy_i       (busy),
      .errors_i     ({p_range, p_late, p_early, a_late, a_early, w_late, w_early}),
      .tile_i       ({y_n_tile, y_k_tile}),
      .cycles_i     (cycles_q),
      .open_cycles_i(open_cycles_q),
      .open_beats_i (open_beats_q),
      .k_tiles_o    (k_tiles),
      .n_tiles_o    (n_tiles),
      .vectors_o    (vectors),
      .last_rows_o  (last_rows),
      .raw_o        (raw),
      .min_o        (min),
      .max_o        (max),
      .zero_point_o (zero_point)
  );

  // Weights: unused rows are 0.
  logic w_active, w_done, w_k_last, w_used;
  logic [15:0] w_row;
  logic [Cols*8-1:0] w_data;
  tile_counter u_w_tile (
      .clk_i,
      .rst_ni,
      .start_i  (start),
      .abort_i  (abort),
      .step_i   (w_done),
      .k_tiles_i(k_tiles),
      .n_tiles_i(n_tiles),
      .active_o (w_active),
      .k_first_o(),
      .k_last_o (w_k_last),
      .k_tile_o (),
      .n_tile_o ()
  );
  packet_framer #(
      .Width(Cols * 8)
  ) u_w_framer (
      .clk_i,
      .rst_ni,
      .enable_i     (w_active),
      .abort_i      (abort),
      .length_i     (16'(Rows)),
      .s_axis_tdata (s_axis_w_tdata),
      .s_axis_tvalid(s_axis_w_tvalid),
      .s_axis_tready(s_axis_w_tready),
      .s_axis_tlast (s_axis_w_tlast),
      .m_axis_tdata (w_data),
      .m_axis_tvalid(m_axis_array_w_tvalid),
      .m_axis_tready(m_axis_array_w_tready),
      .m_axis_tlast (m_axis_array_w_tlast),
      .index_o      (w_row),
      .beat_o       (),
      .done_o       (w_done),
      .early_o      (w_early),
      .late_o       (w_late)
  );
  assign w_used = !w_k_last || w_row < last_rows;
  assign m_axis_array_w_tdata = w_used ? w_data : '0;

  // Activations: lanes of unused rows are 0.
  logic a_active, a_beat, a_done, a_k_last;
  logic [15:0] a_vector;
  logic [Rows*8-1:0] a_data;
  tile_counter u_a_tile (
      .clk_i,
      .rst_ni,
      .start_i  (start),
      .abort_i  (abort),
      .step_i   (a_done),
      .k_tiles_i(k_tiles),
      .n_tiles_i(n_tiles),
      .active_o (a_active),
      .k_first_o(),
      .k_last_o (a_k_last),
      .k_tile_o (),
      .n_tile_o ()
  );
  packet_framer #(
      .Width(Rows * 8)
  ) u_a_framer (
      .clk_i,
      .rst_ni,
      .enable_i     (a_active),
      .abort_i      (abort),
      .length_i     (vectors),
      .s_axis_tdata (s_axis_a_tdata),
      .s_axis_tvalid(s_axis_a_tvalid),
      .s_axis_tready(s_axis_a_tready),
      .s_axis_tlast (s_axis_a_tlast),
      .m_axis_tdata (a_data),
      .m_axis_tvalid(m_axis_array_a_tvalid),
      .m_axis_tready(m_axis_array_a_tready),
      .m_axis_tlast (m_axis_array_a_tlast),
      .index_o      (a_vector),
      .beat_o       (a_beat),
      .done_o       (a_done),
      .early_o      (a_early),
      .late_o       (a_late)
  );
  for (genvar r = 0; r < Rows; r++) begin : gen_row
    assign m_axis_array_a_tdata[r*8+:8] = !a_k_last || 16'(r) < last_rows ? a_data[r*8+:8] : 8'd0;
  end

  // Parameters: two banks, so that those of the next set of columns come while this one is at work.
  // Banks take turns; each is loaded, held, summed (its last vector is in) and free when its results left.
  logic load_bank_q, sum_bank_q, leave_bank_q;
  logic [1:0] held_q, summed_q;
  logic p_active, p_beat, p_done, sum_set_done, result_set_done;
  logic [127:0] p_data;
  logic [2*Cols*32-1:0] bias_q, multiplier_q;
  logic [2*Cols*6-1:0] shift_q;
  tile_counter u_p_tile (
      .clk_i,
      .rst_ni,
      .start_i  (start),
      .abort_i  (abort),
      .step_i   (p_done),
      .k_tiles_i(16'd1),
      .n_tiles_i(n_tiles),
      .active_o (p_active),
      .k_first_o(),
      .k_last_o (),
      .k_tile_o (),
      .n_tile_o ()
  );
  packet_framer #(
      .Width(128)
  ) u_p_framer (
      .clk_i,
      .rst_ni,
      .enable_i     (p_active && !held_q[load_bank_q]),
      .abort_i      (abort),
      .length_i     (16'(Cols)),
      .s_axis_tdata (s_axis_p_tdata),
      .s_axis_tvalid(s_axis_p_tvalid),
      .s_axis_tready(s_axis_p_tready),
      .s_axis_tlast (s_axis_p_tlast),
      .m_axis_tdata (p_data),
      .m_axis_tvalid(),
      .m_axis_tready(1'b1),
      .m_axis_tlast (),
      .index_o      (),
      .beat_o       (p_beat),
      .done_o       (p_done),
      .early_o      (p_early),
      .late_o       (p_late)
  );
  logic unused_p;
  assign unused_p = ^p_data[127:96];
  assign p_range  = p_beat && s_axis_p_tready && !raw && (p_data[63] || p_data[95:64] == '0 || p_data[95:64] > 62);
  for (genvar b = 0; b < 2; b++) begin : gen_bank
    // column 0 comes first and moves down to the lowest place
    always_ff @(posedge clk_i) begin
      if (p_beat && load_bank_q == 1'(b)) begin
        bias_q[b*Cols*32+:Cols*32]       <= (Cols * 32)'({p_data[31:0], bias_q[b*Cols*32+:Cols*32]} >> 32);
        multiplier_q[b*Cols*32+:Cols*32] <= (Cols * 32)'({p_data[63:32], multiplier_q[b*Cols*32+:Cols*32]} >> 32);
        shift_q[b*Cols*6+:Cols*6]        <= (Cols * 6)'({p_data[69:64], shift_q[b*Cols*6+:Cols*6]} >> 6);
      end
    end
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) begin
        held_q[b]   <= 1'b0;
        summed_q[b] <= 1'b0;
      end else if (abort || (result_set_done && leave_bank_q == 1'(b))) begin
        held_q[b]   <= 1'b0;
        summed_q[b] <= 1'b0;
      end else begin
        if (p_done && load_bank_q == 1'(b)) held_q[b] <= 1'b1;
        if (sum_set_done && sum_bank_q == 1'(b)) summed_q[b] <= 1'b1;
      end
    end
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      load_bank_q  <= 1'b0;
      sum_bank_q   <= 1'b0;
      leave_bank_q <= 1'b0;
    end else if (abort) begin
      load_bank_q  <= 1'b0;
      sum_bank_q   <= 1'b0;
      leave_bank_q <= 1'b0;
    end else begin
      load_bank_q  <= load_bank_q ^ p_done;
      sum_bank_q   <= sum_bank_q ^ sum_set_done;
      leave_bank_q <= leave_bank_q ^ result_set_done;
    end
  end

  // Results of the array: added up, then requantised.
  logic y_k_first, y_k_last, y_valid, y_ready, y_open, y_done;
  logic sum_valid, sum_ready, sum_last, sum_bank;
  logic [Cols*32-1:0] sum_data;
  assign y_open                = held_q[sum_bank_q] && !summed_q[sum_bank_q];
  assign y_valid               = s_axis_array_y_tvalid && y_open;
  assign s_axis_array_y_tready = y_ready && y_open;
  assign y_done                = y_valid && y_ready && s_axis_array_y_tlast;
  assign sum_set_done          = y_done && y_k_last;
  tile_counter u_y_tile (
      .clk_i,
      .rst_ni,
      .start_i  (start),
      .abort_i  (abort),
      .step_i   (y_done),
      .k_tiles_i(k_tiles),
      .n_tiles_i(n_tiles),
      .active_o (),
      .k_first_o(y_k_first),
      .k_last_o (y_k_last),
      .k_tile_o (y_k_tile),
      .n_tile_o (y_n_tile)
  );
  accumulation_buffer #(
      .Cols (Cols),
      .Depth(Depth > 0 ? Depth : 1)
  ) u_buffer (
      .clk_i,
      .rst_ni,
      .abort_i      (abort),
      .first_i      (y_k_first),
      .final_i      (y_k_last),
      .bank_i       (sum_bank_q),
      .bias_i       (bias_q),
      .s_axis_tdata (s_axis_array_y_tdata),
      .s_axis_tvalid(y_valid),
      .s_axis_tready(y_ready),
      .s_axis_tlast (s_axis_array_y_tlast),
      .bank_o       (sum_bank),
      .m_axis_tdata (sum_data),
      .m_axis_tvalid(sum_valid),
      .m_axis_tready(sum_ready),
      .m_axis_tlast (sum_last)
  );
  logic result_valid, result_ready, result_last;
  logic [Cols*32-1:0] result_data;
  requantiser #(
      .Cols(Cols)
  ) u_requantiser (
      .clk_i,
      .rst_ni,
      .abort_i      (abort),
      .raw_i        (raw),
      .min_i        (min),
      .max_i        (max),
      .zero_point_i (zero_point),
      .bank_i       (sum_bank),
      .multiplier_i (multiplier_q),
      .shift_i      (shift_q),
      .s_axis_tdata (sum_data),
      .s_axis_tvalid(sum_valid),
      .s_axis_tready(sum_ready),
      .s_axis_tlast (sum_last),
      .m_axis_tdata (result_data),
      .m_axis_tvalid(result_valid),
      .m_axis_tready(result_ready),
      .m_axis_tlast (result_last)
  );
  skid_buffer #(
      .Width(Cols * 32)
  ) u_skid (
      .clk_i,
      .rst_ni,
      .s_axis_tdata (result_data),
      .s_axis_tvalid(result_valid),
      .s_axis_tready(result_ready),
      .s_axis_tlast (result_last),
      .m_axis_tdata (m_axis_y_tdata),
      .m_axis_tvalid(m_axis_y_tvalid),
      .m_axis_tready(m_axis_y_tready),
      .m_axis_tlast (m_axis_y_tlast)
  );
  // a result that an abort left is of no layer
  assign result_set_done = layer && m_axis_y_tvalid && m_axis_y_tready && m_axis_y_tlast;
  tile_counter u_result_tile (
      .clk_i,
      .rst_ni,
      .start_i  (start),
      .abort_i  (abort),
      .step_i   (result_set_done),
      .k_tiles_i(16'd1),
      .n_tiles_i(n_tiles),
      .active_o (layer),
      .k_first_o(),
      .k_last_o (),
      .k_tile_o (),
      .n_tile_o ()
  );

  assign busy         = layer || m_axis_y_tvalid;  // after an abort a result may still be offered
  assign array_rst_no = rst_ni && !abort;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      cycles_q      <= '0;
      open_cycles_q <= '0;
      open_beats_q  <= '0;
    end else if (start) begin
      cycles_q      <= '0;
      open_cycles_q <= '0;
      open_beats_q  <= '0;
    end else if (busy) begin
      cycles_q <= cycles_q + 1'b1;
      if (a_vector != '0 || a_beat) open_cycles_q <= open_cycles_q + 1'b1;
      if (a_beat) open_beats_q <= open_beats_q + 1'b1;
    end
  end

`ifndef SYNTHESIS
  logic was_reset_q;  // before the first reset registers hold anything
  logic live_q;  // no reset since the edge before, not even one between two edges
  initial {was_reset_q, live_q} = 2'b00;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) {was_reset_q, live_q} <= 2'b10;
    else live_q <= was_reset_q;
  end
`ifdef __ICARUS__
  // The assertion below, which Icarus does not know, as a procedure.
  logic waited_q, waited_last_q;
  logic [Cols*32-1:0] waited_data_q;
  always_ff @(posedge clk_i) begin
    waited_q      <= m_axis_y_tvalid && !m_axis_y_tready;
    waited_last_q <= m_axis_y_tlast;
    waited_data_q <= m_axis_y_tdata;
    if (rst_ni && live_q && waited_q) begin
      if (!m_axis_y_tvalid || m_axis_y_tdata != waited_data_q || m_axis_y_tlast != waited_last_q) begin
        $fatal(1, "a result changed before it was taken");
      end
    end
  end
`else
  ResultStableUnderStall :
  assert property (@(posedge clk_i) disable iff (!rst_ni || !live_q)
      m_axis_y_tvalid && !m_axis_y_tready |=> m_axis_y_tvalid && $stable(m_axis_y_tdata) && $stable(m_axis_y_tlast))
  else $error("a result changed before it was taken");
`endif
`endif
endmodule
