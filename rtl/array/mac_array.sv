// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

`include "encmac_checks.svh"

/// Weight-stationary array of Rows x Cols behind three streams (see stream_control for the protocol):
/// encoded or conventional columns, `ColsPerStage` of them for every activation register.
///
/// s_axis_w: one row of weights a beat, column c at [c*8 +: 8], row 0 first.
/// s_axis_a: one activation vector a beat, row r at [r*8 +: 8].
/// m_axis_y: one result vector a beat, column c sign-extended at [c*32 +: 32], `Latency` cycles after
///           its activations: groups (conventional: rows) + stages, and one each for SumRegister,
///           FORM_CARRY_SAVE, FORM_OPT1 and the extra column of an encoding with f(a).
/// Conventional columns multiply the upper ABits of activations and WBits of weights, and ignore the others.
/// Rows that a tile does not use must carry a = w = 0; each adds the encoding's array_table at (0, 0),
/// which is 0 for all encodings but arrays of XNOR.
/// Latency: groups (conventional: rows) + stages cycles, and those extra ones.
module mac_array #(
    /// encmac_pkg::KIND_ENC or KIND_CONV.
    parameter int Kind = encmac_pkg::KIND_ENC,
    parameter int Rows = 16,
    parameter int Cols = 16,
    parameter int ColsPerStage = 1,
    /// Encoded columns: rows between two pipeline registers, style of accumulation, register before
    /// the final addition (see enc_column).
    parameter int RowsPerGroup = Rows,
    parameter bit Merged = 1'b0,
    parameter bit SumRegister = 1'b1,
    /// 1: position weights in registers, the encoding's after reset (see position_weights); needs Merged = 0.
    parameter bit Programmable = 1'b0,
    /// Conventional columns: encmac_pkg::FORM_*.
    parameter int Form = encmac_pkg::FORM_WRITTEN,
    /// 1: a second set of weight registers; a tile's weights load while the tile before computes.
    parameter bit Shadow = 1'b0,
    /// 1: weight registers have gated clocks.
    parameter bit GateWeights = 1'b0,
    /// 1: activation registers stand still while activations are 0 (see array_stage).
    parameter bit GateZeros = 1'b0,
    /// Encoded columns: ENCODING of the encoding's package (see encmac_pkg).
    parameter Encoding = encmac_pkg::ENC_NONE,
    /// Conventional columns: bits of an activation and a weight that are multiplied.
    parameter int ABits = Kind == encmac_pkg::KIND_CONV ? 8 : Encoding[encmac_pkg::ENC_A_BITS+:32],
    parameter int WBits = Kind == encmac_pkg::KIND_CONV ? 8 : Encoding[encmac_pkg::ENC_W_BITS+:32]
) (
    input  logic                clk_i,
    input  logic                rst_ni,
    input  logic                position_write_i,  // Programmable; set before a tile, hold while it computes
    input  logic [        15:0] position_index_i,
    input  logic [        31:0] position_weight_i,
    input  logic                position_clear_i,  // clear the error
    output logic                position_error_o,  // a write was out of range
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
  localparam bit Conv = Kind == encmac_pkg::KIND_CONV;
  localparam int M = Encoding[encmac_pkg::ENC_M+:32];
  localparam int ANumGates = Encoding[encmac_pkg::ENC_A_NUM_GATES+:32];
  localparam int AGatesAt = Encoding[encmac_pkg::ENC_A_GATES_AT+:32];
  localparam int AWiresAt = Encoding[encmac_pkg::ENC_A_WIRES_AT+:32];
  localparam int NumDigits = Encoding[encmac_pkg::ENC_NUM_DIGITS+:32];
  localparam int DigitsAt = Encoding[encmac_pkg::ENC_DIGITS_AT+:32];
  localparam int ExtraAt = Encoding[encmac_pkg::ENC_EXTRA_AT+:32];
  localparam int ExtraLength = Encoding[encmac_pkg::ENC_EXTRA_LENGTH+:32];
  localparam bit Shared = !Conv && ExtraAt > 0;
  localparam int MinSum = Encoding[encmac_pkg::ENC_MIN_SUM+:32];
  localparam int MaxSum = Encoding[encmac_pkg::ENC_MAX_SUM+:32];
  localparam int FMinSum = Shared ? Encoding[ExtraAt+encmac_pkg::ENC_MIN_SUM+:32] : 0;
  localparam int FMaxSum = Shared ? Encoding[ExtraAt+encmac_pkg::ENC_MAX_SUM+:32] : 0;

  // sizes that cannot be: something that elaborates, so that the checks below have their say
  localparam int SomeRows = Rows > 0 ? Rows : 1;
  localparam int SomeCols = Cols > 0 ? Cols : 1;
  localparam int PerStage = ColsPerStage > 0 && SomeCols % ColsPerStage == 0 ? ColsPerStage : SomeCols;
  localparam int Group = Conv ? 1 : RowsPerGroup > 0 && SomeRows % RowsPerGroup == 0 ? RowsPerGroup : SomeRows;
  localparam int Groups = SomeRows / Group;
  localparam int Stages = SomeCols / PerStage;
  localparam bit ExtraCycle = Conv ? encmac_pkg::two_rows(Form) : SumRegister;
  localparam int Latency = Groups + Stages + 32'(ExtraCycle) + 32'(Shared);
  /// Bits of a column's result, f(a) included.
  localparam int RowMin = encmac_pkg::row_min(Kind, Programmable, M, MinSum, ABits, WBits) + FMinSum;
  localparam int RowMax = encmac_pkg::row_max(Kind, Programmable, M, MaxSum) + FMaxSum;
  localparam int Width = encmac_pkg::sum_width(SomeRows, RowMin, RowMax);

  `ENCMAC_REQUIRE(gen_check_stages, Cols > 0 && ColsPerStage > 0 && Cols % ColsPerStage == 0,
                  "mac_array: Cols must be a positive multiple of ColsPerStage")
  `ENCMAC_REQUIRE(gen_check_groups, Rows > 0 && RowsPerGroup > 0 && Rows % RowsPerGroup == 0,
                  "mac_array: Rows must be a positive multiple of RowsPerGroup")
  `ENCMAC_REQUIRE(gen_check_operand, Conv || ABits > 0, "mac_array: no product bit depends on the activation")
  `ENCMAC_REQUIRE(gen_check_form, !Conv || !encmac_pkg::pairs(Form),
                  "mac_array: FORM_FIP* are columns only: nothing here takes their surplus off")
  `ENCMAC_REQUIRE(gen_check_width, Width <= 32, "mac_array: a sum takes more than 32 bits")

  logic advance, w_shift, w_swap;
  stream_control #(
      .Rows      (SomeRows),
      .Latency   (Latency),
      .Shadow    (Shadow),
      .SwapCycles(Groups + Stages - 2 + 32'(Shared))
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
      .w_shift_o(w_shift),
      .w_swap_o (w_swap)
  );

  localparam logic [NumDigits*32-1:0] Digits = Encoding[DigitsAt+:32*NumDigits];

  /// Position weights of the encoding, s[m] at [m*16 +: 16].
  function automatic logic [M*16-1:0] of_encoding();
    logic [15:0] power;
    of_encoding = '0;
    for (int d = 0; d < NumDigits; d++) begin
      power = 16'd1 << Digits[d*32+:15];
      if (Digits[d*32+15]) power = -power;
      of_encoding[Digits[d*32+16+:16]*16+:16] = of_encoding[Digits[d*32+16+:16]*16+:16] + power;
    end
  endfunction

  logic [M*16-1:0] position;
  if (Programmable) begin : gen_position
    position_weights #(
        .M      (M),
        .Default(of_encoding())
    ) u_position (
        .clk_i,
        .rst_ni,
        .write_i  (position_write_i),
        .index_i  (position_index_i),
        .weight_i (position_weight_i),
        .clear_i  (position_clear_i),
        .error_o  (position_error_o),
        .weights_o(position)
    );
  end else begin : gen_no_position
    assign position = '0;
    assign position_error_o = 1'b0;
    logic unused_position;
    assign unused_position = ^{position_write_i, position_index_i, position_weight_i, position_clear_i};
  end

  // Bit-slice the activations of each group, delay group g by g cycles.
  logic [8*SomeRows-1:0] a_sliced, a_skewed;
  logic [Groups-1:0] swap_skewed;
  for (genvar r = 0; r < Rows; r++) begin : gen_row
    for (genvar i = 0; i < 8; i++) begin : gen_bit
      localparam int To = (r / Group * 8 + i) * Group + r % Group;
      assign a_sliced[To] = s_axis_a_tdata[r*8+i];
    end
  end
  delay_triangle #(
      .Lanes(Groups),
      .Width(8 * Group)
  ) u_skew (
      .clk_i,
      .advance_i(advance),
      .data_i   (a_sliced),
      .data_o   (a_skewed)
  );
  if (Shadow) begin : gen_swap
    delay_triangle #(
        .Lanes(Groups),
        .Width(1)
    ) u_skew (
        .clk_i,
        .advance_i(advance),
        .data_i   ({Groups{w_swap}}),
        .data_o   (swap_skewed)
    );
  end else begin : gen_no_swap
    assign swap_skewed = '0;
    logic unused_swap;
    assign unused_swap = w_swap;
  end

  // One extra column in front sums f(a), whose position weights are no powers of two: counted bits are smaller.
  // It hands the activations on to the first stage.
  logic [8*SomeRows-1:0] a_plain;
  logic [Groups-1:0] swap_plain;
  logic signed [Width-1:0] f;
  if (Shared) begin : gen_extra
    localparam int FM = Encoding[ExtraAt+encmac_pkg::ENC_M+:32];
    localparam int FWidth = encmac_pkg::sum_width(SomeRows, FMinSum, FMaxSum);
    logic signed [FWidth-1:0] sum;
    logic [FWidth-1:0] unused_f;
    logic [SomeRows-1:0] unused_zero;
    assign f = Width'(sum);
    array_stage #(
        .Rows        (SomeRows),
        .RowsPerGroup(Group),
        .Merged      (1'b0),
        .SumRegister (SumRegister),
        .Shadow      (Shadow),
        .Encoding    (Encoding[ExtraAt+:ExtraLength])
    ) u_extra (
        .clk_i,
        .advance_i(advance),
        .w_shift_i(1'b0),
        .w_swap_i (swap_skewed),
        .w_swap_o (swap_plain),
        .w_i      (8'd0),
        .a_i      (a_skewed),
        .a_o      (a_plain),
        .zero_i   ({SomeRows{1'b0}}),
        .zero_o   (unused_zero),
        .s_i      ({FM{16'd0}}),
        .f_i      ({FWidth{1'b0}}),
        .f_o      (unused_f),
        .y_o      (sum)
    );
  end else begin : gen_no_extra
    assign a_plain = a_skewed;
    assign swap_plain = swap_skewed;
    assign f = '0;
  end

  // What a row holds of its activation.
  logic [ABits*SomeRows-1:0] a_encoded;
  if (Conv) begin : gen_plain
    for (genvar r = 0; r < Rows; r++) begin : gen_upper
      assign a_encoded[r*ABits+:ABits] = a_plain[(r+1)*8-ABits+:ABits];
    end
    logic unused_lower;
    assign unused_lower = ^a_plain;
  end else begin : gen_encode
    for (genvar g = 0; g < Groups; g++) begin : gen_group
      enc_mult #(
          .Lanes   (Group),
          .Inputs  (8),
          .NumGates(ANumGates),
          .Gates   (Encoding[AGatesAt+:32*encmac_pkg::entries(ANumGates)]),
          .M       (ABits),
          .Bits    (Encoding[AWiresAt+:16*ABits])
      ) u_encoder (
          .in_i(a_plain[g*8*Group+:8*Group]),
          .b_o (a_encoded[g*ABits*Group+:ABits*Group])
      );
    end
  end

  // Which of the activations are 0.
  logic [SomeRows-1:0] zero;
  for (genvar r = 0; r < Rows; r++) begin : gen_zero
    logic [ABits-1:0] bits;
    for (genvar i = 0; i < ABits; i++) begin : gen_bit
      assign bits[i] = a_encoded[(r/Group*ABits+i)*Group+r%Group];
    end
    assign zero[r] = GateZeros && bits == '0;
  end

  logic [SomeCols*Width-1:0] y;
  for (genvar s = 0; s < Stages; s++) begin : gen_stage
    logic [ABits*SomeRows-1:0] a_in, a_out;
    logic [SomeRows-1:0] zero_in, zero_out;
    logic [Groups-1:0] swap_in, swap_out;
    logic [Width-1:0] f_in, f_out;
    if (s == 0) begin : gen_first
      assign a_in = a_encoded;
      assign zero_in = zero;
      assign swap_in = swap_plain;
      assign f_in = f;
    end else begin : gen_next
      assign a_in = gen_stage[s-1].a_out;
      assign zero_in = gen_stage[s-1].zero_out;
      assign swap_in = gen_stage[s-1].swap_out;
      assign f_in = gen_stage[s-1].f_out;
    end
    array_stage #(
        .Kind        (Kind),
        .Rows        (SomeRows),
        .Cols        (PerStage),
        .RowsPerGroup(Group),
        .Merged      (Merged),
        .SumRegister (SumRegister),
        .Programmable(Programmable),
        .Form        (Form),
        .Shadow      (Shadow),
        .GateWeights (GateWeights),
        .GateZeros   (GateZeros),
        .AddShared   (Shared),
        .Encoding    (Encoding),
        .ABits       (ABits),
        .WBits       (WBits),
        .Width       (Width)
    ) u_stage (
        .clk_i,
        .advance_i(advance),
        .w_shift_i(w_shift),
        .w_swap_i (swap_in),
        .w_swap_o (swap_out),
        .w_i      (s_axis_w_tdata[s*PerStage*8+:PerStage*8]),
        .a_i      (a_in),
        .a_o      (a_out),
        .zero_i   (zero_in),
        .zero_o   (zero_out),
        .s_i      (position),
        .f_i      (f_in),
        .f_o      (f_out),
        .y_o      (y[s*PerStage*Width+:PerStage*Width])
    );
  end
  logic unused_out;
  assign unused_out = ^{gen_stage[Stages-1].a_out, gen_stage[Stages-1].zero_out, gen_stage[Stages-1].swap_out,
                        gen_stage[Stages-1].f_out};

  logic [Cols*Width-1:0] straight;
  delay_triangle #(
      .Lanes  (Stages),
      .Width  (PerStage * Width),
      .Falling(1'b1)
  ) u_straighten (
      .clk_i,
      .advance_i(advance),
      .data_i   (y),
      .data_o   (straight)
  );
  for (genvar c = 0; c < Cols; c++) begin : gen_result
    assign m_axis_y_tdata[c*32+:32] = 32'($signed(straight[c*Width+:Width]));
  end
endmodule
