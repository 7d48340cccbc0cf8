// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// What stream_control promises, told by its ports alone: proven by k-induction (flows/formal).
///
/// The environment may do anything, resets at any time included. A datapath of `Latency` registers
/// moved by `advance_o` stands for the array; one activation vector, any one, carries a mark through it.
module stream_control_props #(
    parameter int Rows = 2,
    parameter int Latency = 2,
    parameter bit Shadow = 1'b0,
    parameter int SwapCycles = 0
) (
    input logic clk_i,
    input logic rst_ni,
    input logic s_axis_w_tvalid,
    input logic s_axis_w_tlast,
    input logic s_axis_a_tvalid,
    input logic s_axis_a_tlast,
    input logic m_axis_y_tready,
    input logic mark_i,  // mark the activation vector of this cycle, if none is marked yet
    /// Situations that must be reachable, or the proof would be void.
    output logic [7:0] reached_o
);
  localparam int CountWidth = $clog2(Latency + 2);
  logic s_axis_w_tready, s_axis_a_tready, m_axis_y_tvalid, m_axis_y_tlast, advance, w_shift, w_swap;

  stream_control #(
      .Rows      (Rows),
      .Latency   (Latency),
      .Shadow    (Shadow),
      .SwapCycles(SwapCycles)
  ) u_dut (
      .clk_i,
      .rst_ni,
      .s_axis_w_tvalid,
      .s_axis_w_tready,
      .s_axis_w_tlast,
      .s_axis_a_tvalid,
      .s_axis_a_tready,
      .s_axis_a_tlast,
      .m_axis_y_tvalid,
      .m_axis_y_tready,
      .m_axis_y_tlast,
      .advance_o(advance),
      .w_shift_o(w_shift),
      .w_swap_o (w_swap)
  );

  // Reset in the first cycle; later as it likes.
  logic started_q;
  initial started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;
  always_comb assume (started_q || !rst_ni);

  logic w_beat, a_beat, y_beat;
  assign w_beat = s_axis_w_tvalid && s_axis_w_tready;
  assign a_beat = s_axis_a_tvalid && s_axis_a_tready;
  assign y_beat = m_axis_y_tvalid && m_axis_y_tready;

  // What the ports told so far.
  logic loaded_q;  // all weights of a tile were taken, none of its activations
  logic open_q;  // the first activation of a tile was taken, the last was not
  logic waiting_q;  // the last activation of a tile was taken; were results pending in the cycle before?
  logic [CountWidth-1:0] pending_q;  // activation vectors taken whose results have not left
  logic [CountWidth-1:0] lasts_q;  // of them, those with tlast
  logic stalled_q, stalled_last_q;  // a result waited in the cycle before

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      loaded_q  <= 1'b0;
      open_q    <= 1'b0;
      waiting_q <= 1'b0;
      pending_q <= '0;
      lasts_q   <= '0;
      stalled_q <= 1'b0;
    end else begin
      if (a_beat) begin
        if (!open_q) loaded_q <= 1'b0;
        open_q <= !s_axis_a_tlast;
      end
      if (w_beat && s_axis_w_tlast) loaded_q <= 1'b1;
      waiting_q <= (a_beat && s_axis_a_tlast) || (waiting_q && pending_q != '0);
      pending_q <= pending_q + CountWidth'(a_beat) - CountWidth'(y_beat);
      lasts_q   <= lasts_q + CountWidth'(a_beat && s_axis_a_tlast) - CountWidth'(y_beat && m_axis_y_tlast);
      stalled_q <= m_axis_y_tvalid && !m_axis_y_tready;
    end
  end
  always_ff @(posedge clk_i) stalled_last_q <= m_axis_y_tlast;

  // The marked vector, and the array that it goes through; beside it, which steps took a vector, and a last one.
  logic [Latency-1:0] array_q, valid_q, last_q;
  logic marked_q, arrived_q, marked_last_q, mark;
  logic [CountWidth-1:0] ahead_q, age_q;  // results before the marked one; steps of the pipeline since then
  assign mark = a_beat && mark_i && !marked_q;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      array_q       <= '0;
      valid_q       <= '0;
      last_q        <= '0;
      marked_q      <= 1'b0;
      arrived_q     <= 1'b0;
      marked_last_q <= 1'b0;
      ahead_q       <= '0;
      age_q         <= '0;
    end else begin
      if (advance) begin
        array_q <= Latency'({array_q, mark});
        valid_q <= Latency'({valid_q, a_beat});
        last_q  <= Latency'({last_q, a_beat && s_axis_a_tlast});
      end
      if (mark) begin
        marked_q      <= 1'b1;
        marked_last_q <= s_axis_a_tlast;
        ahead_q       <= pending_q - CountWidth'(y_beat);
        age_q         <= CountWidth'(1);
      end else if (marked_q && !arrived_q) begin
        if (advance) age_q <= age_q + CountWidth'(1);
        if (y_beat && ahead_q == '0) arrived_q <= 1'b1;
        if (y_beat && ahead_q != '0) ahead_q <= ahead_q - CountWidth'(1);
      end
    end
  end

  logic mine;  // the result that leaves now must be the marked one
  assign mine = marked_q && !arrived_q && ahead_q == '0 && y_beat;
  always_comb begin
    if (rst_ni) begin
      // the pipeline rests exactly while a result waits
      assert (advance == (!m_axis_y_tvalid || m_axis_y_tready));
      // weights are shifted as they are taken, and none are taken between a tile's last and its first activation
      assert (w_shift == w_beat);
      if (w_beat) assert (!loaded_q);
      // activations: taken when the weights of their tile are there, always then unless a result waits
      assert (s_axis_a_tready == ((loaded_q || open_q) && advance));
      // a result is held until it is taken
      if (stalled_q) assert (m_axis_y_tvalid && m_axis_y_tlast == stalled_last_q);
      // results only for activations taken, tlast only for theirs
      if (m_axis_y_tvalid) assert (pending_q != '0);
      if (m_axis_y_tvalid && m_axis_y_tlast) assert (lasts_q != '0);
      assert (pending_q <= CountWidth'(Latency));
      // order: the marked vector's result, and no other, leaves after those that were ahead of it
      if (y_beat) assert (array_q[Latency-1] == mine);
      if (mine) assert (m_axis_y_tlast == marked_last_q);
      // nothing lost: it is at the end after Latency steps, and no step happens before it is taken
      if (marked_q && !arrived_q) assert (age_q <= CountWidth'(Latency));
      if (marked_q && !arrived_q && age_q == CountWidth'(Latency)) assert (m_axis_y_tvalid && ahead_q == '0);
    end
  end

  if (Shadow) begin : gen_shadow
    // weights take effect with the first activation of their tile, `SwapCycles` steps later everywhere;
    // until then those of the next tile must wait, and no longer
    localparam int SwapWidth = $clog2(SwapCycles + 2);
    logic [SwapWidth-1:0] steps_q;  // since the first activation, no further than SwapCycles
    always_ff @(posedge clk_i or negedge rst_ni) begin
      if (!rst_ni) steps_q <= SwapWidth'(SwapCycles);
      else if (a_beat && !open_q) steps_q <= '0;
      else if (advance && steps_q != SwapWidth'(SwapCycles)) steps_q <= steps_q + SwapWidth'(1);
    end
    always_comb begin
      if (rst_ni) begin
        assert (w_swap == (a_beat && !open_q));
        assert (s_axis_w_tready == (!loaded_q && steps_q == SwapWidth'(SwapCycles)));
        assert (steps_q <= SwapWidth'(SwapCycles));
      end
    end
  end else begin : gen_direct
    // weights of the next tile are taken only when every result of this one has left, and then always
    always_comb begin
      if (rst_ni) begin
        assert (!w_swap);
        assert (s_axis_w_tready == !(loaded_q || open_q || waiting_q));
        if (s_axis_w_tready) assert (pending_q == '0);
        assert (!(loaded_q && open_q) && !(loaded_q && waiting_q) && !(open_q && waiting_q));
        if (loaded_q) assert (pending_q == '0);
      end
    end
  end

  // How the counters above hang together: true whatever stream_control does as long as the assertions above hold.
  // They add no promise; they let the induction end after a few steps.
  logic [Latency-1:0] place;  // of the marked vector
  assign place = marked_q && !arrived_q ? Latency'(1) << (age_q - CountWidth'(1)) : '0;
  always_comb begin
    if (rst_ni) begin
      assert (m_axis_y_tvalid == valid_q[Latency-1]);
      assert (m_axis_y_tlast == last_q[Latency-1] || !m_axis_y_tvalid);
      assert (pending_q == ones(valid_q));
      assert (lasts_q == ones(last_q));
      assert ((last_q & ~valid_q) == '0);
      assert ((array_q & ~valid_q) == '0);
      assert (array_q == place);
      assert (marked_q || !arrived_q);
      if (place != '0) begin
        assert (age_q != '0 && age_q <= CountWidth'(Latency));
        assert (ahead_q == ones(valid_q & ~(place | (place - Latency'(1)))));
        assert (marked_last_q == ((last_q & place) != '0));
      end
    end
  end

  function automatic logic [CountWidth-1:0] ones(logic [Latency-1:0] bits);
    ones = '0;
    for (int i = 0; i < Latency; i++) ones = ones + CountWidth'(bits[i]);
  endfunction

  logic busy_q;  // results were awaited in the cycle before
  always_ff @(posedge clk_i) busy_q <= started_q && pending_q != '0;
  logic second_q;  // the weights of a tile were taken after the last activation of another
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) second_q <= 1'b0;
    else if (a_beat && s_axis_a_tlast) second_q <= 1'b1;
  end
  assign reached_o[0] = rst_ni && mine;
  assign reached_o[1] = rst_ni && mine && marked_last_q;
  assign reached_o[2] = rst_ni && stalled_q && y_beat;
  assign reached_o[3] = rst_ni && pending_q == CountWidth'(Latency);
  // the next tile's weights: while results are pending with Shadow, after them without
  assign reached_o[4] = rst_ni && w_beat && (Shadow ? open_q && pending_q != '0 : second_q);
  assign reached_o[5] = rst_ni && second_q && a_beat;
  assign reached_o[6] = !rst_ni && busy_q;  // reset amid a tile
  assign reached_o[7] = rst_ni && marked_q && ahead_q == CountWidth'(Latency - 1);
endmodule
