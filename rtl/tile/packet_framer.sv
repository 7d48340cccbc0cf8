// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Makes every packet of a stream exactly `length_i` beats long.
///
/// A packet that ends early is filled up with beats of zeros, what is too long is taken and dropped up
/// to its `tlast`; both are reported by a pulse. So a packet of the wrong length spoils its own tile and
/// no other. Nothing but `tlast` tells packets apart: one without it takes the next one along, the stream
/// is then a packet short, and whoever waits for that one waits until `abort_i`.
/// While `abort_i` is 1 all beats that come are taken and dropped; the one after it begins a packet.
/// Adds no cycle: in a packet of the right length every beat passes straight through.
/// Latency: 0 cycles.
module packet_framer #(
    parameter int Width = 8,
    parameter int CountWidth = 16
) (
    input  logic                  clk_i,
    input  logic                  rst_ni,
    input  logic                  enable_i,  // a packet is wanted; falls only with done_o or abort_i
    input  logic                  abort_i,   // forget the packet
    input  logic [CountWidth-1:0] length_i,  // beats in a packet, at least 1
    input  logic [     Width-1:0] s_axis_tdata,
    input  logic                  s_axis_tvalid,
    output logic                  s_axis_tready,
    input  logic                  s_axis_tlast,
    output logic [     Width-1:0] m_axis_tdata,
    output logic                  m_axis_tvalid,
    input  logic                  m_axis_tready,
    output logic                  m_axis_tlast,
    output logic [CountWidth-1:0] index_o,   // number of the beat at m_axis in its packet
    output logic                  beat_o,    // a beat leaves
    output logic                  done_o,    // the last beat of a packet leaves
    output logic                  early_o,   // tlast came before the last beat
    output logic                  late_o     // tlast did not come with the last beat
);
  typedef enum logic [1:0] {
    PASS,
    FILL,
    DROP
  } state_e;
  state_e state_q, state_d;
  logic [CountWidth-1:0] index_q;

  assign index_o       = index_q;
  assign m_axis_tlast  = index_q == length_i - 1'b1;
  assign m_axis_tvalid = enable_i && !abort_i && (state_q == FILL || (state_q == PASS && s_axis_tvalid));
  assign m_axis_tdata  = state_q == FILL ? '0 : s_axis_tdata;
  assign s_axis_tready = abort_i || state_q == DROP || (state_q == PASS && enable_i && m_axis_tready);
  assign beat_o        = m_axis_tvalid && m_axis_tready;
  assign done_o        = beat_o && m_axis_tlast;
  assign early_o       = state_q == PASS && beat_o && s_axis_tlast && !m_axis_tlast;
  assign late_o        = state_q == PASS && beat_o && !s_axis_tlast && m_axis_tlast;

  always_comb begin
    state_d = state_q;
    case (state_q)
      PASS: begin
        if (early_o) state_d = FILL;
        else if (late_o) state_d = DROP;
      end
      FILL:    if (done_o) state_d = PASS;
      DROP:    if (s_axis_tvalid && s_axis_tlast) state_d = PASS;
      default: state_d = PASS;
    endcase
    if (abort_i) state_d = PASS;
  end

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      state_q <= PASS;
      index_q <= '0;
    end else begin
      state_q <= state_d;
      if (done_o || abort_i) index_q <= '0;
      else if (beat_o) index_q <= index_q + 1'b1;
    end
  end
endmodule
