// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

`include "encmac_checks.svh"

/// Counts the ones among `Rows` bits and adds a count that comes in. Combinational.
module bit_counter #(
    /// Bits counted.
    parameter int Rows = 1,
    /// Width of the counts; the parent sees that they cannot overflow.
    parameter int CountWidth = 1,
    /// 1: add `count_i`; 0: ignore it.
    parameter bit Accumulate = 1'b0
) (
    input  logic [      Rows-1:0] bits_i,
    input  logic [CountWidth-1:0] count_i,
    output logic [CountWidth-1:0] count_o
);
  localparam int Counts = Accumulate ? CountWidth : 0;
  `ENCMAC_REQUIRE(gen_check_heap, Rows + Counts < 65536,
                  "bit_counter: more than 65,535 bits are added at once; take fewer rows in a group")
  // too many: something that elaborates, so that the check has its say
  localparam int SomeRows = Rows + Counts < 65536 ? Rows : 1;

  function automatic logic [CountWidth*16-1:0] heap_heights();
    heap_heights = Accumulate ? {CountWidth{16'd1}} : '0;
    heap_heights[15:0] = heap_heights[15:0] + 16'(SomeRows);
  endfunction

  localparam int NumBits = SomeRows + Counts;
  logic [NumBits-1:0] heap;
  logic [CountWidth-1:0] row0, row1;

  if (Accumulate) begin : gen_accumulate
    // position 0 holds the rows and bit 0 of the incoming count, position k its bit k
    assign heap = {count_i, bits_i[SomeRows-1:0]};
  end else begin : gen_plain
    logic unused_count;
    assign unused_count = ^count_i;
    assign heap = bits_i[SomeRows-1:0];
  end

  compressor_tree #(
      .Width  (CountWidth),
      .Heights(heap_heights()),
      .NumBits(NumBits)
  ) u_tree (
      .bits_i(heap),
      .row0_o(row0),
      .row1_o(row1)
  );
  assign count_o = row0 + row1;
endmodule
