// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Encoded array: `Cols` encoded columns behind three streams (see stream_control for the protocol).
///
/// s_axis_w: one row of weights a beat, column c at [c*8 +: 8], row 0 first.
/// s_axis_a: one activation vector a beat, row r at [r*8 +: 8].
/// m_axis_y: one result vector a beat, column c sign-extended at [c*32 +: 32];
///           Groups + Cols + SumRegister cycles after its activations.
/// Rows that a tile does not use must carry a = w = 0 and add P(0, 0) each.
module enc_array #(
    parameter int Rows = 16,
    parameter int Cols = 16,
    parameter int RowsPerGroup = Rows,
    parameter bit Merged = 1'b0,
    parameter bit SumRegister = 1'b1,
    parameter int NumGates = 1,
    parameter logic [(NumGates > 0 ? NumGates : 1)*32-1:0] Gates = '0,
    parameter int M = 1,
    parameter logic [M*16-1:0] Bits = '0,
    parameter int NumDigits = 1,
    parameter logic [NumDigits*32-1:0] Digits = '0,
    parameter logic [7:0] AReads = '1,
    parameter logic [7:0] WReads = '1,
    parameter int MinSum = 0,
    parameter int MaxSum = 0
) (
    input  logic                clk_i,
    input  logic                rst_ni,
    input  logic [  Cols*8-1:0] s_axis_w_tdata,
    input  logic                s_axis_w_tvalid,
    output logic                s_axis_w_tready,
    input  logic                s_axis_w_tlast,
    input  logic [  Rows*8-1:0] s_axis_a_tdata,
    input  logic                s_axis_a_tvalid,
    output logic                s_axis_a_tready,
    input  logic                s_axis_a_tlast,
    output logic [ Cols*32-1:0] m_axis_y_tdata,
    output logic                m_axis_y_tvalid,
    input  logic                m_axis_y_tready,
    output logic                m_axis_y_tlast
);
  localparam int Groups = Rows / RowsPerGroup;
  localparam int Width = encmac_pkg::sum_width(Rows, MinSum, MaxSum);
  localparam int Latency = Groups + Cols + 32'(SumRegister);
  logic advance, w_shift;

  stream_control #(
      .Rows   (Rows),
      .Latency(Latency)
  ) u_control (
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
      .w_shift_o(w_shift)
  );

  // Bit-slice the activations of each group, then delay group g by g cycles.
  logic [8*Rows-1:0] a_sliced, a_skewed;
  for (genvar r = 0; r < Rows; r++) begin : gen_row
    for (genvar i = 0; i < 8; i++) begin : gen_bit
      localparam int To = (r / RowsPerGroup * 8 + i) * RowsPerGroup + r % RowsPerGroup;
      assign a_sliced[To] = s_axis_a_tdata[r*8+i];
    end
  end
  delay_triangle #(
      .Lanes(Groups),
      .Width(8 * RowsPerGroup)
  ) u_skew (
      .clk_i,
      .advance_i(advance),
      .data_i   (a_sliced),
      .data_o   (a_skewed)
  );

  logic [Cols*Width-1:0] y, y_straight;
  for (genvar c = 0; c < Cols; c++) begin : gen_column
    logic [8*Rows-1:0] a_in, a_out;
    if (c == 0) begin : gen_first
      assign a_in = a_skewed;
    end else begin : gen_next
      assign a_in = gen_column[c-1].a_out;
    end
    enc_column #(
        .Rows        (Rows),
        .RowsPerGroup(RowsPerGroup),
        .Merged      (Merged),
        .SumRegister (SumRegister),
        .NumGates    (NumGates),
        .Gates       (Gates),
        .M           (M),
        .Bits        (Bits),
        .NumDigits   (NumDigits),
        .Digits      (Digits),
        .AReads      (AReads),
        .WReads      (WReads),
        .MinSum      (MinSum),
        .MaxSum      (MaxSum)
    ) u_column (
        .clk_i,
        .advance_i(advance),
        .w_shift_i(w_shift),
        .w_i      (s_axis_w_tdata[c*8+:8]),
        .a_i      (a_in),
        .a_o      (a_out),
        .y_o      (y[c*Width+:Width])
    );
  end
  logic unused_a;
  assign unused_a = ^gen_column[Cols-1].a_out;

  delay_triangle #(
      .Lanes  (Cols),
      .Width  (Width),
      .Falling(1'b1)
  ) u_straighten (
      .clk_i,
      .advance_i(advance),
      .data_i   (y),
      .data_o   (y_straight)
  );
  for (genvar c = 0; c < Cols; c++) begin : gen_result
    assign m_axis_y_tdata[c*32+:32] = 32'($signed(y_straight[c*Width+:Width]));
  end
endmodule
