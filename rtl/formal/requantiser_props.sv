// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// requantiser computes models/quant/arith.py: for all sums, multipliers and shifts of few bits, in either bank,
/// with any stalls, or at full width for sums and multipliers at their ends, all shifts, clamps and zero points;
/// proven by k-induction (flows/formal). The formula is told another way than in the module:
///
///     y = clamp(floor((2 * sum * multiplier + 2^shift) / 2^(shift + 1)) + zero point, least, largest)
module requantiser_props #(
    parameter int SumBits = 4,
    parameter int FactorBits = 2,
    parameter int ShiftBits = 2,
    /// 1: SumBits, FactorBits and ShiftBits are those of the module; sums and multipliers are of `Sums` and `Factors`,
    /// chosen by the lowest bits of their inputs.
    parameter bit Corners = 1'b0
) (
    input logic                         clk_i,
    input logic                         rst_ni,
    input logic                         raw_i,
    input logic signed [           7:0] min_i,
    input logic signed [           7:0] max_i,
    input logic signed [           7:0] zero_point_i,
    input logic        [2*FactorBits-1:0] factors_i,
    input logic        [2*ShiftBits-1:0] shifts_i,  // less 1
    input logic                         bank_i,
    input logic signed [   SumBits-1:0] sum_i,
    input logic                         s_axis_tvalid,
    input logic                         s_axis_tlast,
    input logic                         m_axis_tready,
    /// Situations that must be reachable, or the proof would be void.
    output logic                  [4:0] reached_o
);
  localparam int Wide = SumBits + FactorBits + 12;
  localparam logic [8*32-1:0] Sums = {
    32'h8000_0000, 32'h8000_0001, 32'hffff_fffd, 32'hffff_ffff, 32'd0, 32'd1, 32'h7fff_fffe, 32'h7fff_ffff
  };
  localparam logic [4*32-1:0] Factors = {32'h7fff_ffff, 32'h4000_0000, 32'd1, 32'd0};
  logic signed [SumBits-1:0] sum;
  logic [1:0][FactorBits-1:0] factor;
  logic [1:0][ShiftBits:0] shift_of;
  assign sum = Corners ? SumBits'(Sums[sum_i[2:0]*32+:32]) : sum_i;
  for (genvar b = 0; b < 2; b++) begin : gen_bank
    logic [FactorBits-1:0] own;
    assign own = factors_i[b*FactorBits+:FactorBits];
    assign factor[b] = Corners ? FactorBits'(Factors[own[1:0]*32+:32]) : own;
    assign shift_of[b] = (ShiftBits + 1)'(shifts_i[b*ShiftBits+:ShiftBits]) + 1'b1;
    always_comb assume (32'(shift_of[b]) <= 62);
  end
  logic s_axis_tready, m_axis_tvalid, m_axis_tlast;
  logic [31:0] m_axis_tdata;
  requantiser #(
      .Cols(1)
  ) u_dut (
      .clk_i,
      .rst_ni,
      .abort_i      (1'b0),
      .raw_i,
      .min_i        (min_i),
      .max_i        (max_i),
      .zero_point_i (zero_point_i),
      .multiplier_i ({32'(factor[1]), 32'(factor[0])}),
      .shift_i      ({6'(shift_of[1]), 6'(shift_of[0])}),
      .bank_i,
      .s_axis_tdata (32'(sum)),
      .s_axis_tvalid,
      .s_axis_tready,
      .s_axis_tlast,
      .m_axis_tdata,
      .m_axis_tvalid,
      .m_axis_tready,
      .m_axis_tlast
  );

  logic started_q;
  initial started_q = 1'b0;
  always_ff @(posedge clk_i) started_q <= 1'b1;
  always_comb assume (started_q == rst_ni);

  // what the contract wants still while vectors are inside stands still for ever
  logic [2*FactorBits+2*ShiftBits+24:0] still, still_q;
  assign still = {factors_i, shifts_i, min_i, max_i, zero_point_i, raw_i};
  always_ff @(posedge clk_i) still_q <= still;
  always_comb begin
    if (rst_ni) assume (still == still_q);
    assume (min_i <= max_i);
  end

  logic signed [Wide-1:0] product, rounded, scaled;
  logic [ShiftBits:0] shift;
  logic [31:0] result;
  always_comb begin
    shift   = shift_of[bank_i];
    product = Wide'(sum) * $signed(Wide'(factor[bank_i]));
    rounded = (product <<< 1) + $signed(Wide'(1) << shift);
    scaled  = (rounded >>> (32'(shift) + 1)) + Wide'(zero_point_i);
    if (raw_i) result = 32'(sum);
    else if (scaled < Wide'(min_i)) result = {24'd0, min_i};
    else if (scaled > Wide'(max_i)) result = {24'd0, max_i};
    else result = {24'd0, scaled[7:0]};
  end

  // results that are due, as many stages long as the contract says
  logic [2:0] valid_q, last_q;
  logic [31:0] first_q, second_q, third_q;
  logic advance, stalled_q;
  assign advance = !m_axis_tvalid || m_axis_tready;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_q <= '0;
      last_q  <= '0;
    end else if (advance) begin
      valid_q <= {valid_q[1:0], s_axis_tvalid};
      last_q  <= {last_q[1:0], s_axis_tlast};
    end
    if (advance) {third_q, second_q, first_q} <= {second_q, first_q, result};
    stalled_q <= rst_ni && !advance;
  end

  always_comb begin
    if (rst_ni) begin
      assert (s_axis_tready == advance);
      assert (m_axis_tvalid == valid_q[2]);
      if (m_axis_tvalid) assert (m_axis_tdata == third_q && m_axis_tlast == last_q[2]);
    end
  end
  assign reached_o[0] = rst_ni && m_axis_tvalid && !raw_i && third_q[7:0] == 8'(min_i);
  assign reached_o[1] = rst_ni && m_axis_tvalid && !raw_i && third_q[7:0] == 8'(max_i) && max_i > min_i;
  assign reached_o[2] = rst_ni && m_axis_tvalid && stalled_q && valid_q == '1;
  assign reached_o[3] = rst_ni && m_axis_tvalid && raw_i && m_axis_tlast;
  assign reached_o[4] = rst_ni && m_axis_tvalid && valid_q == 3'b101;
endmodule
