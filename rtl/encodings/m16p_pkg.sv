// Exported from models/encodings/m16p.json; do not edit.
// 16 product bits from radix-4 digits of the weight (plain), powers of two, f(a)
package m16p_pkg;
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
  localparam int M = 16;
  /// gates: product bits from the bits a row holds
  localparam int NUM_GATES = 58;
  /// gate g at [g*32 +: 32]: type, wire x, wire y
  localparam logic [58*32-1:0] GATES = {
    32'h20028045, 32'h1010c044, 32'h0000401a, 32'h00008009, 32'h20020041, 32'h100fc040,
    32'h0001002b, 32'h00014007, 32'h2002803d, 32'h100ec03c, 32'h0000801a, 32'h0000c009,
    32'h20030039, 32'h100dc038, 32'h0000000d, 32'h0000400b, 32'h20018008, 32'h20028034,
    32'h100c8033, 32'h0000c01a, 32'h00010009, 32'h20030030, 32'h100b802f, 32'h0000400d,
    32'h0000800b, 32'h100a802c, 32'h0001402b, 32'h4001c008, 32'h00018007, 32'h20028028,
    32'h10098027, 32'h0001001a, 32'h00014009, 32'h20030024, 32'h10088023, 32'h0000800d,
    32'h0000c00b, 32'h2001800a, 32'h2003001f, 32'h1007401e, 32'h0000c00d, 32'h0001000b,
    32'h1006401b, 32'h0001401a, 32'h4002400a, 32'h00018009, 32'h20030017, 32'h10054016,
    32'h0001000d, 32'h0001400b, 32'h20030013, 32'h10044012, 32'h0001400d, 32'h0001800b,
    32'h2003000f, 32'h0001800e, 32'h1002c00d, 32'h6003000b
  };
  /// wire of output m at [m*16 +: 16]
  localparam logic [16*16-1:0] BITS = {
    16'h0046, 16'h0042, 16'h003e, 16'h003a, 16'h0036, 16'h0035,
    16'h0031, 16'h002d, 16'h0029, 16'h0025, 16'h0021, 16'h0020,
    16'h001c, 16'h0018, 16'h0014, 16'h0010
  };
  /// signed digits of the position weights
  localparam int NUM_DIGITS = 16;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [16*32-1:0] DIGITS = {
    32'h0000800e, 32'h0001000d, 32'h0002000c, 32'h0005000b, 32'h0004000b, 32'h0003800b,
    32'h0007800a, 32'h0006000a, 32'h000b0009, 32'h000a8009, 32'h00090009, 32'h00088009,
    32'h000e8008, 32'h000d8008, 32'h000c0008, 32'h000f8007
  };
  /// least sum one row adds to its column
  localparam int MIN_SUM = -21120;
  /// largest sum one row adds to its column
  localparam int MAX_SUM = 18688;
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
  localparam int F_NUM_DIGITS = 30;
  /// digit d at [d*32 +: 32]: product bit, sign, shift; lowest shift first
  localparam logic [30*32-1:0] F_DIGITS = {
    32'h0007800c, 32'h0006000b, 32'h0007000a, 32'h0005000a, 32'h00060009, 32'h00040009,
    32'h00070008, 32'h00050008, 32'h00030008, 32'h00060007, 32'h00040007, 32'h00020007,
    32'h00070006, 32'h00050006, 32'h00030006, 32'h00068005, 32'h00020005, 32'h00058004,
    32'h00048003, 32'h00010003, 32'h00038002, 32'h00008002, 32'h00048001, 32'h00018001,
    32'h00078000, 32'h00068000, 32'h00058000, 32'h00038000, 32'h00020000, 32'h00000000
  };
  /// least sum one row adds to the extra column
  localparam int F_MIN_SUM = -2756;
  /// largest sum one row adds to the extra column
  localparam int F_MAX_SUM = 5094;
  /// the extra column as an encoding: rows hold whole activations, no weights
  localparam logic [1936-1:0] EXTRA = {
    F_DIGITS, F_BITS, F_GATES, 16'd0, 32'd0, 128'h0007_0006_0005_0004_0003_0002_0001_0000, 32'd0,
    32'd0, 32'd0, 32'd976, 32'd848, 32'd816, 32'd800, 32'd768, 32'd640, 32'd608,
    32'd30, 32'd0, 32'd0, 32'd0, 32'd5094, -32'd2756, 32'd8, 32'd0, 32'd8, 32'h454e4301
  };
  /// term of the weight w at [w*32 +: 32]
  localparam logic [256*32-1:0] W_TERMS = {
    32'h0000002f, 32'h00000030, 32'h00000030, 32'h00000031, 32'hffffffb1, 32'hffffffb2,
    32'hffffffb2, 32'hffffffb3, 32'h00000033, 32'h00000034, 32'h00000034, 32'h00000035,
    32'h00000035, 32'h00000036, 32'h00000036, 32'h00000037, 32'hfffffff7, 32'hfffffff8,
    32'hfffffff8, 32'hfffffff9, 32'hffffff79, 32'hffffff7a, 32'hffffff7a, 32'hffffff7b,
    32'hfffffffb, 32'hfffffffc, 32'hfffffffc, 32'hfffffffd, 32'hfffffffd, 32'hfffffffe,
    32'hfffffffe, 32'hffffffff, 32'h0000003f, 32'h00000040, 32'h00000040, 32'h00000041,
    32'hffffffc1, 32'hffffffc2, 32'hffffffc2, 32'hffffffc3, 32'h00000043, 32'h00000044,
    32'h00000044, 32'h00000045, 32'h00000045, 32'h00000046, 32'h00000046, 32'h00000047,
    32'h00000047, 32'h00000048, 32'h00000048, 32'h00000049, 32'hffffffc9, 32'hffffffca,
    32'hffffffca, 32'hffffffcb, 32'h0000004b, 32'h0000004c, 32'h0000004c, 32'h0000004d,
    32'h0000004d, 32'h0000004e, 32'h0000004e, 32'h0000004f, 32'h0000004f, 32'h00000050,
    32'h00000050, 32'h00000051, 32'hffffffd1, 32'hffffffd2, 32'hffffffd2, 32'hffffffd3,
    32'h00000053, 32'h00000054, 32'h00000054, 32'h00000055, 32'h00000055, 32'h00000056,
    32'h00000056, 32'h00000057, 32'h00000017, 32'h00000018, 32'h00000018, 32'h00000019,
    32'hffffff99, 32'hffffff9a, 32'hffffff9a, 32'hffffff9b, 32'h0000001b, 32'h0000001c,
    32'h0000001c, 32'h0000001d, 32'h0000001d, 32'h0000001e, 32'h0000001e, 32'h0000001f,
    32'h0000005f, 32'h00000060, 32'h00000060, 32'h00000061, 32'hffffffe1, 32'hffffffe2,
    32'hffffffe2, 32'hffffffe3, 32'h00000063, 32'h00000064, 32'h00000064, 32'h00000065,
    32'h00000065, 32'h00000066, 32'h00000066, 32'h00000067, 32'h00000067, 32'h00000068,
    32'h00000068, 32'h00000069, 32'hffffffe9, 32'hffffffea, 32'hffffffea, 32'hffffffeb,
    32'h0000006b, 32'h0000006c, 32'h0000006c, 32'h0000006d, 32'h0000006d, 32'h0000006e,
    32'h0000006e, 32'h0000006f, 32'hffffffef, 32'hfffffff0, 32'hfffffff0, 32'hfffffff1,
    32'hffffff71, 32'hffffff72, 32'hffffff72, 32'hffffff73, 32'hfffffff3, 32'hfffffff4,
    32'hfffffff4, 32'hfffffff5, 32'hfffffff5, 32'hfffffff6, 32'hfffffff6, 32'hfffffff7,
    32'hffffffb7, 32'hffffffb8, 32'hffffffb8, 32'hffffffb9, 32'hffffff39, 32'hffffff3a,
    32'hffffff3a, 32'hffffff3b, 32'hffffffbb, 32'hffffffbc, 32'hffffffbc, 32'hffffffbd,
    32'hffffffbd, 32'hffffffbe, 32'hffffffbe, 32'hffffffbf, 32'hffffffff, 32'h00000000,
    32'h00000000, 32'h00000001, 32'hffffff81, 32'hffffff82, 32'hffffff82, 32'hffffff83,
    32'h00000003, 32'h00000004, 32'h00000004, 32'h00000005, 32'h00000005, 32'h00000006,
    32'h00000006, 32'h00000007, 32'h00000007, 32'h00000008, 32'h00000008, 32'h00000009,
    32'hffffff89, 32'hffffff8a, 32'hffffff8a, 32'hffffff8b, 32'h0000000b, 32'h0000000c,
    32'h0000000c, 32'h0000000d, 32'h0000000d, 32'h0000000e, 32'h0000000e, 32'h0000000f,
    32'hffffff8f, 32'hffffff90, 32'hffffff90, 32'hffffff91, 32'hffffff11, 32'hffffff12,
    32'hffffff12, 32'hffffff13, 32'hffffff93, 32'hffffff94, 32'hffffff94, 32'hffffff95,
    32'hffffff95, 32'hffffff96, 32'hffffff96, 32'hffffff97, 32'hffffff57, 32'hffffff58,
    32'hffffff58, 32'hffffff59, 32'hfffffed9, 32'hfffffeda, 32'hfffffeda, 32'hfffffedb,
    32'hffffff5b, 32'hffffff5c, 32'hffffff5c, 32'hffffff5d, 32'hffffff5d, 32'hffffff5e,
    32'hffffff5e, 32'hffffff5f, 32'hffffff9f, 32'hffffffa0, 32'hffffffa0, 32'hffffffa1,
    32'hffffff21, 32'hffffff22, 32'hffffff22, 32'hffffff23, 32'hffffffa3, 32'hffffffa4,
    32'hffffffa4, 32'hffffffa5, 32'hffffffa5, 32'hffffffa6, 32'hffffffa6, 32'hffffffa7,
    32'hffffffa7, 32'hffffffa8, 32'hffffffa8, 32'hffffffa9, 32'hffffff29, 32'hffffff2a,
    32'hffffff2a, 32'hffffff2b, 32'hffffffab, 32'hffffffac, 32'hffffffac, 32'hffffffad,
    32'hffffffad, 32'hffffffae, 32'hffffffae, 32'hffffffaf
  };
  /// what a weight alone adds to a product, g(w) and offset: not in the array; add it once for each row of
  /// a tile, as a network does with its bias
  function automatic int weight_term(input logic [7:0] w);
    weight_term = W_TERMS[w*32 +: 32];
  endfunction
  /// all of it, laid out as encmac_pkg says: the parameter `Encoding`
  localparam logic [5440-1:0] ENCODING = {
    EXTRA, DIGITS, BITS, GATES, W_WIRES, W_GATES, A_WIRES, A_GATES,
    32'd1936, 32'd3504, 32'd2992, 32'd2736, 32'd880, 32'd784, 32'd752, 32'd640, 32'd608,
    32'd16, 32'd58, 32'd0, 32'd0, 32'd18688, -32'd21120, 32'd16, 32'd6, 32'd7, 32'h454e4301
  };
endpackage
