// Copyright encmac contributors. Licensed under the Apache License 2.0, see LICENSE.

/// Two tiles of random operands through example_top, with pauses on every stream; every sum is compared with
/// plain integer products, less what the array leaves out (`weight_term`). So it holds for exact encodings alone.
/// Ends with $fatal on a wrong, missing or surplus result.
module example_tb;
  localparam int Rows = 8;
  localparam int Cols = 4;
  localparam int Vectors = 40;
  localparam int Tiles = 2;

  logic clk, rst_n;
  logic [Cols*8-1:0] w_data;
  logic [Rows*8-1:0] a_data;
  logic [Cols*32-1:0] y_data;
  logic w_valid, w_ready, w_last, a_valid, a_ready, a_last, y_valid, y_ready, y_last;
  logic signed [7:0] w[Tiles*Rows*Cols];
  logic signed [7:0] a[Tiles*Vectors*Rows];
  int taken;

  example_top #(
      .Rows(Rows),
      .Cols(Cols)
  ) dut (
      .clk_i          (clk),
      .rst_ni         (rst_n),
      .s_axis_w_tdata (w_data),
      .s_axis_w_tvalid(w_valid),
      .s_axis_w_tready(w_ready),
      .s_axis_w_tlast (w_last),
      .s_axis_a_tdata (a_data),
      .s_axis_a_tvalid(a_valid),
      .s_axis_a_tready(a_ready),
      .s_axis_a_tlast (a_last),
      .m_axis_y_tdata (y_data),
      .m_axis_y_tvalid(y_valid),
      .m_axis_y_tready(y_ready),
      .m_axis_y_tlast (y_last)
  );

  initial begin
    clk = 1'b0;
    forever #5 clk = ~clk;
  end

  initial begin
    rst_n = 1'b0;
    for (int i = 0; i < Tiles * Rows * Cols; i++) w[i] = 8'($urandom);
    for (int i = 0; i < Tiles * Vectors * Rows; i++) a[i] = 8'($urandom);
    // corners
    w[0] = -8'sd128;
    a[0] = -8'sd128;
    repeat (4) @(negedge clk);
    rst_n = 1'b1;
  end

  // Signals change at the falling edge; what is valid and ready at the rising edge between is taken.
  task automatic pause;
    repeat (($urandom & 3) == 0 ? 1 : 0) @(negedge clk);
  endtask

  initial begin : send_weights
    w_valid = 1'b0;
    wait (rst_n);
    for (int beat = 0; beat < Tiles * Rows; beat++) begin
      pause;
      for (int c = 0; c < Cols; c++) w_data[c*8+:8] = w[beat*Cols+c];
      w_last  = beat % Rows == Rows - 1;
      w_valid = 1'b1;
      do @(posedge clk); while (!w_ready);
      @(negedge clk);
      w_valid = 1'b0;
    end
  end

  initial begin : send_activations
    a_valid = 1'b0;
    wait (rst_n);
    for (int beat = 0; beat < Tiles * Vectors; beat++) begin
      pause;
      for (int r = 0; r < Rows; r++) a_data[r*8+:8] = a[beat*Rows+r];
      a_last  = beat % Vectors == Vectors - 1;
      a_valid = 1'b1;
      do @(posedge clk); while (!a_ready);
      @(negedge clk);
      a_valid = 1'b0;
    end
  end

  always @(negedge clk) y_ready <= ($urandom & 3) != 0;

  function automatic int expected(int vector, int column);
    expected = 0;
    for (int r = 0; r < Rows; r++) begin
      expected += a[vector*Rows+r] * w[(vector/Vectors*Rows+r)*Cols+column];
      expected -= exact64_pkg::weight_term(w[(vector/Vectors*Rows+r)*Cols+column]);
    end
  endfunction

  always @(posedge clk or negedge rst_n)
    if (!rst_n) begin
      taken <= 0;
    end else if (y_valid && y_ready) begin
      if (taken == Tiles * Vectors) $fatal(1, "a result too many");
      for (int c = 0; c < Cols; c++) begin
        if (y_data[c*32+:32] !== expected(taken, c))
          $fatal(1, "vector %0d, column %0d: %0d, expected %0d", taken, c, $signed(y_data[c*32+:32]),
                 expected(taken, c));
      end
      if (y_last !== (taken % Vectors == Vectors - 1)) $fatal(1, "vector %0d: tlast is %b", taken, y_last);
      taken <= taken + 1;
    end

  initial begin : finish
    repeat (5000) begin
      @(negedge clk);
      if (taken == Tiles * Vectors) begin
        repeat (20) @(negedge clk);
        $display("PASS: %0d sums equal integer products", Tiles * Vectors * Cols);
        $finish;
      end
    end
    $fatal(1, "%0d of %0d results came", taken, Tiles * Vectors);
  end
endmodule
