// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Applies position weights that are not constants: for counts cnt[m] and signed 16-bit weights s[m]
///
///     row0 + row1 = sum_m s[m] * cnt[m]   (modulo 2^Width)
///
/// Every pair of a count bit and a weight bit is an AND into one compressor tree; bit 15 of a weight
/// counts negative: its ANDs go in complemented, what that lacks is a constant. Combinational.
module position_multiplier #(
    /// Product bits.
    parameter int M = 1,
    parameter int CountWidth = 1,
    /// Width of the sum.
    parameter int Width = 32
) (
    input  logic [M*CountWidth-1:0] counts_i,  // cnt[m] at [m*CountWidth +: CountWidth]
    input  logic [        M*16-1:0] weights_i, // s[m] at [m*16 +: 16]
    output logic [       Width-1:0] row0_o,
    output logic [       Width-1:0] row1_o
);
  localparam int Digits = 16;

  /// -2^(15+j) for every count bit j of every product bit.
  function automatic logic [Width-1:0] correction();
    correction = '0;
    for (int j = 0; j < CountWidth; j++) correction = correction - (Width'(M) << (Digits - 1 + j));
  endfunction

  localparam logic [Width-1:0] Constant = correction();

  /// Pairs (count bit j, weight bit k) with j + k = p.
  function automatic int pairs_at(int p);
    pairs_at = 0;
    for (int j = 0; j < CountWidth; j++) if (p >= j && p - j < Digits) pairs_at = pairs_at + 1;
  endfunction

  function automatic logic [Width*16-1:0] heap_heights();
    int p;  // not in the loop: see compressor_tree
    heap_heights = '0;
    for (p = 0; p < Width; p++) heap_heights[p*16+:16] = 16'(pairs_at(p) * M + 32'(Constant[p]));
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

  for (genvar p = 0; p < Width; p++) begin : gen_position
    localparam int Bottom = 32'(Start[p*16+:16]);
    localparam int Lowest = p < Digits ? 0 : p - Digits + 1;  // lowest count bit that reaches p
    for (genvar j = Lowest; j < CountWidth && j <= p; j++) begin : gen_count_bit
      for (genvar m = 0; m < M; m++) begin : gen_bit
        assign heap[Bottom+(j-Lowest)*M+m] =
            (counts_i[m*CountWidth+j] & weights_i[m*16+p-j]) ^ (p - j == Digits - 1);
      end
    end
    if (Constant[p]) begin : gen_constant
      assign heap[32'(Start[(p+1)*16+:16])-1] = 1'b1;
    end
  end

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
