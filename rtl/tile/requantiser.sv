// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// int32 sums to int8, one vector a cycle, three cycles later:
///
///   y = clamp(((sum * multiplier + (1 << (shift - 1))) >> shift) + zero_point, min, max)
///
/// in 64-bit two's complement with an arithmetic shift: one rounding, to nearest, ties towards plus
/// infinity (the single rounding of TensorFlow Lite, models/quant/arith.py). Each column has its own
/// multiplier (0 .. 2**31 - 1) and shift (1 .. 62); other values are outside the contract.
/// With `raw_i` the sums pass unchanged, as late.
/// Latency: 3 cycles.
module requantiser #(
    parameter int Cols = 16
) (
    input  logic                 clk_i,
    input  logic                 rst_ni,
    input  logic                 abort_i,        // forget the vectors inside
    // stable while a vector is inside; multipliers and shifts: those of its bank
    input  logic                 raw_i,
    input  logic [          7:0] min_i,          // signed
    input  logic [          7:0] max_i,          // signed
    input  logic [          7:0] zero_point_i,   // signed
    input  logic [2*Cols*32-1:0] multiplier_i,   // two banks
    input  logic [ 2*Cols*6-1:0] shift_i,
    input  logic                 bank_i,         // bank of the vector at s_axis
    input  logic [  Cols*32-1:0] s_axis_tdata,
    input  logic                 s_axis_tvalid,
    output logic                 s_axis_tready,
    input  logic                 s_axis_tlast,
    output logic [  Cols*32-1:0] m_axis_tdata,   // raw: column c at [c*32 +: 32]; int8: at [c*8 +: 8], 0 above
    output logic                 m_axis_tvalid,
    input  logic                 m_axis_tready,
    output logic                 m_axis_tlast
);
  localparam int Stages = 3;
  logic [Stages-1:0] valid_q, last_q;
  logic advance, bank_product_q, bank_rounded_q;

  assign m_axis_tvalid = valid_q[Stages-1];
  assign m_axis_tlast  = last_q[Stages-1];
  assign advance       = !m_axis_tvalid || m_axis_tready;
  assign s_axis_tready = advance;

  always_ff @(posedge clk_i or negedge rst_ni) begin
    if (!rst_ni) begin
      valid_q <= '0;
      last_q  <= '0;
    end else if (abort_i) begin
      valid_q <= '0;
      last_q  <= '0;
    end else if (advance) begin
      valid_q <= {valid_q[Stages-2:0], s_axis_tvalid};
      last_q  <= {last_q[Stages-2:0], s_axis_tlast};
    end
  end

  always_ff @(posedge clk_i) begin
    if (advance) {bank_rounded_q, bank_product_q} <= {bank_product_q, bank_i};
  end

  logic [Cols*32-1:0] wide;
  logic [ Cols*8-1:0] narrow;
  for (genvar c = 0; c < Cols; c++) begin : gen_column
    logic signed [31:0] sum, multiplier;
    logic signed [63:0] product, product_q, half, rounded_q, scaled;
    logic [5:0] shift_product, shift_rounded;
    logic [31:0] unscaled, result, result_q;
    logic [7:0] unclamped;

    assign sum           = $signed(s_axis_tdata[c*32+:32]);
    assign multiplier    = $signed(bank_i ? multiplier_i[(Cols+c)*32+:32] : multiplier_i[c*32+:32]);
    assign product       = sum * multiplier;
    assign shift_product = bank_product_q ? shift_i[(Cols+c)*6+:6] : shift_i[c*6+:6];
    assign shift_rounded = bank_rounded_q ? shift_i[(Cols+c)*6+:6] : shift_i[c*6+:6];
    assign half          = $signed((64'd1 << shift_product) >> 1);
    assign scaled        = (rounded_q >>> shift_rounded) + 64'($signed(zero_point_i));
    assign unscaled      = rounded_q[31:0];
    assign unclamped     = scaled[7:0];

    always_comb begin
      if (raw_i) result = unscaled;
      else if (scaled < 64'($signed(min_i))) result = 32'(min_i);
      else if (scaled > 64'($signed(max_i))) result = 32'(max_i);
      else result = 32'(unclamped);
    end

    always_ff @(posedge clk_i) begin
      if (advance) begin
        product_q <= raw_i ? 64'(sum) : product;
        rounded_q <= product_q + (raw_i ? 64'sd0 : half);
        result_q  <= result;
      end
    end
    assign wide[c*32+:32] = result_q;
    assign narrow[c*8+:8] = result_q[7:0];
  end
  assign m_axis_tdata = raw_i ? wide : (Cols * 32)'(narrow);
endmodule
