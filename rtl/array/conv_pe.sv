// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Conventional weight-stationary processing element: psum_o = psum_i + a * w, registered. The
/// activation comes registered.
///
/// A partial sum is one two's complement row (`psum0`), or with `Form` = FORM_CARRY_SAVE or FORM_OPT the
/// sum of two rows modulo 2^OutWidth; then the column adds the rows once at its foot. FORM_RECODED and
/// FORM_OPT hold the weight in radix-4 digits (see booth_recoder).
/// Latency: 1 cycle.
module conv_pe #(
    parameter int Form = encmac_pkg::FORM_WRITTEN,
    parameter int InWidth = 16,
    parameter int OutWidth = 16,
    /// 1: the weight shifts into a register of its own and is taken over by `w_swap_i`.
    parameter bit Shadow = 1'b0,
    /// 1: `w_clk_i` runs only while weights shift, and `w_shift_i` is not looked at.
    parameter bit GateWeights = 1'b0,
    parameter int WBits = Form == encmac_pkg::FORM_RECODED || Form == encmac_pkg::FORM_OPT ? 12 : 8
) (
    input  logic                clk_i,
    input  logic                advance_i,  // the partial sum moves on
    input  logic                w_clk_i,    // clock of the weight
    input  logic                w_shift_i,  // the weight is taken from below
    input  logic                w_swap_i,   // Shadow: the weight that was shifted in takes effect
    input  logic [         7:0] a_i,
    input  logic [   WBits-1:0] w_i,
    output logic [   WBits-1:0] w_o,
    input  logic [ InWidth-1:0] psum0_i,
    input  logic [ InWidth-1:0] psum1_i,    // two rows only
    output logic [OutWidth-1:0] psum0_o,
    output logic [OutWidth-1:0] psum1_o     // two rows only
);
  logic signed [WBits-1:0] w_q;
  logic [WBits-1:0] shift_q;
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

  /// Product bits of booth_products by weight: bit 8 of a digit is negative, bit 9 weighs as its bit 0.
  function automatic logic [40*32-1:0] digits();
    int n;
    n = 0;
    digits = '0;
    for (int s = 0; s < 15; s++) begin
      for (int d = 0; d < 4; d++) begin
        if (s - 2 * d >= 0 && s - 2 * d < 9) begin
          digits[n*32+:32] = 32'((d * 10 + s - 2 * d) * 65536 + s);
          if (s - 2 * d == 8) digits[n*32+15] = 1'b1;
          n = n + 1;
        end
        if (s == 2 * d) begin
          digits[n*32+:32] = 32'((d * 10 + 9) * 65536 + s);
          n = n + 1;
        end
      end
    end
  endfunction

  if (Form == encmac_pkg::FORM_WRITTEN) begin : gen_written
    logic signed [OutWidth-1:0] psum_q;
    always_ff @(posedge clk_i) begin
      if (advance_i) psum_q <= $signed(a_i) * w_q + OutWidth'($signed(psum0_i));
    end
    assign psum0_o = psum_q;
    assign psum1_o = '0;
    logic unused_psum;
    assign unused_psum = ^psum1_i;
  end else begin : gen_tree
    localparam bit CarrySave = Form == encmac_pkg::FORM_CARRY_SAVE || Form == encmac_pkg::FORM_OPT;
    logic [OutWidth-1:0] row0, row1;

    if (WBits == 12) begin : gen_recoded
      logic [39:0] partial;
      booth_products u_partial_products (
          .a_i,
          .digits_i(w_q),
          .b_o     (partial)
      );
      position_decoder #(
          .M        (40),
          .NumDigits(40),
          .Digits   (digits()),
          .Width    (OutWidth),
          .AccRows  (CarrySave ? 2 : 1)
      ) u_tree (
          .counts_i(partial),
          .acc0_i  (OutWidth'($signed(psum0_i))),
          .acc1_i  (OutWidth'($signed(psum1_i))),
          .row0_o  (row0),
          .row1_o  (row1)
      );
    end else begin : gen_plain
      logic [63:0] partial;
      enc_mult #(
          .Inputs  (16),
          .NumGates(exact64_pkg::NUM_GATES),
          .Gates   (exact64_pkg::GATES),
          .M       (64),
          .Bits    (exact64_pkg::BITS)
      ) u_partial_products (
          .in_i({w_q, a_i}),
          .b_o (partial)
      );
      position_decoder #(
          .M        (64),
          .NumDigits(exact64_pkg::NUM_DIGITS),
          .Digits   (exact64_pkg::DIGITS),
          .Width    (OutWidth),
          .AccRows  (CarrySave ? 2 : 1)
      ) u_tree (
          .counts_i(partial),
          .acc0_i  (OutWidth'($signed(psum0_i))),
          .acc1_i  (OutWidth'($signed(psum1_i))),
          .row0_o  (row0),
          .row1_o  (row1)
      );
    end

    logic [OutWidth-1:0] psum0_q;
    assign psum0_o = psum0_q;
    if (CarrySave) begin : gen_carry_save
      logic [OutWidth-1:0] psum1_q;
      assign psum1_o = psum1_q;
      always_ff @(posedge clk_i) begin
        if (advance_i) begin
          psum0_q <= row0;
          psum1_q <= row1;
        end
      end
    end else begin : gen_sum
      assign psum1_o = '0;
      always_ff @(posedge clk_i) begin
        if (advance_i) psum0_q <= row0 + row1;
      end
    end
  end
endmodule
