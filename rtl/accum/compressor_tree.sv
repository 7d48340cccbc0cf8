// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

`include "encmac_checks.svh"

/// Reduces a heap of bits to two rows of the same sum (L. Dadda, Alta Frequenza 34, 1965):
///
///     sum over p of 2^p * (ones at position p) = row0 + row1   (modulo 2^Width)
///
/// Every stage brings all positions under the next Dadda height (2, 3, 4, 6, 9, 13, ...) with as few
/// adders as it takes. Combinational; the final carry-propagate addition is the parent's.
module compressor_tree #(
    /// Positions of the heap and of the result.
    parameter int Width = 1,
    /// Bits at position p: [p*16 +: 16].
    parameter logic [Width*16-1:0] Heights = {Width{16'd1}},
    /// Bits in all.
    parameter int NumBits = Width
) (
    input  logic [NumBits-1:0] bits_i,  // position 0 first
    output logic [  Width-1:0] row0_o,
    output logic [  Width-1:0] row1_o
);
  /// Height that a heap may have `stages` stages before the end.
  function automatic int dadda_height(int stages);
    dadda_height = 2;
    for (int s = 0; s < stages; s++) dadda_height = (3 * dadda_height) / 2;
  endfunction

  function automatic int count_stages();
    int highest;
    highest = 0;
    for (int p = 0; p < Width; p++) begin
      if (32'(Heights[p*16+:16]) > highest) highest = 32'(Heights[p*16+:16]);
    end
    count_stages = 0;
    while (dadda_height(count_stages) < highest) count_stages = count_stages + 1;
  endfunction

  localparam int Stages = count_stages();

  /// What stage `stage` looks like, 16 bits a position.
  /// field 0: heights before it; 1: full adders in it; 2: half adders in it.
  function automatic logic [Width*16-1:0] plan(int stage, int field);
    logic [Width*16-1:0] heights, fulls, halves;
    int s;  // Icarus 11: a constant function may call another only outside the scope of a loop variable
    int target, carries, height, excess;
    heights = Heights;
    fulls   = '0;
    halves  = '0;
    for (s = 0; s <= stage; s++) begin
      if (s > 0) begin  // apply the adders of the stage before
        carries = 0;
        for (int p = 0; p < Width; p++) begin
          height = 32'(heights[p*16+:16]) + carries;
          carries = 32'(fulls[p*16+:16]) + 32'(halves[p*16+:16]);
          heights[p*16+:16] = 16'(height - carries - 32'(fulls[p*16+:16]));
        end
      end
      if (s < Stages) begin
        target  = dadda_height(Stages - 1 - s);
        carries = 0;
        for (int p = 0; p < Width; p++) begin
          height = 32'(heights[p*16+:16]) + carries;
          excess = height > target ? height - target : 0;
          fulls[p*16+:16] = 16'(excess / 2);
          halves[p*16+:16] = 16'(excess % 2);
          carries = excess / 2 + excess % 2;
        end
      end
    end
    if (field == 0) plan = heights;
    else if (field == 1) plan = fulls;
    else plan = halves;
  endfunction

  /// Bits below each position 0..Width of a heap, 16 bits a position.
  function automatic logic [(Width+1)*16-1:0] bits_below(logic [Width*16-1:0] heights);
    bits_below = '0;
    for (int p = 0; p < Width; p++) begin
      bits_below[(p+1)*16+:16] = bits_below[p*16+:16] + heights[p*16+:16];
    end
  endfunction

  localparam logic [(Width+1)*16-1:0] InputBelow = bits_below(Heights);
  `ENCMAC_REQUIRE(gen_check_heap, NumBits < 65536,
                  "compressor_tree: more than 65,535 bits are added at once; take fewer rows in a group")
  `ENCMAC_REQUIRE(gen_check_bits, 32'(InputBelow[Width*16+:16]) == NumBits,
                  "compressor_tree: Heights must add up to NumBits")

  for (genvar s = 0; s <= Stages; s++) begin : gen_stage
    localparam logic [Width*16-1:0] Now = plan(s, 0);
    localparam logic [(Width+1)*16-1:0] Below = bits_below(Now);
    logic [32'(Below[Width*16+:16])-1:0] heap;

    if (s == 0) begin : gen_input
      assign heap = bits_i;
    end

    if (s < Stages) begin : gen_reduce
      localparam logic [(Width+1)*16-1:0] NextBelow = bits_below(plan(s + 1, 0));
      localparam logic [Width*16-1:0] Fulls = plan(s, 1);
      localparam logic [Width*16-1:0] Halves = plan(s, 2);

      // Next stage, position p: bits passed on, sums of this position, carries of the one below.
      for (genvar p = 0; p < Width; p++) begin : gen_position
        localparam int Full = 32'(Fulls[p*16+:16]);
        localparam int Half = 32'(Halves[p*16+:16]);
        localparam int Pass = 32'(Now[p*16+:16]) - 3 * Full - 2 * Half;
        localparam int Base = 32'(Below[p*16+:16]);
        localparam int To = 32'(NextBelow[p*16+:16]);
        // carries are the last Full + Half bits of the position above
        localparam int CarryTo = 32'(NextBelow[(p+1<Width?p+2:p+1)*16+:16]) - Full - Half;

        if (Pass > 0) begin : gen_pass
          assign gen_stage[s+1].heap[To+:Pass] = heap[Base+3*Full+2*Half+:Pass];
        end
        if (Full > 0) begin : gen_full
          logic [Full-1:0] sum, carry;
          full_adder #(
              .Lanes(Full)
          ) u_full_adder (
              .x_i    (heap[Base+:Full]),
              .y_i    (heap[Base+Full+:Full]),
              .z_i    (heap[Base+2*Full+:Full]),
              .sum_o  (sum),
              .carry_o(carry)
          );
          assign gen_stage[s+1].heap[To+Pass+:Full] = sum;
          if (p + 1 < Width) begin : gen_carry
            assign gen_stage[s+1].heap[CarryTo+:Full] = carry;
          end else begin : gen_drop
            logic unused_carry;
            assign unused_carry = ^carry;
          end
        end
        if (Half > 0) begin : gen_half
          logic x, y;
          assign x = heap[Base+3*Full];
          assign y = heap[Base+3*Full+1];
          assign gen_stage[s+1].heap[To+Pass+Full] = x ^ y;
          if (p + 1 < Width) begin : gen_carry
            assign gen_stage[s+1].heap[CarryTo+Full] = x & y;
          end
        end
      end
    end
  end

  localparam logic [Width*16-1:0] Last = plan(Stages, 0);
  localparam logic [(Width+1)*16-1:0] LastBelow = bits_below(Last);
  for (genvar p = 0; p < Width; p++) begin : gen_row
    localparam int Height = 32'(Last[p*16+:16]);
    localparam int Base = 32'(LastBelow[p*16+:16]);
    if (Height > 0) begin : gen_row0
      assign row0_o[p] = gen_stage[Stages].heap[Base];
    end else begin : gen_row0
      assign row0_o[p] = 1'b0;
    end
    if (Height > 1) begin : gen_row1
      assign row1_o[p] = gen_stage[Stages].heap[Base+1];
    end else begin : gen_row1
      assign row1_o[p] = 1'b0;
    end
  end
endmodule
