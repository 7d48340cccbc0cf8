// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// skid_buffer loses, repeats and changes nothing, and its tready comes from a register: proven by
/// k-induction (flows/formal).
module skid_buffer_props #(
    parameter int Width = 2
) (
    input logic             clk_i,
    input logic             rst_ni,
    input logic [Width-1:0] s_axis_tdata,
    input logic             s_axis_tvalid,
    input logic             s_axis_tlast,
    input logic             m_axis_tready,
    /// Situations that must be reachable, or the proof would be void.
    output logic      [2:0] reached_o
);
  logic s_axis_tready, m_axis_tvalid, m_axis_tlast;
  logic [Width-1:0] m_axis_tdata;
  skid_buffer #(
      .Width(Width)
  ) u_dut (
      .*
  );

  logic started_q;
  initial started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;
  always_comb assume (started_q || !rst_ni);

  logic taken, left, held_q, again_q;  // taken and not yet left
  logic [Width:0] word_q;
  assign taken = s_axis_tvalid && s_axis_tready;
  assign left  = m_axis_tvalid && m_axis_tready;
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) {held_q, again_q} <= '0;
    else {held_q, again_q} <= {(held_q || taken) && !left, again_q || held_q};
  end
  always_ff @(posedge clk_i) if (taken) word_q <= {s_axis_tlast, s_axis_tdata};

  always_comb begin
    if (rst_ni) begin
      assert (s_axis_tready == !held_q);
      assert (m_axis_tvalid == (held_q || s_axis_tvalid));
      if (held_q) assert ({m_axis_tlast, m_axis_tdata} == word_q);
      else if (s_axis_tvalid) assert ({m_axis_tlast, m_axis_tdata} == {s_axis_tlast, s_axis_tdata});
    end
  end
  assign reached_o[0] = rst_ni && held_q && left;
  assign reached_o[1] = rst_ni && again_q && taken && left;
  assign reached_o[2] = rst_ni && held_q && s_axis_tvalid && !m_axis_tready;
endmodule
