// Exported from models/encodings/m20p.json; do not edit.
// 20 product bits from radix-4 digits of the weight (plain), powers of two, f(a)
package m20p_pkg;
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
  localparam int W_BITS = 6;
  /// gates: of a weight from its 8 operand bits
  localparam int W_NUM_GATES = 0;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [1*32-1:0] W_GATES = {
    32'h00000000
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [6*16-1:0] W_WIRES = {
    16'h0007, 16'h0006, 16'h0005, 16'h0004, 16'h0003, 16'h0002
  };
  /// product bits
  localparam int M = 20;
  /// gates: product bits from the bits a row holds
  localparam int NUM_GATES = 74;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [74*32-1:0] GATES = {
    32'h20024056, 32'h10150055, 32'h0000c02c, 32'h00010008, 32'h2002c052, 32'h10140051,
    32'h0000401b, 32'h0000800a, 32'h2002404e, 32'h1013004d, 32'h0001002c, 32'h00014008,
    32'h2002c04a, 32'h10120049, 32'h0000801b, 32'h0000c00a, 32'h20034046, 32'h10110045,
    32'h0000000e, 32'h0000400c, 32'h20024042, 32'h10100041, 32'h0001402c, 32'h00018008,
    32'h2002c03e, 32'h100f003d, 32'h0000c01b, 32'h0001000a, 32'h2003403a, 32'h100e0039,
    32'h0000400e, 32'h0000800c, 32'h2001c009, 32'h2002c035, 32'h100cc034, 32'h0001001b,
    32'h0001400a, 32'h20034031, 32'h100bc030, 32'h0000800e, 32'h0000c00c, 32'h100ac02d,
    32'h0001802c, 32'h40020009, 32'h0001c008, 32'h2002c029, 32'h1009c028, 32'h0001401b,
    32'h0001800a, 32'h20034025, 32'h1008c024, 32'h0000c00e, 32'h0001000c, 32'h2001c00b,
    32'h20034020, 32'h1007801f, 32'h0001000e, 32'h0001400c, 32'h1006801c, 32'h0001801b,
    32'h4002800b, 32'h0001c00a, 32'h20034018, 32'h10058017, 32'h0001400e, 32'h0001800c,
    32'h20034014, 32'h10048013, 32'h0001800e, 32'h0001c00c, 32'h20034010, 32'h0001c00f,
    32'h1003000e, 32'h6003400c
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [20*16-1:0] BITS = {
    16'h0057, 16'h0053, 16'h004f, 16'h004b, 16'h0047, 16'h0043,
    16'h003f, 16'h003b, 16'h0037, 16'h0036, 16'h0032, 16'h002e,
    16'h002a, 16'h0026, 16'h0022, 16'h0021, 16'h001d, 16'h0019,
    16'h0015, 16'h0011
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 20;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [20*32-1:0] DIGITS = {
    32'h0000800e, 32'h0001000d, 32'h0002000c, 32'h0005000b, 32'h0004000b, 32'h0003800b,
    32'h0007800a, 32'h0006000a, 32'h000b0009, 32'h000a8009, 32'h00090009, 32'h00088009,
    32'h000e8008, 32'h000d8008, 32'h000c0008, 32'h00118007, 32'h00108007, 32'h000f0007,
    32'h00138006, 32'h00128006
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -21376;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 18816;
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
    32'h0007800c, 32'h0006000b, 32'h0007000a, 32'h0005000a, 32'h00060009, 32'h00040009,
    32'h00070008, 32'h00050008, 32'h00030008, 32'h00060007, 32'h00040007, 32'h00020007,
    32'h00070006, 32'h00050006, 32'h00030006, 32'h00010006, 32'h00068005, 32'h00040005,
    32'h00020005, 32'h00058004, 32'h00030004, 32'h00010004, 32'h00048003, 32'h00038002,
    32'h00000002, 32'h00028001, 32'h00010000, 32'h00008000
  };
  /// least sum one row adds to the extra column
  localparam int F_MIN_SUM = -2752;
  /// largest sum one row adds to the extra column
  localparam int F_MAX_SUM = 5222;
  /// the extra column as an encoding: rows hold whole activations, no weights
  localparam logic [1872-1:0] EXTRA = {
    F_DIGITS, F_BITS, F_GATES, 16'd0, 32'd0, 128'h0007_0006_0005_0004_0003_0002_0001_0000, 32'd0,
    32'd0, 32'd0, 32'd976, 32'd848, 32'd816, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd28, 32'd0, 32'd0, 32'd0, 32'd5222, -32'd2752, 32'd8, 32'd0, 32'd8, 32'h454e4301
  };
  /// term of the weight w at [w*32 +: 32]
  localparam logic [256*32-1:0] W_TERMS = {
    32'h0000002d, 32'h0000002e, 32'h0000002e, 32'h0000002f, 32'h0000000f, 32'h00000010,
    32'h00000010, 32'h00000011, 32'h00000031, 32'h00000032, 32'h00000032, 32'h00000033,
    32'h00000033, 32'h00000034, 32'h00000034, 32'h00000035, 32'h00000015, 32'h00000016,
    32'h00000016, 32'h00000017, 32'hfffffff7, 32'hfffffff8, 32'hfffffff8, 32'hfffffff9,
    32'h00000019, 32'h0000001a, 32'h0000001a, 32'h0000001b, 32'h0000001b, 32'h0000001c,
    32'h0000001c, 32'h0000001d, 32'h0000003d, 32'h0000003e, 32'h0000003e, 32'h0000003f,
    32'h0000001f, 32'h00000020, 32'h00000020, 32'h00000021, 32'h00000041, 32'h00000042,
    32'h00000042, 32'h00000043, 32'h00000043, 32'h00000044, 32'h00000044, 32'h00000045,
    32'h00000045, 32'h00000046, 32'h00000046, 32'h00000047, 32'h00000027, 32'h00000028,
    32'h00000028, 32'h00000029, 32'h00000049, 32'h0000004a, 32'h0000004a, 32'h0000004b,
    32'h0000004b, 32'h0000004c, 32'h0000004c, 32'h0000004d, 32'h0000004d, 32'h0000004e,
    32'h0000004e, 32'h0000004f, 32'h0000002f, 32'h00000030, 32'h00000030, 32'h00000031,
    32'h00000051, 32'h00000052, 32'h00000052, 32'h00000053, 32'h00000053, 32'h00000054,
    32'h00000054, 32'h00000055, 32'h00000035, 32'h00000036, 32'h00000036, 32'h00000037,
    32'h00000017, 32'h00000018, 32'h00000018, 32'h00000019, 32'h00000039, 32'h0000003a,
    32'h0000003a, 32'h0000003b, 32'h0000003b, 32'h0000003c, 32'h0000003c, 32'h0000003d,
    32'h0000005d, 32'h0000005e, 32'h0000005e, 32'h0000005f, 32'h0000003f, 32'h00000040,
    32'h00000040, 32'h00000041, 32'h00000061, 32'h00000062, 32'h00000062, 32'h00000063,
    32'h00000063, 32'h00000064, 32'h00000064, 32'h00000065, 32'h00000065, 32'h00000066,
    32'h00000066, 32'h00000067, 32'h00000047, 32'h00000048, 32'h00000048, 32'h00000049,
    32'h00000069, 32'h0000006a, 32'h0000006a, 32'h0000006b, 32'h0000006b, 32'h0000006c,
    32'h0000006c, 32'h0000006d, 32'hffffffed, 32'hffffffee, 32'hffffffee, 32'hffffffef,
    32'hffffffcf, 32'hffffffd0, 32'hffffffd0, 32'hffffffd1, 32'hfffffff1, 32'hfffffff2,
    32'hfffffff2, 32'hfffffff3, 32'hfffffff3, 32'hfffffff4, 32'hfffffff4, 32'hfffffff5,
    32'hffffffd5, 32'hffffffd6, 32'hffffffd6, 32'hffffffd7, 32'hffffffb7, 32'hffffffb8,
    32'hffffffb8, 32'hffffffb9, 32'hffffffd9, 32'hffffffda, 32'hffffffda, 32'hffffffdb,
    32'hffffffdb, 32'hffffffdc, 32'hffffffdc, 32'hffffffdd, 32'hfffffffd, 32'hfffffffe,
    32'hfffffffe, 32'hffffffff, 32'hffffffdf, 32'hffffffe0, 32'hffffffe0, 32'hffffffe1,
    32'h00000001, 32'h00000002, 32'h00000002, 32'h00000003, 32'h00000003, 32'h00000004,
    32'h00000004, 32'h00000005, 32'h00000005, 32'h00000006, 32'h00000006, 32'h00000007,
    32'hffffffe7, 32'hffffffe8, 32'hffffffe8, 32'hffffffe9, 32'h00000009, 32'h0000000a,
    32'h0000000a, 32'h0000000b, 32'h0000000b, 32'h0000000c, 32'h0000000c, 32'h0000000d,
    32'hffffffcd, 32'hffffffce, 32'hffffffce, 32'hffffffcf, 32'hffffffaf, 32'hffffffb0,
    32'hffffffb0, 32'hffffffb1, 32'hffffffd1, 32'hffffffd2, 32'hffffffd2, 32'hffffffd3,
    32'hffffffd3, 32'hffffffd4, 32'hffffffd4, 32'hffffffd5, 32'hffffffb5, 32'hffffffb6,
    32'hffffffb6, 32'hffffffb7, 32'hffffff97, 32'hffffff98, 32'hffffff98, 32'hffffff99,
    32'hffffffb9, 32'hffffffba, 32'hffffffba, 32'hffffffbb, 32'hffffffbb, 32'hffffffbc,
    32'hffffffbc, 32'hffffffbd, 32'hffffffdd, 32'hffffffde, 32'hffffffde, 32'hffffffdf,
    32'hffffffbf, 32'hffffffc0, 32'hffffffc0, 32'hffffffc1, 32'hffffffe1, 32'hffffffe2,
    32'hffffffe2, 32'hffffffe3, 32'hffffffe3, 32'hffffffe4, 32'hffffffe4, 32'hffffffe5,
    32'hffffffe5, 32'hffffffe6, 32'hffffffe6, 32'hffffffe7, 32'hffffffc7, 32'hffffffc8,
    32'hffffffc8, 32'hffffffc9, 32'hffffffe9, 32'hffffffea, 32'hffffffea, 32'hffffffeb,
    32'hffffffeb, 32'hffffffec, 32'hffffffec, 32'hffffffed
  };
  /// what a weight alone adds to a product, g(w) and offset: not in the array; add it once for each row of
  /// a tile, as a network does with its bias
  function automatic int weight_term(input logic [7:0] w);
    weight_term = W_TERMS[w*32 +: 32];
  endfunction
  /// all of it, laid out as encmac_pkg says: the parameter `Encoding`
  localparam logic [6096-1:0] ENCODING = {
    EXTRA, DIGITS, BITS, GATES, W_WIRES, W_GATES, A_WIRES, A_GATES,
    32'd1872, 32'd4224, 32'd3584, 32'd3264, 32'd896, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd20, 32'd74, 32'd0, 32'd0, 32'd18816, -32'd21376, 32'd20, 32'd6, 32'd8, 32'h454e4301
  };
endpackage
