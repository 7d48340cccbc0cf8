// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Handshakes of an array: weights and activations of a tile in, results out.
///
/// A tile is `Rows` beats of weights, `tlast` with the last, then any number of activation vectors,
/// `tlast` with the last. `Shadow` = 0: weights of the next tile are taken once every result of this
/// one has left. `Shadow` = 1: they are taken while this one computes, as soon as its own are all in
/// effect; `w_swap_o` comes with the first activation vector of a tile.
/// `advance_o` moves the whole pipeline; it is 0 exactly while a result waits to be taken (in silicon:
/// the enable of a clock gate). Results keep the order and the `tlast` of their activations.
/// Latency: parameter `Latency`, from an activation beat to its result beat.
module stream_control #(
    parameter int Rows = 16,
    /// Cycles from an accepted activation vector to its result.
    parameter int Latency = 2,
    parameter bit Shadow = 1'b0,
    /// Cycles from a tile's first activation vector until its weights are in effect everywhere.
    parameter int SwapCycles = 0
) (
    input  logic clk_i,
    input  logic rst_ni,
    input  logic s_axis_w_tvalid,
    output logic s_axis_w_tready,
    input  logic s_axis_w_tlast,
    input  logic s_axis_a_tvalid,
    output logic s_axis_a_tready,
    input  logic s_axis_a_tlast,
    output logic m_axis_y_tvalid,
    input  logic m_axis_y_tready,
    output logic m_axis_y_tlast,
    output logic advance_o,
    output logic w_shift_o,
    output logic w_swap_o
);
  typedef enum logic [1:0] {
    LOAD,
    COMPUTE,
    DRAIN
  } state_e;  // Icarus 11: not in a generate block
  logic [Latency-1:0] valid_q, last_q;
  logic a_beat;

  assign m_axis_y_tvalid = valid_q[Latency-1];
  assign m_axis_y_tlast  = last_q[Latency-1];
  assign advance_o       = !m_axis_y_tvalid || m_axis_y_tready;
  assign w_shift_o       = s_axis_w_tready && s_axis_w_tvalid;
  assign a_beat          = s_axis_a_tready && s_axis_a_tvalid;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      valid_q <= '0;
      last_q  <= '0;
    end else if (advance_o) begin
      valid_q <= Latency'({valid_q, a_beat});
      last_q  <= Latency'({last_q, a_beat && s_axis_a_tlast});
    end
  end

  if (Shadow) begin : gen_shadow
    localparam int CountWidth = $clog2(SwapCycles + 2);
    logic loaded_q;  // a whole tile of weights waits
    logic open_q;  // between the first and the last activation vector of a tile
    logic [CountWidth-1:0] swapping_q;  // cycles until the weights before are free
    assign s_axis_w_tready = !loaded_q && swapping_q == '0;
    assign s_axis_a_tready = advance_o && (open_q || loaded_q);
    assign w_swap_o        = a_beat && !open_q;
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) begin
        loaded_q   <= 1'b0;
        open_q     <= 1'b0;
        swapping_q <= '0;
      end else begin
        if (w_swap_o) loaded_q <= 1'b0;
        else if (w_shift_o && s_axis_w_tlast) loaded_q <= 1'b1;
        if (a_beat) open_q <= !s_axis_a_tlast;
        if (w_swap_o) swapping_q <= CountWidth'(SwapCycles);
        else if (advance_o && swapping_q != '0) swapping_q <= swapping_q - 1'b1;
      end
    end
  end else begin : gen_direct
    state_e state_q, state_d;
    assign s_axis_w_tready = state_q == LOAD;
    assign s_axis_a_tready = state_q == COMPUTE && advance_o;
    assign w_swap_o        = 1'b0;

    always_comb begin
      state_d = state_q;
      case (state_q)
        LOAD:    if (w_shift_o && s_axis_w_tlast) state_d = COMPUTE;
        COMPUTE: if (a_beat && s_axis_a_tlast) state_d = DRAIN;
        DRAIN:   if (valid_q == '0) state_d = LOAD;
        default: state_d = LOAD;
      endcase
    end
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) state_q <= LOAD;
      else state_q <= state_d;
    end
  end

`ifndef SYNTHESIS
  // Protocol, checked in simulation: the environment's side first, then this module's own.
  int w_beats_q;
  logic was_reset_q;  // before the first reset registers hold anything
  logic live_q;  // no reset since the edge before, not even one between two edges
  initial {was_reset_q, live_q} = 2'b00;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) {was_reset_q, live_q} <= 2'b10;
    else live_q <= was_reset_q;
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) w_beats_q <= 0;
    else if (w_shift_o) w_beats_q <= s_axis_w_tlast ? 0 : w_beats_q + 1;
  end
`ifdef __ICARUS__
  // The assertions below, which Icarus does not know, as procedures.
  logic waited_q, waited_last_q;
  always_ff @(posedge clk_i) begin
    waited_q      <= m_axis_y_tvalid && !m_axis_y_tready;
    waited_last_q <= m_axis_y_tlast;
    if (rst_ni && live_q) begin
      if (w_shift_o && s_axis_w_tlast != (w_beats_q == Rows - 1)) begin
        $fatal(1, "s_axis_w_tlast must come with weight row %0d of a tile, and with no other", Rows - 1);
      end
      if (waited_q && (!m_axis_y_tvalid || m_axis_y_tlast != waited_last_q)) begin
        $fatal(1, "a result changed before it was taken");
      end
    end
    if (Shadow && rst_ni && was_reset_q && !live_q && !s_axis_w_tready) begin
      $fatal(1, "no weights are taken after a reset");
    end
  end
`else
  WLastOnLastRow :
  assert property (@(posedge clk_i) disable iff (!rst_ni || !live_q)
      w_shift_o |-> (s_axis_w_tlast == (w_beats_q == Rows - 1)))
  else $error("s_axis_w_tlast must come with weight row %0d of a tile, and with no other", Rows - 1);
  ResultStableUnderStall :
  assert property (@(posedge clk_i) disable iff (!rst_ni || !live_q)
      m_axis_y_tvalid && !m_axis_y_tready |=> m_axis_y_tvalid && $stable(m_axis_y_tlast))
  else $error("a result changed before it was taken");
  ReadyAfterReset :
  assert property (@(posedge clk_i) disable iff (!rst_ni) was_reset_q && !live_q |-> s_axis_w_tready || !Shadow)
  else $error("no weights are taken after a reset");
`endif
`endif
endmodule
