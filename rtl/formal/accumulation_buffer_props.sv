// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// accumulation_buffer adds up every tile, whatever stalls, aborts and lengths of tiles: proven by k-induction
/// (flows/formal), with sums of all 32 bits.
///
/// Beside it the sums are added as soon as a vector is taken. An entry that no first tile has written since the last
/// reset holds anything, so nothing is said of what is added to it.
module accumulation_buffer_props #(
    parameter int Cols = 2,
    parameter int Depth = 3
) (
    input logic                 clk_i,
    input logic                 rst_ni,
    input logic                 abort_i,
    input logic                 first_i,
    input logic                 final_i,
    input logic                 bank_i,
    input logic [2*Cols*32-1:0] bias_i,
    input logic [  Cols*32-1:0] s_axis_tdata,
    input logic                 s_axis_tvalid,
    input logic                 s_axis_tlast,
    input logic                 m_axis_tready,
    /// Situations that must be reachable, or the proof would be void.
    output logic          [5:0] reached_o
);
  localparam int IndexWidth = Depth > 1 ? $clog2(Depth) : 1;
  logic s_axis_tready, m_axis_tvalid, m_axis_tlast, bank;
  logic [Cols*32-1:0] m_axis_tdata;
  accumulation_buffer #(
      .Cols (Cols),
      .Depth(Depth)
  ) u_dut (
      .clk_i,
      .rst_ni,
      .abort_i,
      .first_i,
      .final_i,
      .bank_i,
      .bias_i,
      .s_axis_tdata,
      .s_axis_tvalid,
      .s_axis_tready,
      .s_axis_tlast,
      .bank_o(bank),
      .m_axis_tdata,
      .m_axis_tvalid,
      .m_axis_tready,
      .m_axis_tlast
  );

  logic started_q;
  initial started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;
  always_comb assume (started_q || !rst_ni);

  // what was taken: its place in the tile, its sum
  logic [Cols*32-1:0] entry_q[Depth];
  logic [Depth-1:0] known_q;
  logic [IndexWidth-1:0] index_q, kept_index_q;
  logic taken, known, kept_q, due_q, due_known_q, due_last_q, bank_q, waited_q, held_q;
  logic [Cols*32-1:0] sum, due_sum_q;
  assign taken = s_axis_tvalid && s_axis_tready;
  assign known = first_i || known_q[index_q];
  for (genvar c = 0; c < Cols; c++) begin : gen_column
    logic [31:0] bias;
    assign bias = bank_i ? bias_i[(Cols+c)*32+:32] : bias_i[c*32+:32];
    assign sum[c*32+:32] = s_axis_tdata[c*32+:32] + (first_i ? bias : entry_q[index_q][c*32+:32]);
  end
  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      known_q  <= '0;
      index_q  <= '0;
      kept_q   <= 1'b0;
      due_q    <= 1'b0;
      waited_q <= 1'b0;
      held_q   <= 1'b0;
    end else begin
      waited_q <= s_axis_tvalid && !s_axis_tready && kept_q;
      held_q   <= due_q && !m_axis_tready;
      kept_q   <= !abort_i && taken && !final_i;
      due_q    <= !abort_i && ((taken && final_i) || (due_q && !m_axis_tready));
      if (abort_i) index_q <= '0;
      else if (taken) index_q <= s_axis_tlast ? '0 : index_q + 1'b1;
      if (taken && !final_i && !abort_i) known_q[index_q] <= known;
    end
  end
  always_ff @(posedge clk_i) begin
    if (taken) begin
      {due_sum_q, due_known_q, due_last_q, bank_q, kept_index_q} <= {sum, known, s_axis_tlast, bank_i, index_q};
      if (!final_i && !abort_i) entry_q[index_q] <= sum;
    end
  end

  // a tile has as many vectors as there are entries, or fewer; the bias of a bank that is at work stands still
  logic [2*Cols*32-1:0] bias_before_q;
  always_ff @(posedge clk_i) bias_before_q <= bias_i;
  always_comb begin
    if (rst_ni) begin
      if (s_axis_tvalid && index_q == IndexWidth'(Depth - 1)) assume (s_axis_tlast);
      if (due_q || kept_q) begin
        if (bank_q) assume (bias_i[Cols*32+:Cols*32] == bias_before_q[Cols*32+:Cols*32]);
        else assume (bias_i[0+:Cols*32] == bias_before_q[0+:Cols*32]);
      end
    end
  end

  always_comb begin
    if (rst_ni) begin
      assert (m_axis_tvalid == due_q);
      assert (s_axis_tready == ((!due_q || m_axis_tready) && !(kept_q && kept_index_q == index_q)));
      if (due_q) begin
        assert (m_axis_tlast == due_last_q && bank == bank_q);
        if (due_known_q) assert (m_axis_tdata == due_sum_q);
      end
      // what the memory holds, or is about to
      assert (!(kept_q && due_q) && u_dut.valid_q == (kept_q || due_q) && u_dut.write == kept_q);
      assert (u_dut.address == index_q && 32'(index_q) < Depth);
      if (kept_q) assert (u_dut.address_q == kept_index_q && 32'(kept_index_q) < Depth);
      if (kept_q && known_q[kept_index_q]) assert (u_dut.sum == entry_q[kept_index_q]);
    end
  end
  for (genvar v = 0; v < Depth; v++) begin : gen_entry
    always_comb begin
      if (rst_ni && known_q[v] && !(kept_q && kept_index_q == IndexWidth'(v))) begin
        assert (u_dut.memory[v] == entry_q[v]);
      end
    end
  end
  assign reached_o[0] = rst_ni && due_q && due_known_q && due_last_q && index_q == '0 && known_q == '1;
  assign reached_o[1] = rst_ni && waited_q && taken;
  assign reached_o[2] = rst_ni && held_q && due_q && taken;
  assign reached_o[3] = rst_ni && abort_i && kept_q && index_q == IndexWidth'(Depth - 1);
  assign reached_o[4] = rst_ni && due_q && due_known_q && bank_q && m_axis_tdata[31:0] == 32'h8000_0000;
  assign reached_o[5] = rst_ni && taken && !first_i && final_i && s_axis_tlast && index_q != '0 && known_q == '1;
endmodule
