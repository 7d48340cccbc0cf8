// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// A layer of random operands through tile_accelerator, once as int32 sums and once as int8, with pauses on every
/// stream; every result is compared with plain integer arithmetic. Ends with $fatal on a wrong, missing or surplus result.
module tile_tb;
  localparam int Rows = 8;
  localparam int Cols = 4;
  localparam int KTiles = 2;
  localparam int NTiles = 2;
  localparam int Vectors = 6;
  localparam int LastRows = 5;
  localparam int K = (KTiles - 1) * Rows + LastRows;
  localparam int N = NTiles * Cols;
  localparam int Shift = 12;

  // registers, see rtl/README.md
  localparam logic [7:0] Control = 8'h10;
  localparam logic [7:0] Status = 8'h14;
  localparam logic [7:0] Mode = 8'h2C;

  logic clk, rst_n;
  axil_if axil ();
  axis_if #(.Width(Cols * 8)) axis_w ();
  axis_if #(.Width(Rows * 8)) axis_a ();
  axis_if #(.Width(128)) axis_p ();
  axis_if #(.Width(Cols * 32)) axis_y ();

  logic signed [7:0] a[Vectors*K];
  logic signed [7:0] w[K*N];
  logic signed [31:0] bias[N];
  logic [31:0] multiplier[N];
  logic raw;
  int taken;

  tile_accelerator #(
      .Rows (Rows),
      .Cols (Cols),
      .Depth(Vectors)
  ) dut (
      .clk_i   (clk),
      .rst_ni  (rst_n),
      .s_axil  (axil),
      .s_axis_w(axis_w),
      .s_axis_a(axis_a),
      .s_axis_p(axis_p),
      .m_axis_y(axis_y)
  );

  initial begin
    clk = 1'b0;
    forever #5 clk = ~clk;
  end

  // Signals change at the falling edge; what is valid and ready at the rising edge between is taken.
  task automatic pause;
    repeat (($urandom & 3) == 0 ? 1 : 0) @(negedge clk);
  endtask

  task automatic write(logic [7:0] address, logic [31:0] data);
    axil.awaddr = address;
    axil.wdata = data;
    {axil.awvalid, axil.wvalid} = 2'b11;
    while (axil.awvalid || axil.wvalid) begin
      logic aw_ready, w_ready;
      @(posedge clk);
      {aw_ready, w_ready} = {axil.awready, axil.wready};
      @(negedge clk);
      if (aw_ready) axil.awvalid = 1'b0;
      if (w_ready) axil.wvalid = 1'b0;
    end
    while (!axil.bvalid) @(negedge clk);
    if (axil.bresp != 2'b00) $fatal(1, "write of %h to %h is refused", data, address);
    @(negedge clk);
  endtask

  task automatic read(logic [7:0] address, output logic [31:0] data);
    logic ready;
    axil.araddr = address;
    axil.arvalid = 1'b1;
    do begin
      @(posedge clk);
      ready = axil.arready;
      @(negedge clk);
    end while (!ready);
    axil.arvalid = 1'b0;
    while (!axil.rvalid) @(negedge clk);
    data = axil.rdata;
    if (axil.rresp != 2'b00) $fatal(1, "reading %h is refused", address);
    @(negedge clk);
  endtask

  task automatic send_weights;
    for (int beat = 0; beat < NTiles * KTiles * Rows; beat++) begin
      pause;
      for (int c = 0; c < Cols; c++) begin
        int k, n;
        k = beat % (KTiles * Rows);
        n = beat / (KTiles * Rows) * Cols + c;
        axis_w.tdata[c*8+:8] = k < K ? w[k*N+n] : 8'($urandom);  // rows that the last tile does not use: anything
      end
      axis_w.tlast  = beat % Rows == Rows - 1;
      axis_w.tvalid = 1'b1;
      do @(posedge clk); while (!axis_w.tready);
      @(negedge clk);
      axis_w.tvalid = 1'b0;
    end
  endtask

  task automatic send_activations;
    for (int beat = 0; beat < NTiles * KTiles * Vectors; beat++) begin
      pause;
      for (int r = 0; r < Rows; r++) begin
        int k;
        k = beat / Vectors % KTiles * Rows + r;
        axis_a.tdata[r*8+:8] = k < K ? a[beat%Vectors*K+k] : 8'($urandom);
      end
      axis_a.tlast  = beat % Vectors == Vectors - 1;
      axis_a.tvalid = 1'b1;
      do @(posedge clk); while (!axis_a.tready);
      @(negedge clk);
      axis_a.tvalid = 1'b0;
    end
  endtask

  task automatic send_parameters;
    for (int n = 0; n < N; n++) begin
      pause;
      axis_p.tdata  = {32'd0, 32'(Shift), multiplier[n], bias[n]};
      axis_p.tlast  = n % Cols == Cols - 1;
      axis_p.tvalid = 1'b1;
      do @(posedge clk); while (!axis_p.tready);
      @(negedge clk);
      axis_p.tvalid = 1'b0;
    end
  endtask

  always @(negedge clk) axis_y.tready <= ($urandom & 3) != 0;

  /// What column c of the result that comes after `index` others must hold.
  function automatic logic [31:0] expected(int index, int c);
    longint sum;
    int n, vector;
    n = index / Vectors * Cols + c;
    vector = index % Vectors;
    sum = longint'(bias[n]);
    for (int k = 0; k < K; k++) sum += longint'(a[vector*K+k]) * longint'(w[k*N+n]);
    if (raw) return 32'(sum);
    sum = (sum * longint'(multiplier[n]) + (64'sd1 << (Shift - 1))) >>> Shift;
    return {24'd0, sum < -128 ? 8'h80 : sum > 127 ? 8'h7F : 8'(sum)};
  endfunction

  always @(posedge clk)
    if (rst_n && axis_y.tvalid && axis_y.tready) begin
      if (taken == NTiles * Vectors) $fatal(1, "a result too many");
      for (int c = 0; c < Cols; c++) begin
        logic [31:0] found;
        found = raw ? axis_y.tdata[c*32+:32] : {24'd0, axis_y.tdata[c*8+:8]};
        if (found !== expected(taken, c))
          $fatal(1, "result %0d, column %0d: %h, expected %h", taken, c, found, expected(taken, c));
      end
      if (axis_y.tlast !== (taken % Vectors == Vectors - 1)) $fatal(1, "result %0d: tlast is %b", taken, axis_y.tlast);
      taken <= taken + 1;
    end

  initial begin : run
    logic [31:0] status;
    rst_n = 1'b0;
    {axil.awvalid, axil.wvalid, axil.arvalid, axis_w.tvalid, axis_a.tvalid, axis_p.tvalid} = '0;
    {axil.bready, axil.rready, axil.wstrb} = '1;
    for (int i = 0; i < Vectors * K; i++) a[i] = 8'($urandom);
    for (int i = 0; i < K * N; i++) w[i] = 8'($urandom);
    for (int i = 0; i < N; i++) begin
      bias[i] = $urandom_range(20000) - 10000;
      multiplier[i] = $urandom_range(10, 20);
    end
    // corners
    a[0] = -8'sd128;
    w[0] = -8'sd128;
    repeat (4) @(negedge clk);
    rst_n = 1'b1;
    @(negedge clk);
    write(8'h1C, KTiles);
    write(8'h20, NTiles);
    write(8'h24, Vectors);
    write(8'h28, LastRows);
    for (int layer = 0; layer < 2; layer++) begin
      raw   = layer == 0;
      taken = 0;
      write(Mode, 32'(raw));
      write(Control, 32'd1);
      fork
        send_weights;
        send_activations;
        send_parameters;
      join
      do read(Status, status); while (status[0]);
      repeat (20) @(negedge clk);
      if (taken != NTiles * Vectors) $fatal(1, "%0d of %0d results came", taken, NTiles * Vectors);
      if (status != 0) $fatal(1, "the engine reports errors");
    end
    $display("PASS: %0d sums and %0d int8 results equal integer arithmetic", NTiles * Vectors * Cols,
             NTiles * Vectors * Cols);
    $finish;
  end

  initial begin : watch
    repeat (5000) @(negedge clk);
    $fatal(1, "%0d results came, then nothing", taken);
  end
endmodule
