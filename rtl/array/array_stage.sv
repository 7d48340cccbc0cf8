// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

`include "encmac_checks.svh"

/// `Cols` columns that share one register per activation bit: the piece an array repeats.
///
/// Activations come skewed by group and leave one cycle later for the next stage. Bit i of row r of
/// group g lies at [(g*ABits + i)*Group + r], a group being RowsPerGroup rows of an encoded column, one
/// of a conventional one. Sums of all columns leave together, after the latency of the column.
/// Weights come plain; each column encodes its own, a conventional one takes the upper WBits. With AddShared
/// every sum has f added (FORM_FIP*: taken off), which goes on to the next stage as activations do.
/// With GateZeros a row's activation register holds what it has while the bits that come are all 0, which `zero_i`
/// says; this flag goes on beside the activation, whose product is isolated.
/// Latency: 1 cycle to the next stage; 1 more than the column to the sums.
module array_stage #(
    /// encmac_pkg::KIND_ENC or KIND_CONV.
    parameter int Kind = encmac_pkg::KIND_ENC,
    parameter int Rows = 16,
    parameter int Cols = 1,
    /// Encoded columns: see enc_column.
    parameter int RowsPerGroup = Rows,
    parameter bit Merged = 1'b0,
    parameter bit SumRegister = 1'b1,
    parameter bit Programmable = 1'b0,
    /// Conventional columns: encmac_pkg::FORM_*.
    parameter int Form = encmac_pkg::FORM_WRITTEN,
    parameter bit Shadow = 1'b0,
    /// 1: weights that shift have a gated clock, a gate for about GATE_FANOUT flip-flops.
    parameter bit GateWeights = 1'b0,
    /// 1: columns add `f_i`, the sum of f(a) of the extra column, or take off that of FORM_FIP*.
    parameter bit AddShared = 1'b0,
    /// 1: activation registers stand still while activations are 0 (zero gating, operand isolation).
    parameter bit GateZeros = 1'b0,
    /// Encoded columns: the encoding, laid out as encmac_pkg says, and what ports need of it.
    /// Conventional columns: bits of an activation and a weight that are multiplied.
    parameter Encoding = encmac_pkg::ENC_NONE,
    parameter int ABits = Kind == encmac_pkg::KIND_CONV ? 8 : Encoding[encmac_pkg::ENC_A_BITS+:32],
    parameter int WBits = Kind == encmac_pkg::KIND_CONV ? 8 : Encoding[encmac_pkg::ENC_W_BITS+:32],
    parameter int M = Encoding[encmac_pkg::ENC_M+:32],
    parameter int Groups = Kind == encmac_pkg::KIND_CONV ? Rows : Rows / RowsPerGroup,
    parameter int Width = encmac_pkg::sum_width(
        Rows,
        encmac_pkg::row_min(Kind, Programmable, M, Encoding[encmac_pkg::ENC_MIN_SUM+:32], ABits, WBits),
        encmac_pkg::row_max(Kind, Programmable, M, Encoding[encmac_pkg::ENC_MAX_SUM+:32]))
) (
    input  logic                  clk_i,
    input  logic                  advance_i,  // the pipeline moves on
    input  logic                  w_shift_i,  // weights move up by one row
    input  logic [    Groups-1:0] w_swap_i,   // Shadow: comes with the first activation of a tile
    output logic [    Groups-1:0] w_swap_o,   // the same, for the next stage
    input  logic [    8*Cols-1:0] w_i,        // weights that enter the last row
    input  logic [ABits*Rows-1:0] a_i,
    output logic [ABits*Rows-1:0] a_o,
    input  logic [      Rows-1:0] zero_i,     // GateZeros: activations that are 0
    output logic [      Rows-1:0] zero_o,     // the same, for the next stage
    input  logic [      M*16-1:0] s_i,        // Programmable: position weights
    input  logic [     Width-1:0] f_i,        // AddShared: sum of f(a) of the activations that are finally added
    output logic [     Width-1:0] f_o,        // the same, for the next stage
    output logic [Width*Cols-1:0] y_o
);
  localparam int WPorts = WBits > 0 ? WBits : 1;
  localparam int WNumGates = Encoding[encmac_pkg::ENC_W_NUM_GATES+:32];
  localparam int WGatesAt = Encoding[encmac_pkg::ENC_W_GATES_AT+:32];
  localparam int WWiresAt = Encoding[encmac_pkg::ENC_W_WIRES_AT+:32];

  `ENCMAC_REQUIRE(gen_check_kind, Kind == encmac_pkg::KIND_ENC || Kind == encmac_pkg::KIND_CONV,
                  "array_stage: Kind must be one of encmac_pkg::KIND_*")
  `ENCMAC_REQUIRE(gen_check_cols, Cols > 0, "array_stage: Cols must be positive")

  localparam int Group = Kind == encmac_pkg::KIND_CONV ? 1 : RowsPerGroup;
  localparam bit Pairs = Kind == encmac_pkg::KIND_CONV && encmac_pkg::pairs(Form);
  /// Conventional elements isolate their product; a product of an encoding, or of a pair, need not be 0 for an
  /// activation of 0: there the operand is isolated.
  localparam bit IsolateProduct = GateZeros && Kind == encmac_pkg::KIND_CONV && !Pairs;
  logic [ABits*Rows-1:0] a_q, a;
  logic [Rows-1:0] zero_q;
  assign a_o = a_q;
  assign zero_o = zero_q;
  if (GateZeros) begin : gen_zero
    always_ff @(posedge clk_i) begin
      if (advance_i) zero_q <= zero_i;
    end
    for (genvar r = 0; r < Rows; r++) begin : gen_row
      logic a_clk;
      clock_gate u_gate (
          .clk_i,
          .enable_i(advance_i && !zero_i[r]),
          .clk_o   (a_clk)
      );
      for (genvar i = 0; i < ABits; i++) begin : gen_bit
        localparam int At = (r / Group * ABits + i) * Group + r % Group;
        logic q;
        always_ff @(posedge a_clk) q <= a_i[At];
        assign a_q[At] = q;
        assign a[At] = q && !(zero_q[r] && !IsolateProduct);
      end
    end
  end else begin : gen_no_zero
    assign zero_q = '0;
    assign a = a_q;
    always_ff @(posedge clk_i) begin
      if (advance_i) a_q <= a_i;
    end
    logic unused_zero;
    assign unused_zero = ^zero_i;
  end

  // Weights take effect at the edge that brings the first activation of their tile.
  logic [Groups-1:0] swap;
  assign swap = w_swap_i & {Groups{advance_i}};
  if (Shadow) begin : gen_swap
    logic [Groups-1:0] swap_q;
    assign w_swap_o = swap_q;
    always_ff @(posedge clk_i) begin
      if (advance_i) swap_q <= w_swap_i;
    end
  end else begin : gen_no_swap
    assign w_swap_o = '0;
  end

  localparam int Stored = Kind == encmac_pkg::KIND_CONV ? encmac_pkg::stored_bits(Form, WBits) : WBits;
  logic [Rows-1:0] w_clk;
  if (GateWeights && Stored > 0) begin : gen_clock
    // As many rows for each gate as fit, evenly. If one has fewer, it is the first: a row takes its weight
    // from the next one, and must not be clocked later.
    localparam int Fit = encmac_pkg::GATE_FANOUT / (Stored * Cols);
    localparam int NumOfGates = (Rows - 1) / (Fit > 0 ? Fit : 1) + 1;
    localparam int RowsPerGate = (Rows - 1) / NumOfGates + 1;
    for (genvar r = Rows; r > 0; r = r - RowsPerGate) begin : gen_gate
      localparam int Here = r < RowsPerGate ? r : RowsPerGate;
      logic gated;
      clock_gate u_gate (
          .clk_i,
          .enable_i(w_shift_i),
          .clk_o   (gated)
      );
      assign w_clk[r-Here+:Here] = {Here{gated}};
    end
  end else begin : gen_no_clock
    assign w_clk = '0;
  end

  if (AddShared) begin : gen_f
    logic [Width-1:0] f_q;
    assign f_o = f_q;
    always_ff @(posedge clk_i) begin
      if (advance_i) f_q <= f_i;
    end
  end else begin : gen_no_f
    assign f_o = '0;
  end

  if (Kind == encmac_pkg::KIND_CONV) begin : gen_no_position
    logic unused_s;
    assign unused_s = ^s_i;
  end

  for (genvar c = 0; c < Cols; c++) begin : gen_column
    if (Kind == encmac_pkg::KIND_CONV) begin : gen_conv
      conv_column #(
          .Rows       (Rows),
          .Form       (Form),
          .ABits      (ABits),
          .WBits      (WBits),
          .Shadow     (Shadow),
          .GateWeights(GateWeights),
          .GateZeros  (IsolateProduct),
          .Width      (Width)
      ) u_column (
          .clk_i,
          .advance_i,
          .w_clk_i (w_clk),
          .w_shift_i,
          .w_swap_i(swap),
          .w_i     (w_i[(c+1)*8-WPorts+:WPorts]),
          .a_i     (a),
          .zero_i  (zero_q),
          .f_i     (f_i),
          .y_o     (y_o[c*Width+:Width])
      );
      logic unused_w;
      assign unused_w = ^w_i[c*8+:8];
    end else begin : gen_enc
      logic [WPorts-1:0] w;
      if (WBits > 0) begin : gen_encoder
        enc_mult #(
            .Inputs  (8),
            .NumGates(WNumGates),
            .Gates   (Encoding[WGatesAt+:32*encmac_pkg::entries(WNumGates)]),
            .M       (WBits),
            .Bits    (Encoding[WWiresAt+:16*WBits])
        ) u_encoder (
            .in_i(w_i[c*8+:8]),
            .b_o (w)
        );
      end else begin : gen_no_weight
        assign w = 1'b0;
        logic unused_w;
        assign unused_w = ^w_i[c*8+:8];
      end
      enc_column #(
          .Rows        (Rows),
          .RowsPerGroup(RowsPerGroup),
          .Merged      (Merged),
          .SumRegister (SumRegister),
          .Programmable(Programmable),
          .Shadow      (Shadow),
          .GateWeights (GateWeights),
          .AddShared   (AddShared),
          .Encoding    (Encoding),
          .Width       (Width)
      ) u_column (
          .clk_i,
          .advance_i,
          .w_clk_i (w_clk),
          .w_shift_i,
          .w_swap_i(swap),
          .w_i     (w),
          .a_i     (a),
          .s_i,
          .f_i,
          .y_o     (y_o[c*Width+:Width])
      );
    end
  end
endmodule
