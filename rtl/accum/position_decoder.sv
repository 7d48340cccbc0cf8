// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

`include "encmac_checks.svh"

/// Applies position weights: for counts cnt[m] of `CountWidth` bits in each of `Lanes` lanes
///
///     row0 + row1 = sum_m s[m] * sum_lanes cnt[m] + acc0 + acc1   (modulo 2^Width)
///
/// Position weights are constants given as signed digits; every digit puts its count, shifted, into
/// one compressor tree. A negative digit puts in the complement; what that lacks is a constant,
/// added for `ConstantLanes` lanes at once. With `CountWidth` 1 and a lane a row, product bits of
/// powers of two are summed without any counter. Combinational.
module position_decoder #(
    /// Product bits.
    parameter int M = 1,
    /// Signed digits: {product bit [31:16], negative [15], shift [14:0]}, lowest shift first.
    parameter int NumDigits = 1,
    parameter logic [NumDigits*32-1:0] Digits = '0,
    parameter int Lanes = 1,
    parameter int CountWidth = 1,
    /// Width of the sum.
    parameter int Width = 32,
    /// Incoming rows that are added: 0, 1 (acc0) or 2.
    parameter int AccRows = 0,
    /// Lanes whose constant is added here.
    parameter int ConstantLanes = Lanes
) (
    input  logic [M*CountWidth*Lanes-1:0] counts_i,  // bit j of cnt[m]: [(m*CountWidth + j)*Lanes +: Lanes]
    input  logic [             Width-1:0] acc0_i,
    input  logic [             Width-1:0] acc1_i,
    output logic [             Width-1:0] row0_o,
    output logic [             Width-1:0] row1_o
);
  /// Digits with a shift below s, 16 bits for each s in 0..Width.
  function automatic logic [(Width+1)*16-1:0] digits_below();
    digits_below = '0;
    for (int d = 0; d < NumDigits; d++) begin
      for (int s = 32'(Digits[d*32+:15]) + 1; s <= Width; s++) begin
        digits_below[s*16+:16] = digits_below[s*16+:16] + 16'd1;
      end
    end
  endfunction

  localparam logic [(Width+1)*16-1:0] Below = digits_below();

  /// First digit that reaches position p (digit d covers shift .. shift + CountWidth - 1).
  function automatic int first_digit(int p);
    first_digit = 0;
    if (p + 1 > CountWidth) first_digit = 32'(Below[(p+1-CountWidth)*16+:16]);
  endfunction

  /// -2^k * v = 2^k * ~v + 2^k * (1 - 2^CountWidth) for a count v.
  function automatic logic [Width-1:0] correction();
    logic [Width-1:0] unit;
    correction = '0;
    for (int d = 0; d < NumDigits; d++) begin
      unit = Width'(1) << Digits[d*32+:15];
      if (Digits[d*32+15]) correction = correction + unit - (unit << CountWidth);
    end
    correction = correction * Width'(ConstantLanes);
  endfunction

  localparam logic [Width-1:0] Constant = correction();

  /// Bits of the heap in all, in more than the 16 bits in which the functions below count.
  function automatic longint heap_bits();
    int p, digits;  // not in the loop: see compressor_tree
    heap_bits = 0;
    for (p = 0; p < Width; p++) begin
      digits = 32'(Below[(p+1)*16+:16]) - first_digit(p);
      heap_bits = heap_bits + longint'(digits) * longint'(Lanes) + longint'(AccRows);
      if (Constant[p]) heap_bits = heap_bits + 1;
    end
  endfunction

  `ENCMAC_REQUIRE(gen_check_heap, heap_bits() < 65536,
                  "position_decoder: more than 65,535 bits are added at once; take fewer rows in a group")
  // too many: something that elaborates, so that the check has its say
  localparam int SomeLanes = heap_bits() < 65536 ? Lanes : 1;

  function automatic logic [Width*16-1:0] heap_heights();
    int p;
    heap_heights = '0;
    for (p = 0; p < Width; p++) begin
      heap_heights[p*16+:16] = 16'((32'(Below[(p+1)*16+:16]) - first_digit(p)) * SomeLanes + 32'(Constant[p]) + AccRows);
    end
  endfunction

  localparam logic [Width*16-1:0] Heights = heap_heights();

  /// Bits of the heap below each position 0..Width, 16 bits a position.
  function automatic logic [(Width+1)*16-1:0] bits_below();
    bits_below = '0;
    for (int p = 0; p < Width; p++) begin
      bits_below[(p+1)*16+:16] = bits_below[p*16+:16] + Heights[p*16+:16];
    end
  endfunction

  localparam logic [(Width+1)*16-1:0] Start = bits_below();
  localparam int NumBits = 32'(Start[Width*16+:16]);
  logic [NumBits-1:0] heap;

  for (genvar d = 0; d < NumDigits; d++) begin : gen_digit
    localparam int Bit = 32'(Digits[d*32+16+:16]);
    localparam bit Negative = Digits[d*32+15];
    localparam int Shift = 32'(Digits[d*32+:15]);
    for (genvar j = 0; j < CountWidth; j++) begin : gen_count_bit
      if (Shift + j < Width) begin : gen_place
        localparam int Slot = 32'(Start[(Shift+j)*16+:16]) + (d - first_digit(Shift + j)) * SomeLanes;
        assign heap[Slot+:SomeLanes] = counts_i[(Bit*CountWidth+j)*Lanes+:SomeLanes] ^ {SomeLanes{Negative}};
      end
    end
  end

  for (genvar p = 0; p < Width; p++) begin : gen_position
    localparam int Top = 32'(Start[(p+1)*16+:16]);
    if (Constant[p]) begin : gen_constant
      assign heap[Top-AccRows-1] = 1'b1;
    end
    if (AccRows > 0) begin : gen_acc0
      assign heap[Top-AccRows] = acc0_i[p];
    end
    if (AccRows > 1) begin : gen_acc1
      assign heap[Top-1] = acc1_i[p];
    end
  end
  logic unused_acc;
  assign unused_acc = ^{acc0_i, acc1_i, counts_i};

  compressor_tree #(
      .Width  (Width),
      .Heights(Heights),
      .NumBits(NumBits)
  ) u_tree (
      .bits_i(heap),
      .row0_o(row0_o),
      .row1_o(row1_o)
  );
endmodule
