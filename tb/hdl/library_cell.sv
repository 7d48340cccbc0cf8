// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

`include "encmac_encoding.svh"

/// What one row adds to a result of an array, for `Lanes` operand pairs side by side: encoders, gates,
/// position weights and f(a) of one encoding, without registers. Combinational.
module library_cell #(
    parameter int Lanes = 16,
    `ENCMAC_ARRAY_PARAMETERS
) (
    input  logic [ 8*Lanes-1:0] a_i,  // bit i of all lanes at [i*Lanes +: Lanes]
    input  logic [ 8*Lanes-1:0] w_i,
    output logic [32*Lanes-1:0] y_o   // lane l at [l*32 +: 32]
);
  logic [ABits*Lanes-1:0] a;
  logic [WBits*Lanes-1:0] w;
  logic [M*Lanes-1:0] b;
  enc_mult #(
      .Lanes   (Lanes),
      .Inputs  (8),
      .NumGates(ANumGates),
      .Gates   (AGates),
      .M       (ABits),
      .Bits    (AWires)
  ) u_encode_a (
      .in_i(a_i),
      .b_o (a)
  );
  enc_mult #(
      .Lanes   (Lanes),
      .Inputs  (8),
      .NumGates(WNumGates),
      .Gates   (WGates),
      .M       (WBits),
      .Bits    (WWires)
  ) u_encode_w (
      .in_i(w_i),
      .b_o (w)
  );
  enc_mult #(
      .Lanes   (Lanes),
      .Inputs  (ABits + WBits),
      .NumGates(NumGates),
      .Gates   (Gates),
      .M       (M),
      .Bits    (Bits)
  ) u_mult (
      .in_i({w, a}),
      .b_o (b)
  );

  localparam int FPorts = FM > 0 ? FM : 1;
  logic [FPorts*Lanes-1:0] f;
  if (FM > 0) begin : gen_f
    enc_mult #(
        .Lanes   (Lanes),
        .Inputs  (8),
        .NumGates(FNumGates),
        .Gates   (FGates),
        .M       (FM),
        .Bits    (FBits)
    ) u_f (
        .in_i(a_i),
        .b_o (f)
    );
  end else begin : gen_no_f
    assign f = '0;
  end

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic [M-1:0] bits;
    logic [FPorts-1:0] f_bits;
    logic [31:0] row0, row1, f_row0, f_row1;
    for (genvar m = 0; m < M; m++) begin : gen_bit
      assign bits[m] = b[m*Lanes+l];
    end
    for (genvar m = 0; m < FPorts; m++) begin : gen_f_bit
      assign f_bits[m] = f[m*Lanes+l];
    end
    position_decoder #(
        .M        (M),
        .NumDigits(NumDigits),
        .Digits   (Digits),
        .Width    (32)
    ) u_decoder (
        .counts_i(bits),
        .acc0_i  (32'd0),
        .acc1_i  (32'd0),
        .row0_o  (row0),
        .row1_o  (row1)
    );
    if (FM > 0) begin : gen_f_decoder
      position_decoder #(
          .M        (FM),
          .NumDigits(FNumDigits),
          .Digits   (FDigits),
          .Width    (32)
      ) u_decoder (
          .counts_i(f_bits),
          .acc0_i  (32'd0),
          .acc1_i  (32'd0),
          .row0_o  (f_row0),
          .row1_o  (f_row1)
      );
    end else begin : gen_no_f_decoder
      assign f_row0 = '0;
      assign f_row1 = '0;
      logic unused_f;
      assign unused_f = ^f_bits;
    end
    assign y_o[l*32+:32] = row0 + row1 + f_row0 + f_row1;
  end
endmodule
