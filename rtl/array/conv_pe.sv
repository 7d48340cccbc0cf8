// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Conventional weight-stationary processing element: psum_o = psum_i + a * w, registered. The
/// activation comes registered.
///
/// A partial sum is one two's complement row (`psum0`), or with `Form` = FORM_CARRY_SAVE or FORM_OPT1 the
/// sum of two rows modulo 2^OutWidth; then the column adds the rows once at its foot. FORM_RECODED and
/// FORM_OPT1 hold the weight in radix-4 digits (see booth_recoder).
/// With GateZeros the activation register may hold what it likes while `zero_i` says that the activation is 0:
/// nothing is added, and the multiplier stands still.
/// Latency: 1 cycle.
module conv_pe #(
    parameter int Form = encmac_pkg::FORM_WRITTEN,
    /// Bits of the operands.
    parameter int ABits = 8,
    parameter int WBits = 8,
    parameter int InWidth = 16,
    parameter int OutWidth = 16,
    /// 1: the weight shifts into a register of its own and is taken over by `w_swap_i`.
    parameter bit Shadow = 1'b0,
    /// 1: `w_clk_i` runs only while weights shift, and `w_shift_i` is not looked at.
    parameter bit GateWeights = 1'b0,
    parameter bit GateZeros = 1'b0,
    /// Bits of the weight as it is held.
    parameter int Stored = encmac_pkg::stored_bits(Form, WBits)
) (
    input  logic                clk_i,
    input  logic                advance_i,  // the partial sum moves on
    input  logic                w_clk_i,    // clock of the weight
    input  logic                w_shift_i,  // the weight is taken from below
    input  logic                w_swap_i,   // Shadow: the weight that was shifted in takes effect
    input  logic [   ABits-1:0] a_i,
    input  logic                zero_i,     // GateZeros: the activation is 0
    input  logic [  Stored-1:0] w_i,
    output logic [  Stored-1:0] w_o,
    input  logic [ InWidth-1:0] psum0_i,
    input  logic [ InWidth-1:0] psum1_i,    // two rows only
    output logic [OutWidth-1:0] psum0_o,
    output logic [OutWidth-1:0] psum1_o     // two rows only
);
  logic signed [Stored-1:0] w_q;
  logic [Stored-1:0] shift_q;
  assign w_o = shift_q;

  if (GateWeights) begin : gen_gated
    always_ff @(posedge w_clk_i) shift_q <= w_i;
    logic unused_shift;
    assign unused_shift = w_shift_i;
  end else begin : gen_enabled
    always_ff @(posedge clk_i) begin
      if (w_shift_i) shift_q <= w_i;
    end
    logic unused_clk;
    assign unused_clk = w_clk_i;
  end
  if (Shadow) begin : gen_shadow
    always_ff @(posedge clk_i) begin
      if (w_swap_i) w_q <= shift_q;
    end
  end else begin : gen_direct
    assign w_q = shift_q;
    logic unused_swap;
    assign unused_swap = w_swap_i;
  end

  logic skip;
  assign skip = GateZeros && zero_i;

  localparam int NumDigits = Stored / 3;
  localparam int DigitBits = ABits + 2;
  localparam int M = encmac_pkg::recoded(Form) ? NumDigits * DigitBits : ABits * WBits;

  /// Position of each product bit, the lowest first, as position_decoder wants them. Recoded: those of
  /// booth_products, whose last bit but one is negative and whose last weighs as its first. Else bit
  /// i * WBits + j is a_i & w_j, negative if just one of them is the sign.
  function automatic logic [M*32-1:0] positions();
    int n;
    n = 0;
    positions = '0;
    for (int s = 0; s < ABits + WBits + 1; s++) begin
      if (encmac_pkg::recoded(Form)) begin
        for (int d = 0; d < NumDigits; d++) begin
          if (s - 2 * d >= 0 && s - 2 * d <= ABits) begin
            positions[n*32+:32] = 32'((d * DigitBits + s - 2 * d) * 65536 + s);
            if (s - 2 * d == ABits) positions[n*32+15] = 1'b1;
            n = n + 1;
          end
          if (s == 2 * d) begin
            positions[n*32+:32] = 32'((d * DigitBits + ABits + 1) * 65536 + s);
            n = n + 1;
          end
        end
      end else begin
        for (int i = 0; i < ABits; i++) begin
          if (s - i >= 0 && s - i < WBits) begin
            positions[n*32+:32] = 32'((i * WBits + s - i) * 65536 + s);
            if ((i == ABits - 1) != (s - i == WBits - 1)) positions[n*32+15] = 1'b1;
            n = n + 1;
          end
        end
      end
    end
  endfunction

  if (Form == encmac_pkg::FORM_WRITTEN) begin : gen_written
    logic signed [OutWidth-1:0] psum_q;
    if (GateZeros) begin : gen_isolated
      logic signed [ABits+WBits-1:0] product;
      assign product = $signed(a_i) * w_q;
      always_ff @(posedge clk_i) begin
        if (advance_i) psum_q <= OutWidth'($signed(product & {ABits+WBits{~skip}})) + OutWidth'($signed(psum0_i));
      end
    end else begin : gen_plain
      always_ff @(posedge clk_i) begin
        if (advance_i) psum_q <= $signed(a_i) * w_q + OutWidth'($signed(psum0_i));
      end
      logic unused_skip;
      assign unused_skip = skip;
    end
    assign psum0_o = psum_q;
    assign psum1_o = '0;
    logic unused_psum;
    assign unused_psum = ^psum1_i;
  end else begin : gen_tree
    localparam bit CarrySave = encmac_pkg::two_rows(Form);
    logic [M-1:0] partial;
    if (encmac_pkg::recoded(Form)) begin : gen_recoded
      booth_products #(
          .ABits    (ABits),
          .NumDigits(NumDigits)
      ) u_partial_products (
          .a_i,
          .digits_i(w_q),
          .b_o     (partial)
      );
    end else begin : gen_plain
      for (genvar i = 0; i < ABits; i++) begin : gen_partial
        assign partial[i*WBits+:WBits] = w_q & {WBits{a_i[i]}};
      end
    end

    logic [OutWidth-1:0] in0, in1, row0, row1;
    assign in0 = OutWidth'($signed(psum0_i));
    assign in1 = OutWidth'($signed(psum1_i));
    position_decoder #(
        .M        (M),
        .NumDigits(M),
        .Digits   (positions()),
        .Width    (OutWidth),
        .AccRows  (CarrySave ? 2 : 1)
    ) u_tree (
        .counts_i(partial),
        .acc0_i  (in0),
        .acc1_i  (in1),
        .row0_o  (row0),
        .row1_o  (row1)
    );

    logic [OutWidth-1:0] psum0_q;
    assign psum0_o = psum0_q;
    if (CarrySave) begin : gen_carry_save
      logic [OutWidth-1:0] psum1_q;
      assign psum1_o = psum1_q;
      always_ff @(posedge clk_i) begin
        if (advance_i) begin
          psum0_q <= skip ? in0 : row0;
          psum1_q <= skip ? in1 : row1;
        end
      end
    end else begin : gen_sum
      assign psum1_o = '0;
      always_ff @(posedge clk_i) begin
        if (advance_i) psum0_q <= skip ? in0 : row0 + row1;
      end
    end
  end
endmodule
