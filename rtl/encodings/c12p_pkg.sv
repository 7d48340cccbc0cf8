// Exported from models/encodings/c12p.json; do not edit.
// 12 product bits for chosen weights of 3 bits, radix-4 digits, powers of two, f(a)
package c12p_pkg;
  /// bits of an activation that a row holds
  localparam int A_BITS = 6;
  /// gates: of an activation from its 8 operand bits
  localparam int A_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] A_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [6*16-1:0] A_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002
  };
  /// bits of a weight that a row holds
  localparam int W_BITS = 3;
  /// gates: of a weight from its 8 operand bits
  localparam int W_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] W_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [3*16-1:0] W_WIRES = {
    16'h0007, 16'h0006, 16'h0005
  };
  /// product bits
  localparam int M = 12;
  /// gates: product bits from the bits a row holds
  localparam int NUM_GATES = 28;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [28*32-1:0] GATES = {
    32'h20020023, 32'h00000007, 32'h00004006, 32'h20020020, 32'h1007801f, 32'h0000000b,
    32'h00004007, 32'h00008006, 32'h2002001b, 32'h1006401a, 32'h0000400b, 32'h00008007,
    32'h0000c006, 32'h20020016, 32'h10050015, 32'h0000800b, 32'h0000c007, 32'h00010006,
    32'h20020011, 32'h1003c010, 32'h0000c00b, 32'h00010007, 32'h00014006, 32'h1002800c,
    32'h0001000b, 32'h60020007, 32'h00014007, 32'h00014008
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [12*16-1:0] BITS = {
    16'h0024, 16'h0022, 16'h0021, 16'h001d, 16'h001c, 16'h0018,
    16'h0017, 16'h0013, 16'h0012, 16'h000e, 16'h000d, 16'h0009
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 12;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [12*32-1:0] DIGITS = {
    32'h0000000e, 32'h0001800d, 32'h0003000c, 32'h0002800c, 32'h0005000b, 32'h0004000b,
    32'h0007000a, 32'h0006000a, 32'h00090009, 32'h00080009, 32'h000b0008, 32'h000a0008
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -12288;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 24320;
  /// bits of the activation that the extra column weighs; 0: no extra column
  localparam int F_M = 6;
  /// gates: bits of the extra column
  localparam int F_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] F_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [6*16-1:0] F_BITS = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002
  };
  /// signed digits of the extra column
  localparam int F_NUM_DIGITS = 18;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [18*32-1:0] F_DIGITS = {
    32'h00058009, 32'h00040008, 32'h00050007, 32'h00030007, 32'h00048006, 32'h00020006,
    32'h00000006, 32'h00050005, 32'h00038005, 32'h00048004, 32'h00028004, 32'h00010004,
    32'h00038003, 32'h00000003, 32'h00028002, 32'h00010002, 32'h00028000, 32'h00008000
  };
  /// least sum one row adds to the extra column
  localparam int F_MIN_SUM = -352;
  /// largest sum one row adds to the extra column
  localparam int F_MAX_SUM = 398;
  /// the extra column as an encoding: rows hold whole activations, no weights
  localparam logic [1520-1:0] EXTRA = {
    F_DIGITS, F_BITS, F_GATES, 16'd0, 32'd0, 128'h0007_0006_0005_0004_0003_0002_0001_0000, 32'd0,
    32'd0, 32'd0, 32'd944, 32'd848, 32'd816, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd18, 32'd0, 32'd0, 32'd0, 32'd398, -32'd352, 32'd6, 32'd0, 32'd8, 32'h454e4301
  };
  /// what a weight alone adds to a product, g(w) and offset: not in the array; add it once for each row of
  /// a tile, as a network does with its bias
  function automatic int weight_term(input logic [7:0] w);
    weight_term = 25 + (w[0] ? 0 : 0) + (w[1] ? 0 : 0) + (w[2] ? 0 : 0) + (w[3] ? 0 : 0) + (w[4] ? 0 : 0) + (w[5] ? 0 : 0) + (w[6] ? 96 : 0) + (w[7] ? -8128 : 0);
  endfunction
  /// all of it, laid out as encmac_pkg says: the parameter `Encoding`
  localparam logic [3808-1:0] ENCODING = {
    EXTRA, DIGITS, BITS, GATES, W_WIRES, W_GATES, A_WIRES, A_GATES,
    32'd1520, 32'd2288, 32'd1904, 32'd1712, 32'd816, 32'd768, 32'd736, 32'd640, 32'd608,
    32'd12, 32'd28, 32'd0, 32'd0, 32'd24320, -32'd12288, 32'd12, 32'd3, 32'd6, 32'h454e4301
  };
endpackage
