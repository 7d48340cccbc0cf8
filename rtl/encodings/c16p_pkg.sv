// Exported from models/encodings/c16p.json; do not edit.
// 16 product bits for chosen weights of 5 bits, radix-4 digits, powers of two, f(a)
package c16p_pkg;
  /// bits of an activation that a row holds
  localparam int A_BITS = 7;
  /// gates: of an activation from its 8 operand bits
  localparam int A_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] A_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [7*16-1:0] A_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002,
    16'h0001
  };
  /// bits of a weight that a row holds
  localparam int W_BITS = 4;
  /// gates: of a weight from its 8 operand bits
  localparam int W_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] W_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [4*16-1:0] W_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004
  };
  /// product bits
  localparam int M = 16;
  /// gates: product bits from the bits a row holds
  localparam int NUM_GATES = 51;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [51*32-1:0] GATES = {
    32'h2002003c, 32'h00004007, 32'h00000008, 32'h20020039, 32'h100dc038, 32'h00004016,
    32'h00008007, 32'h20028035, 32'h00000009, 32'h20020033, 32'h100c4032, 32'h00008016,
    32'h0000c007, 32'h2002802f, 32'h100b402e, 32'h0000000d, 32'h00004009, 32'h2002002b,
    32'h100a402a, 32'h0000c016, 32'h00010007, 32'h20028027, 32'h10094026, 32'h0000400d,
    32'h00008009, 32'h20020023, 32'h10084022, 32'h00010016, 32'h00014007, 32'h2002801f,
    32'h1007401e, 32'h0000800d, 32'h0000c009, 32'h2002801b, 32'h1006401a, 32'h0000c00d,
    32'h00010009, 32'h10054017, 32'h00014016, 32'h4001c008, 32'h00018007, 32'h20028013,
    32'h10044012, 32'h0001000d, 32'h00014009, 32'h00018008, 32'h1003000e, 32'h0001400d,
    32'h60028009, 32'h00018009, 32'h0001800a
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [16*16-1:0] BITS = {
    16'h003d, 16'h003b, 16'h003a, 16'h0036, 16'h0034, 16'h0030,
    16'h002c, 16'h0028, 16'h0024, 16'h0020, 16'h001c, 16'h0018,
    16'h0014, 16'h0010, 16'h000f, 16'h000b
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 16;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [16*32-1:0] DIGITS = {
    32'h0000000e, 32'h0001800d, 32'h0003000c, 32'h0002800c, 32'h0005000b, 32'h0004800b,
    32'h0007800a, 32'h0006000a, 32'h00098009, 32'h00080009, 32'h000b8008, 32'h000a0008,
    32'h000d8007, 32'h000c0007, 32'h000f8006, 32'h000e0006
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -16320;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 24448;
  /// bits of the activation that the extra column weighs; 0: no extra column
  localparam int F_M = 7;
  /// gates: bits of the extra column
  localparam int F_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] F_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [7*16-1:0] F_BITS = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002,
    16'h0001
  };
  /// signed digits of the extra column
  localparam int F_NUM_DIGITS = 34;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [34*32-1:0] F_DIGITS = {
    32'h0005000b, 32'h0006800a, 32'h0004000a, 32'h00050009, 32'h00030009, 32'h00060008,
    32'h00040008, 32'h00020008, 32'h00058007, 32'h00030007, 32'h00010007, 32'h00048006,
    32'h00020006, 32'h00060005, 32'h00038005, 32'h00010005, 32'h00000005, 32'h00058004,
    32'h00048004, 32'h00028004, 32'h00060003, 32'h00038003, 32'h00018003, 32'h00058002,
    32'h00040002, 32'h00028002, 32'h00008002, 32'h00060001, 32'h00030001, 32'h00018001,
    32'h00058000, 32'h00040000, 32'h00020000, 32'h00008000
  };
  /// least sum one row adds to the extra column
  localparam int F_MIN_SUM = -726;
  /// largest sum one row adds to the extra column
  localparam int F_MAX_SUM = 4696;
  /// the extra column as an encoding: rows hold whole activations, no weights
  localparam logic [2048-1:0] EXTRA = {
    F_DIGITS, F_BITS, F_GATES, 16'd0, 32'd0, 128'h0007_0006_0005_0004_0003_0002_0001_0000, 32'd0,
    32'd0, 32'd0, 32'd960, 32'd848, 32'd816, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd34, 32'd0, 32'd0, 32'd0, 32'd4696, -32'd726, 32'd7, 32'd0, 32'd8, 32'h454e4301
  };
  /// what a weight alone adds to a product, g(w) and offset: not in the array; add it once for each row of
  /// a tile, as a network does with its bias
  function automatic int weight_term(input logic [7:0] w);
    weight_term = -5 + (w[0] ? 0 : 0) + (w[1] ? 0 : 0) + (w[2] ? 0 : 0) + (w[3] ? 0 : 0) + (w[4] ? 24 : 0) + (w[5] ? 2000 : 0) + (w[6] ? 32 : 0) + (w[7] ? -8128 : 0);
  endfunction
  /// all of it, laid out as encmac_pkg says: the parameter `Encoding`
  localparam logic [5296-1:0] ENCODING = {
    EXTRA, DIGITS, BITS, GATES, W_WIRES, W_GATES, A_WIRES, A_GATES,
    32'd2048, 32'd3248, 32'd2736, 32'd2480, 32'd848, 32'd784, 32'd752, 32'd640, 32'd608,
    32'd16, 32'd51, 32'd0, 32'd0, 32'd24448, -32'd16320, 32'd16, 32'd4, 32'd7, 32'h454e4301
  };
endpackage
