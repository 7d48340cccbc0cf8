// Exported from models/encodings/m32p.json; do not edit.
// 32 product bits from radix-4 digits of the weight (plain), powers of two, f(a)
package m32p_pkg;
  /// bits of an activation that a row holds
  localparam int A_BITS = 8;
  /// gates: of an activation from its 8 operand bits
  localparam int A_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] A_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [8*16-1:0] A_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002,
    16'h0001, 16'h0000
  };
  /// bits of a weight that a row holds
  localparam int W_BITS = 8;
  /// gates: of a weight from its 8 operand bits
  localparam int W_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] W_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [8*16-1:0] W_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002,
    16'h0001, 16'h0000
  };
  /// product bits
  localparam int M = 32;
  /// gates: product bits from the bits a row holds
  localparam int NUM_GATES = 121;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [121*32-1:0] GATES = {
    32'h20024087, 32'h10214086, 32'h0000803d, 32'h0000c008, 32'h2002c083, 32'h10204082,
    32'h00000031, 32'h0000400a, 32'h2002407f, 32'h101f407e, 32'h0000c03d, 32'h00010008,
    32'h2002c07b, 32'h101e407a, 32'h00004031, 32'h0000800a, 32'h20034077, 32'h0000000c,
    32'h20024075, 32'h101cc074, 32'h0001003d, 32'h00014008, 32'h2002c071, 32'h101bc070,
    32'h00008031, 32'h0000c00a, 32'h2003406d, 32'h101ac06c, 32'h00000018, 32'h0000400c,
    32'h20024069, 32'h1019c068, 32'h0001403d, 32'h00018008, 32'h2002c065, 32'h1018c064,
    32'h0000c031, 32'h0001000a, 32'h20034061, 32'h1017c060, 32'h00004018, 32'h0000800c,
    32'h2003c05d, 32'h0000000e, 32'h2002405b, 32'h1016405a, 32'h0001803d, 32'h0001c008,
    32'h2002c057, 32'h10154056, 32'h00010031, 32'h0001400a, 32'h20034053, 32'h10144052,
    32'h00008018, 32'h0000c00c, 32'h2003c04f, 32'h1013404e, 32'h00000010, 32'h0000400e,
    32'h2002c04b, 32'h1012404a, 32'h00014031, 32'h0001800a, 32'h20034047, 32'h10114046,
    32'h0000c018, 32'h0001000c, 32'h2003c043, 32'h10104042, 32'h00004010, 32'h0000800e,
    32'h2002403f, 32'h0001c03e, 32'h1002003d, 32'h40020009, 32'h2001c00b, 32'h2003403a,
    32'h100e0039, 32'h00010018, 32'h0001400c, 32'h2003c036, 32'h100d0035, 32'h00008010,
    32'h0000c00e, 32'h100c0032, 32'h00018031, 32'h4002800b, 32'h0001c00a, 32'h2003402e,
    32'h100b002d, 32'h00014018, 32'h0001800c, 32'h2003c02a, 32'h100a0029, 32'h0000c010,
    32'h0001000e, 32'h20034026, 32'h10090025, 32'h00018018, 32'h0001c00c, 32'h2003c022,
    32'h10080021, 32'h00010010, 32'h0001400e, 32'h2003c01e, 32'h1007001d, 32'h00014010,
    32'h0001800e, 32'h2003401a, 32'h0001c019, 32'h10030018, 32'h4003000d, 32'h2003c016,
    32'h10050015, 32'h00018010, 32'h0001c00e, 32'h2003c012, 32'h0001c011, 32'h10038010,
    32'h6003c00e
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [32*16-1:0] BITS = {
    16'h0088, 16'h0084, 16'h0080, 16'h007c, 16'h0078, 16'h0076,
    16'h0072, 16'h006e, 16'h006a, 16'h0066, 16'h0062, 16'h005e,
    16'h005c, 16'h0058, 16'h0054, 16'h0050, 16'h004c, 16'h0048,
    16'h0044, 16'h0040, 16'h003c, 16'h003b, 16'h0037, 16'h0033,
    16'h002f, 16'h002b, 16'h0027, 16'h0023, 16'h001f, 16'h001b,
    16'h0017, 16'h0013
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 32;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [32*32-1:0] DIGITS = {
    32'h0000800e, 32'h0001000d, 32'h0003000c, 32'h0002000c, 32'h0005800b, 32'h0004000b,
    32'h0007800a, 32'h0006000a, 32'h000b0009, 32'h000a8009, 32'h00090009, 32'h00088009,
    32'h000f8008, 32'h000e8008, 32'h000d0008, 32'h000c0008, 32'h00138007, 32'h00128007,
    32'h00118007, 32'h00100007, 32'h00178006, 32'h00168006, 32'h00158006, 32'h00140006,
    32'h001a8005, 32'h00198005, 32'h00188005, 32'h001d8004, 32'h001c8004, 32'h001b8004,
    32'h001f8003, 32'h001e8003
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -21648;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 21184;
  /// bits of the activation that the extra column weighs; 0: no extra column
  localparam int F_M = 8;
  /// gates: bits of the extra column
  localparam int F_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] F_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [8*16-1:0] F_BITS = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002,
    16'h0001, 16'h0000
  };
  /// signed digits of the extra column
  localparam int F_NUM_DIGITS = 25;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [25*32-1:0] F_DIGITS = {
    32'h0007800c, 32'h0006000b, 32'h0007800a, 32'h0005000a, 32'h00060009, 32'h00040009,
    32'h00070008, 32'h00050008, 32'h00030008, 32'h00060007, 32'h00040007, 32'h00020007,
    32'h00050006, 32'h00030006, 32'h00010006, 32'h00040005, 32'h00020005, 32'h00000005,
    32'h00030004, 32'h00010004, 32'h00020003, 32'h00000003, 32'h00010002, 32'h00018000,
    32'h00000000
  };
  /// least sum one row adds to the extra column
  localparam int F_MIN_SUM = -4864;
  /// largest sum one row adds to the extra column
  localparam int F_MAX_SUM = 5332;
  /// the extra column as an encoding: rows hold whole activations, no weights
  localparam logic [1776-1:0] EXTRA = {
    F_DIGITS, F_BITS, F_GATES, 16'd0, 32'd0, 128'h0007_0006_0005_0004_0003_0002_0001_0000, 32'd0,
    32'd0, 32'd0, 32'd976, 32'd848, 32'd816, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd25, 32'd0, 32'd0, 32'd0, 32'd5332, -32'd4864, 32'd8, 32'd0, 32'd8, 32'h454e4301
  };
  /// term of the weight w at [w*32 +: 32]
  localparam logic [256*32-1:0] W_TERMS = {
    32'h00000027, 32'h00000023, 32'h00000028, 32'h00000028, 32'h00000025, 32'h00000021,
    32'h00000026, 32'h00000026, 32'h0000002b, 32'h00000027, 32'h0000002c, 32'h0000002c,
    32'h0000002d, 32'h00000029, 32'h0000002e, 32'h0000002e, 32'h00000027, 32'h00000023,
    32'h00000028, 32'h00000028, 32'h00000025, 32'h00000021, 32'h00000026, 32'h00000026,
    32'h0000002b, 32'h00000027, 32'h0000002c, 32'h0000002c, 32'h0000002d, 32'h00000029,
    32'h0000002e, 32'h0000002e, 32'h00000037, 32'h00000033, 32'h00000038, 32'h00000038,
    32'h00000035, 32'h00000031, 32'h00000036, 32'h00000036, 32'h0000003b, 32'h00000037,
    32'h0000003c, 32'h0000003c, 32'h0000003d, 32'h00000039, 32'h0000003e, 32'h0000003e,
    32'h00000037, 32'h00000033, 32'h00000038, 32'h00000038, 32'h00000035, 32'h00000031,
    32'h00000036, 32'h00000036, 32'h0000003b, 32'h00000037, 32'h0000003c, 32'h0000003c,
    32'h0000003d, 32'h00000039, 32'h0000003e, 32'h0000003e, 32'h00000027, 32'h00000023,
    32'h00000028, 32'h00000028, 32'h00000025, 32'h00000021, 32'h00000026, 32'h00000026,
    32'h0000002b, 32'h00000027, 32'h0000002c, 32'h0000002c, 32'h0000002d, 32'h00000029,
    32'h0000002e, 32'h0000002e, 32'h00000027, 32'h00000023, 32'h00000028, 32'h00000028,
    32'h00000025, 32'h00000021, 32'h00000026, 32'h00000026, 32'h0000002b, 32'h00000027,
    32'h0000002c, 32'h0000002c, 32'h0000002d, 32'h00000029, 32'h0000002e, 32'h0000002e,
    32'h00000037, 32'h00000033, 32'h00000038, 32'h00000038, 32'h00000035, 32'h00000031,
    32'h00000036, 32'h00000036, 32'h0000003b, 32'h00000037, 32'h0000003c, 32'h0000003c,
    32'h0000003d, 32'h00000039, 32'h0000003e, 32'h0000003e, 32'h00000037, 32'h00000033,
    32'h00000038, 32'h00000038, 32'h00000035, 32'h00000031, 32'h00000036, 32'h00000036,
    32'h0000003b, 32'h00000037, 32'h0000003c, 32'h0000003c, 32'h0000003d, 32'h00000039,
    32'h0000003e, 32'h0000003e, 32'hffffffe7, 32'hffffffe3, 32'hffffffe8, 32'hffffffe8,
    32'hffffffe5, 32'hffffffe1, 32'hffffffe6, 32'hffffffe6, 32'hffffffeb, 32'hffffffe7,
    32'hffffffec, 32'hffffffec, 32'hffffffed, 32'hffffffe9, 32'hffffffee, 32'hffffffee,
    32'hffffffe7, 32'hffffffe3, 32'hffffffe8, 32'hffffffe8, 32'hffffffe5, 32'hffffffe1,
    32'hffffffe6, 32'hffffffe6, 32'hffffffeb, 32'hffffffe7, 32'hffffffec, 32'hffffffec,
    32'hffffffed, 32'hffffffe9, 32'hffffffee, 32'hffffffee, 32'hfffffff7, 32'hfffffff3,
    32'hfffffff8, 32'hfffffff8, 32'hfffffff5, 32'hfffffff1, 32'hfffffff6, 32'hfffffff6,
    32'hfffffffb, 32'hfffffff7, 32'hfffffffc, 32'hfffffffc, 32'hfffffffd, 32'hfffffff9,
    32'hfffffffe, 32'hfffffffe, 32'hfffffff7, 32'hfffffff3, 32'hfffffff8, 32'hfffffff8,
    32'hfffffff5, 32'hfffffff1, 32'hfffffff6, 32'hfffffff6, 32'hfffffffb, 32'hfffffff7,
    32'hfffffffc, 32'hfffffffc, 32'hfffffffd, 32'hfffffff9, 32'hfffffffe, 32'hfffffffe,
    32'hffffffe7, 32'hffffffe3, 32'hffffffe8, 32'hffffffe8, 32'hffffffe5, 32'hffffffe1,
    32'hffffffe6, 32'hffffffe6, 32'hffffffeb, 32'hffffffe7, 32'hffffffec, 32'hffffffec,
    32'hffffffed, 32'hffffffe9, 32'hffffffee, 32'hffffffee, 32'hffffffe7, 32'hffffffe3,
    32'hffffffe8, 32'hffffffe8, 32'hffffffe5, 32'hffffffe1, 32'hffffffe6, 32'hffffffe6,
    32'hffffffeb, 32'hffffffe7, 32'hffffffec, 32'hffffffec, 32'hffffffed, 32'hffffffe9,
    32'hffffffee, 32'hffffffee, 32'hfffffff7, 32'hfffffff3, 32'hfffffff8, 32'hfffffff8,
    32'hfffffff5, 32'hfffffff1, 32'hfffffff6, 32'hfffffff6, 32'hfffffffb, 32'hfffffff7,
    32'hfffffffc, 32'hfffffffc, 32'hfffffffd, 32'hfffffff9, 32'hfffffffe, 32'hfffffffe,
    32'hfffffff7, 32'hfffffff3, 32'hfffffff8, 32'hfffffff8, 32'hfffffff5, 32'hfffffff1,
    32'hfffffff6, 32'hfffffff6, 32'hfffffffb, 32'hfffffff7, 32'hfffffffc, 32'hfffffffc,
    32'hfffffffd, 32'hfffffff9, 32'hfffffffe, 32'hfffffffe
  };
  /// what a weight alone adds to a product, g(w) and offset: not in the array; add it once for each row of
  /// a tile, as a network does with its bias
  function automatic int weight_term(input logic [7:0] w);
    weight_term = W_TERMS[w*32 +: 32];
  endfunction
  /// all of it, laid out as encmac_pkg says: the parameter `Encoding`
  localparam logic [8112-1:0] ENCODING = {
    EXTRA, DIGITS, BITS, GATES, W_WIRES, W_GATES, A_WIRES, A_GATES,
    32'd1776, 32'd6336, 32'd5312, 32'd4800, 32'd928, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd32, 32'd121, 32'd0, 32'd0, 32'd21184, -32'd21648, 32'd32, 32'd8, 32'd8, 32'h454e4301
  };
endpackage
