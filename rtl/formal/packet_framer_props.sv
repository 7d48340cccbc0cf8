// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// packet_framer makes packets of the right length of any packets, told by its ports alone: proven by
/// k-induction (flows/formal).
module packet_framer_props #(
    parameter int Width = 2,
    parameter int CountWidth = 3
) (
    input logic                  clk_i,
    input logic                  rst_ni,
    input logic                  enable_i,
    input logic                  abort_i,
    input logic [CountWidth-1:0] length_i,
    input logic [     Width-1:0] s_axis_tdata,
    input logic                  s_axis_tvalid,
    input logic                  s_axis_tlast,
    input logic                  m_axis_tready,
    /// Situations that must be reachable, or the proof would be void.
    output logic           [4:0] reached_o
);
  logic s_axis_tready, m_axis_tvalid, m_axis_tlast, beat, done, early, late;
  logic [Width-1:0] m_axis_tdata;
  logic [CountWidth-1:0] index;
  packet_framer #(
      .Width     (Width),
      .CountWidth(CountWidth)
  ) u_dut (
      .clk_i,
      .rst_ni,
      .enable_i,
      .abort_i,
      .length_i,
      .s_axis_tdata,
      .s_axis_tvalid,
      .s_axis_tready,
      .s_axis_tlast,
      .m_axis_tdata,
      .m_axis_tvalid,
      .m_axis_tready,
      .m_axis_tlast,
      .index_o(index),
      .beat_o (beat),
      .done_o (done),
      .early_o(early),
      .late_o (late)
  );

  logic started_q;
  initial started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;
  always_comb assume (started_q || !rst_ni);

  logic taken, left;
  assign taken = s_axis_tvalid && s_axis_tready;
  assign left  = m_axis_tvalid && m_axis_tready;

  // What the ports told so far: beats of the packet that left, whether its source has ended too early or not yet.
  logic [CountWidth-1:0] sent_q, length_q;
  logic short_q, long_q, wanted_q, was_early_q, was_late_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      sent_q      <= '0;
      short_q     <= 1'b0;
      long_q      <= 1'b0;
      wanted_q    <= 1'b0;
      was_early_q <= 1'b0;
      was_late_q  <= 1'b0;
    end else if (abort_i) begin
      sent_q   <= '0;
      short_q  <= 1'b0;
      long_q   <= 1'b0;
      wanted_q <= 1'b0;
    end else begin
      wanted_q    <= enable_i && !(left && sent_q == length_i - 1'b1);
      was_early_q <= was_early_q || early;
      was_late_q  <= was_late_q || late;
      if (left) sent_q <= sent_q == length_i - 1'b1 ? '0 : sent_q + 1'b1;
      if (left && sent_q == length_i - 1'b1) short_q <= 1'b0;
      else if (taken && s_axis_tlast && !long_q) short_q <= 1'b1;
      if (taken) long_q <= !s_axis_tlast && (long_q || sent_q == length_i - 1'b1);
    end
  end
  always_ff @(posedge clk_i) length_q <= length_i;

  // a packet stays wanted until it is done, its length stands still
  always_comb begin
    if (rst_ni) begin
      assume (length_i != '0);
      if (wanted_q) assume (enable_i && length_i == length_q);
    end
  end

  always_comb begin
    if (rst_ni) begin
      assert (index == sent_q);
      assert (beat == left);
      assert (m_axis_tlast == (sent_q == length_i - 1'b1));
      assert (done == (left && m_axis_tlast));
      if (abort_i) begin
        assert (s_axis_tready && !m_axis_tvalid && !early && !late);
      end else if (short_q) begin  // the rest is zeros, and of this packet
        assert (!s_axis_tready && m_axis_tvalid == enable_i && m_axis_tdata == '0 && !early && !late);
      end else if (long_q) begin  // the rest is dropped
        assert (s_axis_tready && !m_axis_tvalid && !early && !late);
      end else begin  // straight through
        assert (s_axis_tready == (enable_i && m_axis_tready));
        assert (m_axis_tvalid == (enable_i && s_axis_tvalid));
        if (m_axis_tvalid) assert (m_axis_tdata == s_axis_tdata);
        assert (early == (taken && s_axis_tlast && !m_axis_tlast));
        assert (late == (taken && !s_axis_tlast && m_axis_tlast));
      end
      // they hang together
      assert (!(short_q && long_q));
      if (short_q) assert (sent_q != '0);
      if (long_q) assert (sent_q == '0);
      if (sent_q != '0 && !abort_i) assert (wanted_q);
      if (wanted_q) assert (sent_q < length_q);
    end
  end
  assign reached_o[0] = rst_ni && short_q && sent_q == CountWidth'(3);
  assign reached_o[1] = rst_ni && long_q && taken && s_axis_tlast;
  assign reached_o[2] = rst_ni && was_early_q && was_late_q && done && taken && s_axis_tlast;
  assign reached_o[3] = rst_ni && abort_i && long_q;
  assign reached_o[4] = rst_ni && length_i == '1 && m_axis_tlast && left && s_axis_tlast;
endmodule
