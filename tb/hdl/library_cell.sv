// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// What one row adds to a result of an array, for `Lanes` operand pairs side by side: encoders, gates,
/// position weights and f(a) of one encoding, without registers. Combinational.
module library_cell #(
    parameter int Lanes = 16,
    /// See encmac_pkg.
    parameter Encoding = encmac_pkg::ENC_NONE
) (
    input  logic [ 8*Lanes-1:0] a_i,  // bit i of all lanes at [i*Lanes +: Lanes]
    input  logic [ 8*Lanes-1:0] w_i,
    output logic [32*Lanes-1:0] y_o   // lane l at [l*32 +: 32]
);
  localparam int ABits = Encoding[encmac_pkg::ENC_A_BITS+:32];
  localparam int WBits = Encoding[encmac_pkg::ENC_W_BITS+:32];
  localparam int M = Encoding[encmac_pkg::ENC_M+:32];
  localparam int ANumGates = Encoding[encmac_pkg::ENC_A_NUM_GATES+:32];
  localparam int AGatesAt = Encoding[encmac_pkg::ENC_A_GATES_AT+:32];
  localparam int AWiresAt = Encoding[encmac_pkg::ENC_A_WIRES_AT+:32];
  localparam int WNumGates = Encoding[encmac_pkg::ENC_W_NUM_GATES+:32];
  localparam int WGatesAt = Encoding[encmac_pkg::ENC_W_GATES_AT+:32];
  localparam int WWiresAt = Encoding[encmac_pkg::ENC_W_WIRES_AT+:32];
  localparam int NumGates = Encoding[encmac_pkg::ENC_NUM_GATES+:32];
  localparam int GatesAt = Encoding[encmac_pkg::ENC_GATES_AT+:32];
  localparam int BitsAt = Encoding[encmac_pkg::ENC_BITS_AT+:32];
  localparam int NumDigits = Encoding[encmac_pkg::ENC_NUM_DIGITS+:32];
  localparam int DigitsAt = Encoding[encmac_pkg::ENC_DIGITS_AT+:32];
  localparam int ExtraAt = Encoding[encmac_pkg::ENC_EXTRA_AT+:32];
  localparam int ExtraLength = Encoding[encmac_pkg::ENC_EXTRA_LENGTH+:32];

  logic [(ABits+WBits)*Lanes-1:0] operands;
  logic [M*Lanes-1:0] b;
  enc_mult #(
      .Lanes   (Lanes),
      .Inputs  (8),
      .NumGates(ANumGates),
      .Gates   (Encoding[AGatesAt+:32*encmac_pkg::entries(ANumGates)]),
      .M       (ABits),
      .Bits    (Encoding[AWiresAt+:16*ABits])
  ) u_encode_a (
      .in_i(a_i),
      .b_o (operands[ABits*Lanes-1:0])
  );
  if (WBits > 0) begin : gen_weight
    enc_mult #(
        .Lanes   (Lanes),
        .Inputs  (8),
        .NumGates(WNumGates),
        .Gates   (Encoding[WGatesAt+:32*encmac_pkg::entries(WNumGates)]),
        .M       (WBits),
        .Bits    (Encoding[WWiresAt+:16*WBits])
    ) u_encode_w (
        .in_i(w_i),
        .b_o (operands[ABits*Lanes+:WBits*Lanes])
    );
  end else begin : gen_no_weight
    logic unused_w;
    assign unused_w = ^w_i;
  end
  enc_mult #(
      .Lanes   (Lanes),
      .Inputs  (ABits + WBits),
      .NumGates(NumGates),
      .Gates   (Encoding[GatesAt+:32*encmac_pkg::entries(NumGates)]),
      .M       (M),
      .Bits    (Encoding[BitsAt+:16*M])
  ) u_mult (
      .in_i(operands),
      .b_o (b)
  );

  logic [32*Lanes-1:0] f;
  if (ExtraAt > 0) begin : gen_f
    library_cell #(
        .Lanes   (Lanes),
        .Encoding(Encoding[ExtraAt+:ExtraLength])
    ) u_f (
        .a_i,
        .w_i,
        .y_o(f)
    );
  end else begin : gen_no_f
    assign f = '0;
  end

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic [M-1:0] bits;
    logic [31:0] row0, row1;
    for (genvar m = 0; m < M; m++) begin : gen_bit
      assign bits[m] = b[m*Lanes+l];
    end
    position_decoder #(
        .M        (M),
        .NumDigits(NumDigits),
        .Digits   (Encoding[DigitsAt+:32*NumDigits]),
        .Width    (32)
    ) u_decoder (
        .counts_i(bits),
        .acc0_i  (32'd0),
        .acc1_i  (32'd0),
        .row0_o  (row0),
        .row1_o  (row1)
    );
    assign y_o[l*32+:32] = row0 + row1 + f[l*32+:32];
  end
endmodule
