// Multiply-accumulate lane, uniform weights in two's complement, a multiplier per product.
//
//   acc = sum of w * x over the dot product, modulo 2^ACC
//
// PARAMETERS
//   SIMD     products per clock
//   A        bits of an activation, unsigned
//   B        bits of a weight
//   ACC      bits of the accumulator
//
// PORTS (latency one clock, one set of SIMD products per clock)
//   valid    x and w hold products of this clock
//   first    they open a dot product
//   x        SIMD activations, activation i in bits [i*A +: A]
//   w        SIMD weight codes: two's complement, all 2^B codes allowed
//   acc      two's complement
module lane_uniform #(
    parameter int SIMD = 8,
    parameter int A = 4,
    parameter int B = 4,
    parameter int ACC = 16
) (
    input  logic clk,
    input  logic valid,
    input  logic first,
    input  logic [SIMD*A-1:0] x,
    input  logic [SIMD*B-1:0] w,
    output logic [ACC-1:0] acc
);
    localparam int W = A + B;
    localparam int SUM = W + $clog2(SIMD);
    logic [SIMD*W-1:0] terms;
    logic [SUM-1:0] sum;
    generate
        for (genvar i = 0; i < SIMD; i++) begin : product
            assign terms[i*W+:W] = W'($signed(w[i*B+:B])) * W'($signed({1'b0, x[i*A+:A]}));
        end
    endgenerate
    adder_tree #(.N(SIMD), .W(W), .SIGNED(1)) tree (.terms(terms), .sum(sum));
    accumulator #(.W(SUM), .SIGNED(1), .ACC(ACC)) register
        (.clk(clk), .valid(valid), .first(first), .sum(sum), .acc(acc));
endmodule
