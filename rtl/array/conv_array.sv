// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Conventional systolic array behind the same three streams as enc_array.
///
/// Results come Rows + Cols cycles after their activations, one more with FORM_CARRY_SAVE.
module conv_array #(
    parameter int Rows = 16,
    parameter int Cols = 16,
    parameter int Form = encmac_pkg::FORM_WRITTEN
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
  localparam int Width = encmac_pkg::sum_width(Rows, -16256, 16384);
  localparam int Latency = Rows + Cols + (Form == encmac_pkg::FORM_CARRY_SAVE ? 1 : 0);
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

  logic [8*Rows-1:0] a_skewed;
  delay_triangle #(
      .Lanes(Rows),
      .Width(8)
  ) u_skew (
      .clk_i,
      .advance_i(advance),
      .data_i   (s_axis_a_tdata),
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
    conv_column #(
        .Rows(Rows),
        .Form(Form)
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
