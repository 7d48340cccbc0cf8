// Exported from models/encodings/m12p.json; do not edit.
// 12 product bits from radix-4 digits of the weight (plain), powers of two, f(a)
package m12p_pkg;
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
  localparam int M = 12;
  /// gates: product bits from the bits a row holds
  localparam int NUM_GATES = 45;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [45*32-1:0] GATES = {
    32'h20020036, 32'h100d0035, 32'h00008010, 32'h0000c007, 32'h20028032, 32'h100c0031,
    32'h0000000c, 32'h00004009, 32'h2002002e, 32'h100b002d, 32'h0000c010, 32'h00010007,
    32'h2002802a, 32'h100a0029, 32'h0000400c, 32'h00008009, 32'h20020026, 32'h10090025,
    32'h00010010, 32'h00014007, 32'h20028022, 32'h10080021, 32'h0000800c, 32'h0000c009,
    32'h2002001e, 32'h1007001d, 32'h00014010, 32'h00018007, 32'h2002801a, 32'h10060019,
    32'h0000c00c, 32'h00010009, 32'h20028016, 32'h10050015, 32'h0001000c, 32'h00014009,
    32'h20020012, 32'h00018011, 32'h1001c010, 32'h4001c008, 32'h2001800a, 32'h1002c00d,
    32'h0001400c, 32'h60028009, 32'h00018009
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [12*16-1:0] BITS = {
    16'h0037, 16'h0033, 16'h002f, 16'h002b, 16'h0027, 16'h0023,
    16'h001f, 16'h001b, 16'h0017, 16'h0013, 16'h000f, 16'h000e
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 12;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [12*32-1:0] DIGITS = {
    32'h0001800d, 32'h0000800d, 32'h0003000c, 32'h0002000c, 32'h0005800b, 32'h0004000b,
    32'h0007800a, 32'h0006000a, 32'h00098009, 32'h00080009, 32'h000b8008, 32'h000a0008
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -20224;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 12032;
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
  localparam int F_NUM_DIGITS = 28;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [28*32-1:0] F_DIGITS = {
    32'h0007000c, 32'h0006000b, 32'h0007800a, 32'h0005000a, 32'h00060009, 32'h00040009,
    32'h00050008, 32'h00030008, 32'h00040007, 32'h00020007, 32'h00070006, 32'h00030006,
    32'h00068005, 32'h00070004, 32'h00058004, 32'h00068003, 32'h00048003, 32'h00030002,
    32'h00010002, 32'h00008002, 32'h00078001, 32'h00058001, 32'h00048001, 32'h00020001,
    32'h00060000, 32'h00038000, 32'h00010000, 32'h00000000
  };
  /// least sum one row adds to the extra column
  localparam int F_MIN_SUM = -3;
  /// largest sum one row adds to the extra column
  localparam int F_MAX_SUM = 8021;
  /// the extra column as an encoding: rows hold whole activations, no weights
  localparam logic [1872-1:0] EXTRA = {
    F_DIGITS, F_BITS, F_GATES, 16'd0, 32'd0, 128'h0007_0006_0005_0004_0003_0002_0001_0000, 32'd0,
    32'd0, 32'd0, 32'd976, 32'd848, 32'd816, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd28, 32'd0, 32'd0, 32'd0, 32'd8021, -32'd3, 32'd8, 32'd0, 32'd8, 32'h454e4301
  };
  /// term of the weight w at [w*32 +: 32]
  localparam logic [256*32-1:0] W_TERMS = {
    32'h00000057, 32'h00000058, 32'h00000058, 32'h00000059, 32'h00000059, 32'h0000005a,
    32'h0000005a, 32'h0000005b, 32'h0000005b, 32'h0000005c, 32'h0000005c, 32'h0000005d,
    32'h0000005d, 32'h0000005e, 32'h0000005e, 32'h0000005f, 32'hffffffdf, 32'hffffffe0,
    32'hffffffe0, 32'hffffffe1, 32'hffffffe1, 32'hffffffe2, 32'hffffffe2, 32'hffffffe3,
    32'hffffffe3, 32'hffffffe4, 32'hffffffe4, 32'hffffffe5, 32'hffffffe5, 32'hffffffe6,
    32'hffffffe6, 32'hffffffe7, 32'h00000067, 32'h00000068, 32'h00000068, 32'h00000069,
    32'h00000069, 32'h0000006a, 32'h0000006a, 32'h0000006b, 32'h0000006b, 32'h0000006c,
    32'h0000006c, 32'h0000006d, 32'h0000006d, 32'h0000006e, 32'h0000006e, 32'h0000006f,
    32'h0000006f, 32'h00000070, 32'h00000070, 32'h00000071, 32'h00000071, 32'h00000072,
    32'h00000072, 32'h00000073, 32'h00000073, 32'h00000074, 32'h00000074, 32'h00000075,
    32'h00000075, 32'h00000076, 32'h00000076, 32'h00000077, 32'h00000077, 32'h00000078,
    32'h00000078, 32'h00000079, 32'h00000079, 32'h0000007a, 32'h0000007a, 32'h0000007b,
    32'h0000007b, 32'h0000007c, 32'h0000007c, 32'h0000007d, 32'h0000007d, 32'h0000007e,
    32'h0000007e, 32'h0000007f, 32'hffffffff, 32'h00000000, 32'h00000000, 32'h00000001,
    32'h00000001, 32'h00000002, 32'h00000002, 32'h00000003, 32'h00000003, 32'h00000004,
    32'h00000004, 32'h00000005, 32'h00000005, 32'h00000006, 32'h00000006, 32'h00000007,
    32'h00000087, 32'h00000088, 32'h00000088, 32'h00000089, 32'h00000089, 32'h0000008a,
    32'h0000008a, 32'h0000008b, 32'h0000008b, 32'h0000008c, 32'h0000008c, 32'h0000008d,
    32'h0000008d, 32'h0000008e, 32'h0000008e, 32'h0000008f, 32'h0000008f, 32'h00000090,
    32'h00000090, 32'h00000091, 32'h00000091, 32'h00000092, 32'h00000092, 32'h00000093,
    32'h00000093, 32'h00000094, 32'h00000094, 32'h00000095, 32'h00000095, 32'h00000096,
    32'h00000096, 32'h00000097, 32'h00000017, 32'h00000018, 32'h00000018, 32'h00000019,
    32'h00000019, 32'h0000001a, 32'h0000001a, 32'h0000001b, 32'h0000001b, 32'h0000001c,
    32'h0000001c, 32'h0000001d, 32'h0000001d, 32'h0000001e, 32'h0000001e, 32'h0000001f,
    32'hffffff9f, 32'hffffffa0, 32'hffffffa0, 32'hffffffa1, 32'hffffffa1, 32'hffffffa2,
    32'hffffffa2, 32'hffffffa3, 32'hffffffa3, 32'hffffffa4, 32'hffffffa4, 32'hffffffa5,
    32'hffffffa5, 32'hffffffa6, 32'hffffffa6, 32'hffffffa7, 32'h00000027, 32'h00000028,
    32'h00000028, 32'h00000029, 32'h00000029, 32'h0000002a, 32'h0000002a, 32'h0000002b,
    32'h0000002b, 32'h0000002c, 32'h0000002c, 32'h0000002d, 32'h0000002d, 32'h0000002e,
    32'h0000002e, 32'h0000002f, 32'h0000002f, 32'h00000030, 32'h00000030, 32'h00000031,
    32'h00000031, 32'h00000032, 32'h00000032, 32'h00000033, 32'h00000033, 32'h00000034,
    32'h00000034, 32'h00000035, 32'h00000035, 32'h00000036, 32'h00000036, 32'h00000037,
    32'hffffffb7, 32'hffffffb8, 32'hffffffb8, 32'hffffffb9, 32'hffffffb9, 32'hffffffba,
    32'hffffffba, 32'hffffffbb, 32'hffffffbb, 32'hffffffbc, 32'hffffffbc, 32'hffffffbd,
    32'hffffffbd, 32'hffffffbe, 32'hffffffbe, 32'hffffffbf, 32'hffffff3f, 32'hffffff40,
    32'hffffff40, 32'hffffff41, 32'hffffff41, 32'hffffff42, 32'hffffff42, 32'hffffff43,
    32'hffffff43, 32'hffffff44, 32'hffffff44, 32'hffffff45, 32'hffffff45, 32'hffffff46,
    32'hffffff46, 32'hffffff47, 32'hffffffc7, 32'hffffffc8, 32'hffffffc8, 32'hffffffc9,
    32'hffffffc9, 32'hffffffca, 32'hffffffca, 32'hffffffcb, 32'hffffffcb, 32'hffffffcc,
    32'hffffffcc, 32'hffffffcd, 32'hffffffcd, 32'hffffffce, 32'hffffffce, 32'hffffffcf,
    32'hffffffcf, 32'hffffffd0, 32'hffffffd0, 32'hffffffd1, 32'hffffffd1, 32'hffffffd2,
    32'hffffffd2, 32'hffffffd3, 32'hffffffd3, 32'hffffffd4, 32'hffffffd4, 32'hffffffd5,
    32'hffffffd5, 32'hffffffd6, 32'hffffffd6, 32'hffffffd7
  };
  /// what a weight alone adds to a product, g(w) and offset: not in the array; add it once for each row of
  /// a tile, as a network does with its bias
  function automatic int weight_term(input logic [7:0] w);
    weight_term = W_TERMS[w*32 +: 32];
  endfunction
  /// all of it, laid out as encmac_pkg says: the parameter `Encoding`
  localparam logic [4736-1:0] ENCODING = {
    EXTRA, DIGITS, BITS, GATES, W_WIRES, W_GATES, A_WIRES, A_GATES,
    32'd1872, 32'd2864, 32'd2480, 32'd2288, 32'd848, 32'd784, 32'd752, 32'd640, 32'd608,
    32'd12, 32'd45, 32'd0, 32'd0, 32'd12032, -32'd20224, 32'd12, 32'd4, 32'd7, 32'h454e4301
  };
endpackage
